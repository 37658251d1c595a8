"""Rows as lines of JSON: nothing is rounded, nothing is lost on the way into either engine."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from rowferry.warehouse.lines import lines
from rowferry.warehouse.port import WarehouseError
from rowferry.warehouse.types import parse_type


def line(kind: str, value: object) -> object:
    """The value as it stands in the line."""
    (written,) = lines({"x": parse_type(kind)}, [{"x": value}])
    assert written.endswith(b"\n")
    return json.loads(written)["x"]


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("INT64", 2**53, 2**53),
        ("INT64", 2**53 + 1, "9007199254740993"),
        ("INT64", -(2**63), "-9223372036854775808"),
        ("ARRAY<INT64>", [1, 2**60], [1, "1152921504606846976"]),
        ("STRUCT<n INT64, f FLOAT64>", {"n": 2**60, "f": None}, {"n": "1152921504606846976", "f": None}),
        ("NUMERIC", Decimal("0.10"), "0.10"),
        ("FLOAT64", float("inf"), "inf"),
        ("FLOAT64", float("nan"), "nan"),
        ("BYTES", b"\x00\xff", "AP8="),
        ("ARRAY<BYTES>", [b"", b"a"], ["", "YQ=="]),
        ("DATE", date(1, 1, 1), "0001-01-01"),
        ("TIME", time(1, 2, 3, 4), "01:02:03.000004"),
        ("TIMESTAMP", datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01T00:00:00+00:00"),
        ("JSON", {"n": 2**70, "t": "ü"}, {"n": 2**70, "t": "ü"}),
        ("STRING", None, None),
        ("STRING", "", ""),
    ],
)
def test_a_value_stands_in_its_line_exactly(kind: str, value: object, written: object) -> None:
    """Whole numbers past 2^53 and money are text, bytes Base64, times ISO with their zone."""
    assert line(kind, value) == written


def test_rows_are_read_one_by_one() -> None:
    """The first line is there before the second row has been read."""
    rows = iter([{"x": 1}, {"x": 2}])
    written = lines({"x": parse_type("INT64")}, rows)
    next(written)
    assert next(rows) == {"x": 2}


def test_what_no_column_takes_is_told_by_its_row() -> None:
    """The row's number and the kind of fault, not the value."""
    with pytest.raises(WarehouseError, match=r"^row 2 holds a value that no column can take \(UnicodeEncodeError\)$"):
        list(lines({"x": parse_type("STRING")}, [{"x": "fine"}, {"x": "\ud800"}]))
