"""What a database's values become in the warehouse: the column's type must not hang on a single row."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rowferry.databases.copying import copy_rows
from rowferry.warehouse.duckdb import DuckDbWarehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDbWarehouse]:
    found = DuckDbWarehouse(tmp_path / "w.duckdb")
    yield found
    found.release()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1.5000000000000000", "2"], "NUMERIC"),  # an average in PostgreSQL
        (["0.3333333333333333", "2"], "BIGNUMERIC"),
        ([3, "0.3333333333333333", "10.50"], "BIGNUMERIC"),
        (["0.123456789012345678901", "2"], "STRING"),
        (["1" + "0" * 28, "2"], "NUMERIC"),
        (["1" + "0" * 29, "2"], "STRING"),
    ],
)
def test_numbers_stay_numbers_while_a_number_holds_them(warehouse: DuckDbWarehouse, values: list[Any], kind: str) -> None:
    """Zeros at the end take no type from a column; one value with many places makes it wider, and no text of the others."""
    numbers = [Decimal(value) if isinstance(value, str) else value for value in values]
    copy_rows([{"n": number} for number in numbers], ["n"], warehouse, "rowferry.copied", job="j")
    assert warehouse.columns("rowferry.copied") == {"n": kind}
    found = [row["n"] for row in warehouse.query("SELECT n FROM `rowferry.copied`")]
    assert [Decimal(value) for value in found] == numbers


@pytest.mark.parametrize("odd", ["NaN", "Infinity"])
def test_a_number_that_is_none_makes_no_texts_of_the_others(warehouse: DuckDbWarehouse, odd: str) -> None:
    """PostgreSQL's numeric has NaN: its row can be rejected for it, while the vendor goes on getting numbers of the others."""
    copy_rows([{"n": number} for number in (Decimal("1.50"), 2, Decimal(odd))], ["n"], warehouse, "rowferry.copied", job="j")
    assert warehouse.columns("rowferry.copied") == {"n": "FLOAT64"}
    found = [row["n"] for row in warehouse.query("SELECT n FROM `rowferry.copied`")]
    assert [str(value) for value in found] == ["1.5", "2.0", str(float(odd))]


def test_a_documents_column_holds_whatever_a_document_is(warehouse: DuckDbWarehouse) -> None:
    """In JSON an object, a list, a text, a number and a yes are values alike; none becomes a text of Python's."""
    documents: list[Any] = [{"a": [1]}, [1], "text", 5, 1.5, True, None]
    copy_rows([{"doc": document} for document in documents], ["doc"], warehouse, "rowferry.copied", job="j")
    assert [row["doc"] for row in warehouse.query("SELECT doc FROM `rowferry.copied`")] == documents
