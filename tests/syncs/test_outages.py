"""A database that is out of reach while runs are open: it holds up its own sync and no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress

import pytest

from rowferry.app import App
from rowferry.databases.database import Database
from rowferry.delivery.chunk import OUTBOX
from rowferry.delivery.runs import Head, Run
from rowferry.errors import TryLater
from rowferry.machine import Machine
from support.runs import machine
from support.shop import Shop


@pytest.fixture
def app(shop: Shop) -> Iterator[App]:
    """A queue in a database, which comes first, and a sync of the warehouse."""
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY, customer TEXT, sent_at TIMESTAMP)")
        connection.execute("INSERT INTO outbox VALUES (1, 'u1', NULL)")
    queue = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "braze",
        "action": "profile", "map": {"external_id": "customer", "number": "id"},
    }  # fmt: skip
    shop.settings |= {"databases": {"shop": {"url": "env:SHOP_URL"}}, "syncs": {"a_queue": queue, **shop.settings["syncs"]}}
    shop.save()
    with machine(shop) as found:
        yield found.app


def status(app: App, sync: str) -> str:
    return Run(app.state, sync, Head(app.state, sync).read() or "").result().status


@pytest.mark.parametrize("planned", [True, False])
def test_a_database_out_of_reach_holds_up_no_other_sync(app: App, planned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows can't be marked, or not be read: the sweep closes the other run all the same, and this one when the database is back."""

    def gone(_self: Database) -> Iterator[None]:
        raise TryLater("databases.shop can't be used just now")

    with monkeypatch.context() as outage:
        if not planned:
            outage.setattr(Database, "connection", gone)
        for name in ("a_queue", "customers"):
            with suppress(TryLater):
                app.start_sync(name)
        for key in [found.key for found in app.state.list(OUTBOX)]:
            assert app.deliver_chunk(key).status == "settled"
        outage.setattr(Database, "connection", gone)
        app.sweep()
        assert (status(app, "a_queue"), status(app, "customers")) == ("open", "closed")
    app.sweep()
    for key in [found.key for found in app.state.list(OUTBOX)]:
        app.deliver_chunk(key)
    app.sweep()
    assert status(app, "a_queue") == "closed"


def test_on_one_machine_the_others_go_on_too(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be done now is said in the end, when all others had their turn."""

    def gone(_self: Database) -> Iterator[None]:
        raise TryLater("databases.shop can't be used just now")

    monkeypatch.setattr(Database, "connection", gone)
    with suppress(TryLater):
        app.start_sync("a_queue")
    app.start_sync("customers")
    with pytest.raises(TryLater, match="just now"):
        Machine(app).sweep()
    assert (status(app, "a_queue"), status(app, "customers")) == ("open", "closed")
