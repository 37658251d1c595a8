"""What Amplitude's fields may hold: identifiers, times, its own fields of events and users, properties, operators.

Sources, read 2026-03 to 2026-11: amplitude.com/docs/apis/analytics/http-v2 [HV2], …/batch-event-upload [BATCH],
…/identify [IDN], …/group-identify [GIDN], amplitude.com/docs/faq/limits [LIM], amplitude.com/docs/data/data-backfill
[BACK]; issues of Amplitude's SDKs as named beside the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rowferry.destinations import values
from rowferry.destinations.port import Value
from rowferry.errors import RowRejected

TEXT_CHARACTERS = 1024  # longer text is cut without a word [HV2, LIM]
_SURELY_SHORT = TEXT_CHARACTERS // 2  # code points; none counts for more than two
MAX_DEPTH = 40  # [HV2]
MAX_GROUP_TYPES, MAX_GROUP_VALUES = 5, 10  # of one event; what is above is not tracked, without a word [HV2]
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_EARLIEST_MS, _LATEST_MS = 10**11, 10**13  # 1973 to 2286: numbers outside are not milliseconds

# Identifiers that are refused with 400 [HV2]; `Anonymous` was as well, so in any case (Amplitude-TypeScript #350).
_NOBODY = frozenset(
    {"anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", '""', "''", "{}", "lmy47d", "0", "-1",
     "00000000-0000-0000-0000-000000000000"}
)  # fmt: skip

_RESERVED_EVENTS = frozenset({"$identify", "$groupidentify"}) | {
    f"[Amplitude] {name}"
    for name in ("Start Session", "End Session", "Revenue", "Revenue (Verified)", "Revenue (Unverified)", "Merged User")
}  # [HV2]


# ── Text, numbers, times ────────────────────────────────────────────────────────────────────


def text(value: Value, name: str) -> str:
    """Text within the limit; a whole number becomes its digits. Raises `RowRejected`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RowRejected("wrong_type", f"{name} must be text: cast it to STRING in the model")
    if len(value) > _SURELY_SHORT and len(value.encode("utf-16-le", "surrogatepass")) > 2 * TEXT_CHARACTERS:
        raise RowRejected("value_too_long", f"{name} has more than the {TEXT_CHARACTERS} characters after which Amplitude cuts text")
    return value


def who(value: Value, name: str, min_length: int) -> str:
    """An identifier as text: numbers were taken with 200 and their events never seen (Amplitude-Node #63). Raises `RowRejected`."""
    found = text(values.identity(value, name), name)
    if found.strip().lower() in _NOBODY:
        raise RowRejected("identifier_not_allowed", f"{name} is a value that Amplitude takes for nobody, such as null, unknown or 0")
    if len(found) < min_length:
        raise RowRejected("identifier_too_short", f"{name} is shorter than the {min_length} characters of min_id_length")
    return found


def event_name(value: Value, name: str) -> str:
    """The type of an event. Raises `RowRejected` for Amplitude's own."""
    found = _not_blank(value, name)
    if found in _RESERVED_EVENTS:
        raise RowRejected("name_reserved", "name is one of the events that Amplitude keeps for itself")
    return found


def _not_blank(value: Value, name: str) -> str:
    found = text(value, name)
    if not found.strip():
        raise RowRejected("missing_field", f"{name} is blank")
    return found


def milliseconds(value: Value, name: str) -> int:
    """The epoch's milliseconds: text earns 400, and seconds land in January 1970 [HV2]. Raises `RowRejected`."""
    is_moment = isinstance(value, bool) or not isinstance(value, int)
    found = (values.instant(value, name) - _EPOCH) // _MILLISECOND if is_moment else whole(value, name)
    if _EARLIEST_MS <= found < _LATEST_MS:
        return found
    raise RowRejected("time_invalid", f"{name} is not between 1973 and 2286: a number must be milliseconds, not seconds")


def whole(value: Value, name: str) -> int:
    """A whole number, whatever its type, or its digits. Raises `RowRejected`."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        value = int(value)
    if isinstance(value, float | Decimal) and values.number(value, name).is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return values.integer(value, name)
    raise RowRejected("wrong_type", f"{name} must be a whole number: cast it to INT64 in the model")


def number(value: Value, name: str) -> float:
    """A number. Raises `RowRejected`."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return values.number(value, name)
    raise RowRejected("wrong_type", f"{name} must be a number: cast it to NUMERIC in the model")


def _currency(value: Value, name: str) -> str:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha():
        return value.upper()
    raise RowRejected("not_allowed", f"{name} must be a code of ISO 4217, such as EUR")


def _address(value: Value, name: str) -> str:
    if value == "$remote":  # the address of whoever calls: all users would live in a data centre
        raise RowRejected("not_allowed", "ip can't be $remote: it would be the address of the function that sends")
    return text(value, name)


def _flag(value: Value, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise RowRejected("wrong_type", f"{name} must be true or false: cast it to BOOL in the model")


def _true_or_text(value: Value, name: str) -> str:
    return str(value).lower() if isinstance(value, bool) else text(value, name)


# ── Objects ─────────────────────────────────────────────────────────────────────────────────


def members(value: Value, name: str) -> dict[str, Any]:
    """An object. Raises `RowRejected`."""
    if isinstance(value, dict):
        return value
    raise RowRejected("wrong_type", f"{name} must be an object: a STRUCT or JSON column, not text")


def property_(value: Value, name: str) -> Any:
    """A property's value as JSON, whole. Raises `RowRejected` for what would be cut."""
    if type(value) is str and len(value) <= _SURELY_SHORT:  # the usual case
        return value
    found = values.plain(value, name)
    _require_whole(found, name, 1)
    return found


def _require_whole(found: Any, name: str, depth: int) -> None:
    if isinstance(found, str):
        text(found, name)
    elif isinstance(found, dict | list):
        if depth >= MAX_DEPTH:
            raise RowRejected("nested_too_deep", f"{name} is nested deeper than the {MAX_DEPTH} levels that Amplitude takes")
        for part in found.values() if isinstance(found, dict) else found:
            _require_whole(part, name, depth + 1)


def properties(value: Value, name: str) -> dict[str, Any]:
    """An object of properties without operators: those are for `profile` alone [HV2]. Raises `RowRejected`."""
    found = {key: property_(part, name) for key, part in members(value, name).items() if part is not None}
    if any(key.startswith("$") for key in found):
        raise RowRejected("not_allowed", f"{name} holds an operator: those are safe in the action profile alone")
    return found


def groups(value: Value, name: str) -> dict[str, Any]:
    """Types of groups and their values. Raises `RowRejected` for more than are tracked."""
    found: dict[str, Any] = {}
    for kind, named in members(value, name).items():
        if named is None:
            continue
        found[kind] = [text(item, name) for item in named] if isinstance(named, list) else text(named, name)
        if isinstance(named, list) and len(named) > MAX_GROUP_VALUES:
            raise RowRejected("too_many_groups", f"{name} has more than the {MAX_GROUP_VALUES} values that Amplitude tracks in one type")
    if len(found) > MAX_GROUP_TYPES:
        raise RowRejected("too_many_groups", f"{name} has more than the {MAX_GROUP_TYPES} types that Amplitude tracks in an event")
    return found


def _tracking_plan(value: Value, name: str) -> dict[str, Any]:
    found = members(value, name)
    if found.keys() <= {"branch", "source", "version"}:
        return {key: text(part, name) for key, part in found.items() if part is not None}
    raise RowRejected("not_allowed", f"{name} may hold branch, source and version alone")


# ── Amplitude's own fields ──────────────────────────────────────────────────────────────────

Convert = Callable[[Value, str], Any]

_ABOUT_DEVICES = dict.fromkeys(
    ("app_version", "platform", "os_name", "os_version", "device_brand", "device_manufacturer", "device_model", "carrier",
     "country", "region", "city", "dma", "language"), text
)  # fmt: skip

EVENT: dict[str, Convert] = {
    **_ABOUT_DEVICES,
    **dict.fromkeys(("idfa", "idfv", "adid", "android_id", "android_app_set_id", "user_agent", "partner_id"), text),
    **dict.fromkeys(("price", "revenue", "location_lat", "location_lng"), number),
    **dict.fromkeys(("quantity", "event_id", "session_id"), whole),  # a session_id must be a number [HV2]
    **dict.fromkeys(("productId", "revenueType"), text),
    "insert_id": _not_blank,  # one blank for many events would leave one of them
    "currency": _currency,
    "ip": _address,
    "groups": groups,
    "plan": _tracking_plan,
    "user_properties": properties,
    "$skip_user_properties_sync": _flag,  # a backfill that leaves users as they are [BACK]
}  # [HV2]

USER: dict[str, Convert] = {
    **_ABOUT_DEVICES,
    "groups": groups,
    "paying": _true_or_text,
    "start_version": text,
}  # [IDN]


# ── Operators ───────────────────────────────────────────────────────────────────────────────

GROUP_OPERATORS = frozenset({"$set", "$setOnce", "$add", "$append", "$prepend", "$unset"})  # [GIDN]
USER_OPERATORS = GROUP_OPERATORS | {"$preInsert", "$postInsert", "$remove"}  # [IDN]


def operations(key: str, value: Value, name: str) -> Iterator[tuple[str, str, Value]]:
    """What one key of the field `name` of a profile or group says, as operator, property and operand.

    A key is a property, which is set, or unset by None; a property whose value is `{operator: operand}`;
    or an operator, with an object of properties, as Amplitude's own pages write it.
    """
    if key in USER_OPERATORS:
        for inner, operand in members(value, name).items():
            yield key, inner, operand
    elif value is None:
        yield "$unset", key, "-"
    elif isinstance(value, dict) and any(inner.startswith("$") for inner in value):
        if len(value) > 1:
            raise RowRejected("operator_unknown", f"{name} has an operator and something else beside it")
        for operator, operand in value.items():
            yield operator, key, operand
    else:
        yield "$set", key, value


def operand(operator: str, value: Value, name: str, list_characters: int) -> Any:
    """What stands behind an operator as JSON. Raises `RowRejected`."""
    if operator == "$unset":
        return "-"  # ignored, by convention this [IDN]
    if value is None:
        raise RowRejected("missing_field", f"{name} has the operator {operator} and no value")
    if operator == "$add":
        return value if type(value) is int and abs(value) <= values.MAX_INTEGER else number(value, name)
    found = property_(value, name)
    if isinstance(found, list) and len(values.dumps(found).decode()) > list_characters:
        raise RowRejected("value_too_long", f"{name} is a list of more than the {list_characters} characters after which Amplitude cuts")
    return found
