"""A database's rows into a warehouse table, so that all the rest is the warehouse's SQL.

Types are taken from the values themselves, over all rows: drivers name types in a dozen ways, but hand
out the same few Python types.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

from rowferry.warehouse.port import Warehouse

_GROUP_ROWS = 1000
# Digits before and after the point: NUMERIC's (BigQuery's data types page), and what BIGNUMERIC has in both warehouses.
_DIGITS = {"NUMERIC": (29, 9), "BIGNUMERIC": (20, 18)}
_NUMBERS = ("INT64", "NUMERIC", "BIGNUMERIC")


def copy_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], warehouse: Warehouse, table: str, *, job: str) -> int:
    """Put the rows into a new table, replacing what is there; how many. Reads them once, in bounded memory.

    Of each row these `columns` are taken, which are there even when no row is; without any, all that rows have.
    """
    with tempfile.TemporaryFile() as spool:
        types = _spool(rows, columns, spool)
        spool.seek(0)
        return warehouse.load_rows(table, types, _typed(spool, types), job=job)


def _spool(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], spool: IO[bytes]) -> dict[str, str]:
    types: dict[str, str | None] = dict.fromkeys(columns)
    group: list[dict[str, Any]] = []
    for row in rows:
        taken = {name: row[name] for name in columns or row}
        for name, value in taken.items():
            types[name] = _widened(types.get(name), value)
        group.append(taken)
        if len(group) >= _GROUP_ROWS:
            pickle.dump(group, spool)
            group = []
    pickle.dump(group, spool)
    return {name: kind or "STRING" for name, kind in types.items()}


def _typed(spool: IO[bytes], types: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    while True:
        try:
            group = pickle.load(spool)  # noqa: S301 (our own file of a moment ago)
        except EOFError:
            return
        for row in group:
            yield {name: _as(value, types[name]) for name, value in row.items()}


def _widened(known: str | None, value: Any) -> str | None:
    """The type that takes all values so far and this one; text takes everything."""
    if value is None:
        return known
    kind = _kind(value)
    if known is None or known == kind:
        return kind
    if "JSON" in (known, kind):  # a document's column: some of them are a text, a number, a yes
        return "JSON"
    if known in _NUMBERS and kind in _NUMBERS:
        return max(known, kind, key=_NUMBERS.index)
    return "FLOAT64" if {known, kind} <= {*_NUMBERS, "FLOAT64"} else "STRING"


def _kind(value: Any) -> str:  # noqa: PLR0911 (a table of types)
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int):
        return "INT64" if -(2**63) <= value < 2**63 else "STRING"
    if isinstance(value, Decimal) and not value.is_finite():  # NaN makes no texts of a column's numbers
        return "FLOAT64"
    if isinstance(value, Decimal):
        return next((kind for kind in _DIGITS if _fits(value, *_DIGITS[kind])), "STRING")
    if isinstance(value, datetime):
        return "TIMESTAMP" if value.tzinfo else "DATETIME"
    if isinstance(value, (dict, list)):
        return "JSON"
    for python, kind in ((float, "FLOAT64"), (date, "DATE"), (time, "TIME")):
        if isinstance(value, python):
            return kind
    return "BYTES" if isinstance(value, (bytes, bytearray, memoryview)) else "STRING"


def _fits(value: Decimal, most_digits: int, most_scale: int) -> bool:
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    scale = -exponent
    while scale > most_scale and digits and digits[-1] == 0:  # an average in PostgreSQL has sixteen places, often zeros
        digits, scale = digits[:-1], scale - 1
    return scale <= most_scale and len(digits) - scale <= most_digits


def _as(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "STRING":
        return value if isinstance(value, str) else value.isoformat() if isinstance(value, (datetime, date, time)) else str(value)
    if kind == "BYTES":
        return bytes(value)
    if kind == "FLOAT64":
        return float(value)
    if kind in _DIGITS and not isinstance(value, Decimal):
        return Decimal(value)
    return str(value) if isinstance(value, UUID) else value
