"""The memory of calls that have no id."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rowferry.stores.folder import FolderStore
from rowferry.webhooks import repeats

NOW = datetime(2026, 4, 14, 3, 50, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderStore]:
    found = FolderStore(tmp_path / "state")
    yield found
    found.close()


def test_the_same_bytes_have_one_id_for_a_while(store: FolderStore) -> None:
    """Counted from the first call, so that repeats do not put the end off."""
    ids = [repeats.id_of(store, "a", b"x", NOW + timedelta(minutes=minutes)) for minutes in (0, 6, 10, 11, 20, 22)]
    assert [ids.index(found) for found in ids] == [0, 0, 0, 3, 3, 5]


def test_other_bytes_and_other_hooks_have_other_ids(store: FolderStore) -> None:
    """What one sender says is no repeat of what another said."""
    repeats.id_of(store, "a", b"x", NOW)
    assert repeats.id_of(store, "a", b"y", NOW) != repeats.id_of(store, "a", b"x", NOW)
    later = NOW + timedelta(minutes=1)
    assert repeats.id_of(store, "b", b"x", later) != repeats.id_of(store, "a", b"x", later)


def test_many_at_once_agree(store: FolderStore) -> None:
    """Eight instances that see the same call for the first time name it alike."""
    with ThreadPoolExecutor(8) as threads:
        ids = threads.map(lambda number: repeats.id_of(store, "a", b"x", NOW + timedelta(milliseconds=number)), range(64))
    assert len(set(ids)) == 1


def test_old_memories_are_forgotten(store: FolderStore, tmp_path: Path) -> None:
    """What no repeat is measured against any more goes, what may be needed stays."""
    now = datetime.now(UTC)
    repeats.id_of(store, "a", b"old", now)
    old = next(store.list("webhooks/")).key
    repeats.id_of(store, "a", b"new", now)
    os.utime(tmp_path / "state" / old, (now.timestamp() - 3600,) * 2)
    assert repeats.forget(store, now) == 1
    assert len(list(store.list("webhooks/"))) == 1
