"""The journal under many threads, in a store that takes its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import orjson
import pytest

from rowferry.delivery.journal import Journal, LostClaim
from rowferry.errors import TryLater
from rowferry.stores.folder import FolderStore

SECONDS = 300  # for a test that fails: nothing waits so long otherwise


class SlowStore(FolderStore):
    """Each write begins, and waits until it is let through."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.begun, self.let_through = threading.Semaphore(0), threading.Semaphore(0)

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        """Wait, then write."""
        self.begun.release()
        assert self.let_through.acquire(timeout=SECONDS)
        return super().create(key, data)


@pytest.fixture
def store(tmp_path: Path) -> SlowStore:
    """The state."""
    return SlowStore(tmp_path)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """The senders."""
    with ThreadPoolExecutor(8) as running:
        yield running


def record(journal: Journal, threads: ThreadPoolExecutor, *rows: int) -> list[Future[None]]:
    """A thread for each of these rows, which was delivered, while a write is under way: all of them wait."""
    waiting = len(journal._group.entries) + len(rows)
    found = [threads.submit(journal.record, [row], {}, 1) for row in rows]
    patience = time.monotonic() + SECONDS
    while len(journal._group.entries) < waiting and time.monotonic() < patience:
        time.sleep(0.001)
    return found


def test_a_slow_store_costs_one_write_for_all_that_wait(store: SlowStore, threads: ThreadPoolExecutor) -> None:
    """Whoever's outcome was written along goes on, and does not write for those who came after it."""
    journal = Journal(store, "s1/r1/00000")
    first = threads.submit(journal.record, [0], {}, 1)
    store.begun.acquire()
    together = record(journal, threads, 1, 2, 3, 4, 5)
    store.let_through.release()
    first.result(SECONDS)
    store.begun.acquire()
    [last] = record(journal, threads, 6)
    store.let_through.release()
    for found in together:
        found.result(SECONDS)
    assert not last.done()
    store.let_through.release()
    last.result(SECONDS)
    assert [len(orjson.loads(store.read(found.key)[0])) for found in store.list("journal/")] == [1, 5, 1]
    assert Journal(store, "s1/r1/00000").tally.settled() == {0, 1, 2, 3, 4, 5, 6}


def test_nobody_takes_for_durable_what_another_worker_kept_from_being_written(store: SlowStore, threads: ThreadPoolExecutor) -> None:
    """The write is refused since another worker has taken the number: all whose outcomes were in it learn that the claim is lost."""
    journal = Journal(store, "s1/r1/00000")
    first = threads.submit(journal.record, [0], {}, 1)
    store.begun.acquire()
    together = record(journal, threads, 1, 2, 3)
    store.write("journal/s1/r1/00000/00000001", b"[]")
    store.let_through.release(4)
    first.result(SECONDS)
    for found in together:
        with pytest.raises(LostClaim):
            found.result(SECONDS)
    assert journal.tally.settled() == {0}


class FlickeringStore(FolderStore):
    """Its first write fails."""

    is_down = True

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        """Fail once, then write."""
        if self.is_down:
            self.is_down = False
            raise TryLater("the store is out of reach")
        return super().create(key, data)


def test_repeats_of_a_refused_write_are_counted_by_whoever_it_is_refused_to(tmp_path: Path) -> None:
    """Their outcome is written along with the next one; counted there too, what went out again once would be told as twice."""
    journal = Journal(FlickeringStore(tmp_path), "s1/r1/00000")
    with pytest.raises(TryLater):
        journal.record([0, 1], {}, 1, resent=2)
    journal.record([2], {}, 1, resent=1)
    tally = Journal(FolderStore(tmp_path), "s1/r1/00000").tally
    assert (tally.settled(), tally.resent) == ({0, 1, 2}, 1)


class FarStore(FolderStore):
    """Whoever reads waits until a second one does."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.pairs = threading.Barrier(2, timeout=SECONDS)

    def read(self, key: str) -> tuple[bytes, str]:
        """Wait, then read."""
        self.pairs.wait()
        return super().read(key)


def test_a_long_journal_is_read_many_entries_at_a_time(tmp_path: Path) -> None:
    """Far from the store, one entry after the other would take longer than the deliveries did; the next number is behind the last."""
    earlier = Journal(FolderStore(tmp_path), "s1/r1/00000")
    for row in range(10):
        earlier.record([row], {}, 1)
    journal = Journal(FarStore(tmp_path), "s1/r1/00000")
    assert (journal.tally.settled(), journal.tally.requests) == (set(range(10)), 10)
    journal.record([10], {}, 1)
    assert Journal(FolderStore(tmp_path), "s1/r1/00000").tally.settled() == set(range(11))
