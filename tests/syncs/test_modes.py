"""The modes of sending, each over several runs: what leaves, what stays, what is remembered."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rowferry.app import App
from rowferry.delivery.runs import RunResult
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.twins.braze import BrazeTwin
from support.shop import ENVIRONMENT, Shop, balances


def sync(shop: Shop, **arguments: str) -> RunResult:
    """Run the sync in this process."""
    with App(read_settings(shop.config), environment={**ENVIRONMENT, "SHOP_URL": f"sqlite:///{shop.folder}/shop.db"}) as app:
        found = Machine(app).sync("customers", **arguments)
    assert balances(found.to_dict())
    return found


def counts(result: RunResult) -> tuple[int, int, int, int]:
    return result.read, result.unchanged, result.delivered, result.rejected


def test_changed_sends_only_changed_attributes(tmp_path: Path, twin: BrazeTwin) -> None:
    """A changed column on 10 of 5,000 rows: 10 users, one attribute each beside the identifier."""
    shop = Shop(tmp_path, twin)
    shop.fill(5000)
    assert counts(sync(shop)) == (5000, 0, 5000, 0)
    twin.log.clear()
    second = sync(shop)
    assert (counts(second), second.requests, twin.log) == ((5000, 5000, 0, 0), 0, [])
    shop.execute("UPDATE crm.customers SET tier = 'platinum' WHERE id IN (SELECT id FROM crm.customers ORDER BY id LIMIT 10)")
    assert counts(sync(shop)) == (5000, 4990, 10, 0)
    assert all(item.keys() == {"external_id", "tier"} for item in shop.sent())
    assert len(shop.sent()) == 10


def test_a_mapping_that_changes_sends_its_field_anew(tmp_path: Path, twin: BrazeTwin) -> None:
    """A new transform, constant or field is a change of its own, also where no row has changed."""
    shop = Shop(tmp_path, twin)
    shop.fill(3)
    sync(shop)
    twin.log.clear()
    fields = shop.settings["syncs"]["customers"]["map"]
    fields |= {"tier": {"column": "tier", "transform": "upper"}, "source": {"value": "shop"}}
    shop.save()
    assert counts(sync(shop)) == (3, 0, 3, 0)
    assert {frozenset(item) for item in shop.sent()} == {frozenset({"external_id", "tier", "source"})}


@pytest.mark.parametrize(("nulls", "sent"), [("ignore", []), ("unset", [{"external_id": "u1", "tier": None}])])
def test_a_value_that_becomes_null(tmp_path: Path, twin: BrazeTwin, nulls: str, sent: list[object]) -> None:
    """By default a NULL leaves the vendor's value alone; with `nulls: unset` it is taken away, once."""
    shop = Shop(tmp_path, twin, nulls=nulls)
    shop.fill(3)
    sync(shop)
    twin.log.clear()
    shop.execute("UPDATE crm.customers SET tier = NULL WHERE id = 'u1'")
    sync(shop)
    assert shop.sent() == sent
    assert sync(shop).requests == 0


def test_a_first_null_is_never_sent(tmp_path: Path, twin: BrazeTwin) -> None:
    """A NULL that the vendor never had a value for costs no data point, also with `nulls: unset`."""
    shop = Shop(tmp_path, twin, nulls="unset")
    shop.fill(1)
    shop.execute("UPDATE crm.customers SET tier = NULL")
    sync(shop)
    assert "tier" not in shop.sent()[0]


@pytest.mark.parametrize(("on_remove", "left"), [("ignore", {"u0", "u1", "u2"}), ("delete", {"u0", "u2"})])
def test_a_row_that_leaves(tmp_path: Path, twin: BrazeTwin, on_remove: str, left: set[str]) -> None:
    """What happens at the vendor when a row leaves the model is the user's choice; it happens once."""
    shop = Shop(tmp_path, twin, on_remove=on_remove)
    shop.fill(3)
    sync(shop)
    shop.execute("DELETE FROM crm.customers WHERE id = 'u1'")
    sync(shop)
    assert set(twin.profiles) == left
    assert sync(shop).requests == 0


def test_a_row_that_leaves_is_unset(tmp_path: Path, twin: BrazeTwin) -> None:
    """`on_remove: unset` takes every attribute away and forgets the row, so that it comes back whole."""
    shop = Shop(tmp_path, twin, on_remove="unset")
    shop.fill(2)
    sync(shop)
    shop.execute("DELETE FROM crm.customers WHERE id = 'u1'")
    twin.log.clear()
    result = sync(shop)
    assert (result.read, result.delivered) == (2, 1)
    assert shop.sent() == [{"external_id": "u1", "email": None, "tier": None, "branch": None}]
    shop.fill(2)
    twin.log.clear()
    sync(shop)
    assert shop.sent() == [{"external_id": "u1", "email": "u1@example.com", "tier": "gold", "branch": "Bern"}]


def test_rows_without_a_key_are_rejected_and_stay_rejected(tmp_path: Path, twin: BrazeTwin) -> None:
    """A NULL key rejects its row with a reason; the others go; unchanged it counts as unchanged next time."""
    shop = Shop(tmp_path, twin)
    shop.fill(3)
    shop.execute("UPDATE crm.customers SET id = NULL WHERE id = 'u1'")
    first = sync(shop)
    assert counts(first) == (3, 0, 2, 1)
    assert first.rejections[0]["code"] == "missing_key"
    assert counts(sync(shop)) == (3, 3, 0, 0)


def test_a_key_twice_refuses_the_run(tmp_path: Path, twin: BrazeTwin) -> None:
    """Which of two rows with one key is right can't be known: nothing is sent, and the run says which key."""
    shop = Shop(tmp_path, twin)
    shop.fill(3)
    shop.execute("INSERT INTO crm.customers VALUES ('u1', 'other@example.com', 'silver', 'Rome')")
    found = sync(shop)
    assert (found.status, found.pending, found.delivered, twin.requests) == ("refused", 4, 0, 0)
    assert {row["key"] for row in found.rejections} == {"u1"}


def test_a_key_twice_can_be_rejected_alone(tmp_path: Path, twin: BrazeTwin) -> None:
    """With `duplicate_keys: reject` the rows concerned become dead letters and the others go."""
    shop = Shop(tmp_path, twin, guards={"duplicate_keys": "reject"})
    shop.fill(3)
    shop.execute("INSERT INTO crm.customers VALUES ('u1', 'other@example.com', 'silver', 'Rome')")
    assert counts(sync(shop)) == (4, 0, 2, 2)
    assert counts(sync(shop)) == (4, 4, 0, 0)


def test_a_guard_refuses_and_a_person_accepts(tmp_path: Path, twin: BrazeTwin) -> None:
    """Too many changes: nothing leaves until the run is accepted, and then just that run goes out."""
    shop = Shop(tmp_path, twin, guards={"max_changed_percent": 30})
    shop.fill(10)
    sync(shop)
    shop.execute("UPDATE crm.customers SET tier = 'new'")
    refused = sync(shop)
    assert (refused.status, refused.pending) == ("refused", 10)
    assert counts(sync(shop, accept=sync(shop).run)) == (10, 0, 10, 0)


def test_an_empty_source_removes_nothing(tmp_path: Path, twin: BrazeTwin) -> None:
    """A model that is suddenly empty is a fault upstream, not ten thousand people who left."""
    shop = Shop(tmp_path, twin, on_remove="delete")
    shop.fill(5)
    sync(shop)
    shop.execute("DELETE FROM crm.customers")
    assert sync(shop).status == "refused"
    assert len(twin.profiles) == 5


def test_a_dead_letter_goes_again_when_it_changes_or_is_replayed(tmp_path: Path, twin: BrazeTwin) -> None:
    """A rejected row is not sent again as it is; a replay sends it, a change sends it, a delivery closes it."""
    shop = Shop(tmp_path, twin)
    shop.fill(3)
    shop.execute("UPDATE crm.customers SET email = 'not an address' WHERE id = 'u1'")
    assert counts(sync(shop)) == (3, 0, 2, 1)
    requests = twin.requests
    assert counts(sync(shop)) == (3, 3, 0, 0)
    assert twin.requests == requests
    with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
        again = Machine(app).replay("customers")
        assert counts(again) == (1, 0, 0, 1)
        assert Machine(app).replay("customers", code="another").read == 0
        assert len(Machine(app).status()["dead_letters"]) == 1
    shop.execute("UPDATE crm.customers SET email = 'u1@example.com' WHERE id = 'u1'")
    assert counts(sync(shop)) == (3, 2, 1, 0)
    with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
        assert Machine(app).status()["dead_letters"] == []


def events(shop: Shop) -> None:
    """Turn the shop's sync into `send: new` over `crm.sales`."""
    shop.execute("CREATE TABLE crm.sales (customer TEXT, receipt TEXT, total DECIMAL(18, 2), sold_at TIMESTAMP, added_at TIMESTAMP)")
    shop.settings["syncs"]["customers"] = {
        "model": {"table": "crm.sales"},
        "key": "receipt",
        "send": "new",
        "cursor": "added_at",
        "lag": "1h",
        "to": "braze",
        "map": {"external_id": "customer", "name": {"value": "Sale"}, "time": "sold_at"},
        "rest": "properties",
    }
    shop.save()


def sell(shop: Shop, receipt: str, added_at: str) -> None:
    shop.execute(f"INSERT INTO crm.sales VALUES ('u1', '{receipt}', 9.90, '2026-01-01 10:00:00', '{added_at}')")


def test_new_sends_each_row_once(tmp_path: Path, twin: BrazeTwin) -> None:
    """Ties at the cursor and commits that come late within the lag are neither lost nor sent twice."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    sell(shop, "a", "2026-01-02 10:00:00")
    sell(shop, "b", "2026-01-02 12:00:00")
    assert sync(shop).delivered == 2
    assert sync(shop).read == 0
    sell(shop, "tie", "2026-01-02 12:00:00")
    sell(shop, "late", "2026-01-02 11:30:00")
    assert sync(shop).delivered == 2
    sell(shop, "c", "2026-01-02 15:00:00")
    sell(shop, "too late", "2026-01-02 09:00:00")
    assert sync(shop).delivered == 1
    assert sorted(event["properties"]["receipt"] for event in twin.events) == ["a", "b", "c", "late", "tie"]


def test_a_run_of_late_rows_alone_sends_nothing_again(tmp_path: Path, twin: BrazeTwin) -> None:
    """The cursor never moves back: a late row must not wake rows that are older than the lag."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    for receipt, at in (("a", "10:00"), ("b", "11:30"), ("c", "12:00")):
        sell(shop, receipt, f"2026-01-02 {at}:00")
    assert sync(shop).delivered == 3
    sell(shop, "late", "2026-01-02 11:01:00")
    sell(shop, "older than the lag", "2026-01-02 10:30:00")
    assert [sync(shop).delivered, sync(shop).read, sync(shop).read] == [1, 0, 0]
    assert sorted(event["properties"]["receipt"] for event in twin.events) == ["a", "b", "c", "late"]


def sell_for(shop: Shop, receipt: str, total: str, at: str = "2026-01-02 12:00:00") -> None:
    """A sale with a total of its own, at the same moment as the others."""
    shop.execute(f"INSERT INTO crm.sales VALUES ('u1', '{receipt}', {total}, '2026-01-01 10:00:00', '{at}')")


def totals(twin: BrazeTwin) -> list[float]:
    """The totals of the sales that reached the vendor."""
    return sorted(float(event["properties"]["total"]) for event in twin.events)


@pytest.mark.parametrize("later", ["1", "9"])
def test_new_tells_rows_with_one_key_and_cursor_apart(tmp_path: Path, twin: BrazeTwin, later: str) -> None:
    """A key that is not unique loses no row: what comes later with the same cursor goes out, whichever way the two sort."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    sell_for(shop, "a", "5")
    assert sync(shop).delivered == 1
    sell_for(shop, "a", later)
    assert [sync(shop).delivered, sync(shop).read] == [1, 0]
    sell_for(shop, "a", "7")
    assert [sync(shop).delivered, sync(shop).read] == [1, 0]
    assert totals(twin) == sorted([5.0, float(later), 7.0])
    assert len(set(receipt_ids(shop))) == 3


def receipt_ids(shop: Shop) -> list[str]:
    """The rows' ids in the receipts, which vendors know them by."""
    return [str(row_id) for (row_id,) in shop.execute("SELECT row_id FROM rowferry.receipts")]


def test_new_sends_rows_that_are_the_same_to_the_last_column_each_once(tmp_path: Path, twin: BrazeTwin) -> None:
    """Two rows that can't be told apart are two rows, in one run or in two."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    for expected in ([1, 0], [2, 0]):
        for _ in range(expected[0]):
            sell_for(shop, "a", "5")
        assert [sync(shop).delivered, sync(shop).read] == expected
    assert totals(twin) == [5.0] * 3
    assert len(set(receipt_ids(shop))) == 3


@pytest.mark.parametrize("keyed", [True, False])
def test_new_finds_no_row_new_for_being_read_twice(tmp_path: Path, twin: BrazeTwin, keyed: bool) -> None:
    """With a key or without one, with a NULL key or cursor or not: what has its outcome is not read again."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    if not keyed:
        del shop.settings["syncs"]["customers"]["key"]
    shop.save()
    for receipt, at in (("'a'", "'2026-01-02'"), ("NULL", "'2026-01-02'"), ("'a'", "NULL"), ("NULL", "NULL")):
        for total in (1, 2, 2):
            shop.execute(f"INSERT INTO crm.sales VALUES ('u1', {receipt}, {total}, '2026-01-01', {at})")
    assert [sync(shop).read, sync(shop).read] == [12, 0]


def test_new_takes_a_row_that_is_edited_in_place_for_the_one_it_was(tmp_path: Path, twin: BrazeTwin) -> None:
    """A row whose cursor did not move is not new, whatever else of it changed; one that comes beside it is."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    sell_for(shop, "a", "5")
    sync(shop)
    shop.execute("UPDATE crm.sales SET total = 6")
    assert sync(shop).read == 0
    sell_for(shop, "a", "4")
    sync(shop)
    assert 4.0 in totals(twin)
    assert sync(shop).read == 0


def test_new_reads_the_memory_of_an_earlier_version(tmp_path: Path, twin: BrazeTwin) -> None:
    """What was remembered without the rows' content still keeps rows from being sent again, and no new one from being sent."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    for receipt in ("a", "b"):
        sell_for(shop, receipt, "5")
    sync(shop)
    (table,) = [name for (name,) in shop.execute("SELECT table_name FROM duckdb_tables()") if name.startswith("sent_")]
    shop.execute(f"ALTER TABLE rowferry.{table} DROP COLUMN row_print")
    assert sync(shop).read == 0
    sell_for(shop, "c", "5")
    assert [sync(shop).delivered, sync(shop).read] == [1, 0]


def test_a_row_that_was_rejected_is_replayed_under_its_id_once_it_is_mended(tmp_path: Path, twin: BrazeTwin) -> None:
    """What its dead letter names is the row with its key and cursor, though other rows have come to share them since."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    shop.execute("INSERT INTO crm.sales VALUES (NULL, 'a', 5, '2026-01-01', '2026-01-02 12:00:00')")
    assert sync(shop).rejected == 1
    sell_for(shop, "a", "7")
    assert sync(shop).delivered == 1
    with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
        assert counts(Machine(app).replay("customers")) == (1, 0, 0, 1)
        shop.execute("UPDATE crm.sales SET customer = 'u9' WHERE customer IS NULL")
        assert counts(Machine(app).replay("customers")) == (1, 0, 1, 0)
        assert Machine(app).status()["dead_letters"] == []
    assert totals(twin) == [5.0, 7.0]


def test_a_backfill_names_rows_as_the_sync_did(tmp_path: Path, twin: BrazeTwin) -> None:
    """A vendor that knows repeats by their id takes nothing twice from a backfill, nor does the sync after it."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    for total in ("5", "9"):
        sell_for(shop, "a", total)
        sync(shop)
    with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
        again = Machine(app).backfill("customers", "2026-01-02", "2026-01-02")
    assert isinstance(again, RunResult)
    assert again.delivered == 2
    assert len(set(receipt_ids(shop))) == 2
    sell_for(shop, "a", "7")
    assert [sync(shop).delivered, sync(shop).read] == [1, 0]


def test_new_leaves_rows_of_the_future_for_later(tmp_path: Path, twin: BrazeTwin) -> None:
    """A cursor ahead of the clock does not move the sync past the rows that come before it."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    sell(shop, "future", "2999-01-01 00:00:00")
    assert sync(shop).read == 0
    sell(shop, "now", "2026-01-02 10:00:00")
    assert sync(shop).delivered == 1


def test_new_rejects_a_row_without_its_cursor_once(tmp_path: Path, twin: BrazeTwin) -> None:
    """A NULL cursor would never be new: the row is said to be rejected, once, not passed over."""
    shop = Shop(tmp_path, twin)
    shop.fill(1)
    events(shop)
    shop.execute("INSERT INTO crm.sales VALUES ('u1', 'x', 1, '2026-01-01', NULL)")
    assert counts(sync(shop)) == (1, 0, 0, 1)
    assert sync(shop).read == 0


def test_an_audience_enters_and_leaves(tmp_path: Path, twin: BrazeTwin) -> None:
    """Who is in the query has the attribute true; who left has it false; nobody is told twice."""
    shop = Shop(tmp_path, twin)
    shop.fill(3)
    shop.settings["syncs"]["customers"] = {
        "model": {"sql": "SELECT id FROM crm.customers WHERE tier = 'gold'"},
        "key": "id", "send": "audience", "audience": "vip", "to": "braze", "map": {"external_id": "id"},
    }  # fmt: skip
    shop.save()
    assert sync(shop).delivered == 3
    shop.execute("UPDATE crm.customers SET tier = 'silver' WHERE id = 'u1'")
    assert sync(shop).delivered == 1
    assert {name: profile["vip"] for name, profile in twin.profiles.items()} == {"u0": True, "u1": False, "u2": True}
    assert sync(shop).requests == 0
    shop.execute("UPDATE crm.customers SET tier = 'gold' WHERE id = 'u1'")
    sync(shop)
    assert twin.profiles["u1"]["vip"] is True


def test_all_sends_everything_each_time(tmp_path: Path, twin: BrazeTwin) -> None:
    """`send: all` compares with nothing."""
    shop = Shop(tmp_path, twin, send="all")
    shop.fill(4)
    assert [counts(sync(shop)), counts(sync(shop))] == [(4, 0, 4, 0)] * 2


def test_all_leaves_dead_letters_until_they_change(tmp_path: Path, twin: BrazeTwin) -> None:
    """What was rejected counts as unchanged in the next run, and goes again once the row or its mapping differs."""
    shop = Shop(tmp_path, twin, send="all")
    shop.fill(3)
    shop.execute("UPDATE crm.customers SET email = 'not an address' WHERE id = 'u1'; UPDATE crm.customers SET id = NULL WHERE id = 'u2'")
    assert [counts(sync(shop)), counts(sync(shop))] == [(3, 0, 1, 2), (3, 2, 1, 0)]
    shop.execute("UPDATE crm.customers SET email = 'u1@example.com' WHERE id = 'u1'")
    assert [counts(sync(shop)), counts(sync(shop))] == [(3, 1, 2, 0), (3, 1, 2, 0)]


def test_all_knows_a_dead_letter_among_rows_with_its_key(tmp_path: Path, twin: BrazeTwin) -> None:
    """A row that shares its key with a dead letter is sent; the dead letter waits until it is replayed or changes."""
    shop = Shop(tmp_path, twin, send="all")
    shop.fill(1)
    shop.execute("UPDATE crm.customers SET email = 'not an address'")
    assert counts(sync(shop)) == (1, 0, 0, 1)
    shop.execute("INSERT INTO crm.customers VALUES ('u0', 'a@example.com', 'gold', 'Bern')")
    assert [counts(sync(shop)), counts(sync(shop))] == [(2, 1, 1, 0)] * 2
    with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
        assert counts(Machine(app).replay("customers")) == (1, 0, 0, 1)
        assert [letter["rows"] for letter in Machine(app).status()["dead_letters"]] == [1]
    assert counts(sync(shop)) == (2, 1, 1, 0)


def test_all_takes_nulls_away_when_told(tmp_path: Path, twin: BrazeTwin) -> None:
    """With `nulls: unset` a NULL is sent as one; by default it is left out."""
    shop = Shop(tmp_path, twin, send="all", nulls="unset", map={"external_id": "id", "tier": "tier"})
    shop.fill(1)
    shop.execute("UPDATE crm.customers SET tier = NULL")
    sync(shop)
    assert shop.sent() == [{"external_id": "u0", "tier": None}]


def test_an_empty_key_is_a_dead_letter_once(tmp_path: Path, twin: BrazeTwin) -> None:
    """A key of empty text that the vendor's rules refuse is rejected, and then left alone like any other."""
    shop = Shop(tmp_path, twin)
    shop.execute(
        "CREATE SCHEMA crm; CREATE TABLE crm.customers AS SELECT '' AS id, NULL AS email, i AS tier, NULL AS branch FROM range(1) t(i)"
    )
    for tier in range(6):  # a print may be positive or negative
        shop.execute(f"UPDATE crm.customers SET tier = {tier}")
        assert [counts(sync(shop)), counts(sync(shop))] == [(1, 0, 0, 1), (1, 1, 0, 0)]


def test_a_queue_in_a_database_is_emptied_once(tmp_path: Path, twin: BrazeTwin) -> None:
    """Rows without a mark are sent and marked once they have their outcome, the rejected ones too."""
    shop = Shop(tmp_path, twin)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY, customer TEXT, email TEXT, sent_at TIMESTAMP)")
        rows = [(1, "u1", "a@example.com"), (2, "u2", "no address"), (3, "u3", "c@example.com")]
        connection.executemany("INSERT INTO outbox VALUES (?, ?, ?, NULL)", rows)
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"]["customers"] = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at",
        "to": "braze", "action": "profile", "map": {"external_id": "customer", "email": "email"},
    }  # fmt: skip
    shop.save()
    assert counts(sync(shop)) == (3, 0, 2, 1)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL").fetchone() == (0,)
        connection.execute("INSERT INTO outbox VALUES (4, 'u4', 'd@example.com', NULL)")
    assert counts(sync(shop)) == (1, 0, 1, 0)
    assert counts(sync(shop)) == (0, 0, 0, 0)


def test_changed_rows_come_from_a_database_too(tmp_path: Path, twin: BrazeTwin) -> None:
    """A model in a database is compared with the delivered state like any other."""
    shop = Shop(tmp_path, twin)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE people (id TEXT PRIMARY KEY, tier TEXT)")
        connection.executemany("INSERT INTO people VALUES (?, 'gold')", [(f"u{i}",) for i in range(50)])
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL", "page_rows": 7}}
    shop.settings["syncs"]["customers"] |= {"model": {"database": "shop", "table": "people"}, "map": {"external_id": "id", "tier": "tier"}}
    shop.save()
    assert counts(sync(shop)) == (50, 0, 50, 0)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("UPDATE people SET tier = 'silver' WHERE id = 'u7'")
    assert counts(sync(shop)) == (50, 49, 1, 0)


@pytest.mark.parametrize("name", ["crm.duckdb", "rowferry.duckdb", "it's.duckdb"])
def test_the_warehouse_file_may_be_called_as_a_schema(tmp_path: Path, twin: BrazeTwin, name: str) -> None:
    """A file's name never gets in the way of a schema's."""
    shop = Shop(tmp_path, twin)
    shop.fill(3)
    (tmp_path / "warehouse.duckdb").rename(tmp_path / name)
    shop.settings["warehouse"]["path"] = name
    shop.save()
    assert counts(sync(shop)) == (3, 0, 3, 0)


def test_a_removal_needs_the_identifier_in_the_key(tmp_path: Path, twin: BrazeTwin) -> None:
    """Of a row that has left only its key is known: a sync that could not say whom to remove fails at once."""
    shop = Shop(tmp_path, twin, on_remove="delete", key="email")
    shop.fill(2)
    found = sync(shop)
    assert (found.status, twin.requests) == ("failed", 0)
    assert "external_id" in found.reason
