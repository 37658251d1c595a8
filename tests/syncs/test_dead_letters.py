"""Dead letters that tell of nothing any more: each goes with the run that sees it."""

from __future__ import annotations

import pytest

from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.runs import counts, letters, machine, sync
from support.shop import Shop

UNAUTHORIZED = Response(401, b'{"message":"Invalid API key"}')


@pytest.mark.parametrize("again", ["sync", "replay"])
def test_a_row_that_is_as_it_was_delivered(shop: Shop, again: str) -> None:
    """A bad value that was taken back: there is nothing to send, and nothing is wrong any more."""
    sync(shop)
    shop.execute("UPDATE crm.customers SET email = 'not an address' WHERE id = 'u1'")
    assert counts(sync(shop)) == (3, 2, 0, 1)
    shop.execute("UPDATE crm.customers SET email = 'u1@example.com' WHERE id = 'u1'")
    with machine(shop) as found:
        result = found.sync("customers") if again == "sync" else found.replay("customers")
    assert (result.unchanged, result.requests) == (result.read, 0)
    assert letters(shop) == []


def test_a_row_that_got_its_key(shop: Shop) -> None:
    """Without a key it is known by its content alone, so with one it is another row: the first is there no more."""
    shop.execute("UPDATE crm.customers SET id = NULL WHERE id = 'u1'")
    assert sync(shop).rejected == 1
    assert sync(shop).unchanged == 3
    assert letters(shop) == ["missing_key"]
    shop.execute("UPDATE crm.customers SET id = 'u1' WHERE id IS NULL")
    assert counts(sync(shop)) == (3, 2, 1, 0)
    assert letters(shop) == []


def test_a_row_that_left(shop: Shop, twin: BrazeTwin) -> None:
    """What was rejected and is gone from the model can't be mended there; back as it was, it is tried once more."""
    shop.execute("UPDATE crm.customers SET email = 'not an address' WHERE id = 'u1'")
    sync(shop)
    shop.execute("CREATE TABLE crm.away AS SELECT * FROM crm.customers WHERE id = 'u1'; DELETE FROM crm.customers WHERE id = 'u1'")
    assert counts(sync(shop)) == (2, 2, 0, 0)
    assert letters(shop) == []
    shop.execute("INSERT INTO crm.customers SELECT * FROM crm.away")
    assert counts(sync(shop)) == (3, 2, 0, 1)


def test_a_removal_whose_row_is_back(shop: Shop, twin: BrazeTwin) -> None:
    """It was given up; the row is back, so that it is removed when it leaves the next time."""
    shop.settings["syncs"]["customers"]["on_remove"] = "delete"
    shop.save()
    sync(shop)
    shop.execute("DELETE FROM crm.customers WHERE id = 'u1'")
    twin.faults.append(Fault(response=UNAUTHORIZED))
    stuck = sync(shop)
    with machine(shop) as found:
        assert found.drop("customers", stuck.run).rejected == 1
    assert sync(shop).requests == 0
    shop.fill(3)
    assert (sync(shop).requests, letters(shop)) == (0, [])
    shop.execute("DELETE FROM crm.customers WHERE id = 'u1'")
    assert (sync(shop).delivered, "u1" in twin.profiles) == (1, False)


def test_a_removal_that_is_wanted_no_more(shop: Shop, twin: BrazeTwin) -> None:
    """It was given up, and nobody is to be removed since: there is nothing left to mend."""
    shop.settings["syncs"]["customers"]["on_remove"] = "delete"
    shop.save()
    sync(shop)
    shop.execute("DELETE FROM crm.customers WHERE id = 'u1'")
    twin.faults.append(Fault(response=UNAUTHORIZED))
    stuck = sync(shop)
    with machine(shop) as found:
        assert found.drop("customers", stuck.run).rejected == 1
    assert counts(sync(shop)) == (2, 2, 0, 0)
    assert letters(shop) == ["dropped"]
    shop.settings["syncs"]["customers"]["on_remove"] = "ignore"
    shop.save()
    assert counts(sync(shop)) == (2, 2, 0, 0)
    assert letters(shop) == []


def test_a_refused_run_balances_whatever_its_rows_lack(shop: Shop) -> None:
    """Without a cursor or without a key a row is rejected; all others are pending until somebody accepts."""
    shop.execute("CREATE TABLE crm.sales (id TEXT, added_at TIMESTAMP)")
    shop.execute("INSERT INTO crm.sales VALUES ('a', NULL), (NULL, '2025-01-01'), ('b', '2025-01-01')")
    shop.settings["syncs"]["customers"] = {
        "model": {"table": "crm.sales"}, "key": "id", "send": "new", "cursor": "added_at", "to": "braze", "guards": {"min_rows": 10},
        "map": {"external_id": "id", "name": {"value": "Sale"}, "time": {"value": "2026-01-01T00:00:00Z"}},
    }  # fmt: skip
    shop.save()
    refused = sync(shop)
    assert (refused.status, counts(refused), refused.pending) == ("refused", (3, 0, 0, 2), 1)
    assert counts(sync(shop, accept=refused.run)) == (3, 0, 1, 2)


def test_all_closes_what_left(shop: Shop) -> None:
    """A run that reads every row sees which rejected one is there no more."""
    shop.settings["syncs"]["customers"]["send"] = "all"
    shop.save()
    shop.execute("UPDATE crm.customers SET email = 'not an address' WHERE id = 'u1'")
    assert counts(sync(shop)) == (3, 0, 2, 1)
    assert counts(sync(shop)) == (3, 1, 2, 0)
    shop.execute("DELETE FROM crm.customers WHERE id = 'u1'")
    assert counts(sync(shop)) == (2, 0, 2, 0)
    assert letters(shop) == []


@pytest.mark.parametrize("mended", ["moved", "deleted"])
def test_a_replay_of_new_closes_what_is_there_no_more(shop: Shop, mended: str) -> None:
    """A row whose cursor moved as it was mended is another one, that was sent; what remains to be mended stays."""
    shop.execute("ALTER TABLE crm.customers ADD COLUMN seen TIMESTAMPTZ DEFAULT '2024-01-01 00:00:00+00'")
    shop.execute("UPDATE crm.customers SET email = 'not an address' WHERE id IN ('u1', 'u2')")
    shop.settings["syncs"]["customers"] |= {"send": "new", "cursor": "seen", "action": "profile"}
    shop.save()
    assert counts(sync(shop)) == (3, 0, 1, 2)
    if mended == "moved":
        shop.execute("UPDATE crm.customers SET email = 'a@example.com', seen = '2024-02-01 00:00:00+00' WHERE id = 'u1'")
        assert counts(sync(shop)) == (1, 0, 1, 0)
    else:
        shop.execute("DELETE FROM crm.customers WHERE id = 'u1'")
    with machine(shop) as found:
        assert counts(found.replay("customers", code="no_such_code")) == (0, 0, 0, 0)
        assert len(list(found.rejects("customers"))) == 2
        assert counts(found.replay("customers")) == (1, 0, 0, 1)
        assert len(list(found.rejects("customers"))) == 1
    shop.execute("UPDATE crm.customers SET email = 'b@example.com' WHERE id = 'u2'")
    with machine(shop) as found:
        assert counts(found.replay("customers")) == (1, 0, 1, 0)
    assert letters(shop) == []


def test_a_destination_that_the_sync_has_left_takes_its_letters_along(shop: Shop) -> None:
    """Nothing is sent there any more, so that nothing of it is left to be mended."""
    shop.execute("UPDATE crm.customers SET email = 'not an address' WHERE id = 'u1'")
    sync(shop)
    shop.settings["destinations"]["other"] = shop.settings["destinations"]["braze"]
    shop.settings["syncs"]["customers"]["to"] = "other"
    shop.save()
    assert counts(sync(shop)) == (3, 0, 2, 1)
    with machine(shop) as found:
        assert [row["destination"] for row in found.rejects("customers")] == ["other"]
    shop.execute("UPDATE crm.customers SET email = 'u1@example.com' WHERE id = 'u1'")
    assert counts(sync(shop)) == (3, 2, 1, 0)
    assert letters(shop) == []
