"""A warehouse's values as JSON and back, exactly: money, times and long numbers keep every digit."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import orjson

Decode = Callable[[Any], Any]


def to_json(value: Any) -> bytes:
    """`value` (a row, or what a warehouse gave) as JSON that `decoder` can read back by type.

    Integers beyond 64 bits become text, which keeps their digits, and so do NaN and infinity. Raises
    `TypeError` for what JSON can't hold.
    """
    try:
        found = orjson.dumps(value, default=_plain, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    except orjson.JSONEncodeError:  # it takes no such integers, and does not ask `default` about them
        return _spelled_out(value)
    if b"null" in found and _has_null_float(value):
        return _spelled_out(value)
    return found


def _spelled_out(value: Any) -> bytes:
    return orjson.dumps(_without_odd_numbers(value), default=_plain, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def _has_null_float(value: Any) -> bool:
    """Whether there is a NaN or infinity in it: orjson writes them as null, as if nothing had been there."""
    if isinstance(value, dict):
        return any(map(_has_null_float, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_null_float, value))
    return isinstance(value, float) and not math.isfinite(value)


def _without_odd_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_odd_numbers(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_odd_numbers(part) for part in value]
    is_long = isinstance(value, int) and not -(2**63) <= value < 2**64
    return str(value) if is_long or _has_null_float(value) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, int):
        return int(value)  # an enum or other kind of int
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"a {type(value).__name__} can't be written as JSON")


def decoder(column_type: str) -> Decode | None:
    """How a JSON value of this BigQuery type becomes a Python value; None where it is one already.

    Also reads what BigQuery's EXPORT DATA writes (INT64 and NaN as text, times without an offset).
    """
    kind = column_type.strip()
    if kind.startswith("ARRAY<"):
        item = decoder(kind[6:-1])
        return _nullable(lambda values: [None if v is None else item(v) for v in values]) if item else None
    if kind.startswith("STRUCT<"):
        return _struct(kind[7:-1])
    base = kind.split("(")[0].upper()
    found = _BY_TYPE.get(base)
    return _nullable(found) if found else None


def _nullable(decode: Decode) -> Decode:
    return lambda value: None if value is None else decode(value)


def _struct(members: str) -> Decode | None:
    decoders = {name: found for name, kind in _members(members) if (found := decoder(kind))}
    if not decoders:
        return None
    return _nullable(lambda value: {name: decoders[name](v) if name in decoders else v for name, v in value.items()})


def _members(text: str) -> list[tuple[str, str]]:
    members, depth, start = [], 0, 0
    for index, character in enumerate(text + ","):
        depth += (character in "<(") - (character in ">)")
        if character == "," and depth == 0:
            name, _, kind = text[start:index].strip().partition(" ")
            members.append((name.strip('`"'), kind))
            start = index + 1
    return members


def _timestamp(value: str) -> datetime:
    moment = datetime.fromisoformat(value.replace(" UTC", "+00:00"))
    return moment if moment.tzinfo else datetime.fromisoformat(value + "+00:00")


_BY_TYPE: dict[str, Decode] = {
    "INT64": int,
    "FLOAT64": float,
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,
    "TIMESTAMP": _timestamp,
    "DATETIME": datetime.fromisoformat,
    "DATE": date.fromisoformat,
    "TIME": time.fromisoformat,
    "BYTES": base64.b64decode,
}
