"""`send: new` under any order of arrivals: whatever key, cursor and content rows share, each leaves once."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.app import App
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.syncs.shape import sent_table
from rowferry.twins.braze import BrazeTwin
from support.shop import ENVIRONMENT, Shop, balances

# Few keys, moments and contents, so that rows share them all the time; the moments lie within the lag.
rows = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([0, 20, 40]), st.sampled_from([1, 2, 3])), max_size=5)


@given(arrivals=st.lists(rows, min_size=1, max_size=4))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_row_leaves_once(arrivals: list[list[tuple[str, int, int]]]) -> None:
    """Ties, late commits, keys that are not unique and rows that are the same to the last column, over several runs."""
    with tempfile.TemporaryDirectory() as folder, BrazeTwin() as twin:
        shop = Shop(Path(folder), twin)
        shop.execute("CREATE SCHEMA crm; CREATE TABLE crm.sales (receipt TEXT, minute INT, total INT, added_at TIMESTAMP)")
        shop.settings["syncs"]["customers"] = {
            "model": {"table": "crm.sales"}, "key": "receipt", "send": "new", "cursor": "added_at", "lag": "1h", "to": "braze",
            "map": {"external_id": "receipt", "name": {"value": "Sale"}, "time": {"value": "2026-01-01T00:00:00Z"}},
            "rest": "properties",
        }  # fmt: skip
        shop.save()
        for some in arrivals:
            for receipt, minute, total in some:
                at = f"TIMESTAMP '2026-01-02' + INTERVAL {minute} MINUTE"
                shop.execute(f"INSERT INTO crm.sales VALUES ('{receipt}', {minute}, {total}, {at})")
            with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
                found = Machine(app).sync("customers")
            assert (found.status, found.delivered) == ("closed", len(some))
            assert balances(found.to_dict())
        sent = Counter((e["external_id"], e["properties"]["minute"], e["properties"]["total"]) for e in twin.events)
        assert sent == Counter(row for some in arrivals for row in some)
        ids = [row_id for (row_id,) in shop.execute("SELECT row_id FROM rowferry.receipts")]
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("change", ["UPDATE crm.sales SET total = 'z'", f"UPDATE {sent_table('customers', 'braze')} SET row_print = NULL"])
def test_what_was_replaced_hides_no_row_that_comes_later(tmp_path: Path, change: str) -> None:
    """A row is edited while another of its key and cursor comes: which is which can't be known, so both are sent, and what was
    known of the first is forgotten, or the next new one would be taken for it. So it is with what an earlier version remembered."""
    with BrazeTwin() as twin:
        shop = Shop(tmp_path, twin)
        shop.execute("CREATE SCHEMA crm; CREATE TABLE crm.sales (receipt TEXT, total TEXT, added_at TIMESTAMP)")
        shop.settings["syncs"]["customers"] = {
            "model": {"table": "crm.sales"}, "key": "receipt", "send": "new", "cursor": "added_at", "lag": "1h", "to": "braze",
            "map": {"external_id": "receipt", "name": {"value": "Sale"}, "time": {"value": "2026-01-01T00:00:00Z"}, "total": "total"},
        }  # fmt: skip
        shop.save()

        def add(total: str) -> int:
            shop.execute(f"INSERT INTO crm.sales VALUES ('a', '{total}', TIMESTAMP '2026-01-02')")
            with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
                return Machine(app).sync("customers").delivered

        assert add("1") == 1
        shop.execute(change)
        assert (add("2"), add("3"), add("4")) == (2, 1, 1)
        assert {event["properties"].get("total") for event in twin.events} >= {"1", "2", "3", "4"}
