"""Removing all objects of a prefix."""

from __future__ import annotations

import threading
from pathlib import Path

from rowferry.stores.folder import FolderStore
from rowferry.stores.removal import remove_all


class FarStore(FolderStore):
    """Whoever removes waits until a second one does."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.pairs = threading.Barrier(2, timeout=60)  # for a test that fails: nothing waits so long otherwise

    def delete(self, key: str, version: str | None = None) -> None:
        """Wait, then remove."""
        self.pairs.wait()
        super().delete(key, version)


def test_many_objects_are_removed_at_the_same_time_and_no_others(tmp_path: Path) -> None:
    """Far from the store, a large run's some thousand objects would take minutes one after the other."""
    store = FarStore(tmp_path)
    for key in (*(f"run/1/{number}" for number in range(50)), "run/10/0", "run/2"):
        store.create(key, b"")
    remove_all(store, "run/1/")
    remove_all(store, "run/3/")
    assert [found.key for found in store.list()] == ["run/10/0", "run/2"]
