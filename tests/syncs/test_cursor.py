"""The cursor of `send: new` as text that both warehouses take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rowferry.syncs.cursor import less_lag


@pytest.mark.parametrize(
    ("kind", "cursor", "expected"),
    [
        ("DATE", "2026-03-01", "2026-02-28"),
        ("DATETIME", "2026-03-01 00:30:00", "2026-02-28 23:30:00"),
        ("TIMESTAMP", "2026-03-01 00:30:00+00", "2026-02-28 23:30:00+00:00"),
        ("INT64", "17", "17"),
        ("STRING", "2026-03-01", "2026-03-01"),
    ],
)
def test_the_lag_leaves_a_cursor_of_its_type(kind: str, cursor: str, expected: str) -> None:
    """A day stays a day: BigQuery casts no text with a time in it to a DATE, and the run could never be closed."""
    outline: Any = SimpleNamespace(lag_seconds=3600.0, cursor_type=kind)
    assert less_lag(cursor, outline) == expected
