"""What the sweep finds in the state store: relays that nobody finished, chunks that nobody brings to their end."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rowferry.clock import ManualClock
from rowferry.delivery import claim as claims
from rowferry.delivery import rest
from rowferry.delivery.chunk import OUTBOX, ChunkName
from rowferry.delivery.outbox import Outbox
from rowferry.delivery.receipts import Receipts
from rowferry.delivery.runs import Run
from rowferry.owner import Owner
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


def chunk(store: FolderStore, number: int, run: str = "r1", lane: int = 2, destination: str = "braze") -> str:
    """A chunk of a run, as far as the sweep looks at it."""
    key = f"{OUTBOX}{destination}/{lane}/customers/{run}/{number:05d}.jsonl.gz"
    store.create(key, b"")
    return key


def settle(store: FolderStore, key: str, at: datetime) -> None:
    """Receipts of a chunk, written at this time."""
    Receipts(key, 1, 1, 1, 0, ()).write(store)
    path = store.path(f"receipts/{ChunkName.of(key).stem}.json")
    assert path is not None
    os.utime(path, (at.timestamp(), at.timestamp()))


def test_a_chunk_is_stuck_when_nobody_has_touched_it_for_a_while(store: FolderStore, clock: ManualClock, sweeper: Sweeper) -> None:
    """Young ones have an event under way; of the old ones those without receipts are found, better lanes first."""
    backfill, settled, waits = chunk(store, 0, run="r0", lane=3), chunk(store, 0), chunk(store, 1)
    settle(store, settled, clock.now())
    name = relay(store)
    assert sweeper.stuck_chunks() == []
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    assert sweeper.stuck_chunks() == [name.key, waits, backfill]


def test_of_a_refused_run_one_chunk_asks_whether_the_key_is_mended(store: FolderStore, clock: ManualClock, sweeper: Sweeper) -> None:
    """A revoked key is not asked by thousands; once one gets through, or somebody starts the run again, all go on."""
    keys = [chunk(store, number) for number in range(3)]
    run = Run(store, "customers", "r1")
    run.fail("Invalid API key", clock.now())
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    assert sweeper.stuck_chunks() == keys[:1]
    settle(store, keys[0], clock.now())
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    assert sweeper.stuck_chunks() == keys[1:]
    store.delete("receipts/customers/r1/00000.json")
    run.go_on()
    assert sweeper.stuck_chunks() == keys


def test_announced_is_what_the_time_suffices_for(store: FolderStore, sweeper: Sweeper) -> None:
    """Each is written over with what it holds; what is gone meanwhile is left alone, and what there is no time for is left."""
    keys = [chunk(store, number) for number in range(20)]
    before = {found.key: found.updated_at for found in store.list(OUTBOX)}
    store.delete(keys[3])
    assert sweeper.announce(keys) == 19
    assert all(found.updated_at > before[found.key] for found in store.list(OUTBOX))
    assert sweeper.announce(keys, lambda: 0.0) == 0


def test_what_waits_for_its_turn_is_not_announced_again(store: FolderStore, clock: ManualClock, sweeper: Sweeper) -> None:
    """While chunks of a run get settled or are worked on, its others are in the queue: a second message for each would
    keep the workers busy for nothing. Once the run stands still, they are stuck."""
    keys = [chunk(store, number) for number in range(4)]
    other = chunk(store, 0, run="r2")
    clock.sleep(7200)
    settle(store, keys[0], clock.now())
    assert sweeper.stuck_chunks() == [other]
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    assert sweeper.stuck_chunks() == [*keys[1:], other]


def test_a_chunk_that_is_worked_on_keeps_its_run_from_being_announced(store: FolderStore, sweeper: Sweeper, clock: ManualClock) -> None:
    """A slow vendor: a chunk takes longer than the sweep is patient, and its claim is renewed until its holder is killed."""
    first, second = chunk(store, 0), chunk(store, 1)
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    claims.take(store, ChunkName.of(first).stem, Owner.anonymous(), clock)
    path = store.path(f"claims/{ChunkName.of(first).stem}.json")
    assert path is not None
    os.utime(path, (clock.now().timestamp(), clock.now().timestamp()))
    assert sweeper.stuck_chunks() == []
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    assert sweeper.stuck_chunks() == [first, second]


def test_webhooks_that_move_hide_no_lost_one(store: FolderStore, sweeper: Sweeper, clock: ManualClock) -> None:
    """Relayed chunks are no run: each is looked at by itself, however many others of its sender arrive."""
    lost = relay(store)
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    settle(store, f"{OUTBOX}ops/1/notice/relayed/another.jsonl.gz", clock.now())
    assert sweeper.stuck_chunks() == [lost.key]


def test_a_destination_that_rests_is_left_alone(store: FolderStore, sweeper: Sweeper, clock: ManualClock) -> None:
    """Its chunks are announced when the rest is over; those of others meanwhile."""
    waits, other = chunk(store, 0), chunk(store, 0, run="r2", destination="klaviyo")
    rest.begin(store, "braze", clock.now(), 8 * 3600)
    clock.sleep(8 * 3600 - 1)
    assert sweeper.stuck_chunks() == [other]
    clock.sleep(2)
    assert sweeper.stuck_chunks() == [waits, other]


def test_a_rest_is_over_when_something_gets_through(store: FolderStore, sweeper: Sweeper, clock: ManualClock) -> None:
    """Quiet hours that were changed meanwhile, a window that opened early: what was settled since says so."""
    keys = [chunk(store, number) for number in range(2)]
    settle(store, keys[0], clock.now())
    rest.begin(store, "braze", clock.now(), 8 * 3600)
    clock.sleep(3600)
    assert sweeper.stuck_chunks() == []
    newer = chunk(store, 0, run="r2")
    settle(store, newer, clock.now())
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    assert sweeper.stuck_chunks() == [keys[1]]


def test_no_rest_is_longer_than_a_day(store: FolderStore, sweeper: Sweeper, clock: ManualClock) -> None:
    """A vendor that asks for a year is asked again tomorrow; a note that can't be read is none."""
    waits = chunk(store, 0)
    rest.begin(store, "braze", clock.now(), 3e7)
    clock.sleep(24 * 3600 + 1)
    assert sweeper.stuck_chunks() == [waits]
    store.write("claims/rest/braze.json", b"not json")
    assert sweeper.stuck_chunks() == [waits]


def test_a_relay_that_was_delivered_and_not_finished_is_found(store: FolderStore, clock: ManualClock, sweeper: Sweeper) -> None:
    """Its event was lost: the sweep finds its receipts once they are old enough, and no longer when the chunk has left."""
    name = relay(store, settled=True)
    assert sweeper.unfinished_relays() == []
    clock.sleep(LEFT_ALONE.total_seconds() + 1)
    assert sweeper.unfinished_relays() == [f"receipts/{name.stem}.json"]
    store.delete(name.key)
    assert sweeper.unfinished_relays() == []


@pytest.mark.parametrize(("hour", "left"), [(3, ["young"]), (4, ["old", "young"])])
def test_receipts_of_relays_are_kept_as_long_as_repeats_may_come(store: FolderStore, hour: int, left: list[str]) -> None:
    """They tell a repeat, which they settle without a request, until no sender repeats any more; a run's are left to it.
    It is looked for some hours of the day alone."""
    now = datetime(2026, 3, 1, hour, tzinfo=UTC)
    settle(store, f"{OUTBOX}ops/1/notice/relayed/old.jsonl.gz", now - RELAYS_KEPT)
    settle(store, f"{OUTBOX}ops/1/notice/relayed/young.jsonl.gz", now - RELAYS_KEPT + timedelta(minutes=1))
    settle(store, f"{OUTBOX}braze/2/customers/r1/00000.jsonl.gz", now - RELAYS_KEPT)
    assert Sweeper(store, ManualClock(now)).forget_relays() == 2 - len(left)
    assert [found.key for found in store.list("receipts/notice/")] == [f"receipts/notice/relayed/{name}.json" for name in left]
    assert [found.key for found in store.list("receipts/customers/")] == ["receipts/customers/r1/00000.json"]


def test_receipts_stay_while_their_chunk_may_be_sent(store: FolderStore) -> None:
    """A machine that was off for weeks right after a notice had arrived: it is not sent again for want of its receipts."""
    name = relay(store, settled=True)
    clock = ManualClock((datetime.now(UTC) + 2 * RELAYS_KEPT).replace(hour=3))
    assert Sweeper(store, clock).forget_relays() == 0
    store.delete(name.key)
    assert Sweeper(store, clock).forget_relays() == 1
