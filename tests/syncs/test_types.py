"""Types of a database's columns, which its rows tell alone: none at first, wider ones later."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from rowferry.twins.braze import BrazeTwin
from support.runs import counts, machine, sync
from support.shop import Shop

SALE = {
    "model": {"database": "shop", "table": "sales"}, "key": "id", "send": "new", "cursor": "number", "to": "braze",
    "map": {"external_id": "id", "name": {"value": "Sale"}, "time": {"value": "2026-01-01T00:00:00Z"}},
}  # fmt: skip


def sell(shop: Shop, *sales: tuple[str, Any]) -> None:
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS sales (id TEXT, number INTEGER)")
        connection.executemany("INSERT INTO sales VALUES (?, ?)", sales)


@pytest.mark.parametrize("first", [[], [("s0", None)]])
def test_a_table_that_was_empty_at_first_is_read_later(shop: Shop, twin: BrazeTwin, first: list[tuple[str, Any]]) -> None:
    """Without rows a cursor has no type. What was remembered as a text then does not keep the first run with rows from closing."""
    shop.settings |= {"databases": {"shop": {"url": "env:SHOP_URL"}}, "syncs": {"customers": SALE}}
    shop.save()
    sell(shop, *first)
    assert sync(shop).rejected == len(first)
    sell(shop, ("s1", 1), ("s2", 2))
    assert counts(sync(shop)) == (2, 0, 2, 0)
    sell(shop, ("s3", 3))
    assert counts(sync(shop)) == (1, 0, 1, 0)
    assert sync(shop).read == 0


def test_rows_that_went_leave_the_cursor_where_it_was(shop: Shop, twin: BrazeTwin) -> None:
    """A table that is emptied after each run, and a replay of it: nothing is remembered of no rows, and nothing forgotten."""
    shop.settings |= {"databases": {"shop": {"url": "env:SHOP_URL"}}, "syncs": {"customers": SALE}}
    shop.save()
    sell(shop, ("s5", 5), ("s6", 6))
    assert sync(shop).delivered == 2
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("DELETE FROM sales")
    assert sync(shop).status == "closed"
    with machine(shop) as found:
        assert found.replay("customers").status == "closed"
    sell(shop, ("s4", 4), ("s6", 6), ("s7", 7))
    assert [counts(sync(shop)), counts(sync(shop))] == [(1, 0, 1, 0), (0, 0, 0, 0)]
