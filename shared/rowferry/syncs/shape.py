"""A sync resolved against its model: which columns it reads, which fields they feed, where its state is kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowferry.delivery.plan import Plan
from rowferry.destinations.port import Action, Destination
from rowferry.errors import SourceError
from rowferry.mapping.mapping import Field, Part, fields_of
from rowferry.settings.sync import ColumnField, MapField, Sync, Transform

NO_LANE = 2
BACKFILL_LANE = 3  # of backfills, and of runs that are as large (see `start`)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a run of the sync reads and sends.

    `columns` are name and BigQuery type of every column it needs: the key's first, then the
    mapping's, the cursor's. `fields` are the payload's fields. `is_identifier` says for each field
    whether it tells who the row is about. `state_columns` name each field's fingerprint column.
    """

    name: str
    sync: Sync
    destination: Destination[Any]
    settings: Any
    action: Action[Any]
    columns: tuple[tuple[str, str], ...]
    fields: tuple[Field, ...]
    is_identifier: tuple[bool, ...]
    state_columns: tuple[str, ...]

    def plan(self, run: str, *, lane: int = NO_LANE, action: str | None = None) -> Plan:
        """The plan that this run's chunks carry. `action` is another one for removals."""
        chosen = self.destination.actions[action] if action else self.action
        return Plan(
            run=run,
            sync=self.name,
            destination=self.sync.to,
            action=chosen.name,
            columns=self.columns,
            fields=self.fields,
            lane=lane,
            nulls=self.sync.nulls if self.sync.send != "new" else "ignore",  # a new row has nothing to take away
            audience=self.sync.audience,
            idempotency=chosen.idempotency,
            key_columns=self.sync.key,
            unsets_removed=self.sync.on_remove == "unset",
        )

    @property
    def account(self) -> str | None:
        """Who has what this sync delivers; see `Destination.account_of`."""
        return self.destination.account_of(self.settings)

    @property
    def known_account(self) -> str | None:
        """The account whose rows alone count as delivered. None where another host is named: a rehearsal or a proxy goes by
        what the vendor has."""
        return self.account if self.settings.base_url is None else None

    @property
    def state_table(self) -> str:
        """Where the fingerprints of what the destination has accepted are kept."""
        return f"rowferry.{table_part('delivered', self.name, self.sync.to)}"

    @property
    def member_column(self) -> str | None:
        """The fingerprint that tells who is in the audience, where that is an attribute."""
        if self.destination.audience != "attribute":
            return None
        columns = zip(self.fields, self.state_columns, strict=True)
        return next((column for field, column in columns if field.name == self.sync.audience), None)

    def run_table(self, run: str) -> str:
        """Where the rows of one run stand; it expires."""
        return f"rowferry.{table_part('run', self.name, run)}"

    @property
    def dead_letters(self) -> str:
        """The table of all dead letters."""
        return "rowferry.dead_letters"


def sent_table(sync: str, destination: str) -> str:
    """Where `send: new` keeps the ids of rows at and above its cursor less the lag."""
    return f"rowferry.{table_part('sent', sync, destination)}"


def source_table(sync: str, run: str) -> str:
    """Where the rows that came from a database stand for one run."""
    return f"rowferry.{table_part('source', sync, run)}"


def table_part(kind: str, *names: str) -> str:
    """A table's name from names that may hold other characters: readable, and never two the same."""
    readable = "_".join(re.sub(r"[^A-Za-z0-9]+", "_", name) for name in names)[:60]
    return f"{kind}_{readable}_{hashlib.sha256(chr(0).join(names).encode()).hexdigest()[:8]}"


def resolve(name: str, sync: Sync, destination: Destination[Any], settings: Any, found: Mapping[str, str], model: str) -> Shape:
    """Hold the sync against the columns its model has (`found`: name → type).

    Raises `SourceError` for a column that is not there; the sentence names the nearest that is.
    """
    by_action = sync.audience is not None and destination.audience == "action"
    action = destination.actions["audience" if by_action else sync.action]
    column = _finder(found, name, model)
    specs = [(field_name, _part(spec, column)) for field_name, spec in sync.map.items()]
    used = {part.column for _, part in specs}
    if sync.rest is not None:
        # What `map` says of a field holds, also where an unused column has the field's name.
        own = {column(name) for name in (sync.cursor, sync.mark) if name} | {*sync.map, sync.audience}
        specs += [(other, Part(column=other)) for other in found if other not in used | own and not other.startswith("_rowferry_")]
    if sync.audience is not None and destination.audience == "attribute":
        specs.append((sync.audience, Part(value=True)))
    fields = fields_of(specs)
    identifiers = action.identifiers([field.name for field in fields], settings)
    if sync.on_remove != "ignore" or sync.audience is not None:
        _require_known_identifier(name, sync, [field for field in fields if field.name in identifiers])
    wanted = [column(key) for key in sync.key]
    wanted += [part.column for _, part in specs if part.column is not None]
    wanted += [column(sync.cursor)] if sync.cursor else []
    return Shape(
        name=name,
        sync=sync,
        destination=destination,
        settings=settings,
        action=action,
        columns=tuple((wanted_name, found[wanted_name]) for wanted_name in dict.fromkeys(wanted)),
        fields=fields,
        is_identifier=tuple(field.name in identifiers for field in fields),
        state_columns=tuple(_state_column(field.name) for field in fields),
    )


def _require_known_identifier(name: str, sync: Sync, identifiers: Sequence[Field]) -> None:
    """Of a row that has left the model only its key is known, so that must say who it was about."""
    key = {column.lower() for column in sync.key}
    if not any(field.columns and key.issuperset(column.lower() for column in field.columns) for field in identifiers):
        wanted = ", ".join(field.name for field in identifiers) or "an identifier"
        raise SourceError(
            f"syncs.{name}: of a row that has left only its key is known, so {wanted} must come from the key's columns "
            f"({', '.join(sync.key)}); make the identifier the key, or on_remove: ignore"
        )


def _finder(found: Mapping[str, str], sync: str, model: str) -> Callable[[str], str]:
    by_lower = {name.lower(): name for name in found}  # BigQuery's column names have no case

    def column(name: str) -> str:
        if name.lower() not in by_lower:
            raise SourceError(f"syncs.{sync}: {model} has no column {name!r}; it has {', '.join(found) or 'none'}")
        return by_lower[name.lower()]

    return column


def _part(spec: MapField, column: Callable[[str], str]) -> Part:
    if not isinstance(spec, ColumnField):
        return Part(value=spec.value)
    steps = tuple(_step(step) for step in spec.transform)
    if spec.default is not None:
        steps += ({"default": spec.default},)
    return Part(column=column(spec.column), transform=steps)


def _step(step: Transform) -> str | dict[str, Any]:
    return step.name if step.argument is None else {step.name: step.argument}


def _state_column(field: str) -> str:
    """A column for a field's fingerprint. BigQuery's columns have no case, so only plain lower-case
    names stand as they are; others by their hash."""
    if re.fullmatch(r"[a-z][a-z0-9_]{0,100}", field):
        return f"p_{field}"
    return f"h_{hashlib.sha256(field.encode()).hexdigest()[:16]}"
