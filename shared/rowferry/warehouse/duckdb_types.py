"""Column types both ways between BigQuery and DuckDB, and values as its driver binds them."""

from __future__ import annotations

import json
from typing import Any

from rowferry.warehouse.port import WarehouseError
from rowferry.warehouse.types import ColumnType, array_of, struct_of

_TO_DUCKDB = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    # 76 digits are more than DuckDB has: 20 before and 18 after the point are what fits.
    "BIGNUMERIC": "DECIMAL(38,18)",
    "BOOL": "BOOLEAN",
    "BYTES": "BLOB",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
}
_FROM_DUCKDB = {
    "varchar": "STRING",
    "uuid": "STRING",
    "enum": "STRING",
    "tinyint": "INT64",
    "smallint": "INT64",
    "integer": "INT64",
    "bigint": "INT64",
    "utinyint": "INT64",
    "usmallint": "INT64",
    "uinteger": "INT64",
    "ubigint": "INT64",
    "hugeint": "INT64",  # what SUM of a BIGINT gives
    "uhugeint": "INT64",
    "float": "FLOAT64",
    "double": "FLOAT64",
    "boolean": "BOOL",
    "blob": "BYTES",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "DATETIME",
    "timestamp_s": "DATETIME",
    "timestamp_ms": "DATETIME",
    "timestamp_ns": "DATETIME",
    "timestamp with time zone": "TIMESTAMP",
    '"null"': "STRING",
}


def to_duckdb(kind: ColumnType) -> str:
    """A column type as DuckDB's DDL writes it."""
    if kind.element is not None:
        return f"{to_duckdb(kind.element)}[]"
    if kind.kind == "STRUCT":
        return "STRUCT({})".format(", ".join(f"{quote_identifier(name)} {to_duckdb(part)}" for name, part in kind.fields))
    return _TO_DUCKDB.get(kind.kind, kind.kind)


def from_duckdb(kind: Any) -> ColumnType:
    """A type as DuckDB reports it (`DuckDBPyType`). Raises `WarehouseError` for one BigQuery has not."""
    if str(kind) == "JSON":
        return ColumnType("JSON")
    name = str(getattr(kind, "id", kind))
    if name in ("list", "array"):
        return array_of(from_duckdb(kind.children[0][1]))
    if name == "struct":
        return struct_of(tuple((field, from_duckdb(part)) for field, part in kind.children))
    if name == "decimal":
        digits = dict(kind.children)
        return ColumnType("NUMERIC" if digits["scale"] <= 9 else "BIGNUMERIC")
    if name in _FROM_DUCKDB:
        return ColumnType(_FROM_DUCKDB[name])
    raise WarehouseError(f"a column of DuckDB's type {kind} has no counterpart in BigQuery; cast it")


def to_parameter(kind: ColumnType, value: Any) -> Any:
    """A value as the driver binds it."""
    if value is None:
        return None
    if kind.element is not None:
        return [to_parameter(kind.element, item) for item in value]
    if kind.kind == "STRUCT":
        return {name: to_parameter(part, value.get(name)) for name, part in kind.fields}
    return json.dumps(value) if kind.kind == "JSON" else value


def quote_identifier(name: str) -> str:
    """A name in DuckDB's own quotes."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(value: str) -> str:
    """A text constant in DuckDB's quotes."""
    return "'" + value.replace("'", "''") + "'"
