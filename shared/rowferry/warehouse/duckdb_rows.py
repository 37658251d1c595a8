"""Rows of Python values on their way into DuckDB: lines of JSON in a file, then one SELECT over it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from rowferry.warehouse.duckdb_types import quote_identifier, to_duckdb
from rowferry.warehouse.port import WarehouseError
from rowferry.warehouse.types import ColumnType, array_of, struct_of

_LINE_BYTES = 16 * 1024 * 1024
_BUFFER_BYTES = 1024 * 1024


def write_lines(path: Path, columns: Mapping[str, ColumnType], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write `rows`, one a line, and return how many. Raises `WarehouseError` for a value that fits no column."""
    special = {name: write for name, kind in columns.items() if (write := _writer(kind))}
    count = 0
    with path.open("wb", buffering=_BUFFER_BYTES) as file:
        for count, row in enumerate(rows, 1):
            file.write(_line(row, special, count))
    return count


def select_lines(path: Path, columns: Mapping[str, ColumnType]) -> str:
    """SELECT of the rows that `write_lines` wrote, as `columns`."""
    types = ", ".join(f"{_text(name)}: {_text(to_duckdb(_as_text(kind)))}" for name, kind in columns.items())
    values = ", ".join(f"{_from_text(kind, quote_identifier(name))} AS {quote_identifier(name)}" for name, kind in columns.items())
    return (
        f"SELECT {values} FROM read_json({_text(str(path))}, format = 'newline_delimited', auto_detect = false,"
        f" columns = {{{types}}}, maximum_object_size = {_LINE_BYTES})"
    )


def _line(row: Mapping[str, Any], special: Mapping[str, Callable[[Any], Any]], number: int) -> bytes:
    if special:
        row = {name: special[name](value) if value is not None and name in special else value for name, value in row.items()}
    try:
        return orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return _slow_line(row, number)


def _slow_line(row: Mapping[str, Any], number: int) -> bytes:
    """orjson takes no whole number over 64 bits and no half of a character."""
    try:
        return (json.dumps(row, default=str, ensure_ascii=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise WarehouseError(f"row {number} holds a value that no column can take ({type(error).__name__})") from None


def _writer(kind: ColumnType) -> Callable[[Any], Any] | None:
    """What a value needs before JSON can hold it; None where JSON holds it as it is."""
    if not kind.holds("BYTES", "FLOAT64"):
        return None
    if kind.element is not None:
        return _array_writer(kind.element)
    if kind.kind == "STRUCT":
        return _struct_writer(kind)
    return _base64 if kind.kind == "BYTES" else _float


def _array_writer(element: ColumnType) -> Callable[[Any], Any]:
    write = _writer(element)
    return lambda value: [None if item is None or write is None else write(item) for item in value]


def _struct_writer(kind: ColumnType) -> Callable[[Any], Any]:
    special = {name: write for name, part in kind.fields if (write := _writer(part))}
    return lambda value: {name: special[name](item) if item is not None and name in special else item for name, item in value.items()}


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _float(value: float) -> float | str:
    return value if value - value == 0 else str(value)  # JSON has neither NaN nor infinity


def _as_text(kind: ColumnType) -> ColumnType:
    """The type as the line holds it: bytes stand there in base64."""
    if kind.element is not None:
        return array_of(_as_text(kind.element))
    if kind.kind == "STRUCT":
        return struct_of(tuple((name, _as_text(part)) for name, part in kind.fields))
    return ColumnType("STRING") if kind.kind == "BYTES" else kind


def _from_text(kind: ColumnType, value: str) -> str:
    if not kind.holds("BYTES"):
        return value
    if kind.element is not None:
        return f"list_transform({value}, lambda item: {_from_text(kind.element, 'item')})"
    if kind.kind == "STRUCT":
        parts = ", ".join(
            f"{quote_identifier(name)}: {_from_text(part, f'{value}.{quote_identifier(name)}')}" for name, part in kind.fields
        )
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE {{{parts}}} END"
    return f"from_base64({value})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
