"""Values of JSON, Avro and Parquet as the text a CSV would hold, without losing a digit."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import orjson

_MEMBER = re.compile(r"member[0-9]")


def to_text(value: Any) -> str | None:
    """One value as text: None stays None, lists and objects become JSON, bytes Base64."""
    if value is None or type(value) is str:
        return value
    return next((write(value) for kinds, write in _WRITERS if isinstance(value, kinds)), str(value))


def to_json(value: Any) -> str:
    """JSON on one line; numbers beyond 64 bits and decimals keep all their digits."""
    try:
        return orjson.dumps(value, default=_in_json).decode()
    except TypeError:  # a whole number of more than 64 bits
        return orjson.dumps(_without_wide_integers(value), default=_in_json).decode()


def flatten(record: Mapping[str, Any], nests: frozenset[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The members of a record; those of the objects in `nests` come as `profile.identity`.

    A value that comes as `{"member0": null, "member1": 5, …}` is the one member that is set: so do
    CleverTap's newer Parquet files write a value of any type.
    """
    for name, value in record.items():
        path = prefix + name
        if path in nests and isinstance(value, dict):
            yield from flatten(value, nests, f"{path}.")
        elif nests and isinstance(value, dict) and value and all(_MEMBER.fullmatch(member) for member in value):
            yield path, next((member for member in value.values() if member is not None), None)
        else:
            yield path, value


def without_lone_surrogates(value: Any) -> Any:
    """JSON whose texts hold a half of a pair (`\\ud83d` alone, of an emoji that was cut), with U+FFFD for it: UTF-8 has none."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {without_lone_surrogates(name): without_lone_surrogates(member) for name, member in value.items()}
    return [without_lone_surrogates(member) for member in value] if isinstance(value, list) else value


def shortest_float32(value: float) -> float:
    """The shortest decimal that is this 32-bit float: 3.14, where its 64-bit form reads 3.140000104904175."""
    if not math.isfinite(value):
        return value
    packed = struct.pack("<f", value)
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == packed:
            return short
    return float(f"{value:.9g}")


def _in_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value)) if value.is_finite() else None
    return to_text(value)


def _without_wide_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_wide_integers(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_wide_integers(member) for member in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return Decimal(value)
    return value


# In this order: a bool is an int, a datetime is a date.
_WRITERS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (float, repr),
    ((datetime, date, time), lambda value: str(value.isoformat())),
    ((bytes, bytearray), lambda value: base64.b64encode(value).decode()),
    ((list, tuple, dict), to_json),
    (Decimal, lambda value: format(value, "f") if value.is_finite() else str(value)),
)
