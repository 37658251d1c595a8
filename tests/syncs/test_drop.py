"""Giving an open run up: what was delivered stays delivered, the rest is rejected with a reason, the balance closes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from rowferry.app import App
from rowferry.delivery import claim
from rowferry.delivery.chunk import OUTBOX
from rowferry.delivery.runs import RunResult
from rowferry.errors import TryLater, UsageError
from rowferry.machine import Machine
from rowferry.owner import Owner
from rowferry.settings.file import read_settings
from rowferry.stores.folder import FolderStore
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.shop import ENVIRONMENT, Shop, balances

UNAUTHORIZED = Response(401, b'{"message":"Invalid API key"}')


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    """300 customers, and requests one after the other."""
    found = Shop(tmp_path, twin, in_flight=1, chunk_rows=100)
    found.fill(300)
    return found


def machine(shop: Shop) -> App:
    return App(read_settings(shop.config), environment={**ENVIRONMENT, "SHOP_URL": f"sqlite:///{shop.folder}/shop.db"})


def sync(shop: Shop) -> RunResult:
    with machine(shop) as app:
        return Machine(app).sync("customers")


def drop(shop: Shop, run: str) -> RunResult:
    with machine(shop) as app:
        found = Machine(app).drop("customers", run)
    assert balances(found.to_dict())
    return found


def half_way(shop: Shop, twin: BrazeTwin) -> RunResult:
    """A run that the vendor refused in its second chunk."""
    twin.faults.append(Fault(response=UNAUTHORIZED, when=lambda call: b'"u190"' in call.body))
    found = sync(shop)
    assert (found.status, found.delivered) == ("failed", len(twin.profiles))
    assert 0 < found.delivered < 300
    return found


def rename(shop: Shop) -> None:
    """Give the destination another name."""
    shop.settings["destinations"] = {"braze_eu": shop.settings["destinations"]["braze"]}
    shop.settings["syncs"]["customers"]["to"] = "braze_eu"
    shop.save()


def test_a_renamed_destination_says_what_to_do(shop: Shop, twin: BrazeTwin) -> None:
    """The open run fails with both ways out; dropped, the sync begins anew under the new name."""
    stuck = half_way(shop, twin)
    rename(shop)
    said = sync(shop)
    assert (said.run, said.status) == (stuck.run, "failed")
    assert f"put it back, or drop the run: rowferry sync customers --drop {stuck.run}" in said.reason
    with machine(shop) as app:
        assert app.start_sync("customers").reason == said.reason  # the timer in the clouds says the same
    dropped = drop(shop, stuck.run)
    assert (dropped.status, dropped.delivered, dropped.rejected) == ("closed", stuck.delivered, 300 - stuck.delivered)
    assert {row["code"] for row in dropped.rejections} == {"dropped"}
    requests = twin.requests
    again = sync(shop)
    assert (again.run != stuck.run, again.status, again.delivered) == (True, "closed", 300)
    assert twin.requests > requests


def test_a_renamed_destination_can_be_put_back(shop: Shop, twin: BrazeTwin) -> None:
    """The run goes on behind the last row that was delivered."""
    stuck = half_way(shop, twin)
    before = dict(shop.settings["destinations"])
    rename(shop)
    sync(shop)
    shop.settings["destinations"] = before
    shop.settings["syncs"]["customers"]["to"] = "braze"
    shop.save()
    found = sync(shop)
    assert (found.run, found.status, found.delivered) == (stuck.run, "closed", 300)
    assert len(shop.sent()) == 300 + 75  # those of the refused request went out twice


def test_what_was_delivered_stays_delivered(shop: Shop, twin: BrazeTwin) -> None:
    """The next run sends neither what the vendor has nor what was dropped; a replay sends that."""
    stuck = half_way(shop, twin)
    drop(shop, stuck.run)
    twin.log.clear()
    found = sync(shop)
    assert (found.read, found.unchanged, found.requests) == (300, 300, 0)
    with machine(shop) as app:
        again = Machine(app).replay("customers", code="dropped")
    assert (again.read, again.delivered, len(twin.profiles)) == (300 - stuck.delivered, 300 - stuck.delivered, 300)


def test_a_removal_that_was_dropped_is_replayed_too(shop: Shop, twin: BrazeTwin) -> None:
    """Whoever left the model and was not removed at the vendor can still be."""
    shop.settings["syncs"]["customers"]["on_remove"] = "delete"
    shop.save()
    sync(shop)
    shop.execute("DELETE FROM crm.customers WHERE id = 'u1'")
    twin.faults.append(Fault(response=UNAUTHORIZED))
    dropped = drop(shop, sync(shop).run)
    assert (dropped.delivered, dropped.rejected) == (0, 1)
    assert (sync(shop).requests, "u1" in twin.profiles) == (0, True)
    with machine(shop) as app:
        assert Machine(app).replay("customers", code="another").read == 0
        assert Machine(app).replay("customers", code="dropped").delivered == 1
        assert Machine(app).status()["dead_letters"] == []
    assert "u1" not in twin.profiles
    assert sync(shop).requests == 0


def test_a_run_of_a_sync_that_is_gone_is_seen_and_dropped(shop: Shop, twin: BrazeTwin) -> None:
    """Its pending rows stay in the status until somebody gives them up; neither sync nor destination is needed for it."""
    stuck = half_way(shop, twin)
    shop.settings["destinations"], shop.settings["syncs"] = {}, {}
    shop.save()
    (seen,) = [run for run in shop.rowferry("status")["runs"] if run["status"] != "closed"]
    assert (seen["sync"], seen["run"], seen["pending"]) == ("customers", stuck.run, 300 - stuck.delivered)
    shop.rowferry("sync", "customers", code=2)
    found = shop.rowferry("sync", "customers", "--drop", stuck.run, code=1)
    assert (found["status"], found["delivered"], found["pending"]) == ("closed", stuck.delivered, 0)
    assert balances(found)
    assert [run["status"] for run in shop.rowferry("status")["runs"]] == ["closed"]


def test_rows_of_a_queue_that_are_dropped_wait_on(shop: Shop, twin: BrazeTwin, tmp_path: Path) -> None:
    """What was delivered is marked in its database, the rest is not and leaves with the next run."""
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY, customer TEXT, sent_at TIMESTAMP)")
        connection.executemany("INSERT INTO outbox VALUES (?, ?, NULL)", [(i, f"u{i}") for i in range(300)])
    queue = {
        "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "braze",
        "action": "profile", "map": {"external_id": "customer", "number": "id"}, "chunk_rows": 100,
    }  # fmt: skip
    shop.settings |= {"databases": {"shop": {"url": "env:SHOP_URL"}}, "syncs": {"customers": queue}}
    shop.save()
    stuck = half_way(shop, twin)
    databases = shop.settings.pop("databases")
    shop.settings["syncs"] = {}
    shop.save()
    with pytest.raises(UsageError, match=r"databases\.shop: put that back"):
        drop(shop, stuck.run)
    shop.settings |= {
        "databases": databases,
        "syncs": {"customers": {**queue, "model": {"database": "shop", "table": "another"}, "key": "no"}},
    }
    shop.save()
    assert drop(shop, stuck.run).delivered == stuck.delivered
    shop.settings["syncs"] = {"customers": queue}
    shop.save()
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        (waiting,) = connection.execute("SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL").fetchone()
    assert waiting == 300 - stuck.delivered
    assert sync(shop).delivered == waiting
    with machine(shop) as app:
        assert Machine(app).status()["dead_letters"] == []


def test_a_drop_that_is_killed_is_done_again(shop: Shop, twin: BrazeTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command goes on: no row has two outcomes."""
    stuck = half_way(shop, twin)
    create, writes = FolderStore.create, [0]

    def failing(self: FolderStore, key: str, data: Any) -> str:
        writes[0] += key.startswith("receipts/")
        if key.startswith("receipts/") and writes[0] == 2:
            raise TryLater("the disk is full")
        return create(self, key, data)

    monkeypatch.setattr(FolderStore, "create", failing)
    with pytest.raises(TryLater):
        drop(shop, stuck.run)
    found = drop(shop, stuck.run)
    assert (found.status, found.delivered, found.rejected) == ("closed", stuck.delivered, 300 - stuck.delivered)


def test_what_is_under_way_is_not_dropped(shop: Shop, twin: BrazeTwin) -> None:
    """A chunk that a worker is at has no outcome yet that could be told."""
    stuck = half_way(shop, twin)
    with machine(shop) as app:
        held = claim.take(app.state, f"customers/{stuck.run}/00001", Owner.anonymous(), app.clock)
        with pytest.raises(claim.Held):
            Machine(app).drop("customers", stuck.run)
        assert "somebody else" in Machine(app).sync("customers").reason
        held.give_back()
        assert Machine(app).drop("customers", stuck.run).status == "closed"


def test_only_an_open_run_is_dropped(shop: Shop, twin: BrazeTwin) -> None:
    """A closed, a refused and an unknown run are in nobody's way, and the answer says so."""
    with pytest.raises(UsageError, match="only that one can be dropped"):
        drop(shop, "20260101T000000-000000")
    closed = sync(shop)
    with pytest.raises(UsageError, match="is closed"):
        drop(shop, closed.run)
    shop.settings["syncs"]["customers"]["guards"] = {"min_rows": 10_000}
    shop.save()
    with pytest.raises(UsageError, match="was refused"):
        drop(shop, sync(shop).run)
    shop.rowferry("sync", "customers", "--drop", closed.run, "--accept", closed.run, code=2)


def test_a_run_that_was_never_planned_is_dropped(shop: Shop) -> None:
    """Its model can't be read, so nothing is known of it and nothing was sent."""
    shop.settings["syncs"]["customers"]["model"] = {"table": "crm.nowhere"}
    shop.save()
    failed = sync(shop)
    assert failed.status == "failed"
    found = drop(shop, failed.run)
    assert (found.status, found.read) == ("closed", 0)
    assert sync(shop).run != failed.run


def test_chunks_that_went_by_age_are_dropped_too(shop: Shop, twin: BrazeTwin) -> None:
    """A bucket lets go of old chunks, and then nobody can deliver them: their rows are in the run's table yet."""
    stuck = half_way(shop, twin)
    with machine(shop) as app:
        for key in [found.key for found in app.state.list(OUTBOX)][1:]:
            app.state.delete(key)
        for found in list(app.state.list("journal/")):
            app.state.delete(found.key)
    again = sync(shop)
    assert (again.status, f"--drop {stuck.run}" in again.reason) == ("open", True)
    dropped = drop(shop, stuck.run)
    assert (dropped.status, dropped.delivered, dropped.rejected) == ("closed", 100, 200)
    (letters,) = shop.rowferry("status")["dead_letters"]
    assert letters.keys() == {"sync", "destination", "code", "reason", "rows", "since"}
    assert {row["code"] for row in dropped.rejections} == {"dropped"}
    shop.rowferry("replay", "customers")
    assert len(twin.profiles) == 300


def test_a_damaged_chunk_is_dropped_too(shop: Shop, twin: BrazeTwin) -> None:
    """A chunk that nobody can read keeps no run open: its rows are dropped from the run's table, and go again when asked."""
    stuck = half_way(shop, twin)
    with machine(shop) as app:
        *_, last = (found.key for found in app.state.list(OUTBOX))
        app.state.delete(last)
        app.state.write(last, b"not ours")
    dropped = drop(shop, stuck.run)
    assert (dropped.status, dropped.delivered + dropped.rejected) == ("closed", 300)
    assert dropped.delivered == len(twin.profiles)
    with machine(shop) as app:
        assert list(app.state.list(OUTBOX)) == []
    shop.rowferry("replay", "customers")
    assert len(twin.profiles) == 300


def test_a_run_whose_table_has_expired_is_dropped(shop: Shop, twin: BrazeTwin) -> None:
    """Nothing is left to commit from. The run is out of the way, its balance holds, and it is said that all rows go again."""
    stuck = half_way(shop, twin)
    (table,) = shop.execute("SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, 'run_')")[0]
    shop.execute(f"DROP TABLE rowferry.{table}")
    dropped = drop(shop, stuck.run)
    assert (dropped.status, dropped.delivered, dropped.rejected) == ("closed", stuck.delivered, 300 - stuck.delivered)
    assert "the next run sends its rows again" in dropped.reason
    assert sync(shop).delivered == 300


def test_a_destination_that_became_another_vendor_s_says_what_to_do(shop: Shop, twin: BrazeTwin) -> None:
    """Its name stayed, and the vendor has no such action: the run fails with both ways out, and so do webhooks that wait for it."""
    stuck = half_way(shop, twin)
    before = dict(shop.settings["destinations"]["braze"])
    shop.settings["destinations"]["braze"] = {"vendor": "slack", "webhook_url": "env:HOOK"}
    shop.settings["syncs"] = {}
    shop.save()
    with App(read_settings(shop.config), environment={"HOOK": "https://hooks.slack.com/services/T/B/x"}) as app:
        for number in range(2):
            app.outbox.relay(id=str(number), source="webhook.shop", destination="braze", action="profile", rows=[{"external_id": "u1"}])
        keys = [found.key for found in app.state.list(f"{OUTBOX}braze/1/")]
        *_, waiting = (found.key for found in app.state.list(f"{OUTBOX}braze/2/"))
        told = [app.deliver_chunk(waiting), *app.deliver_gathered(keys).values()]
        assert {found.status for found in told} == {"refused"}
        assert f"put it back as it was, or give the run up: rowferry sync customers --drop {stuck.run}" in told[0].reason
    shop.settings["destinations"]["braze"] = before
    shop.save()
    with machine(shop) as app:
        assert {found.status for found in app.deliver_gathered(keys).values()} <= {"settled", "held"}
        assert app.drop_run("customers", stuck.run).status == "closed"
