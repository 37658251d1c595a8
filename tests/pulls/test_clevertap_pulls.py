"""Whole pulls of CleverTap's stand-in, through the real engine, into a real table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.twins.clevertap import CleverTapTwin
from support.pulling import Bench


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1") as running:
        yield running


def test_two_days_of_events_are_in_the_table(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Each day is a file, each event a row, with its name, its time and all digits of its numbers."""
    bench = Bench(tmp_path, twin, page_rows=7)
    bench.charge("2026-01-30", 20)
    bench.charge("2026-01-31", 3, start=20)
    bench.charge("2026-02-01", 4, start=30)
    first, second = bench.pull("2026-01-30", "2026-01-31")
    assert [(found.status, found.rows, found.table) for found in (first, second)] == [
        ("loaded", 20, "raw.ct_charged"),
        ("loaded", 3, "raw.ct_charged"),
    ]
    assert bench.count() == 23
    sql = "SELECT event_name, profile_identity, epoch(ts)::BIGINT, event_props_order FROM raw.ct_charged ORDER BY profile_identity LIMIT 1"
    assert bench.rows(sql) == [("Charged", "u0", 1769774400, "100000000000000000")]
    assert twin.violations == []
