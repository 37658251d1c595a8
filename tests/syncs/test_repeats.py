"""What makes a row the same row to a vendor that drops repeats, where no cursor tells two apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from rowferry.twins.amplitude import AmplitudeTwin
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.runs import counts, letters, machine, sync
from support.shop import Shop

UNAUTHORIZED = Response(401, b'{"message":"Invalid API key"}')
EVENT = {"user_id": "id", "name": {"value": "Total"}, "time": "day", "total": "total"}


@pytest.fixture
def amplitude(shop: Shop) -> Iterator[AmplitudeTwin]:
    """Amplitude's stand-in, which keeps one event of each `insert_id`."""
    with AmplitudeTwin() as twin:
        shop.settings["destinations"]["amplitude"] = {"vendor": "amplitude", "base_url": twin.url, "api_key": "env:ANY_KEY"}
        yield twin


def totals(amplitude: AmplitudeTwin) -> list[Any]:
    return sorted(event["event_properties"]["total"] for event in amplitude.events)


def test_all_sends_a_key_that_has_new_content_as_a_new_event(shop: Shop, amplitude: AmplitudeTwin) -> None:
    """A table of each person's last day: tomorrow's event is no repeat of today's; what did not change is one."""
    shop.execute("CREATE TABLE crm.days AS SELECT 'user-' || i AS id, DATE '2026-01-01' AS day, i AS total FROM range(3) t(i)")
    shop.settings["syncs"]["customers"] = {
        "model": {"table": "crm.days"}, "key": "id", "send": "all", "to": "amplitude", "action": "event", "map": EVENT,
    }  # fmt: skip
    shop.save()
    assert sync(shop).delivered == 3
    shop.execute("UPDATE crm.days SET day = '2026-01-02', total = total + 10 WHERE id != 'user-0'")
    assert sync(shop).delivered == 3
    assert totals(amplitude) == [0, 1, 2, 11, 12]


def test_a_queue_sends_a_key_that_comes_again(shop: Shop, amplitude: AmplitudeTwin) -> None:
    """A person's second sale has the key of the first, which was sent and marked: it is no repeat of it. What is rejected
    and mended closes its dead letter."""
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id TEXT, day TEXT, total INT, sent_at TIMESTAMP)")
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"]["customers"] = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "amplitude",
        "action": "event", "map": EVENT,
    }  # fmt: skip
    shop.save()
    for total, day, outcome in ((1, "2026-01-01", (1, 0, 1, 0)), (2, "2026-01-02", (1, 0, 1, 0)), (3, "no day", (1, 0, 0, 1))):
        with sqlite3.connect(shop.folder / "shop.db") as connection:
            connection.execute("INSERT INTO outbox VALUES ('user-1', ?, ?, NULL)", (day, total))
        assert counts(sync(shop)) == outcome
    assert (totals(amplitude), len(letters(shop))) == ([1, 2], 1)
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("UPDATE outbox SET day = '2026-01-03', sent_at = NULL WHERE total = 3")
    assert counts(sync(shop)) == (1, 0, 1, 0)
    assert (totals(amplitude), letters(shop)) == ([1, 2, 3], [])


def test_a_queue_s_dead_letters_are_replayed(shop: Shop, amplitude: AmplitudeTwin) -> None:
    """A rejected row has its mark, so a replay looks at rows whatever theirs is; others with its key stay where they are."""
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id TEXT, day TEXT, total INT, sent_at TIMESTAMP)")
        connection.execute("INSERT INTO outbox VALUES ('user-1', '2026-01-01', 1, NULL), ('user-1', 'no day', 2, NULL)")
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"]["customers"] = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "amplitude",
        "action": "event", "map": EVENT,
    }  # fmt: skip
    shop.save()
    assert counts(sync(shop)) == (2, 0, 1, 1)
    with machine(shop) as found:
        assert found.replay("customers", code="another").read == 0
        assert [counts(found.replay("customers")) for _ in range(2)] == [(1, 0, 0, 1)] * 2
    assert (totals(amplitude), len(letters(shop))) == ([1], 1)


def test_rows_are_marked_where_they_were_taken_from(shop: Shop, twin: BrazeTwin) -> None:
    """The sync was pointed at another table, with another key, while its run was open: the rows there are not taken for sent."""
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        for table in ("outbox", "newer"):
            connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, customer TEXT, number INTEGER, sent_at TIMESTAMP)")
            connection.execute(f"INSERT INTO {table} VALUES (1, '{table}-1', 2, NULL), (2, '{table}-2', 1, NULL)")
    queue = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "braze",
        "action": "profile", "map": {"external_id": "customer", "number": "number"},
    }  # fmt: skip
    shop.settings |= {"databases": {"shop": {"url": "env:SHOP_URL"}}, "syncs": {"customers": queue}}
    shop.save()
    twin.faults.append(Fault(response=UNAUTHORIZED))
    assert sync(shop).status == "failed"
    shop.settings["syncs"]["customers"] = {**queue, "model": {"database": "shop", "table": "newer"}, "key": "number"}
    shop.save()
    assert [counts(sync(shop)), counts(sync(shop)), counts(sync(shop))] == [(2, 0, 2, 0), (2, 0, 2, 0), (0, 0, 0, 0)]
    assert set(twin.profiles) == {"outbox-1", "outbox-2", "newer-1", "newer-2"}


def test_a_queue_s_row_without_a_key_is_rejected_once(shop: Shop, twin: BrazeTwin) -> None:
    """It can't be marked, so each run reads it: it is told of once, counts as unchanged then, and leaves once it has a key."""
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id TEXT, tier TEXT, sent_at TIMESTAMP)")
        connection.execute("INSERT INTO outbox VALUES (NULL, 'gold', NULL), ('u1', 'gold', NULL)")
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"]["customers"] = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "braze",
        "action": "profile", "map": {"external_id": "id", "tier": "tier"},
    }  # fmt: skip
    shop.save()
    assert counts(sync(shop)) == (2, 0, 1, 1)
    assert counts(sync(shop)) == (1, 1, 0, 0)
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("UPDATE outbox SET id = 'u2' WHERE id IS NULL")
    assert counts(sync(shop)) == (1, 0, 1, 0)
    assert set(twin.profiles) == {"u1", "u2"}


def test_a_queue_by_a_floating_point_number_is_refused(shop: Shop, twin: BrazeTwin) -> None:
    """Such a number may equal nothing, not even itself as it was read: its row would be sent again in every run."""
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id REAL, tier TEXT, sent_at TIMESTAMP)")
        connection.execute("INSERT INTO outbox VALUES (0.1, 'gold', NULL)")
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"]["customers"] = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "braze",
        "action": "profile", "map": {"external_id": {"column": "id", "transform": "string"}, "tier": "tier"},
    }  # fmt: skip
    shop.save()
    refused = sync(shop)
    assert (refused.status, twin.profiles) == ("failed", {})
    assert "floating-point" in refused.reason
