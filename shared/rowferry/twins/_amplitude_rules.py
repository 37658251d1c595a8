"""What Amplitude says of events and identifications, and what it does without saying so. For the twin alone.

Sources: see `twins/amplitude`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Faults = dict[str, dict[str, list[int]]]  # the list's name → field → indexes

_NOBODY = {
    "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", "", '""', "''", "{}", "lmy47d", "0", "-1",
    "00000000-0000-0000-0000-000000000000",
}  # fmt: skip
_TEXTS = {
    "app_version", "platform", "os_name", "os_version", "device_brand", "device_manufacturer", "device_model", "carrier", "country",
    "region", "city", "dma", "language", "productId", "revenueType", "currency", "ip", "idfa", "idfv", "adid", "android_id",
    "android_app_set_id", "insert_id", "user_agent", "partner_id",
}  # fmt: skip
_NUMBERS = {"price", "revenue", "location_lat", "location_lng"}
_INTEGERS = {"time", "quantity", "event_id", "session_id"}
_OBJECTS = {"event_properties", "user_properties", "groups", "group_properties", "plan"}
_EVENT_KEYS = {"user_id", "device_id", "event_type", "$skip_user_properties_sync"} | _TEXTS | _NUMBERS | _INTEGERS | _OBJECTS
_USER_KEYS = {
    "user_id", "device_id", "user_properties", "groups", "app_version", "platform", "os_name", "os_version", "device_brand",
    "device_manufacturer", "device_model", "carrier", "country", "region", "city", "dma", "language", "paying", "start_version",
}  # fmt: skip
_RESERVED = {
    "$identify", "$groupidentify", "[Amplitude] Start Session", "[Amplitude] End Session", "[Amplitude] Revenue",
    "[Amplitude] Revenue (Verified)", "[Amplitude] Revenue (Unverified)", "[Amplitude] Merged User",
}  # fmt: skip
_GROUP_OPERATORS = {"$set", "$setOnce", "$add", "$append", "$prepend", "$unset"}
_USER_OPERATORS = _GROUP_OPERATORS | {"$preInsert", "$postInsert", "$remove"}
_YEAR_1973_MS = 10**11


# ── What it refuses ─────────────────────────────────────────────────────────────────────────


def event_faults(events: list[dict[str, Any]], min_id_length: int) -> Faults:
    """What the lists of a 400 would hold; empty when the request is taken."""
    faults = identity_faults(events, min_id_length)
    for index, event in enumerate(events):
        if not event.get("event_type"):
            _add(faults, "events_with_missing_fields", "event_type", index)
        for name, value in event.items():
            if not _is_typed(name, value):
                _add(faults, "events_with_invalid_fields", name, index)
    return faults


def identity_faults(found: list[dict[str, Any]], min_id_length: int) -> Faults:
    """The same, for the identifiers alone."""
    faults: Faults = {}
    for index, item in enumerate(found):
        ids = {name: item[name] for name in ("user_id", "device_id") if item.get(name) is not None}
        if not ids:
            _add(faults, "events_with_missing_fields", "user_id", index)
        for name, value in ids.items():
            if not isinstance(value, str | int) or isinstance(value, bool) or str(value).strip().lower() in _NOBODY:
                _add(faults, "events_with_invalid_fields", name, index)
            elif len(str(value)) < min_id_length:
                _add(faults, "events_with_invalid_id_lengths", name, index)
    return faults


def listed(faults: Faults, *, first_only: bool) -> tuple[str, dict[str, Any]]:
    """The error's text and lists; HTTP V2 names the first event of each error."""
    said = "Invalid field values on some events"
    if "events_with_invalid_id_lengths" in faults:
        said = "Invalid id length for user_id or device_id"
    elif "events_with_missing_fields" in faults:
        said = "Request missing required field"
    return said, {name: {key: rows[:1] if first_only else rows for key, rows in fields.items()} for name, fields in faults.items()}


def _add(faults: Faults, name: str, key: str, index: int) -> None:
    faults.setdefault(name, {}).setdefault(key, []).append(index)


def _is_typed(name: str, value: Any) -> bool:
    if name in _INTEGERS:
        return isinstance(value, int) and not isinstance(value, bool)
    if name in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name in _OBJECTS:
        return isinstance(value, dict)
    return name not in _TEXTS | {"event_type"} or isinstance(value, str)


# ── Who an event is of ──────────────────────────────────────────────────────────────────────


def device_of(event: Mapping[str, Any]) -> str:
    """The device, or the one that is made up from the user: an insert_id counts within it."""
    return str(event["device_id"]) if event.get("device_id") is not None else f"of user {event['user_id']}"


def ids_of(event: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Kind and id of the user and the device, as far as they are known."""
    return {(kind, event[f"{kind}_id"]) for kind in ("user", "device") if event.get(f"{kind}_id") is not None}


def counts(events: Iterable[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """How many events each user and each device has."""
    return Counter(who for event in events for who in ids_of(event))


def users_of(events: Iterable[Mapping[str, Any]]) -> set[str]:
    """Everybody who has sent an event."""
    return {event["user_id"] for event in events if event.get("user_id") is not None}


# ── What it does in silence ─────────────────────────────────────────────────────────────────


def silences_of_event(event: dict[str, Any]) -> Iterator[str]:
    """Why Amplitude would cut, drop or misread something of this event behind a 200."""
    yield from _silences_of_ids(event)
    yield from (f"{name}: no field of an event" for name in event.keys() - _EVENT_KEYS)
    if event["event_type"] in _RESERVED:
        yield "an event's name that is reserved"
    if "group_properties" in event:
        yield "group_properties of an event, which are not read"
    if event.get("time", _YEAR_1973_MS) < _YEAR_1973_MS:
        yield "a time in seconds, which lands in January 1970"
    if event.get("ip") == "$remote":
        yield "ip is the sender's"
    if event.get("insert_id") == "":
        yield "a blank insert_id"
    if any(key.startswith("$") for key in event.get("user_properties", {})):
        yield "operators in an ordinary event"
    yield from _silences_of_revenue(event)
    yield from _silences_of_groups(event.get("groups", {}))
    yield from _cuts(event, "event", 0)


def _silences_of_revenue(event: Mapping[str, Any]) -> Iterator[str]:
    if "price" not in event and "revenue" not in event and event.keys() & {"productId", "revenueType", "currency"}:
        yield "productId, revenueType or currency without price and revenue"
    if {"price", "quantity", "revenue"} <= event.keys() and abs(event["price"] * event["quantity"] - event["revenue"]) > 0.01:
        yield "revenue that is not price times quantity"
    currency = event.get("currency", "EUR")
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        yield "a currency that is no code of ISO 4217"


def silences_of_user(item: dict[str, Any]) -> Iterator[str]:
    """The same for the identification of a user."""
    yield from _silences_of_ids(item)
    yield from (f"{name}: no field of an identification" for name in item.keys() - _USER_KEYS)
    yield from _silences_of_groups(item.get("groups", {}))
    yield from _silences_of_operators(item.get("user_properties", {}), _USER_OPERATORS)
    yield from _cuts(item, "identification", 0)


def silences_of_group(item: dict[str, Any]) -> Iterator[str]:
    """The same for the identification of a group."""
    yield from (f"{name}: no field of a group" for name in item.keys() - {"group_type", "group_value", "group_properties"})
    yield from _silences_of_operators(item.get("group_properties", {}), _GROUP_OPERATORS)
    yield from _cuts(item, "group", 0)


def _silences_of_ids(item: Mapping[str, Any]) -> Iterator[str]:
    for name in ("user_id", "device_id"):
        if isinstance(item.get(name), int):
            yield f"{name} is a number: the event is never seen"


def _silences_of_groups(groups: Mapping[str, Any]) -> Iterator[str]:
    if len(groups) > 5:
        yield "more than 5 types of groups"
    if any(isinstance(named, list) and len(named) > 10 for named in groups.values()):
        yield "more than 10 groups of a type"


def _silences_of_operators(properties: Mapping[str, Any], operators: set[str]) -> Iterator[str]:
    used = {name for name in properties if name.startswith("$")}
    if used and len(used) < len(properties):
        yield "operators beside plain properties"
    yield from (f"the operator {name}" for name in used - operators)
    targets = [target for name in used & operators for target in properties[name]]
    if len(targets) > len(set(targets)):
        yield "one property under two operators"
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in properties.get("$add", {}).values()):
        yield "$add of something that is no number"


def _cuts(value: Any, name: str, depth: int) -> Iterator[str]:
    """Text over 1,024 characters, counted as Java counts them, and nesting over 40 levels."""
    if isinstance(value, str):
        if len(value.encode("utf-16-le")) > 2048:
            yield f"{name}: text over 1,024 characters"
    elif isinstance(value, dict | list):
        if depth > 43:  # the envelope's own three levels come on top
            yield f"{name}: nested deeper than 40 levels"
            return
        for key, part in value.items() if isinstance(value, dict) else ((name, part) for part in value):
            yield from _cuts(part, key, depth + 1)


# ── What it keeps ───────────────────────────────────────────────────────────────────────────


def apply(changed: Mapping[str, Any], to: dict[str, Any]) -> None:
    """Properties, plain or by operator, into what is known; plain ones beside operators are lost."""
    if not any(name.startswith("$") for name in changed):
        changed = {"$set": changed}
    for operator in changed.keys() & _USER_OPERATORS:
        for name, value in changed[operator].items():
            _apply_one(operator, name, value, to)


def _apply_one(operator: str, name: str, value: Any, to: dict[str, Any]) -> None:
    known = to.get(name)
    items = list(known) if isinstance(known, list) else [] if known is None else [known]
    more = value if isinstance(value, list) else [value]
    if operator == "$set" or (operator == "$setOnce" and name not in to):
        to[name] = value
    elif operator == "$add" and isinstance(value, int | float):
        to[name] = (known if isinstance(known, int | float) else 0) + value
    elif operator == "$unset":
        to.pop(name, None)
    elif operator in ("$append", "$postInsert"):
        to[name] = items + [item for item in more if operator == "$append" or item not in items]
    elif operator in ("$prepend", "$preInsert"):
        to[name] = [item for item in more if operator == "$prepend" or item not in items] + items
    elif operator == "$remove":
        to[name] = [item for item in items if item not in more]
