"""How a run is cut into chunks; how many jobs and calls of the function a hundred million rows take, and that none of them is read."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.chunk import Chunk
from rowferry.delivery.runs import Manifest
from rowferry.errors import OutOfTime
from rowferry.settings.sync import Guards
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Store
from rowferry.syncs.counts import Counts
from rowferry.syncs.exporter import AT_ONCE, Exporter
from rowferry.syncs.outline import Outline
from rowferry.syncs.start import Starter
from rowferry.syncs.stretches import LARGEST, MOST_EXPORTS, Stretch, cut, neighbours
from rowferry.warehouse.port import Export
from support.chunks import plan_of

LIFE_SECONDS = 830.0  # of start_sync: 840, less what an edge keeps back
JOB_SECONDS = 20.0
MILLION = 1_000_000


@dataclass
class HugeWarehouse:
    """A run table of `rows` rows that are never made. Its statement takes five minutes, each of its exports 20 s;
    as many as run side by side share that time. Files are empty, and rows can't be read."""

    store: Store
    clock: ManualClock
    counts: dict[str, int]
    exports: list[str] = field(default_factory=list)
    made: int = 0

    def quote(self, table: str) -> str:
        return f"`{table}`"

    def columns(self, table: str) -> dict[str, str] | None:
        """Every table is there."""
        return {}

    def create(self, *_: Any) -> None:
        """Nothing."""

    def create_as(self, *_: Any, **__: Any) -> None:
        self.clock.sleep(0 if self.made else 300)
        self.made += 1

    def query(self, *_: Any) -> Iterator[dict[str, Any]]:
        return iter([{"summary": orjson.dumps(self.counts).decode()}])

    def export(self, sql: str, folder: str, *, job: str, is_kept: Callable[[Export], bool], wait_seconds: float) -> Export:
        assert wait_seconds > JOB_SECONDS
        self.clock.sleep(JOB_SECONDS / AT_ONCE)
        self.exports.append(job)
        prefix = folder.removeprefix(self.store.uri("x").removesuffix("x"))
        self.store.write(f"{prefix}r0/000000000000.json.gz", gzip.compress(b""))
        return Export(f"{folder}r0/", 1, None)


class ReadableWarehouse(HugeWarehouse):
    """One whose rows can be read, which is written down."""

    def snapshot_rows(self, table: str, columns: list[str], first: int, last: int) -> Iterator[tuple[Any, ...]]:
        self.exports.append(f"{first}-{last}")
        return ((f"r{position}", f"k{position}", "create", None, f"v{position}") for position in range(first, last + 1))


def outline(chunk_rows: int, **more: Any) -> Outline:
    return Outline(
        plan=plan_of([("id", "STRING")]), mode="all", statement="SELECT 1", params={}, run_table="rowferry.run_x", state_table=None,
        state_columns=(), is_identifier=(True,), chunk_rows=chunk_rows, guards=Guards().model_dump(), notify=(),
        **{"export_rows": MILLION, **more},
    )  # fmt: skip


def started(store: Store, chunk_rows: int, rows: int) -> tuple[Manifest, HugeWarehouse, int]:
    """The run's manifest, its warehouse, and how many calls of the function it took."""
    clock = ManualClock()
    warehouse = HugeWarehouse(store, clock, {"read_rows": rows, "creates": rows})
    starter = Starter(store, cast(Any, warehouse), clock, Exporter(store, cast(Any, warehouse)))
    for called in range(1, 100):
        begun = clock.monotonic()
        try:
            run = starter.start("s1", lambda *_: outline(chunk_rows), left_seconds=_left(clock, LIFE_SECONDS))
        except OutOfTime:
            run = None
        assert clock.monotonic() - begun <= LIFE_SECONDS
        if run is not None and (manifest := run.manifest()) is not None:
            return manifest, warehouse, called
    raise AssertionError("the run was never planned")


def _left(clock: ManualClock, seconds: float) -> Callable[[], float]:
    ends_at = clock.monotonic() + seconds
    return lambda: ends_at - clock.monotonic()


@pytest.mark.parametrize(
    ("millions", "chunk_rows", "jobs", "calls"),
    [
        pytest.param(100, 50_000, 400, 2, id="a vendor that takes what comes: chunks grow fivefold, so that the jobs stay few"),
        pytest.param(10, 2_400, 834, 4, id="a slow one: they grow no further than that, for a worker has to read over what is done"),
    ],
)
def test_a_run_is_planned_within_the_functions_time(tmp_path: Path, millions: int, chunk_rows: int, jobs: int, calls: int) -> None:
    """Every call ends in its time with its progress saved, none does a job over, and no row is read."""
    store = FolderStore(tmp_path)
    manifest, warehouse, called = started(store, chunk_rows, millions * MILLION)
    assert (manifest.to_send, manifest.chunks) == (millions * MILLION, jobs)
    assert len(warehouse.exports) == len(set(warehouse.exports)) == jobs
    assert called == calls
    assert len(list(store.list("outbox/"))) == jobs
    assert list(store.list("exported/")) == []


CASES = [
    (upserts, removes, chunk_rows, export_rows)
    for upserts in (0, 1, 99, 1_000_001)
    for removes in (0, 7, 500_000)
    for chunk_rows in (1, 700, 50_000)
    for export_rows in (None, 100, 10**9)
    if (upserts + removes) / chunk_rows < 3000
]


@pytest.mark.parametrize(("upserts", "removes", "chunk_rows", "export_rows"), CASES)
def test_stretches_cover_every_row_once(upserts: int, removes: int, chunk_rows: int, export_rows: int | None) -> None:
    """No position is left out or twice in, numbers have no gaps, removals have chunks of their own, none is too large."""
    shape, counts = outline(chunk_rows, export_rows=export_rows, remove_action="delete"), Counts(creates=upserts, removes=removes)
    found = list(cut(shape, counts))
    assert [stretch.number for stretch in found] == list(range(len(found)))
    assert [position for stretch in found for position in (stretch.first, stretch.last)] == [
        position for first, last in _ends(found) for position in (first, last)
    ]
    assert sum(stretch.rows for stretch in found) == upserts + removes
    assert {stretch.plan.action for stretch in found if stretch.first > upserts} <= {"delete"}
    assert {stretch.plan.action for stretch in found if stretch.last <= upserts} <= {"profile"}
    is_exported = export_rows is not None and upserts + removes >= export_rows
    assert all(stretch.rows <= chunk_rows * (LARGEST if is_exported else 1) for stretch in found)
    if is_exported and upserts + removes <= MOST_EXPORTS * LARGEST * chunk_rows:
        assert len(found) <= MOST_EXPORTS + 1


def _ends(found: list[Stretch]) -> Iterator[tuple[int, int]]:
    """Where each stretch would have to begin and end if they followed each other without a gap."""
    at = 1
    for stretch in found:
        yield at, at + stretch.rows - 1
        at += stretch.rows


def test_neighbours_are_read_in_one_go() -> None:
    """What follows without a gap is one reading, removals too; a chunk that is there already parts it in two."""
    shape = outline(10, export_rows=None, remove_action="delete")
    found = list(cut(shape, Counts(creates=55, removes=20)))
    assert [[stretch.number for stretch in some] for some in neighbours(found)] == [[0, 1, 2, 3, 4, 5, 6, 7]]
    del found[2]
    assert [[stretch.number for stretch in some] for some in neighbours(found)] == [[0, 1], [3, 4, 5, 6, 7]]
    assert list(neighbours([])) == []


def test_a_run_below_the_threshold_is_read_in_one_go(tmp_path: Path) -> None:
    """Ten chunks are one reading, not ten; a call that goes on begins its reading where the last one stopped."""
    store, clock = FolderStore(tmp_path), ManualClock()
    warehouse = ReadableWarehouse(store, clock, {"read_rows": 95, "creates": 95})
    starter = Starter(store, cast(Any, warehouse), clock, Exporter(store, cast(Any, warehouse)))
    left = iter([100.0] * 4)
    with pytest.raises(OutOfTime, match="4 chunks are written"):
        starter.start("s1", lambda *_: outline(10), left_seconds=lambda: next(left, 0))
    manifest = starter.start("s1", lambda *_: outline(10)).manifest()
    assert warehouse.exports == ["1-95", "41-95"]
    assert manifest is not None
    assert manifest.chunks == 10
    ids = []
    for listed in store.list("outbox/"):
        with Chunk(store, listed.key) as chunk:
            ids.append([row.id for row in chunk.rows()])
    assert ids == [[f"r{n}" for n in range(at, min(at + 10, 96))] for at in range(1, 96, 10)]
