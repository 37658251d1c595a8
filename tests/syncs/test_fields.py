"""Which columns `rest` takes: all that nothing else speaks for."""

from __future__ import annotations

import sqlite3

from rowferry.twins.braze import BrazeTwin
from support.runs import counts, letters, machine, sync
from support.shop import Shop


def test_a_mapped_field_wins_over_a_column_of_its_name(shop: Shop, twin: BrazeTwin) -> None:
    """The model has `email` and a cleaner one that is mapped to it: that one leaves, and no row is rejected for having two."""
    shop.execute("ALTER TABLE crm.customers ADD COLUMN clean TEXT; UPDATE crm.customers SET clean = 'a-' || email")
    shop.settings["syncs"]["customers"] |= {"map": {"external_id": "id", "email": "clean"}, "rest": "attributes"}
    shop.save()
    assert counts(sync(shop)) == (3, 0, 3, 0)
    assert twin.profiles["u1"] == {"email": "a-u1@example.com", "tier": "gold", "branch": "Bern"}


def test_a_column_called_as_the_audience_is_no_second_word(shop: Shop, twin: BrazeTwin) -> None:
    """Who is in the query is a member, and the column that says the same is not sent beside it."""
    shop.settings["syncs"]["customers"] = {
        "model": {"sql": "SELECT id, tier, TRUE AS vip FROM crm.customers"}, "key": "id", "send": "audience", "audience": "vip",
        "to": "braze", "map": {"external_id": "id"}, "rest": "attributes",
    }  # fmt: skip
    shop.save()
    assert counts(sync(shop)) == (3, 0, 3, 0)
    assert twin.profiles["u1"] == {"tier": "gold", "vip": True}


def test_a_queue_s_mark_is_nobody_s_attribute(shop: Shop, twin: BrazeTwin) -> None:
    """What the queue notes for itself does not leave with the row, not even in a replay, where it is set."""
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY, email TEXT, tier TEXT, sent_at TIMESTAMP)")
        connection.execute("INSERT INTO outbox VALUES (1, 'no address', 'gold', NULL)")
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"]["customers"] = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "braze",
        "action": "profile", "map": {"external_id": {"column": "id", "transform": "string"}}, "rest": "attributes",
    }  # fmt: skip
    shop.save()
    assert counts(sync(shop)) == (1, 0, 0, 1)
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("UPDATE outbox SET email = 'a@example.com'")
    with machine(shop) as found:
        assert counts(found.replay("customers")) == (1, 0, 1, 0)
        assert found.replay("customers").read == 0
    assert twin.profiles == {"1": {"email": "a@example.com", "tier": "gold"}}
    assert letters(shop) == []


def test_whom_a_removal_unsets_keeps_what_nulls_leave_alone(shop: Shop, twin: BrazeTwin) -> None:
    """`on_remove: unset` is about rows that left: a value that the mapping makes NULL is left alone, as `nulls: ignore` says."""
    tier = {"column": "tier", "transform": [{"map": {"none": None}}]}
    shop.settings["syncs"]["customers"] |= {"map": {"external_id": "id", "tier": tier, "branch": "branch"}, "on_remove": "unset"}
    shop.save()
    sync(shop)
    shop.execute("UPDATE crm.customers SET tier = 'none', branch = 'Rome' WHERE id = 'u1'; DELETE FROM crm.customers WHERE id = 'u2'")
    twin.log.clear()
    assert sync(shop).delivered == 2
    sent = sorted(shop.sent(), key=lambda found: str(found["external_id"]))
    assert sent == [{"external_id": "u1", "branch": "Rome"}, {"external_id": "u2", "tier": None, "branch": None}]
