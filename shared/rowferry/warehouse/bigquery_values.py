"""Column types, parameters and values both ways between BigQuery's client and the port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.cloud import bigquery  # noqa: TID251 (this is the adapter)

from rowferry.warehouse.port import Param, Params
from rowferry.warehouse.types import ColumnType, array_of, parse_type, struct_of

_UNTYPED: Any = bigquery  # its classes of parameter types have no annotations
Query = bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter | bigquery.StructQueryParameter


def to_field(name: str, kind: ColumnType) -> bigquery.SchemaField:
    """A column of a table's schema; NULLable, or REPEATED for an ARRAY."""
    mode = "NULLABLE" if kind.element is None else "REPEATED"
    inner = kind if kind.element is None else kind.element
    return bigquery.SchemaField(name, "RECORD" if inner.kind == "STRUCT" else inner.kind, mode=mode, fields=to_fields(dict(inner.fields)))


def to_fields(columns: Mapping[str, ColumnType]) -> list[bigquery.SchemaField]:
    """Columns as a schema."""
    return [to_field(name, kind) for name, kind in columns.items()]


def from_field(field: bigquery.SchemaField) -> ColumnType:
    """A column of a schema as its type. Raises `WarehouseError` for types the port has not (GEOGRAPHY, RANGE …)."""
    if field.field_type in ("RECORD", "STRUCT"):
        kind = struct_of(tuple((part.name, from_field(part)) for part in field.fields))
    else:
        kind = parse_type(field.field_type)
    return array_of(kind) if field.mode == "REPEATED" else kind


def from_fields(schema: Sequence[bigquery.SchemaField]) -> dict[str, str]:
    """A schema as the port shows it."""
    return {field.name: str(from_field(field)) for field in schema}


def to_parameters(params: Params | None) -> list[Query]:
    """Named parameters as the client sends them."""
    return [_parameter(name, param) for name, param in (params or {}).items()]


def _parameter(name: str | None, param: Param) -> Query:
    kind = parse_type(param.type)
    if kind.element is not None:
        return _array(name, kind.element, param.value or [])
    if kind.kind == "STRUCT":
        return bigquery.StructQueryParameter(name, *_parts(kind, param.value))
    return bigquery.ScalarQueryParameter(name, kind.kind, param.value)


def _array(name: str | None, element: ColumnType, values: Sequence[Any]) -> bigquery.ArrayQueryParameter:
    if element.kind != "STRUCT":
        return bigquery.ArrayQueryParameter(name, element.kind, list(values))
    items = [bigquery.StructQueryParameter(None, *_parts(element, value)) for value in values]
    shape = _UNTYPED.StructQueryParameterType(*(_parameter_type(part, field) for field, part in element.fields))
    return bigquery.ArrayQueryParameter(name, shape, items)


def _parts(kind: ColumnType, value: Mapping[str, Any] | None) -> list[Query]:
    return [_parameter(field, Param(str(part), (value or {}).get(field))) for field, part in kind.fields]


def _parameter_type(kind: ColumnType, name: str | None = None) -> Any:
    if kind.element is not None:
        return _UNTYPED.ArrayQueryParameterType(_parameter_type(kind.element), name=name)
    if kind.kind == "STRUCT":
        return _UNTYPED.StructQueryParameterType(*(_parameter_type(part, field) for field, part in kind.fields), name=name)
    return _UNTYPED.ScalarQueryParameterType(kind.kind, name=name)
