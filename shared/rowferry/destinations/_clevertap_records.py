"""What CleverTap takes in a record: which fields, names, values and limits, and how a row becomes one.

What CleverTap would cut, drop or file as something else without a word is refused here, with the
limit in the reason. What it refuses itself, record by record (a wrong e-mail, say), is left to it.
The sources are at the top of `clevertap.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from rowferry.destinations._clevertap_settings import CleverTapSettings
from rowferry.destinations.misspelt import meant
from rowferry.destinations.port import Fields, Value
from rowferry.destinations.values import dumps, identity, instant, plain, required
from rowferry.errors import Problem, RowRejected

KEY_LENGTH = 120  # characters for events and their properties, bytes for profile keys
VALUE_BYTES = 512
PROFILE_KEYS = 256
MULTI_VALUES = 100  # platform-considerations: the oldest falls out without a word
CHARGED_ITEMS = 256

IDENTIFIERS = ("identity", "objectId", "FBID", "GPID")
CHANNELS = ("email", "phone")  # subscribe-api
SWITCHES = ("MSG-email", "MSG-push", "MSG-sms", "MSG-whatsapp")
WELL_KNOWN = frozenset(("Name", "Email", "Phone", "Gender", "DOB", "Age", "Education", "Employed", "Married", *SWITCHES))
DELETED_BY = {"identity": "identity", "objectId": "guid"}  # delete-user-profile-api: what our identifiers are called there
OPERATORS = ("$set", "$add", "$remove", "$incr", "$decr", "$delete")
STATUSES = {"unsubscribe": "Unsubscribe", "resubscribe": "Resubscribe", "subscribe": "Resubscribe"}

# platform-considerations, "restricted"; answered with 513.
_RESERVED = """Notification Sent, Notification Viewed, Notification Clicked, Notification Delivered, Notification Replied, UTM Visited,
App Launched, App Uninstalled, App Version Changed, Stayed, Reply Sent, Experiment Rendered, Reachable By, Identity Reset, Identity Set,
Identity Error"""
# docs.clevertap.com/docs/events calls these system events; whether an upload of them is refused is not documented.
_SYSTEM = """App Installed, Session Concluded, Push Impressions, State Transitioned, Geocluster Entered, Geocluster Exited,
Push Unregistered, Partner Sync, Channel Subscribed"""
_PHONE_REASON = "the phone number must be + and country code and number, without spaces; the transform e164 makes it so"
_PHONE = re.compile(r"\+[1-9]\d{4,14}")


def flat(name: str) -> str:
    """Names as CleverTap compares events' (platform-considerations): without case and spaces."""
    return "".join(name.split()).casefold()


_RESERVED_NAMES = {flat(name) for name in _RESERVED.split(",")}
_SYSTEM_NAMES = {flat(name) for name in _SYSTEM.split(",")}


@lru_cache(maxsize=10_000)
def key_problem(name: str, where: str) -> str | None:
    """Why CleverTap would not take this name; None when it would (upload-events-api, platform-considerations)."""
    prohibited = "%><!|&.:;$'\"\\" + ("#" if where == "profile" else "")
    if found := sorted(set(name) & set(prohibited)):
        return f"CleverTap does not take {' '.join(found)} in this name"
    if where == "profile" and len(name.encode(errors="replace")) > KEY_LENGTH:
        return f"the name is longer than CleverTap's {KEY_LENGTH} bytes"
    if len(name) > KEY_LENGTH or not name.strip():
        return f"the name is empty or longer than CleverTap's {KEY_LENGTH} characters"
    return None


def near_miss(name: str) -> str | None:
    """CleverTap's own property that `name` was probably meant to be (`email`, `msg_sms`); None when there is none."""
    return None if name in WELL_KNOWN else meant(_letters(name), _OWN)


def _letters(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


_OWN = {_letters(name): name for name in WELL_KNOWN}


def _check_identifiers(names: Iterable[str], allowed: Sequence[str]) -> Iterable[Problem]:
    mapped = [name for name in names if name in allowed]
    if len(mapped) != 1:
        yield Problem("", f"{' and '.join(mapped) or 'no identifier'} mapped", f"map exactly one of {', '.join(allowed)}")


def check_event(names: Mapping[str, str | None], settings: CleverTapSettings) -> Iterable[Problem]:
    """Identity, name and time are mapped, and no name that CleverTap does not take."""
    yield from _check_identifiers(names, IDENTIFIERS)
    if "name" not in names:
        yield Problem("name", "the event's name is not mapped", "name: {value: Order Placed}, or a column")
    if "time" not in names and settings.missing_time == "reject":
        yield Problem("time", "the event's time is not mapped", "map a TIMESTAMP, or set missing_time: arrival on the destination")
    for name in names.keys() - {*IDENTIFIERS, "name", "time"}:
        if why := key_problem(name, "event"):
            yield Problem(name, why)


def check_profile(names: Mapping[str, str | None], _settings: CleverTapSettings) -> Iterable[Problem]:
    """An identity is mapped, and no name that CleverTap does not take or that is nearly one of its own."""
    yield from _check_identifiers(names, IDENTIFIERS)
    for name in names.keys() - set(IDENTIFIERS):
        if why := key_problem(name, "profile"):
            yield Problem(name, why)
        elif near := near_miss(name):
            yield Problem(name, f"would become a custom property beside CleverTap's own {near}", f"did you mean {near}?", is_advice=True)
        elif name in SWITCHES and names[name] not in ("BOOL", None):
            yield Problem(name, f"CleverTap takes a BOOL here, the column is {names[name]}")


def check_subscription(names: Mapping[str, str | None], settings: CleverTapSettings) -> Iterable[Problem]:
    """An address and a status are mapped, and nothing else."""
    yield from _check_identifiers(names, CHANNELS)
    if "status" not in names:
        yield Problem("status", "whether to subscribe is not mapped", f"status: a BOOL column, or one of {', '.join(STATUSES)}")
    for name in names.keys() - {*CHANNELS, "status"}:
        yield Problem(name, "is not part of CleverTap's subscribe API", "email or phone, and status")
    yield from _check_dry_run(settings)


def check_deletion(names: Mapping[str, str | None], settings: CleverTapSettings) -> Iterable[Problem]:
    """An identity is mapped that CleverTap deletes by."""
    yield from _check_identifiers(names, tuple(DELETED_BY))
    yield from _check_dry_run(settings)


def _check_dry_run(settings: CleverTapSettings) -> Iterable[Problem]:
    if settings.dry_run:
        yield Problem("", "dry_run holds back uploads only, this would be done in earnest", "set dry_run: false")


def _one_of(fields: Fields, allowed: Sequence[str]) -> tuple[str, str]:
    """The one identifier of the row and its value as text."""
    given = [name for name in allowed if fields.get(name) is not None]
    if len(given) > 1:
        raise RowRejected("several_identifiers", f"{' and '.join(given)} are both given; CleverTap takes exactly one")
    name = given[0] if given else next((name for name in allowed if name in fields), allowed[0])
    return name, identity(fields.get(name), name)


def to_event(fields: Fields, settings: CleverTapSettings) -> bytes:
    """The record of an event. Raises `RowRejected`."""
    name, who = _one_of(fields, IDENTIFIERS)
    event = _event_name(fields.get("name"), settings)
    record: dict[str, Any] = {"type": "event", name: who, "evtName": event}
    if fields.get("time") is not None or settings.missing_time == "reject":
        record["ts"] = _epoch_seconds(required(fields, "time"))
    charged = flat(event) == "charged"
    record["evtData"] = {
        key: _charged_items(value, settings) if charged and key == "Items" else _value(_checked(key, "event", key), value, settings)
        for key, value in fields.items()
        if value is not None and key not in IDENTIFIERS and key not in ("name", "time")
    }
    if len(record["evtData"]) > settings.event_properties:
        raise RowRejected("too_many_properties", f"more than {settings.event_properties} properties (set as event_properties)")
    return dumps(record)


def _event_name(value: Value, settings: CleverTapSettings) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RowRejected("event_name_missing", "name is empty or not text, and CleverTap requires it")
    if flat(value) in _RESERVED_NAMES:
        raise RowRejected("event_reserved", "the event's name is one that CleverTap keeps for itself (its code 513)")
    if flat(value) in _SYSTEM_NAMES and settings.system_events == "reject":
        raise RowRejected(
            "event_reserved", "the event's name is one of CleverTap's system events; system_events: send sends it all the same"
        )
    return _checked(value, "event", "the event's name")


def _epoch_seconds(value: Value) -> int:
    """`ts` (upload-events-api): whole seconds. What CleverTap makes of milliseconds is not documented, so they never leave."""
    found = value if type(value) is int else int(instant(value, "time").timestamp())
    if not 0 < found < 100_000_000_000:
        raise RowRejected("time_invalid", "time is not in seconds after 1970; milliseconds must be divided by 1000")
    return found


def _checked(name: str, where: str, called: str) -> str:
    if why := key_problem(name, where):
        raise RowRejected("name_not_allowed", f"{called}: {why}")
    return name


def _value(name: str, value: Value, settings: CleverTapSettings) -> Any:
    """A property as CleverTap stores it. Dates are `$D_` and epoch seconds; as ISO text they would become text."""
    if isinstance(value, date):
        return f"$D_{int(instant(value, name).timestamp())}"
    found = plain(value, name)
    if isinstance(found, list | dict):
        if settings.nested == "reject":
            raise RowRejected("nested_value", f"{name} is nested; `nested` says whether such values leave as text or as they are")
        found = found if settings.nested == "object" else dumps(found).decode()
    return _fitting(name, found)


def _fitting(name: str, value: Any) -> Any:
    if isinstance(value, str) and len(value) > VALUE_BYTES // 4 and len(value.encode(errors="replace")) > VALUE_BYTES:
        raise RowRejected("value_too_long", f"{name} is longer than CleverTap's {VALUE_BYTES} bytes, and would be cut or dropped")
    return value


def _charged_items(items: Value, settings: CleverTapSettings) -> list[dict[str, Any]]:
    """The items of a purchase: flat objects, 256 at most (upload-events-api)."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RowRejected("items_invalid", "Items of Charged must be a list of objects")
    if len(items) > CHARGED_ITEMS:
        raise RowRejected("too_many_items", f"Items has more than CleverTap's {CHARGED_ITEMS} entries")
    return [
        {_checked(k, "event", "a key in Items"): _value("Items", v, settings) for k, v in item.items() if v is not None} for item in items
    ]


def to_profile(fields: Fields, settings: CleverTapSettings) -> bytes:
    """The record of a profile: only what is given changes. Raises `RowRejected`."""
    name, who = _one_of(fields, IDENTIFIERS)
    data = {_checked(key, "profile", key): _attribute(key, value, settings) for key, value in fields.items() if key not in IDENTIFIERS}
    if len(data) > PROFILE_KEYS:
        raise RowRejected("too_many_properties", f"more than the {PROFILE_KEYS} properties that a CleverTap profile can have")
    return dumps({"type": "profile", name: who, "profileData": data})


def _attribute(name: str, value: Value, settings: CleverTapSettings) -> Any:
    if value is None or value == []:
        return _unset(name, settings)
    if isinstance(value, dict) and any(key.startswith("$") for key in value):
        return _operation(name, value)
    if name in WELL_KNOWN:
        return _own_attribute(name, value, settings)
    if isinstance(value, list):
        return _multi_value(name, value)
    return _value(name, value, settings)


def _own_attribute(name: str, value: Value, settings: CleverTapSettings) -> Any:
    """One of CleverTap's own properties. What is wrong with the others (`Gender`, `Email` …) it says itself, row by row."""
    if isinstance(value, list | dict):
        raise RowRejected("wrong_type", f"{name} is one of CleverTap's own properties and holds a single value")
    if name in SWITCHES and not isinstance(value, bool):
        raise RowRejected("wrong_type", f"{name} must be true or false")
    if name == "Phone" and not (isinstance(value, str) and _PHONE.fullmatch(value)):
        raise RowRejected("phone_invalid", _PHONE_REASON)
    if name == "DOB" and not (isinstance(value, str) and value.startswith("$D_")):
        return f"$D_{int(instant(value, name).timestamp())}"
    return _value(name, value, settings)


def _unset(name: str, settings: CleverTapSettings) -> dict[str, bool]:
    """The way CleverTap's own web SDK removes a property (3P and SDK sources; not on the REST page)."""
    if settings.unset == "reject":
        raise RowRejected("unset_refused", f"{name} was emptied, and `unset: reject` says not to send that")
    return {"$delete": True}


def _operation(name: str, value: dict[str, Any]) -> dict[str, Any]:
    """A profile operator: lists are added to, removed from or replaced, numbers counted up or down."""
    operator, operand = next(iter(value.items()))
    if len(value) > 1 or operator not in OPERATORS:
        raise RowRejected("operator_unknown", f"{name} needs exactly one operator of {', '.join(OPERATORS)}")
    if operator in ("$incr", "$decr"):
        if isinstance(operand, bool) or not isinstance(operand, int | float | Decimal):
            raise RowRejected("wrong_type", f"{name}: {operator} takes a number")
        return {operator: plain(operand, name)}
    if operator == "$delete":
        return {operator: True}
    return {operator: _multi_value(name, operand if isinstance(operand, list) else [operand])}


def _multi_value(name: str, items: list[Any]) -> list[str]:
    """A multi-value property: texts, each once (platform-considerations)."""
    found = [plain(item, name) for item in items if item is not None]
    texts = list(dict.fromkeys(_fitting(name, item if isinstance(item, str) else dumps(item).decode()) for item in found))
    if len(texts) > MULTI_VALUES:
        raise RowRejected("too_many_items", f"{name} has more than {MULTI_VALUES} items; CleverTap would drop the oldest")
    return texts


def to_subscription(fields: Fields, settings: CleverTapSettings) -> bytes:
    """One address's consent: it holds for every profile that has this address (subscribe-api)."""
    channel, address = _one_of(fields, CHANNELS)
    if channel == "phone" and not _PHONE.fullmatch(address):
        raise RowRejected("phone_invalid", _PHONE_REASON)
    status = fields.get("status")
    if isinstance(status, bool):
        status = "resubscribe" if status else "unsubscribe"
    if not isinstance(status, str) or status.strip().lower() not in STATUSES:
        raise RowRejected("status_invalid", f"status must be true, false or one of {', '.join(STATUSES)}")
    _refuse_dry_run(settings)
    return dumps({"type": channel, "value": address, "status": STATUSES[status.strip().lower()]})


def to_deletion(fields: Fields, settings: CleverTapSettings) -> bytes:
    """Whom to delete. Raises `RowRejected` when the row does not say."""
    _refuse_dry_run(settings)
    name, who = _one_of(fields, tuple(DELETED_BY))
    return dumps({DELETED_BY[name]: who})


def _refuse_dry_run(settings: CleverTapSettings) -> None:
    if settings.dry_run:
        raise RowRejected("dry_run", "dry_run is set, and CleverTap has no dry run for this: it would be done in earnest")
