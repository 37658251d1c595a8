"""Syncs: destination, action, map, model, and what starts them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rowferry.destinations.port import HAPPENINGS, Action, Destination, Fields
from rowferry.errors import Problem, RowRejected
from rowferry.settings.base import DestinationSettings
from rowferry.settings.checks.scope import Scope, check_cron
from rowferry.settings.feed import Feed
from rowferry.settings.problems import shown, suggest
from rowferry.settings.sync import ColumnField, MapField, Sync

_NESTING = "___"
_SOMEBODY = {"email": "somebody@example.com", "phone": "+41791234567", "phone_number": "+41791234567"}
_TYPE_AFTER = {
    "epoch_seconds": "INT64",
    "epoch_millis": "INT64",
    "integer": "INT64",
    "number": "NUMERIC",
    "boolean": "BOOL",
    "split": "ARRAY<STRING>",
    "json": "JSON",
}


def check_syncs(scope: Scope) -> Iterator[Problem]:
    """Each sync names a destination that can do what it asks, with a map that the vendor understands."""
    for name, sync in scope.settings.syncs.items():
        path = f"syncs.{name}"
        yield from _check_model(scope, sync, path)
        yield from scope.actions(sync.to, sync.action, path)
        if found := scope.destination(sync.to):
            yield from _check_send(sync, found[0], path)
            yield from _check_map(scope, sync, *found, path)
        for feed in sync.after:
            yield from scope.missing("feeds", feed, f"{path}.after")
        yield from check_cron(sync.cron, f"{path}.cron")
        yield from scope.notify(sync.notify, f"{path}.notify")


def _check_model(scope: Scope, sync: Sync, path: str) -> Iterator[Problem]:
    if sync.model.database:
        yield from scope.missing("databases", sync.model.database, f"{path}.model.database")
    columns = _all_columns(_feed_of(scope, sync))
    if columns is None:
        return
    used = [(f"map.{name}", field.column) for name, field in sync.map.items() if isinstance(field, ColumnField)]
    used += [("key", column) for column in sync.key]
    used += [("cursor", sync.cursor)] if sync.cursor else []
    known = {name.lower() for name in columns}
    for setting, column in used:
        if column.lower() not in known:
            told = f"{sync.model.table} has no column {shown(column)}"
            yield Problem(f"{path}.{setting}", told, suggest(column, columns, "it has"))


def _feed_of(scope: Scope, sync: Sync) -> Feed | None:
    """The feed that fills the model's table, when it is one."""
    if sync.model.database or not sync.model.table:
        return None
    table = sync.model.table.lower()
    return next((feed for feed in scope.settings.feeds.values() if feed.table.lower() == table), None)


def _all_columns(feed: Feed | None) -> list[str] | None:
    """The columns of a feed's table when no file can add others, else None."""
    return None if feed is None or feed.preset or feed.new_columns == "add" or not feed.columns else list(feed.columns)


def _check_send(sync: Sync, destination: Destination[Any], path: str) -> Iterator[Problem]:
    if sync.send == "audience" and destination.audience is None:
        yield Problem(f"{path}.send", f"{destination.vendor} has no audiences", "send: changed with a column that is true or false")
    if sync.send == "changed" and sync.action in HAPPENINGS:
        told = f"is for what people are, and the action {sync.action} is for what happens: the next change would count as a repeat"
        yield Problem(f"{path}.send", told, "send: new with a cursor; or action: profile")
    if sync.on_remove == "delete" and destination.remove_action is None:
        yield Problem(f"{path}.on_remove", f"{destination.vendor} can't delete by this way", "on_remove: unset or ignore")


def _check_map(scope: Scope, sync: Sync, destination: Destination[Any], settings: DestinationSettings, path: str) -> Iterator[Problem]:
    action = _action(sync, destination)
    if action is None:
        return
    feed = _feed_of(scope, sync)
    columns = feed.columns if feed else {}
    names = _field_types(sync, columns)
    if sync.send == "audience":
        names |= {str(sync.audience): "BOOL"} if destination.audience == "attribute" else {"audience": "STRING", "member": "BOOL"}
    # With `rest`, fields may come that nothing here knows of: what is missing is not known then either.
    complete = sync.rest is None or _all_columns(feed) is not None
    yield from map_problems(action, names, settings, f"{path}.map", complete=complete)
    if sync.on_remove == "unset":
        yield from _check_unset(action, names, settings, f"{path}.map")


def _check_unset(action: Action[Any], names: Iterable[str], settings: DestinationSettings, path: str) -> Iterator[Problem]:
    """What the vendor's own code says to a removal: each field is tried empty, beside somebody made up."""
    identifiers = action.identifiers(names, settings)
    somebody = {name: _SOMEBODY.get(name, "somebody-1") for name in identifiers}
    if not _takes(action, {**somebody, "any_property": "x"}, settings):
        return  # it is about who is made up
    for name in names:
        if name not in identifiers and not _takes(action, {**somebody, name: None}, settings):
            told = f"can't be unset at {settings.vendor}, so that whoever leaves the model would be rejected"
            yield Problem(f"{path}.{name}", told, "on_remove: ignore, or leave it out of the map", is_advice=True)


def _takes(action: Action[Any], fields: Fields, settings: DestinationSettings) -> bool:
    try:
        action.to_payload(fields, settings)
    except RowRejected:
        return False
    return True


def _action(sync: Sync, destination: Destination[Any]) -> Action[Any] | None:
    by_action = sync.send == "audience" and destination.audience == "action"
    return destination.actions.get("audience" if by_action else sync.action)


def map_problems(
    action: Action[Any], names: Mapping[str, str | None], settings: DestinationSettings, path: str, *, complete: bool
) -> Iterator[Problem]:
    """What the vendor says of the fields; about the whole of them only when they are complete."""
    for problem in action.check(names, settings):
        if problem.path in names or complete:
            yield replace(problem, path=".".join(part for part in (path, problem.path) if part))


def _field_types(sync: Sync, columns: Mapping[str, str]) -> dict[str, str | None]:
    by_lower = {name.lower(): kind for name, kind in columns.items()}
    found: dict[str, str | None] = {}
    for name, field in sync.map.items():
        top, _, below = name.partition(_NESTING)
        found[top] = "JSON" if below else _field_type(field, by_lower)
    if sync.rest:
        used = {field.column.lower() for field in sync.map.values() if isinstance(field, ColumnField)} | {str(sync.cursor).lower()}
        found = {**{name: kind for name, kind in columns.items() if name.lower() not in used}, **found}
    return found


def _field_type(field: MapField, columns: Mapping[str, str]) -> str | None:
    if not isinstance(field, ColumnField):
        return _constant_type(field.value)
    return _type_after(columns.get(field.column.lower()), (step.name for step in field.transform))


def _type_after(kind: str | None, steps: Iterable[str]) -> str | None:
    for step in steps:
        if step != "default":
            kind = None if step == "map" else _TYPE_AFTER.get(step, "STRING")
    return kind


def _constant_type(value: Any) -> str | None:
    kinds = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING", dict: "JSON"}
    return kinds.get(type(value))
