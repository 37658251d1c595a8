"""Rows into Braze's objects: who a row is for, what is in it, and what is wrong with a map.

Sources: see `braze` and `_braze_values`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from rowferry.destinations import _braze_values as values
from rowferry.destinations._braze_settings import BrazeSettings
from rowferry.destinations._braze_values import ToJson
from rowferry.destinations.port import Fields
from rowferry.destinations.values import dumps, identity, instant, iso, number, required
from rowferry.errors import Problem, RowRejected

# ── Who a row is for ────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1024)
def _identified_by(names: tuple[str, ...]) -> tuple[str, ...]:
    """The fields that say whose row it is: one primary identifier, else email, else phone [track]."""
    primary: list[str] = [name for name in ("external_id", "braze_id", "user_alias") if name in names]
    if "alias_name" in names or "alias_label" in names:
        primary.append("alias_name")
    if len(primary) > 1:
        raise RowRejected("conflicting_identifiers", f"Braze takes one identifier, and these are mapped: {', '.join(primary)}")
    if primary == ["alias_name"]:
        return "alias_name", "alias_label"
    found = primary or [name for name in ("email", "phone") if name in names][:1]
    if not found:
        raise RowRejected("missing_identifier", "Braze needs external_id, braze_id, alias_name and alias_label, email or phone")
    return (found[0],)


def identifiers(names: Iterable[str], _settings: BrazeSettings) -> frozenset[str]:
    """The fields that say whose row it is; none when they do not agree, which `check` tells."""
    try:
        return frozenset(_identified_by(tuple(names)))
    except RowRejected:
        return frozenset()


def _who(fields: Fields, by: tuple[str, ...]) -> dict[str, Any]:
    if by[0] == "alias_name":
        return {"user_alias": {name: _short_identity(fields.get(name), name) for name in by}}
    if by[0] != "user_alias":
        value = fields[by[0]]
        is_usual = type(value) is str and len(value) <= 246 and value.strip()  # at most 4 bytes each: no need to count them
        return {by[0]: value if is_usual else _short_identity(value, by[0])}
    alias = fields["user_alias"]
    if not isinstance(alias, dict) or alias.keys() != {"alias_name", "alias_label"}:
        raise RowRejected("wrong_type", "user_alias must be an object of alias_name and alias_label")
    return {"user_alias": {name: _short_identity(value, name) for name, value in alias.items()}}


def _short_identity(value: Any, name: str) -> str:
    found = identity(value, name)
    if len(found.encode("utf-8", "replace")) > 987:  # EXTERNAL_USER_ID_TOO_LARGE [track]; the others get the same bound
        raise RowRejected("identifier_too_long", f"{name} has more than the 987 bytes that Braze takes")
    return found


def _flags(by: tuple[str, ...], settings: BrazeSettings) -> dict[str, Any]:
    # Left out, it means false, but true with an alias: those rows would vanish [attr].
    return {"_update_existing_only": settings.update_existing_only} if settings.update_existing_only or "alias" in by[0] else {}


# ── Rows into payloads ──────────────────────────────────────────────────────────────────────


def profile(fields: Fields, settings: BrazeSettings) -> bytes:
    """An attributes object [attr]; None removes an attribute [std, custom]. Raises `RowRejected`."""
    by, attributes = _profile_layout(tuple(fields))
    document = _who(fields, by)
    if settings.update_existing_only or len(by) > 1 or by[0] == "user_alias":
        document |= _flags(by, settings)
    array_items = settings.array_items
    for name, standard, is_text in attributes:
        value = fields[name]
        if is_text and type(value) is str and len(value) <= values.MAX_TEXT:  # the usual case, without a call
            document[name] = value
        elif value is None:
            document[name] = None
        elif standard is None:
            document[name] = values.attribute(value, name, array_items)
        else:
            document[name] = standard(value, name)
    return dumps(document)


@lru_cache(maxsize=1024)
def _profile_layout(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[tuple[str, ToJson | None, bool], ...]]:
    """What rows of these names have in common: who they are for, and each attribute with its standard's way to JSON
    and whether short text is taken as it is."""
    by = _identified_by(names)
    _require_good_names("profile", names)
    ways = {name: values.STANDARD[name].to_json if name in values.STANDARD else None for name in names if name not in by}
    return by, tuple((name, way, way is None or way is values.text) for name, way in ways.items())


def event(fields: Fields, settings: BrazeSettings) -> bytes:
    """An event object [event]: what is neither its own field nor the identifier is a property. Raises `RowRejected`."""
    own = {"name": values.text(required(fields, "name"), "name")}
    return _happening("event", fields, settings, own)


def purchase(fields: Fields, settings: BrazeSettings) -> bytes:
    """A purchase object [purchase], with properties as an event has them. Raises `RowRejected`."""
    currency, price = required(fields, "currency"), required(fields, "price")
    if not isinstance(currency, str) or len(currency) != 3 or not (currency.isascii() and currency.isalpha()):
        raise RowRejected("not_allowed", "currency must be a code of ISO 4217, such as EUR")
    if isinstance(price, bool) or not isinstance(price, int | float | Decimal):
        raise RowRejected("wrong_type", "price must be a number: cast it to NUMERIC in the model")
    own = {
        "product_id": values.text(identity(required(fields, "product_id"), "product_id"), "product_id"),
        "currency": currency.upper(),
        "price": number(price, "price"),
    }
    if (quantity := fields.get("quantity")) is not None:
        if not isinstance(quantity, int) or isinstance(quantity, bool) or not 1 <= quantity <= 100:
            raise RowRejected("not_allowed", "quantity must be a whole number from 1 to 100: split larger purchases into several rows")
        own["quantity"] = quantity
    return _happening("purchase", fields, settings, own)


_OWN_FIELDS = {
    "event": {"name", "time", "app_id", "_update_existing_only"},
    "purchase": {"product_id", "currency", "price", "quantity", "time", "app_id", "_update_existing_only"},
}


def _happening(kind: str, fields: Fields, settings: BrazeSettings, own: dict[str, Any]) -> bytes:
    names = tuple(fields)
    by = _identified_by(names)
    _require_good_names(kind, names)
    document = _who(fields, by) | _flags(by, settings) | own
    document["time"] = iso(instant(required(fields, "time"), "time"))
    if fields.get("app_id") is not None:
        document["app_id"] = values.text(fields["app_id"], "app_id")
    if fields.get("_update_existing_only") is not None:
        document["_update_existing_only"] = values.flag(fields["_update_existing_only"], "_update_existing_only")
    properties = {
        name: values.property_(value, name)
        for name, value in fields.items()
        if value is not None and name not in by and name not in _OWN_FIELDS[kind]
    }
    if properties:
        document["properties"] = values.sized(properties, "properties", values.MAX_PROPERTIES_BYTES[kind])
    return dumps(document)


@lru_cache(maxsize=1024)
def _require_good_names(kind: str, names: tuple[str, ...]) -> None:
    for problem in _name_problems(kind, names, near_duplicates=False):  # those are `check`'s business, not a row's fault
        raise RowRejected("bad_name", str(problem))


def _name_problems(kind: str, names: tuple[str, ...], near_duplicates: bool) -> Iterator[Problem]:
    by = _identified_by(names)
    for name in names:
        if name in by or name in _OWN_FIELDS.get(kind, ()):
            continue
        found = values.attribute_problem(name, near_duplicates) if kind == "profile" else values.property_problem(name, kind)
        if found is not None:
            yield found


_SUBSCRIBERS = {"external_id": "external_ids", "email": "emails", "phone": "phones"}


def subscription(fields: Fields, _settings: BrazeSettings) -> bytes:
    """One person's state in one subscription group [sub]. Raises `RowRejected`."""
    by = [name for name in _SUBSCRIBERS if name in fields]
    if len(by) != 1:
        raise RowRejected("conflicting_identifiers", "a subscription needs exactly one of external_id, email, phone")
    state = fields.get("subscription_state")
    if state not in ("subscribed", "unsubscribed"):
        raise RowRejected("not_allowed", "subscription_state must be subscribed or unsubscribed")
    group = values.text(required(fields, "subscription_group_id"), "subscription_group_id")
    document: dict[str, Any] = {
        "subscription_group_id": group,
        "subscription_state": state,
        _SUBSCRIBERS[by[0]]: [identity(fields[by[0]], by[0])],
    }
    if (double_opt_in := fields.get("use_double_opt_in_logic")) is not None:
        document["use_double_opt_in_logic"] = values.flag(double_opt_in, "use_double_opt_in_logic")
    return dumps(document)


DELETABLE = {"external_id": "external_ids", "braze_id": "braze_ids", "user_alias": "user_aliases"}


def delete(fields: Fields, _settings: BrazeSettings) -> bytes:
    """Whose profile goes [delete]; other fields are ignored. Raises `RowRejected`."""
    [(kind, who)] = _who(fields, _identified_by(tuple(fields))).items()
    if kind not in DELETABLE:
        # Several profiles can share an address, and deletion can't be undone [delete].
        raise RowRejected("missing_identifier", "a profile is deleted by external_id, braze_id or alias only")
    return dumps({kind: who})


# ── What is wrong with a map ────────────────────────────────────────────────────────────────

_REQUIRED = {
    "profile": (),
    "event": ("name", "time"),
    "purchase": ("product_id", "currency", "price", "time"),
    "subscription": ("subscription_group_id", "subscription_state"),
    "delete": (),
}


def check(names: Mapping[str, str | None], settings: BrazeSettings, kind: str) -> Iterator[Problem]:
    """What is wrong with a map of this kind of row; see `Action.check`."""
    try:
        by = _identified_by(tuple(names))
    except RowRejected as rejected:
        yield Problem("", rejected.reason)
        return
    for name in sorted({*_REQUIRED[kind], *by} - set(names)):
        yield Problem(name, f"is missing, and Braze requires it for the action {kind}")
    if kind == "subscription":
        yield from _check_subscription(names)
    elif kind == "delete":
        if "email" in by or "phone" in by:
            yield Problem("", "a profile is deleted by external_id, braze_id or alias only", "several profiles can share an address")
    else:
        yield from _name_problems(kind, tuple(names), settings.near_duplicates == "fail")
    if kind == "profile":
        yield from filter(None, (values.type_problem(name, names[name]) for name in names if name not in by))


def _check_subscription(names: Mapping[str, str | None]) -> Iterator[Problem]:
    by = [name for name in _SUBSCRIBERS if name in names]
    if len(by) != 1:
        yield Problem("", "a subscription needs exactly one of external_id, email, phone")
    for name in names.keys() - {*_SUBSCRIBERS, *_REQUIRED["subscription"], "use_double_opt_in_logic"}:
        yield Problem(
            name, "is not a field of a subscription", "fields: subscription_group_id, subscription_state, use_double_opt_in_logic"
        )
