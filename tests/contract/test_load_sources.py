"""A load from every store into every warehouse: by address where the engine can fetch, else through us."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rowferry.stores.gcs import GcsStore
from rowferry.stores.port import Store
from rowferry.stores.s3 import S3Store
from rowferry.warehouse.bigquery import BigQueryWarehouse
from rowferry.warehouse.port import LoadSource, Warehouse
from support.aws import Aws
from support.bigquery import PROJECT, bigquery_emulator
from support.gcs import GcsServer
from support.loading import Bench

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def gcs() -> Iterator[GcsServer]:
    """Cloud Storage over the folder that the emulated BigQuery takes for it."""
    with GcsServer(bigquery_emulator().buckets) as server:
        yield server


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws() as server:
        yield server


@pytest.fixture(params=["gs", "s3"])
def exports(request: pytest.FixtureRequest) -> Store:
    """A bucket for exports, empty."""
    if request.param == "gs":
        gcs: GcsServer = request.getfixturevalue("gcs")
        return GcsStore(gcs.client(), gcs.make_bucket(f"exports-{uuid.uuid4().hex}"), "in")
    aws: Aws = request.getfixturevalue("aws")
    return S3Store(aws.s3(), aws.make_bucket(), "in")


@pytest.fixture(params=["duckdb", "bigquery"])
def other(request: pytest.FixtureRequest) -> Warehouse | None:
    """BigQuery with an own dataset, or None for the bench's DuckDB."""
    if request.param == "duckdb":
        return None
    return BigQueryWarehouse(PROJECT, location="US", dataset=f"own_sources_{next(_numbers)}", client=bigquery_emulator().client())


def bench(folder: Path, exports: Store, other: Warehouse | None) -> tuple[Bench, str]:
    table = f"raw_sources_{next(_numbers)}.t"
    feeds = {"crm": {"path": "crm/*", "table": table, "columns": {"id": "STRING", "n": "INT64"}}}
    return Bench(folder, feeds, other_warehouse=other, other_exports=exports), table


class Watched:
    """A warehouse whose load sources are written down."""

    def __init__(self, inner: Warehouse) -> None:
        self._inner = inner
        self.sources: list[LoadSource] = []
        self.before_load: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def load_csv(self, source: LoadSource, *rest: Any, **named: Any) -> int:
        self.sources.append(source)
        self.before_load()
        return self._inner.load_csv(source, *rest, **named)


def watched(found: Bench) -> Watched:
    watcher = Watched(found.warehouse)
    found.warehouse = watcher
    found.loader = found.new_loader()
    return watcher


def test_files_load_from_buckets_exactly_once(tmp_path: Path, exports: Store, other: Warehouse | None) -> None:
    """Plain and packed, clean and with rejected cells, good and bad: as from a folder. The version is the bucket's."""
    found, table = bench(tmp_path, exports, other)
    results = [
        found.load("crm/a.csv.gz", "id,n\n1,1\n2,2\n"),
        found.load("crm/b.csv", "id,n\n3,three\n"),
        found.load("crm/c.json", '{"id":"4","n":4}\n'),
        found.load("crm/d.csv", "x\n1\n"),
        found.load("crm/a.csv.gz"),
    ]
    assert [result.status for result in results] == ["loaded", "loaded", "loaded", "quarantined", "skipped"]
    assert found.table(table, "id", "n") == [("1", 1), ("2", 2), ("3", None), ("4", 4)]


def test_no_byte_of_a_clean_csv_in_cloud_storage_passes_through_us(tmp_path: Path, exports: Store, other: Warehouse | None) -> None:
    """BigQuery fetches `gs://` itself; from S3 the bytes are streamed, and no copy is kept on disk."""
    found, _ = bench(tmp_path, exports, other)
    watcher = watched(found)
    assert found.load("crm/a.csv.gz", "id,n\n1,1\n").status == "loaded"
    (source,) = watcher.sources
    by_address = other is not None and exports.url.startswith("gs://")
    assert (source.uri is not None, source.stream is not None, source.path) == (by_address, not by_address, None)
    assert source.compression == "gzip"


def test_a_file_overwritten_while_it_is_loaded_counts_as_what_it_is_now(tmp_path: Path, exports: Store, other: Warehouse | None) -> None:
    """The engine may read either version; only rows of the one that is in the ledger are kept."""
    found, table = bench(tmp_path, exports, other)
    watcher = watched(found)

    def overwrite() -> None:
        watcher.before_load = lambda: None
        found.put("crm/a.csv", "id,n\nnew,2\n")

    watcher.before_load = overwrite
    result = found.load("crm/a.csv", "id,n\nold,1\n")
    assert (result.status, result.rows) == ("loaded", 1)
    assert found.table(table, "id", "n") == [("new", 2)]
    live = exports.head("crm/a.csv")
    assert live is not None
    assert found.loader.load("crm/a.csv").status == "skipped"
    assert [entry.version for entry in found.loader.ledger.find("crm/a.csv")] == [live.version]
