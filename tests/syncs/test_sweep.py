"""What the sweep finds in the state store: relays that nobody finished, chunks that nobody brings to their end."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.chunk import OUTBOX, ChunkName
from rowferry.delivery.outbox import Outbox
from rowferry.delivery.receipts import Receipts
from rowferry.stores.folder import FolderStore
from rowferry.syncs.sweep import LEFT_ALONE, RELAYS_KEPT, Sweeper


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))  # objects of a folder bear the machine's time


@pytest.fixture
def sweeper(store: FolderStore, clock: ManualClock) -> Sweeper:
    return Sweeper(store, clock)


def relay(store: FolderStore, *, settled: bool = False) -> ChunkName:
    """A notice on its way, or one that has arrived and was not finished."""
    Outbox(store).relay(id="n1", source="notice", destination="ops", action="notice", rows=[{"text": "x"}])
    name = ChunkName.of(next(found.key for found in store.list(f"{OUTBOX}ops/1/")))
    if settled:
        Receipts(name.key, 1, 1, 1, 0, ()).write(store)
    return name


def test_a_relay_that_was_delivered_and_not_finished_is_found(store: FolderStore, clock: ManualClock, sweeper: Sweeper) -> None:
    """Its event was lost: the sweep finds its receipts once they are old enough, and no longer when the chunk has left."""
    name = relay(store, settled=True)
    assert list(sweeper.unfinished_relays()) == []
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    assert list(sweeper.unfinished_relays()) == [f"receipts/{name.stem}.json"]
    store.delete(name.key)
    assert list(sweeper.unfinished_relays()) == []


def test_receipts_of_relays_are_kept_as_long_as_repeats_may_come(store: FolderStore, clock: ManualClock, sweeper: Sweeper) -> None:
    """They tell a repeat, which they settle without a request, until no sender repeats any more; a run's are left to it."""
    relay(store, settled=True)
    Receipts("outbox/braze/2/customers/r1/00000.jsonl.gz", 1, 1, 1, 0, ()).write(store)
    clock.sleep(RELAYS_KEPT.total_seconds() - 60)
    assert sweeper.forget_relays() == 0
    clock.sleep(120)
    assert sweeper.forget_relays() == 1
    assert [found.key for found in store.list("receipts/")] == ["receipts/customers/r1/00000.json"]
