"""Runs that were left before they were planned to their end, for so long that their table went; and tables of other outlines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.chunk import OUTBOX
from rowferry.errors import TryLater, UsageError
from rowferry.stores.folder import FolderStore
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.warehouse.port import WarehouseError
from rowferry.wire import Response
from support.runs import counts, letters, machine, sync
from support.shop import Shop, balances

LONG_AGO = ManualClock(datetime.now(UTC) - timedelta(days=61))  # a table lives for 60 days


def expire(shop: Shop) -> None:
    """Another run's table is made: those whose time is over go."""
    shop.settings["syncs"]["others"] = {**shop.settings["syncs"]["customers"], "guards": {}}
    shop.save()
    with machine(shop) as found:
        assert found.sync("others").status == "closed"


@pytest.fixture(params=[LONG_AGO])
def half_planned(shop: Shop, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A run that was killed after the first of its three chunks; long ago, unless a test asks for another day."""
    shop.settings["syncs"]["customers"]["chunk_rows"] = 100
    shop.save()
    shop.fill(300)
    create = FolderStore.create

    def dying(self: FolderStore, key: str, data: Any) -> str:
        if key.startswith(OUTBOX) and key.endswith("00001.jsonl.gz"):
            raise TryLater("the disk is full")
        return create(self, key, data)

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "create", dying)
        with pytest.raises(TryLater):
            sync(shop, request.param)
    with machine(shop) as found:
        (run,) = (run for run in found.status()["runs"] if run["sync"] == "customers")
    return str(run["run"])


@pytest.mark.parametrize("half_planned", [ManualClock(datetime.now(UTC) - timedelta(days=59))], indirect=True)
def test_a_half_planned_run_goes_on_while_its_table_is_there(shop: Shop, twin: BrazeTwin, half_planned: str) -> None:
    """Whatever stands in the model by then: the run sends what it found."""
    shop.execute("UPDATE crm.customers SET tier = 'new'")
    found = sync(shop)
    assert (found.run, counts(found)) == (half_planned, (300, 0, 300, 0))
    assert {profile["tier"] for profile in twin.profiles.values()} == {"gold"}


def test_a_half_planned_run_whose_table_went_is_not_mixed_with_other_rows(shop: Shop, twin: BrazeTwin, half_planned: str) -> None:
    """Its first chunk holds rows that stand elsewhere in a table made anew: what was never sent would be taken for delivered."""
    expire(shop)
    shop.execute("DELETE FROM crm.customers WHERE id < 'u2'; UPDATE crm.customers SET tier = 'new'")
    twin.log.clear()
    stuck = sync(shop)
    assert (stuck.run, stuck.status, twin.log) == (half_planned, "failed", [])
    assert f"--drop {half_planned}" in stuck.reason
    with machine(shop) as found:
        assert found.app.start_sync("customers").reason == stuck.reason
        dropped = found.drop("customers", half_planned)
    assert (dropped.status, counts(dropped)) == ("closed", (300, 0, 0, 300))
    assert balances(dropped.to_dict())
    with machine(shop) as found:
        assert list(found.app.state.list(OUTBOX)) == []
    again = sync(shop)
    assert again.delivered == again.read < 300
    assert letters(shop) == []


def test_what_a_half_planned_run_delivered_is_told_when_it_is_dropped(shop: Shop, twin: BrazeTwin, half_planned: str) -> None:
    """In the clouds a chunk leaves while others are written."""
    with machine(shop) as found:
        (chunk,) = (listed.key for listed in found.app.state.list(OUTBOX))
        assert found.app.deliver_chunk(chunk).status == "settled"
    expire(shop)
    with machine(shop) as found:
        dropped = found.drop("customers", half_planned)
    assert (counts(dropped), balances(dropped.to_dict())) == ((300, 0, 100, 200), True)


def test_a_refusal_can_not_be_accepted_once_its_rows_are_gone(shop: Shop, twin: BrazeTwin) -> None:
    """A person has seen the numbers of rows that nobody has any more; other rows are not sent on that word."""
    shop.settings["syncs"]["customers"]["guards"] = {"min_rows": 10}
    shop.save()
    refused = sync(shop, LONG_AGO)
    assert refused.status == "refused"
    expire(shop)
    twin.log.clear()
    with pytest.raises(UsageError, match="looks anew"):
        sync(shop, accept=refused.run)
    again = sync(shop)
    assert (again.status, again.run != refused.run, twin.log) == ("refused", True, [])
    assert sync(shop, accept=again.run).delivered == 3


@pytest.fixture
def fails_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A warehouse that makes a run's table and does not give its rows the first time."""
    read: Callable[..., Any] = DuckDbWarehouse.snapshot_rows
    left = [1]

    def failing(self: DuckDbWarehouse, *given: Any) -> Any:
        if left and left.pop():
            raise WarehouseError("no right to read")
        return read(self, *given)

    monkeypatch.setattr(DuckDbWarehouse, "snapshot_rows", failing)
    yield


@pytest.mark.usefixtures("fails_once")
def test_settings_that_are_mended_get_a_table_of_their_own(shop: Shop, twin: BrazeTwin) -> None:
    """The run goes on under its name; columns that a table has from the settings before never feed other fields."""
    assert sync(shop).status == "failed"
    shop.settings["syncs"]["customers"]["map"] = {"external_id": "id", "branch": "branch", "tier": "tier", "email": "email"}
    shop.save()
    assert counts(sync(shop)) == (3, 0, 3, 0)
    assert twin.profiles["u1"] == {"email": "u1@example.com", "tier": "gold", "branch": "Bern"}


def test_a_run_whose_table_went_stops_no_sweep(shop: Shop, twin: BrazeTwin) -> None:
    """All of it is delivered and nothing is there to close it from: it fails with what to type, and the others are looked after."""
    twin.faults.append(Fault(response=Response(401, b'{"message":"Invalid API key"}')))
    stuck = sync(shop, LONG_AGO)
    expire(shop)
    found = sync(shop)
    assert (found.run, found.status, found.delivered) == (stuck.run, "failed", 3)
    assert f"--drop {stuck.run}" in found.reason
    with machine(shop) as there:
        assert there.app.sweep()["runs"] == 1
        dropped = there.drop("customers", stuck.run)
    assert (dropped.status, dropped.delivered) == ("closed", 3)
    assert sync(shop).delivered == 3
