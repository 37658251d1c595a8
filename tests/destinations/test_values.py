"""Values on their way into JSON."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.destinations import values
from rowferry.destinations.port import Value
from rowferry.errors import RowRejected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("", ""),
        (None, None),
        (True, True),
        (7, 7),
        (2**53 - 1, 2**53 - 1),
        (1.5, 1.5),
        (Decimal("19.90"), 19.9),
        (datetime(2026, 1, 31, 12, 0, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T10:00:00Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 250000), "2026-01-31T12:00:00.250000Z"),  # noqa: DTZ001  # DATETIME has no zone
        (date(2026, 1, 31), "2026-01-31"),
        (time(23, 59), "23:59:00"),
        ([1, date(2026, 1, 1), None], [1, "2026-01-01", None]),
        ({"a": {"b": Decimal(1)}}, {"a": {"b": 1.0}}),
    ],
)
def test_a_value_becomes_what_json_knows(value: Value, expected: object) -> None:
    """Each BigQuery type has one JSON form, also inside lists and objects."""
    assert values.plain(value, "field") == expected


def _nested(levels: int) -> list[object]:
    document: list[object] = []
    for _ in range(levels):
        document = [document]
    return document


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (float("nan"), "not_a_number"),
        (float("-inf"), "not_a_number"),
        (Decimal("NaN"), "not_a_number"),
        (Decimal("sNaN"), "not_a_number"),
        (Decimal("1e999"), "not_a_number"),
        (2**53, "number_too_large"),
        (-(2**53), "number_too_large"),
        (10**400, "number_too_large"),
        (b"bytes", "wrong_type"),
        ([float("nan")], "not_a_number"),
        ({"a": [b"x"]}, "wrong_type"),
        ({1: "x"}, "wrong_type"),
        (_nested(500), "nested_too_deep"),
    ],
)
def test_what_json_can_not_hold_rejects_the_row(value: Value, code: str) -> None:
    """Nothing is turned into null or rounded on the quiet: the row gets a reason with the field's name."""
    with pytest.raises(RowRejected) as caught:
        values.plain(value, "field")
    assert caught.value.code == code
    assert "field" in caught.value.reason


def test_half_a_surrogate_pair_rejects_the_row() -> None:
    """Text that is not Unicode can't be sent; the error does not repeat it."""
    with pytest.raises(RowRejected) as caught:
        values.dumps({"name": "planted-value\ud800"})
    assert "planted" not in str(caught.value)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.binary()
times = st.datetimes() | st.dates() | st.times()
json_values = st.recursive(scalars | times, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(json_values)
def test_any_value_ends_as_json_or_as_a_rejected_row(value: Value) -> None:
    """There is no third way: no crash, and no NaN that turns into null."""
    try:
        document = values.dumps(values.plain(value, "field"))
    except RowRejected:
        return
    assert orjson.loads(document) == values.plain(value, "field")


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 1),  # noqa: DTZ001  # DATETIME has no zone
        date(2026, 3, 1),
        "2026-03-01",
        "2026-03-01T00:00:00Z",
        " 2026-03-01T01:00:00+01:00 ",
    ],
)
def test_a_moment_is_read_from_times_dates_and_iso_text(value: Value) -> None:
    """All of these are midnight UTC of the first of March."""
    assert values.instant(value, "time") == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, 1767225600, "soon", "", True, 1.5])
def test_a_moment_is_never_guessed(value: Value) -> None:
    """A number could be seconds or milliseconds; the row is rejected instead."""
    with pytest.raises(RowRejected):
        values.instant(value, "time")


@pytest.mark.parametrize(("value", "expected"), [("u1", "u1"), (41, "41"), (2**60, str(2**60)), ("007", "007")])
def test_an_identifier_is_text(value: Value, expected: str) -> None:
    """A whole number loses nothing as text, and leading zeros stay."""
    assert values.identity(value, "external_id") == expected


@pytest.mark.parametrize("value", [None, "", "  ", True, 1.5, ["a"]])
def test_a_row_of_nobody_is_rejected(value: Value) -> None:
    """Empty identifiers and types that would only look like one never leave."""
    with pytest.raises(RowRejected):
        values.identity(value, "external_id")
