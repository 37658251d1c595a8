"""The cursor of `send: new` as text that both warehouses take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rowferry.syncs.cursor import less_lag
from support.runs import sync
from support.shop import Shop


@pytest.mark.parametrize(
    ("kind", "cursor", "expected"),
    [
        ("DATE", "2026-03-01", "2026-02-28"),
        ("DATETIME", "2026-03-01 00:30:00", "2026-02-28 23:30:00"),
        ("TIMESTAMP", "2026-03-01 00:30:00+00", "2026-02-28 23:30:00+00:00"),
        ("INT64", "17", "17"),
        ("STRING", "2026-03-01", "2026-02-28"),
        ("STRING", "2026-03-01T00:30", "2026-02-28T23:30"),
        ("STRING", "2026-03-01 00:30:00.25", "2026-02-28 23:30:00"),
        ("STRING", "2026-03-01T00:30:00.123456+01:00", "2026-02-28T23:30:00"),
        ("STRING", "2026-03-01T00:30:00Z", "2026-02-28T23:30:00"),
        ("STRING", "a17", "a17"),
    ],
)
def test_the_lag_leaves_a_cursor_of_its_type(kind: str, cursor: str, expected: str) -> None:
    """A day stays a day: BigQuery casts no text with a time in it to a DATE, and the run could never be closed. A text's
    is not above any text of that moment, however precise."""
    outline: Any = SimpleNamespace(lag_seconds=3600.0, cursor_type=kind)
    assert less_lag(cursor, outline) == expected


@pytest.mark.parametrize("form", ["2026-01-02T{}:00Z", "2026-01-02 {}:00", "2026-01-02 {}:00.5"])
def test_a_text_that_tells_the_time_has_its_lag(shop: Shop, form: str) -> None:
    """A database such as SQLite has times as texts: what is committed late within the lag is not lost there either."""
    shop.execute("CREATE TABLE crm.sales (id TEXT, added_at TEXT)")
    shop.settings["syncs"]["customers"] = {
        "model": {"table": "crm.sales"}, "key": "id", "send": "new", "cursor": "added_at", "to": "braze", "lag": "1h",
        "map": {"external_id": "id", "name": {"value": "Sale"}, "time": {"value": "2026-01-01T00:00:00Z"}},
    }  # fmt: skip
    shop.save()
    for ids, at, delivered in (("a", "10:00", 1), ("b", "12:00", 1), ("late", "11:00", 1), ("too late", "10:59", 0), ("c", "13:00", 1)):
        shop.execute(f"INSERT INTO crm.sales VALUES ('{ids}', '{form.format(at)}')")
        assert (ids, sync(shop).delivered) == (ids, delivered)
