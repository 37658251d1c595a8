"""A packed CSV into a typed table of the embedded warehouse, against merely reading it."""

from __future__ import annotations

import csv
import gzip
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Line, alternate, seconds
from bench.sending import rate
from rowferry.loads.load import Loader
from rowferry.settings.feed import Feed
from rowferry.stores.folder import FolderStore
from rowferry.warehouse.duckdb import DuckDbWarehouse

ROWS = 1_000_000
FEED = {
    "path": "events/",
    "table": "raw.events",
    "columns": {"id": "STRING", "at": "TIMESTAMP", "amount": "NUMERIC", "count": "INT64", "country": "STRING", "vip": "BOOL"},
}


def measure() -> Iterator[Line]:
    """Rows a second, types, ledger and all, against Python's csv module reading the same file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "exports" / "events" / "events.csv.gz"
        file.parent.mkdir(parents=True)
        with gzip.open(file, "wt", newline="", compresslevel=1) as stream:
            writer = csv.writer(stream)
            writer.writerow(FEED["columns"])
            writer.writerows([f"e{i}", f"2026-01-01T{i % 24:02}:00:00Z", f"{i % 997}.25", i, "DE", "true"] for i in range(ROWS))
        found = alternate({"ours": lambda: ROWS / load(folder), "csv": lambda: ROWS / seconds(lambda: merely_read(file))})
    yield Line(
        "CSV.gz → typed table", rate(found["ours"]), f"csv module reading {rate(found['csv'])}", found["ours"] / found["csv"], "≥ 0.2"
    )
    yield Line("  the same", rate(found["ours"]), "dlt, as measured 37,000 rows/s", found["ours"] / 37_000, "≥ 5")


def load(folder: Path) -> float:
    """Seconds to load the file into a new warehouse."""
    with tempfile.TemporaryDirectory() as name:
        warehouse = DuckDbWarehouse(Path(name) / "w.duckdb")
        loader = Loader(
            FolderStore(folder / "exports"), FolderStore(Path(name) / "state"), warehouse, {"events": Feed.model_validate(FEED)}
        )
        took = seconds(lambda: _loaded(loader))
        warehouse.release()
    return took


def _loaded(loader: Loader) -> None:
    result = loader.load("events/events.csv.gz")
    assert (result.status, result.rows) == ("loaded", ROWS), result


def merely_read(file: Path) -> None:
    """What no loader in Python can be faster than."""
    with gzip.open(file, "rt", newline="") as stream:
        deque(csv.reader(stream), maxlen=0)
