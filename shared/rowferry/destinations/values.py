"""What several vendors share to turn a row's values into JSON: dates, decimals, and what JSON can't hold.

A vendor that wants a value another way (CleverTap's `$D_` dates, say) looks at its type before it
calls `plain`. Every reason names the field and the limit, never the value.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import orjson

from rowferry.destinations.port import Fields, Value
from rowferry.errors import RowRejected

# What a JSON number holds exactly everywhere: vendors read numbers as IEEE doubles (RFC 8259 §6).
MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64


def plain(value: Value, name: str, depth: int = 0) -> Any:
    """The value as JSON knows it: text, numbers, booleans, None, lists and objects.

    Times become ISO 8601 in UTC with a `Z` (a DATETIME counts as UTC), dates `YYYY-MM-DD`,
    decimals floats. `name` is the field, for the reason. Raises `RowRejected` for NaN and
    infinity, integers beyond ±(2^53 - 1), bytes, and objects nested deeper than 64 levels.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return integer(value, name)
    if isinstance(value, float | Decimal):
        return number(value, name)
    if isinstance(value, datetime | date | time):
        return iso(value) if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, list | dict):
        return _container(value, name, depth + 1)
    raise RowRejected("wrong_type", f"{name} is {type(value).__name__}, which JSON can't hold: cast it in the model (TO_BASE64 for BYTES)")


def dumps(document: Any) -> bytes:
    """A document of plain values as JSON. Raises `RowRejected` for text that is not valid Unicode."""
    try:
        return orjson.dumps(document)
    except TypeError as error:  # orjson's own error; its text holds no value
        raise RowRejected("not_json", f"the row can't be written as JSON: {error}") from None


def integer(value: int, name: str) -> int:
    """The integer itself. Raises `RowRejected` where a vendor would round it."""
    if -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    raise RowRejected(
        "number_too_large", f"{name} is beyond ±(2^53 - 1), which JSON numbers don't hold exactly: cast it to STRING in the model"
    )


def number(value: float | Decimal, name: str) -> float:
    """The number as a float. Raises `RowRejected` for NaN, infinity and what a float can't reach."""
    try:
        found = float(value)
    except (OverflowError, ValueError):  # a huge integer; Decimal's signalling NaN
        found = math.nan
    if math.isfinite(found):
        return found
    raise RowRejected("not_a_number", f"{name} is NaN, infinite or beyond a float's range, which JSON can't hold")


def iso(value: datetime) -> str:
    """`2026-01-31T23:59:59.123456Z`: in UTC; a time without a zone counts as UTC."""
    utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return utc.replace(tzinfo=None).isoformat() + "Z"


def instant(value: Value, name: str) -> datetime:
    """A moment as an aware UTC time, from TIMESTAMP, DATETIME (as UTC), DATE (midnight UTC) or ISO 8601 text.

    Raises `RowRejected` for anything else; a number would have to be guessed to be seconds or milliseconds.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise RowRejected("wrong_type", f"{name} is not a time: expected TIMESTAMP or ISO 8601 text") from None
    if isinstance(value, datetime):
        try:
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:  # 9999-12-31T23:59-05:00
            raise RowRejected("wrong_type", f"{name} is before the year 1 or after 9999 in UTC") from None
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise RowRejected("wrong_type", f"{name} is not a time: expected TIMESTAMP or ISO 8601 text")


def identity(value: Value, name: str) -> str:
    """An identifier as text: a whole number becomes its digits. Raises `RowRejected` for nothing and for other types."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise RowRejected("missing_identifier", f"{name} is empty, so nothing says whose row this is")
    if isinstance(value, str):
        return value
    raise RowRejected("wrong_type", f"{name} must be text or a whole number: cast it to STRING in the model")


def required(fields: Fields, name: str) -> Value:
    """The field's value. Raises `RowRejected` when it is missing, NULL or empty text."""
    value = fields.get(name)
    if value is None or value == "":
        raise RowRejected("missing_field", f"{name} is empty, and the vendor requires it")
    return value


def _container(value: list[Any] | dict[str, Any], name: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise RowRejected("nested_too_deep", f"{name} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [plain(item, name, depth) for item in value]
    if all(isinstance(key, str) for key in value):
        return {key: plain(item, name, depth) for key, item in value.items()}
    raise RowRejected("wrong_type", f"{name} holds an object with a key that is not text")
