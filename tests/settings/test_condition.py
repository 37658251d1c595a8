"""Conditions of alerts: comparisons over columns, SQL's way with NULL, and nothing else of Python."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.settings.condition import read_condition

ROW = {"orders": 90, "errors": 6, "none": None, "share": Decimal("0.25"), "state": "late"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("orders < 100", True),
        ("orders >= 100", False),
        ("orders == 90 and errors != 5", True),
        ("orders <> 90 or errors > 5", True),
        ("not (orders < 100)", False),
        ("50 < orders < 100", True),
        ("100 < orders < 200", False),
        ("errors / orders > 0.05", True),
        ("errors * 10 - 1 > orders / -2 + 100", True),
        ("share * 1.0 == 0.25", True),
        ("share + 1 > 1", True),
        ("state == 'late'", True),
        ("orders / 0 > 1", False),
        ("none < 100", False),
        ("not none < 100", False),
        ("none < 100 or orders < 100", True),
        ("none < 100 and orders < 100", False),
        ("none + 1 < 2", False),
        ("-none < 2", False),
        ("orders", True),
        ("none", False),
    ],
)
def test_holds(text: str, holds: bool) -> None:
    """Comparisons, arithmetic and joins; where a NULL or a division by zero decides, the condition does not hold."""
    assert read_condition(text).holds(ROW) is holds


def test_names() -> None:
    """A condition tells which columns it looks at."""
    assert read_condition("orders < 100 and errors > orders").names == {"orders", "errors"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "orders <",
        "orders = 5",
        "1 < 2",
        "True",
        "orders + 1",
        "__import__('os').system('x')",
        "orders.__class__ == 1",
        "orders[0] > 1",
        "[x for x in orders] == 1",
        "lambda: orders",
        "orders if orders else errors",
        "(orders := 5) > 1",
        "f'{orders}' == 'x'",
        "orders in (1, 2)",
        "orders is None",
        "orders ** 9999999 > 1",
        "orders < b'x'",
        "orders\0 < 1",
        "x < 1; y",
        "(" * 900 + "orders",
        "orders < " + "9" * 2000,
    ],
)
def test_what_is_no_condition(text: str) -> None:
    """Whatever is not a comparison over columns is refused: no calls, attributes, powers."""
    with pytest.raises(ValueError, match="condition"):
        read_condition(text)


def test_columns_that_are_not_there() -> None:
    """A column that the statement did not give is named."""
    with pytest.raises(ValueError, match="orderz, which is not a column"):
        read_condition("orderz < 100").holds(ROW)


def test_things_without_an_order() -> None:
    """A text compared with a number is a mistake in the condition, said so."""
    with pytest.raises(ValueError, match="compares things that have no order"):
        read_condition("state < 100").holds(ROW)


@given(st.text(max_size=60) | st.text("orders<>=!+-*/() 0123456789'andornot.", max_size=40))
def test_any_text(text: str) -> None:
    """Any text is a condition or a ValueError, and a condition gives an answer or a ValueError."""
    with suppress(ValueError):
        assert read_condition(text).holds(ROW) in (True, False)


_SUMS = st.recursive(
    st.sampled_from(["orders", "none", "3", "2.5"]),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda sum_: f"({sum_[0]} {sum_[1]} {sum_[2]})"),
)


@given(_SUMS.filter(lambda text: "orders" in text or "none" in text))
def test_arithmetic_agrees_with_python(text: str) -> None:
    """Where no NULL and no division by zero takes part, the value is Python's own; else nothing holds."""
    row: dict[str, Any] = {"orders": 90, "none": None}
    try:
        expected = eval(text, {"__builtins__": {}}, row) > 5
    except (TypeError, ZeroDivisionError):
        expected = False
    assert read_condition(f"{text} > 5").holds(row) == expected
