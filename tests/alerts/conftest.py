"""What the tests of alerts share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.clock import ManualClock
from rowferry.stores.folder import FolderStore
from rowferry.warehouse.duckdb import DuckDbWarehouse
from support.alerting import MONDAY, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop on a Monday morning."""
    warehouse, store = DuckDbWarehouse(tmp_path / "warehouse.duckdb"), FolderStore(tmp_path / "state")
    yield Shop(warehouse, store, ManualClock(MONDAY))
    warehouse.release()
    store.close()
