"""What Klaviyo's fields may hold. Sources: see `klaviyo`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rowferry.destinations.port import Fields, Value
from rowferry.destinations.values import identity, instant, iso, number, plain, required
from rowferry.errors import RowRejected

STRING_BYTES = 100_000  # "100 KB", of any string [events]
ARRAY_ITEMS = 4_000  # [events]
LEVELS = 10  # of objects, `properties` being the first [events]
PROPERTIES = 400  # of an event; the guide on rates still says 300 [events, spec]
METRIC_LENGTH = 127  # "less than 128 characters" [spec]
UNIQUE_ID_LENGTH = 255  # [events]
EMAIL_LENGTH = 99  # "less than 100 characters" [events]
ID_LENGTH = 255  # of external ids: Segment's own check, in no text of Klaviyo's [SEG]

# Klaviyo checks addresses itself and refuses a whole batch for one: what is surely none never leaves.
_EMAIL = re.compile(r"[^\s@,;<>()\[\]\\\"]+@[A-Za-z0-9\u0080-\uffff-]+(\.[A-Za-z0-9\u0080-\uffff-]+)+")
_PHONE = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)  # E.164; only the upload of lists in the app takes other forms [phone]
_CURRENCY = re.compile(r"[A-Za-z]{3}", re.ASCII)
_EARLIEST = datetime(1991, 1, 1, tzinfo=UTC)  # "after the year 1990" [spec of 2026-07-15; 2000 until 2026-04-15]
_TEST_DOMAINS = ("example.com", "test.com")  # "and the like" [events]


def email(value: Value, name: str) -> str:
    """An address that Klaviyo would take. Raises `RowRejected`."""
    found = identity(value, name).strip()
    if len(found) > EMAIL_LENGTH or ".." in found or not _EMAIL.fullmatch(found):
        raise RowRejected("email_invalid", f"{name} is no address of fewer than 100 characters, and Klaviyo refuses it")
    return found


def is_test_address(address: str) -> bool:
    """Whether Klaviyo answers 202 to an event of this address and then drops it [events]."""
    return address.lower().endswith(tuple(f"@{domain}" for domain in _TEST_DOMAINS))


def phone(value: Value, name: str) -> str:
    """A number in E.164. Raises `RowRejected`."""
    found = identity(value, name).strip()
    if not _PHONE.fullmatch(found):
        raise RowRejected("phone_invalid", f"{name} must be + and country code and number without spaces; the transform e164 makes it so")
    return found


def short_id(value: Value, name: str) -> str:
    """An id of 255 characters at most. Raises `RowRejected`."""
    found = identity(value, name)
    if len(found) > ID_LENGTH:
        raise RowRejected("identifier_too_long", f"{name} is longer than {ID_LENGTH} characters")
    return found


IDENTIFIERS = {"profile_id": short_id, "external_id": short_id, "email": email, "phone_number": phone, "anonymous_id": short_id}


def is_blank(value: Value) -> bool:
    """NULL and empty text: nothing that could identify anybody."""
    return value is None or (isinstance(value, str) and not value.strip())


def text(value: Value, name: str) -> str:
    """Text, or a whole number as its digits. Raises `RowRejected` for other types and beyond 100 KB."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RowRejected("wrong_type", f"{name} must be text: cast it to STRING in the model")
    return str(_bounded(str(value), name, 0))


def metric(fields: Fields) -> str:
    """The event's name. A new one makes a metric that can't be deleted, so blanks around it go. Raises `RowRejected`."""
    found = text(required(fields, "name"), "name").strip()
    if not 0 < len(found) <= METRIC_LENGTH:
        raise RowRejected("name_invalid", f"name is blank or longer than Klaviyo's {METRIC_LENGTH} characters")
    return found


def unique_id(fields: Fields) -> str:
    """What makes the event one event. Klaviyo's default, the time to the second, loses all but one of a second [spec]."""
    found = identity(fields.get("unique_id"), "unique_id")
    if len(found) > UNIQUE_ID_LENGTH:
        raise RowRejected("unique_id_too_long", f"unique_id is longer than Klaviyo's {UNIQUE_ID_LENGTH} characters")
    return found


def event_time(fields: Fields) -> str:
    """With an offset: how Klaviyo reads a time without one is not documented. It says itself what is too far ahead."""
    found = instant(required(fields, "time"), "time")
    if found < _EARLIEST:
        raise RowRejected("time_invalid", "time is before 1991, which Klaviyo does not take")
    return iso(found)


def amount(value: Value, name: str) -> float:
    """A number, in major units [spec]. Raises `RowRejected`."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise RowRejected("wrong_type", f"{name} must be a number: cast it to NUMERIC in the model")
    return number(value, name)


def currency(value: Value, name: str) -> str:
    """A code of ISO 4217 [spec]. Raises `RowRejected`."""
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value.strip()):
        raise RowRejected("not_allowed", f"{name} must be a code of ISO 4217, such as EUR")
    return value.strip().upper()


def flag(value: Value, name: str) -> bool:
    """True or false. Raises `RowRejected`."""
    if not isinstance(value, bool):
        raise RowRejected("wrong_type", f"{name} must be true or false: cast it to BOOL in the model")
    return value


def past_time(value: Value, name: str) -> str:
    """A moment with its offset. Raises `RowRejected`."""
    return iso(instant(value, name))


def json_value(value: Value, name: str) -> Any:
    """A property's value within Klaviyo's limits. Raises `RowRejected` for what it would cut or drop."""
    return _bounded(plain(value, name), name, 1)


def _bounded(value: Any, name: str, level: int) -> Any:
    if isinstance(value, str):
        if len(value) > STRING_BYTES // 4 and len(value.encode("utf-8", "replace")) > STRING_BYTES:
            raise RowRejected("value_too_long", f"{name} is longer than Klaviyo's 100 KB for a text")
    elif isinstance(value, list):
        if len(value) > ARRAY_ITEMS:
            raise RowRejected("too_many_items", f"{name} has more than Klaviyo's {ARRAY_ITEMS:,} items of an array")
        for item in value:
            _bounded(item, name, level)
    elif isinstance(value, dict):
        if level >= LEVELS:
            raise RowRejected("nested_too_deep", f"{name} is nested deeper than Klaviyo's {LEVELS} levels")
        for key, item in value.items():
            _bounded(key, name, level)
            _bounded(item, name, level + 1)
    return value
