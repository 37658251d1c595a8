"""What a run that is open, failed or in the way means to the next command."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.delivery import claim
from rowferry.delivery.chunk import ChunkName
from rowferry.delivery.runs import RunResult
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.stores.folder import FolderStore
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.shop import ENVIRONMENT, Shop

UNAUTHORIZED = Fault(response=Response(401, b'{"message":"Invalid API key"}'))


def sync(shop: Shop, name: str = "customers", *, days_ago: int = 0) -> RunResult:
    clock = ManualClock(datetime.now(UTC) - timedelta(days=days_ago)) if days_ago else None
    with App(read_settings(shop.config), environment=ENVIRONMENT, clock=clock) as app:
        return Machine(app).sync(name)


def run_tables(shop: Shop) -> list[str]:
    """Names of the run tables that are there."""
    return [name for (name,) in shop.execute("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'run\\_%' ESCAPE '\\'")]


def sales(shop: Shop) -> None:
    """Turn the shop's sync into `send: new` over `crm.sales`, with one old sale that was sent."""
    shop.execute("CREATE TABLE crm.sales (id TEXT, added_at TIMESTAMP)")
    shop.settings["syncs"]["customers"] = {
        "model": {"table": "crm.sales"}, "key": "id", "send": "new", "cursor": "added_at", "to": "braze",
        "map": {"external_id": "id", "name": {"value": "Sale"}, "time": {"value": "2026-01-01T00:00:00Z"}},
    }  # fmt: skip
    shop.save()
    shop.execute("INSERT INTO crm.sales VALUES ('old', '2025-01-01')")
    assert sync(shop).delivered == 1


def test_a_backfill_is_not_taken_for_done_by_an_open_run(shop: Shop, twin: BrazeTwin) -> None:
    """The sync that failed before is brought to its end, and then the days that were asked for are sent."""
    sales(shop)
    shop.execute("INSERT INTO crm.sales VALUES ('new', '2026-01-01')")
    twin.faults.append(UNAUTHORIZED)
    failed = sync(shop)
    assert failed.status == "failed"
    with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
        found = Machine(app).backfill("customers", "2025-01-01", "2025-01-01")
    assert isinstance(found, RunResult)
    assert (found.status, found.read, found.delivered) == ("closed", 1, 1)
    assert found.run != failed.run
    assert [event["external_id"] for event in twin.events] == ["old", "new", "old"]


def test_a_backfill_that_failed_is_resumed_by_its_repeat_alone(shop: Shop, twin: BrazeTwin) -> None:
    """The same command again goes on with the open backfill, and does not send its days a second time."""
    sales(shop)
    twin.faults.append(UNAUTHORIZED)
    with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
        runs = [Machine(app).backfill("customers", "2025-01-01", "2025-01-01") for _ in range(2)]
    assert [(run.status, run.run) for run in runs if isinstance(run, RunResult)] == [("failed", runs[0].run), ("closed", runs[0].run)]  # type: ignore[union-attr]  # each is a run
    assert len(twin.events) == 2


def test_a_run_that_failed_half_way_tells_how_far_it_got(shop: Shop, twin: BrazeTwin) -> None:
    """What the vendor has taken counts as delivered at once, though its chunk is not done; the repeat sends the rest."""
    shop.fill(300)
    twin.faults.append(Fault(response=UNAUTHORIZED.response, when=lambda call: b'"u99"' in call.body))
    failed = sync(shop)
    assert failed.status == "failed"
    assert failed.delivered == len(twin.profiles) > 0
    assert (failed.delivered + failed.pending, failed.requests) == (300, twin.requests)
    again = sync(shop)
    assert (again.run, again.delivered, again.requests) == (failed.run, 300, twin.requests)


def test_a_statement_that_fails_half_way_can_be_mended(shop: Shop) -> None:
    """A value that breaks the model fails the run with a reason; the statement that follows is the mended one."""
    shop.settings["syncs"]["customers"]["model"] = {"sql": "SELECT * REPLACE (CAST(tier AS INT64) AS tier) FROM crm.customers"}
    shop.save()
    failed = shop.sync(code=1)
    assert failed["status"] == "failed"
    shop.settings["syncs"]["customers"]["model"] = {"table": "crm.customers"}
    shop.save()
    assert (shop.sync()["run"], shop.sync()["unchanged"]) == (failed["run"], 3)


def test_a_notice_that_can_not_leave_spoils_no_run(shop: Shop) -> None:
    """The rows are delivered and the run is told as it ended; what is wrong with the notice stands in the log."""
    shop.settings["destinations"]["ops"] = {"vendor": "slack", "webhook_url": "env:NOWHERE"}
    shop.settings["syncs"]["customers"]["notify"] = "ops"
    shop.save()
    assert shop.sync()["delivered"] == 3


def test_who_is_overtaken_waits_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that see the name free at the same moment: the slower one waits for the faster, and both end well."""
    with App(read_settings(shop.config), environment=ENVIRONMENT) as other:
        faster = claim.take(other.state, "sync/customers", other.owner, other.clock)
        looks = iter([False])

        def is_held(*_: object) -> bool:
            """Free at the first look; at the second, its holder has just ended."""
            if (found := next(looks, None)) is None:
                faster.give_back()
            return bool(found)

        monkeypatch.setattr(claim, "is_held", is_held)
        assert sync(shop).delivered == 3


@pytest.mark.parametrize("days", [20, 45])
def test_a_run_that_was_open_for_weeks_is_closed(shop: Shop, twin: BrazeTwin, days: int) -> None:
    """A key that nobody mended for so long: what the run needs to be closed is there, though tables of other runs expire."""
    shop.settings["syncs"]["others"] = shop.settings["syncs"]["customers"]
    shop.save()
    twin.faults.append(UNAUTHORIZED)
    failed = sync(shop, days_ago=days)
    assert failed.status == "failed"
    assert sync(shop, "others").delivered == 3  # another run's table is made: those whose time is over go
    found = sync(shop)
    assert (found.run, found.status, found.delivered) == (failed.run, "closed", 3)
    assert sync(shop).unchanged == 3


def test_a_model_that_could_not_be_read_for_months_is_read_in_the_end(shop: Shop) -> None:
    """The run began long ago; its table lives from when it is made."""
    shop.settings["syncs"]["others"] = shop.settings["syncs"]["customers"]
    shop.save()
    shop.execute("ALTER TABLE crm.customers RENAME TO away")
    failed = sync(shop, days_ago=100)
    assert failed.status == "failed"
    shop.execute("ALTER TABLE crm.away RENAME TO customers")
    shop.settings["destinations"]["braze"]["quiet_hours"] = "00:00-23:59"
    shop.save()
    assert (sync(shop).status, sync(shop, "others").status) == ("open", "open")
    assert len(run_tables(shop)) == 2


def test_a_refused_run_leaves_no_table_behind_the_next(shop: Shop) -> None:
    """Only the latest run can be accepted, so an hourly sync that a guard refuses keeps one table, not one an hour."""
    sync(shop)
    shop.settings["syncs"]["customers"]["guards"] = {"max_changed_percent": 30}
    shop.save()
    shop.execute("UPDATE crm.customers SET tier = 'new'")
    assert [sync(shop).status for _ in range(3)] == ["refused"] * 3
    assert len(run_tables(shop)) == 1


def test_receipts_are_read_together_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event of each chunk but the last reads its own receipts alone: a run of thousands of chunks is no square of them."""
    shop.settings["syncs"]["customers"]["chunk_rows"] = 1
    shop.save()
    shop.fill(10)
    read, keys = FolderStore.read, list[str]()

    def noted(self: FolderStore, key: str) -> tuple[bytes, str]:
        keys.append(key)
        return read(self, key)

    monkeypatch.setattr(FolderStore, "read", noted)
    with App(read_settings(shop.config), environment=ENVIRONMENT) as app:
        run = app.start_sync("customers").run
        results = []
        for found in list(app.state.list("outbox/braze/")):
            app.deliver_chunk(found.key)
            results.append(app.finish_run(f"receipts/customers/{run}/{ChunkName.of(found.key).part}.json"))
    assert [result.status for result in results] == ["open"] * 9 + ["closed"]
    assert sum(key.startswith("receipts/") for key in keys) <= 9 + 1 + 2 * 10
