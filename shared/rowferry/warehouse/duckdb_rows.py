"""Lines of JSON as a SELECT of DuckDB's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rowferry.warehouse.duckdb_types import quote_identifier, quote_text, to_duckdb
from rowferry.warehouse.types import ColumnType, array_of, struct_of

_LINE_BYTES = 16 * 1024 * 1024


def select_lines(path: Path, columns: Mapping[str, ColumnType]) -> str:
    """SELECT of the rows that `rowferry.warehouse.lines` wrote into `path`, as `columns`."""
    types = ", ".join(f"{quote_text(name)}: {quote_text(to_duckdb(_as_text(kind)))}" for name, kind in columns.items())
    values = ", ".join(f"{_from_text(kind, quote_identifier(name))} AS {quote_identifier(name)}" for name, kind in columns.items())
    return (
        f"SELECT {values} FROM read_json({quote_text(str(path))}, format = 'newline_delimited', auto_detect = false,"
        f" columns = {{{types}}}, maximum_object_size = {_LINE_BYTES})"
    )


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
