"""A past range on purpose: by days, whatever the cursor is; and what becomes of a run that was asked for before."""

from __future__ import annotations

import sqlite3

import pytest

from rowferry.delivery.runs import RunResult
from rowferry.twins.braze import BrazeTwin
from support.runs import machine, sync
from support.shop import Shop

SALE = {
    "key": "id", "send": "new", "cursor": "added_at", "to": "braze", "lag": "1h",
    "map": {"external_id": "id", "name": {"value": "Sale"}, "time": {"value": "2026-01-01T00:00:00Z"}},
}  # fmt: skip


def backfill(shop: Shop, first: str, last: str) -> RunResult:
    with machine(shop) as found:
        result = found.backfill("customers", first, last)
    assert isinstance(result, RunResult)
    return result


def sold(twin: BrazeTwin) -> list[str]:
    return [event["external_id"] for event in twin.events]


@pytest.mark.parametrize(
    ("kind", "cursors"),
    [
        ("DATE", ["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04"]),
        ("TIMESTAMP", ["2025-01-01 23:59:59", "2025-01-02 00:00:00", "2025-01-03 23:59:59.999999", "2025-01-04 00:00:00"]),
        ("TIMESTAMPTZ", ["2025-01-01 23:59:59+00", "2025-01-02 01:00:00+01", "2025-01-03 23:59:59.999999+00", "2025-01-04 00:00:00+00"]),
        ("TEXT", ["2025-01-01T23:59:59Z", "2025-01-02T00:00:00Z", "2025-01-03T23:59:59Z", "2025-01-04T00:00:00Z"]),
        ("TEXT", ["2025-01-01 23:59:59", "2025-01-02 00:00:00", "2025-01-03 23:59:59", "2025-01-04 00:00:00"]),
    ],
)
@pytest.mark.parametrize("in_database", [False, True])
def test_both_days_are_whole_whatever_the_cursor_is(shop: Shop, twin: BrazeTwin, kind: str, cursors: list[str], in_database: bool) -> None:
    """From the first moment of the first to the last of the last, in the warehouse as in a database; then nothing is new."""
    model = {"database": "shop", "table": "sales"} if in_database else {"table": "crm.sales"}
    shop.settings |= {"databases": {"shop": {"url": "env:SHOP_URL"}}, "syncs": {"customers": {**SALE, "model": model}}}
    shop.save()
    shop.execute(f"CREATE TABLE crm.sales (id TEXT, added_at {kind})")
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE sales (id TEXT, added_at TEXT)")
        connection.executemany("INSERT INTO sales VALUES (?, ?)", [(f"s{place}", cursor) for place, cursor in enumerate(cursors)])
    for place, cursor in enumerate(cursors):
        shop.execute(f"INSERT INTO crm.sales VALUES ('s{place}', '{cursor}')")
    assert sync(shop).delivered == 4
    twin.events.clear()
    assert backfill(shop, "2025-01-02", "2025-01-03").delivered == 2
    assert sold(twin) == ["s1", "s2"]
    assert sync(shop).read == 0


def test_a_cursor_that_tells_no_day_is_said_to(shop: Shop) -> None:
    """A number can't be held against days, nor can a lag be taken off it; the sync itself goes on as before."""
    shop.execute("CREATE TABLE crm.sales AS SELECT 's' || i AS id, i AS added_at FROM range(3) t(i)")
    shop.settings["syncs"]["customers"] = {**SALE, "model": {"table": "crm.sales"}}
    shop.save()
    assert "is INT64 and tells no time" in sync(shop).reason
    del shop.settings["syncs"]["customers"]["lag"]
    shop.save()
    assert sync(shop).delivered == 3
    found = backfill(shop, "2025-01-02", "2025-01-03")
    assert (found.status, "added_at is INT64 and tells no day" in found.reason) == ("failed", True)
    shop.execute("INSERT INTO crm.sales VALUES ('s3', 3)")
    assert sync(shop).delivered == 1


def test_a_sync_that_never_knew_its_rows_is_no_reason_to_send_days_twice(shop: Shop, twin: BrazeTwin) -> None:
    """Its model could not be read. The backfill that follows takes its place, and is not done a second time under its own name."""
    shop.execute("CREATE TABLE crm.sales (id TEXT, added_at TIMESTAMP); INSERT INTO crm.sales VALUES ('old', '2025-01-01')")
    shop.settings["syncs"]["customers"] = {**SALE, "model": {"table": "crm.sales"}}
    shop.save()
    sync(shop)
    shop.execute("ALTER TABLE crm.sales RENAME TO away")
    assert sync(shop).status == "failed"
    shop.execute("ALTER TABLE crm.away RENAME TO sales")
    assert backfill(shop, "2025-01-01", "2025-01-01").delivered == 1
    assert sold(twin) == ["old", "old"]
