"""What can be done to a value between its column and its field, by name.

A transform is a word (`lower`) or a word with one argument (`{split: ","}`). Each takes and gives
one value; NULL passes through all of them but `default`. One that can't do its work raises
`ValueError` with a sentence that says what it expected and never the value.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from rowferry.mapping.phones import Country

Transform = Callable[[Any], Any]
_MOST_DIGITS = 400  # before or behind the point: more than a float or any warehouse's number can have


def build(spec: str | Mapping[str, Any]) -> Transform:
    """The transform for a word or `{word: argument}`. Raises `ValueError` for one that is not known
    or whose argument does not fit; the sentence says what is allowed."""
    name, argument = (spec, None) if isinstance(spec, str) else next(iter(spec.items()))
    if isinstance(spec, str) and name in _PLAIN:
        return _PLAIN[name]
    if name in _WITH_ARGUMENT and not isinstance(spec, str):
        return _WITH_ARGUMENT[name](argument)
    raise ValueError(f"{name!r} is not a transform; allowed are {', '.join(names())}")


def chain(specs: Sequence[str | Mapping[str, Any]]) -> Transform:
    """All of them, one after the other. NULL skips everything but a `default`."""
    steps = [(build(spec), _takes_null(spec)) for spec in specs]

    def apply(value: Any) -> Any:
        for step, takes_null in steps:
            if value is not None or takes_null:
                value = step(value)
        return value

    return apply


def names() -> list[str]:
    """Every transform's name, sorted."""
    return sorted({*_PLAIN, *_WITH_ARGUMENT})


def _takes_null(spec: str | Mapping[str, Any]) -> bool:
    return not isinstance(spec, str) and "default" in spec


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return _iso_time(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()  # as in BigQuery's JSON
    if isinstance(value, (list, dict)):
        return orjson.dumps(value, default=str).decode()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _sha256(value: Any) -> str:
    return hashlib.sha256(value if isinstance(value, bytes) else _text(value).encode()).hexdigest()


def _sha256_email(value: Any) -> str:
    return _sha256(_text(value).strip().lower())


def _sha256_phone(country: Any) -> Transform:
    """SHA-256 of the number in E.164, with its plus sign."""
    to_e164 = _e164(country)
    return lambda value: _sha256(to_e164(value))


def _e164(country: Any) -> Transform:
    number = Country(str(country or ""))
    return lambda value: number.e164(_text(value))


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, bool):
        raise ValueError("a time was expected, a BOOL was found")
    try:
        if isinstance(value, (int, float, Decimal)):
            seconds = float(value)
            return datetime.fromtimestamp(seconds / 1000 if abs(seconds) >= 1e11 else seconds, UTC)
        parsed = datetime.fromisoformat(str(value).strip().replace(" UTC", "+00:00"))
    except (ValueError, OverflowError, OSError):
        raise ValueError("a time was expected: ISO 8601 text, a TIMESTAMP, or epoch seconds or milliseconds") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _iso_time(value: Any) -> str:
    moment = _moment(value).astimezone(UTC)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def _iso_date(value: Any) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return _moment(value).date().isoformat()


def _json(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValueError("JSON text was expected") from None
    return value


def _integer(value: Any) -> int:
    number = _decimal(value)
    if number is None or number != number.to_integral_value():
        raise ValueError("a whole number was expected")
    return int(number)


def _number(value: Any) -> int | float | Decimal:
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return value
    number = _decimal(value)
    if number is None:
        raise ValueError("a number was expected, of a usual size")
    return int(number) if number == number.to_integral_value() and "." not in str(value) else number


def _decimal(value: Any) -> Decimal | None:
    """The number in a text; None when there is none, or one that would take gigabytes to write out (`1e999999999`)."""
    try:
        number = Decimal(_text(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS else None


def _boolean(value: Any) -> bool:
    text = _text(value).strip().lower()
    if text in {"true", "t", "yes", "y", "1"}:
        return True
    if text in {"false", "f", "no", "n", "0"}:
        return False
    raise ValueError("a yes or no was expected: true, false, yes, no, 1, 0")


def _split(separator: Any) -> Transform:
    if not isinstance(separator, str) or not separator:
        raise ValueError('split needs the text that parts the pieces, such as {split: ","}')
    return lambda value: [piece.strip() for piece in _text(value).split(separator) if piece.strip()]


def _default(replacement: Any) -> Transform:
    return lambda value: replacement if value is None else value


def _mapped(table: Any) -> Transform:
    if not isinstance(table, Mapping):
        raise ValueError("map needs a table of values, such as {map: {G: gold, S: silver}}")
    by_text = {_text(found): replacement for found, replacement in table.items()}
    return lambda value: by_text.get(_text(value), value)


_PLAIN: dict[str, Transform] = {
    "trim": lambda value: _text(value).strip(),
    "lower": lambda value: _text(value).lower(),
    "upper": lambda value: _text(value).upper(),
    "title": lambda value: _text(value).title(),
    "sha256": _sha256,
    "sha256_email": _sha256_email,
    "sha256_phone": _sha256_phone(""),
    "e164": _e164(""),
    "iso_date": _iso_date,
    "iso_time": _iso_time,
    "epoch_seconds": lambda value: math.floor(_moment(value).timestamp()),
    "epoch_millis": lambda value: round(_moment(value).timestamp() * 1000),
    "json": _json,
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}
_WITH_ARGUMENT: dict[str, Callable[[Any], Transform]] = {
    "split": _split,
    "default": _default,
    "map": _mapped,
    "e164": _e164,
    "sha256_phone": _sha256_phone,
}
