"""Names in the settings: of entries, columns, tables and column types; one of them or a list."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

_RESERVED = ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", "_change_", "rowferry_")
_TYPE_ALIASES = {
    "INT": "INT64",
    "INTEGER": "INT64",
    "BIGINT": "INT64",
    "FLOAT": "FLOAT64",
    "DOUBLE": "FLOAT64",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
    "BOOLEAN": "BOOL",
    "TEXT": "STRING",
    "VARCHAR": "STRING",
}
COLUMN_TYPES = ("STRING", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL", "BYTES", "DATE", "DATETIME", "TIME", "TIMESTAMP", "JSON")


def check_entry_name(name: str) -> str:
    """The name as it is. Raises `ValueError` unless it can be a folder's, a table's and a queue's name as well."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", name):
        raise ValueError("a name has letters, digits, _ and - only, begins with a letter and is at most 63 characters long")
    return name


def _column(name: str) -> str:
    # BigQuery: a column's name has letters, digits and underscores, at most 300, and some beginnings
    # are its own (cloud.google.com/bigquery/docs/schemas, "Column names"); `rowferry_` is ours.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,299}", name):
        raise ValueError("a column's name has letters, digits and _ only and does not begin with a digit")
    if name.lower().startswith(_RESERVED):
        raise ValueError("this beginning of a column's name is reserved; rename the column")
    return name


def check_table(name: str) -> str:
    """The table's name as it is. Raises `ValueError` unless it is `dataset.table`."""
    plain = re.sub(r"\{\w+\}", "x", name)
    if not re.fullmatch(r"[A-Za-z_]\w*\.[\w-]{1,1024}", plain, re.ASCII):
        raise ValueError("expected dataset.table, of letters, digits and _")
    return name


def _column_type(text: Any) -> Any:
    if not isinstance(text, str):
        raise ValueError("expected a type such as STRING, INT64, NUMERIC or TIMESTAMP")
    name = _TYPE_ALIASES.get(text.strip().upper(), text.strip().upper())
    if name not in COLUMN_TYPES:
        raise ValueError(f"this is not a column type; expected one of {', '.join(COLUMN_TYPES)}")
    return name


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _no_repeats(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or any(not name.strip() for name in names):
        raise ValueError("expected a name, or a list of names")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("a name stands here twice")
    return names


_ONE_OR_MANY = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}

EntryName = Annotated[str, AfterValidator(check_entry_name)]
ColumnName = Annotated[str, AfterValidator(_column)]
ColumnType = Annotated[str, BeforeValidator(_column_type, json_schema_input_type=str)]
TableName = Annotated[str, AfterValidator(check_table)]  # `dataset.table`; a feed's may have `{parts}`
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_many), AfterValidator(_no_repeats), WithJsonSchema(_ONE_OR_MANY)]
