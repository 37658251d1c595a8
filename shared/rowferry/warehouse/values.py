"""Values as engines hand them out, turned into the port's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

import orjson

from rowferry.warehouse.types import ColumnType

Reader = Callable[[Any], Any]
_ONE = Decimal(1)
_ALL_DIGITS = Context(prec=80)  # the default one would round to 28


def reader(kind: ColumnType, more: Mapping[str, Reader] | None = None) -> Reader | None:
    """What turns an engine's value into the port's; None where it is right as it is.

    `more` has readers of simple types for an engine that hands them out in another form.
    """
    if kind.element is not None:
        return _array_reader(reader(kind.element, more))
    if kind.kind == "STRUCT":
        return _struct_reader({name: read for name, part in kind.fields if (read := reader(part, more))})
    return (more or {}).get(kind.kind) or _READERS.get(kind.kind)


def read_rows(rows: Sequence[tuple[Any, ...]], kinds: Sequence[ColumnType]) -> Iterable[tuple[Any, ...]]:
    """The engine's rows with the port's values."""
    turned = [(at, read) for at, kind in enumerate(kinds) if (read := reader(kind))]
    if not turned or not rows:
        return rows
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    for at, read in turned:
        columns[at] = map(read, columns[at])
    return zip(*columns, strict=True)


def _array_reader(read: Reader | None) -> Reader:
    # BigQuery keeps no NULL arrays: they come out empty.
    def array(value: list[Any] | None) -> list[Any]:
        if value is None:
            return []
        return [read(item) for item in value] if read else value

    return array


def _struct_reader(turned: Mapping[str, Reader]) -> Reader | None:
    if not turned:
        return None

    def struct(value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is None:
            return None
        return {name: turned[name](item) if name in turned else item for name, item in value.items()}

    return struct


def _numeric(value: Decimal | str | None) -> Decimal | None:
    """Without the zeros that a column's fixed scale puts behind, as BigQuery answers."""
    if value is None:
        return None
    if isinstance(value, str):
        return Decimal(value)
    short = value.normalize(_ALL_DIGITS)
    return short.quantize(_ONE, context=_ALL_DIGITS) if short == short.to_integral_value() else short


def _timestamp(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)


def _json(value: str | None) -> Any:
    return None if value is None else read_json(value)


_READERS: dict[str, Reader] = {"NUMERIC": _numeric, "BIGNUMERIC": _numeric, "TIMESTAMP": _timestamp, "JSON": _json}


def read_json(text: str) -> Any:
    """A JSON text's value; whole numbers of any length stay whole."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
