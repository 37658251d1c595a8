"""Rows of Python values as lines of JSON, the form in which both engines load them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from rowferry.warehouse.port import WarehouseError
from rowferry.warehouse.types import ColumnType

Write = Callable[[Any], Any]


def lines(columns: Mapping[str, ColumnType], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Each row as a line, in bounded memory. Raises `WarehouseError` for a value that fits no column."""
    special = {name: write for name, kind in columns.items() if (write := _writer(kind))}
    for number, row in enumerate(rows, 1):
        yield _line(row, special, number)


def _line(row: Mapping[str, Any], special: Mapping[str, Write], number: int) -> bytes:
    try:
        if special:
            row = {name: special[name](value) if value is not None and name in special else value for name, value in row.items()}
        return orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return _slow_line(row, number)


def _slow_line(row: Mapping[str, Any], number: int) -> bytes:
    """orjson takes no whole number over 64 bits and no half of a character."""
    try:
        return (json.dumps(row, default=str, ensure_ascii=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise WarehouseError(f"row {number} holds a value that no column can take ({type(error).__name__})") from None


def _writer(kind: ColumnType) -> Write | None:
    """What a value needs before JSON can hold it; None where JSON holds it as it is."""
    if not kind.holds("BYTES", "FLOAT64", "INT64"):
        return None
    if kind.element is not None:
        return _array(_writer(kind.element))
    if kind.kind == "STRUCT":
        return _struct({name: write for name, part in kind.fields if (write := _writer(part))})
    return _SIMPLE[kind.kind]


def _array(write: Write | None) -> Write:
    return lambda value: [None if item is None or write is None else write(item) for item in value]


def _struct(special: Mapping[str, Write]) -> Write:
    return lambda value: {name: special[name](item) if item is not None and name in special else item for name, item in value.items()}


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _float(value: float) -> float | str:
    return value if value - value == 0 else str(value)  # JSON has neither NaN nor infinity


def _whole(value: int) -> int | str:
    """BigQuery wants whole numbers that a double can't hold as text (cloud.google.com/bigquery/docs/loading-data-cloud-storage-json)."""
    return value if -_EXACT <= value <= _EXACT else str(value)


_EXACT = 2**53
_SIMPLE: dict[str, Write] = {"BYTES": _base64, "FLOAT64": _float, "INT64": _whole}
