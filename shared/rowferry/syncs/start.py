"""Starting a run, or going on with one: outline, run table, guards, chunks, manifest. Each step is safe to repeat.

    head names the run ─► outline.json ─► run table ─► guards ─┬► chunks ─► manifest.json
                                                               └► refused.json (nothing leaves)

A run that is not closed is gone on with before a new one starts. Everything a step writes is
create-only and named by the run, so a step that was killed is done again to the same result. The outline
alone is written over once, when it is known how large the run is: with the lane that its size asks for.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from rowferry.clock import Clock
from rowferry.delivery.chunk import ChunkName, Row, encode_row, write_chunk
from rowferry.delivery.runs import SHOWN_REJECTIONS, Head, Manifest, Run
from rowferry.errors import OutOfTime, SourceError, UsageError
from rowferry.stores.port import Store
from rowferry.syncs import following, tables
from rowferry.syncs.counts import Counts, known_rows, read_counts, read_rejections
from rowferry.syncs.exporter import Exporter
from rowferry.syncs.guards import refusal
from rowferry.syncs.outline import Outline
from rowferry.syncs.shape import BACKFILL_LANE
from rowferry.syncs.stretches import Stretch, cut, is_exported, neighbours
from rowferry.warehouse.port import TooLarge, Warehouse, WarehouseError

LARGE_CHUNKS = 5  # from more chunks than that, some minutes of sending each, a run counts as a backfill: others pass it
RUN_TABLE_LIFE = timedelta(days=60)  # a run can't be closed without it: longer than buckets keep its chunks (infra's keep_days)
_CHUNK_SECONDS = 30.0  # writing a chunk takes a second or two; what a slow store may make of it


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts runs. `exporter` is there where the warehouse can write the chunks of a large run by itself."""

    store: Store
    warehouse: Warehouse
    clock: Clock
    exporter: Exporter | None = None

    def start(
        self,
        sync: str,
        outline_of: Callable[[str, datetime], Outline],
        *,
        accept: str | None = None,
        kind: str = "sync",
        left_seconds: Callable[[], float] = lambda: float("inf"),
    ) -> Run:
        """The sync's run to work on: the open one if there is one, else a new one, planned up to its
        manifest, or refused. The caller holds the sync's claim.

        With `accept`, the refused run of that name goes on; raises `UsageError` when it is not the
        latest one or was not refused. `kind` is noted on a new run, for whoever finds it open.
        `outline_of(run, at)` resolves the sync as the settings stand now.

        Raises `SourceError` when the model can't be read: the next call reads it as the settings stand
        then. Raises `OutOfTime` when `left_seconds` do not suffice for the next chunk: the next call goes
        on behind the last one.
        """
        run = self._current(sync, accept)
        run.go_on()
        if run.manifest() is None and not _is_refused(run):
            try:
                self._plan(run, kind, outline_of, left_seconds)
            except WarehouseError as error:
                self._forget_outline(run)
                raise SourceError(f"syncs.{sync}.model can't be read: {error}") from None
        return run

    def _current(self, sync: str, accept: str | None) -> Run:
        head = Head(self.store, sync)
        latest = head.read()
        if accept is not None:
            return self._accepted(sync, latest, accept)
        if latest is not None:
            run = Run(self.store, sync, latest)
            if not run.has("closed") and not _is_refused(run):
                return run
        return self._new(sync, head, latest)

    def _new(self, sync: str, head: Head, latest: str | None) -> Run:
        name = f"{self.clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        if not head.advance(latest, name):
            name = head.read() or name  # somebody else was first: theirs is as good
        elif latest is not None:
            self._drop_tables(Run(self.store, sync, latest))
        return Run(self.store, sync, name)

    def _drop_tables(self, run: Run) -> None:
        """Drop what a run before this one may have left: a refused one, or one whose closing was killed near its end."""
        outline = run.read("outline") or {}
        for table in (outline.get("run_table"), outline.get("source_table")):
            if table:
                self.warehouse.drop(table)

    def _accepted(self, sync: str, latest: str | None, accept: str) -> Run:
        if accept != latest:
            raise UsageError(f"the latest run of {sync} is {latest or 'not there yet'}; only that one can be accepted, not {accept}")
        run = Run(self.store, sync, accept)
        if not run.has("refused"):
            raise UsageError(f"run {accept} of {sync} was not refused; there is nothing to accept")
        if not run.has("accepted") and self.lost(run) is not None:
            raise UsageError(f"run {accept} of {sync} was refused so long ago that its rows are gone; rowferry sync {sync} looks anew")
        run.put("accepted", {"at": self.clock.now().isoformat()})
        return run

    def _forget_outline(self, run: Run) -> None:
        """What can't be read must not be asked again: the settings may be mended by the next call. Once a
        chunk is written it is too late for that."""
        found = run.read("outline")
        if found is not None and not any(self.store.list(ChunkName.prefix(Outline.from_dict(found).plan))):
            run.forget("counted")
            self._drop_tables(run)  # another outline means other columns by the same names
            run.forget("outline")

    def _plan(self, run: Run, kind: str, outline_of: Callable[[str, datetime], Outline], left_seconds: Callable[[], float]) -> None:
        if not run.has("outline"):
            started = run.read("started") or {"started_at": self.clock.now().isoformat()}
            run.put_over("started", {**started, "kind": kind})  # a run that never knew what to send becomes what is asked for now
            run.put("outline", outline_of(run.run, datetime.fromisoformat(started["started_at"])).to_dict())
        outline = Outline.from_dict(run.read("outline") or {})
        if outline.seen is not None:
            following.note(self.store, run.sync, outline.seen)
        if self.lost(run) is not None:
            raise SourceError(
                f"run {run.run} was left half planned for so long that its table has expired, and other rows stand in the model now: "
                f"give it up, and the next run sends what is to be sent: rowferry sync {run.sync} --drop {run.run}"
            )
        counts = make_run_table(self.warehouse, outline, expires_at=self.clock.now() + RUN_TABLE_LIFE)
        run.put("counted", asdict(counts))
        known = known_rows(self.warehouse, outline.state_table, outline.member_column) if outline.state_table else 0
        reason = refusal(outline.guards, counts, known)
        if reason is not None and not run.has("accepted"):
            self._refuse(run, outline, counts, reason)
            return
        outline = self._in_its_lane(run, outline, counts)
        chunks = self._write_chunks(outline, counts, left_seconds)
        run.put_manifest(_manifest(run, outline, counts, chunks))

    def lost(self, run: Run) -> Manifest | None:
        """What a run was to send that has no manifest yet and no table any more. Made anew, the table would hold other rows
        than the chunks that were written, or than a person has accepted. None for any other run."""
        counted, outline = run.read("counted"), run.read("outline")
        if counted is None or outline is None or run.has("manifest"):
            return None
        found, counts = Outline.from_dict(outline), Counts(**counted)
        if self.warehouse.columns(found.run_table) is not None:
            return None
        return _manifest(run, found, counts, sum(1 for _ in cut(found, counts)))

    def _in_its_lane(self, run: Run, outline: Outline, counts: Counts) -> Outline:
        """The outline, in the lane of backfills if the run is as large as one. The counts are those of the immutable run
        table, so whoever goes on with the run finds the same; once a chunk is written, its lane stands."""
        is_large = counts.to_send > LARGE_CHUNKS * outline.chunk_rows
        if not is_large or outline.plan.lane >= BACKFILL_LANE or any(self.store.list(ChunkName.prefix(outline.plan))):
            return outline
        found = replace(outline, plan=replace(outline.plan, lane=BACKFILL_LANE))
        run.put_over("outline", found.to_dict())
        return found

    def _refuse(self, run: Run, outline: Outline, counts: Counts, reason: str) -> None:
        rejections = read_rejections(self.warehouse, outline.run_table, SHOWN_REJECTIONS)
        body = {
            "reason": reason,
            "counts": {
                "read": counts.read,
                "unchanged": counts.unchanged + counts.dead,
                "rejected": counts.missing_key + counts.missing_cursor,
                "pending": counts.to_send + counts.duplicate_key,
            },
            "rejections": rejections,
        }
        run.put("refused", body)

    def _write_chunks(self, outline: Outline, counts: Counts, left_seconds: Callable[[], float]) -> int:
        """Write the chunks that are not there yet; how many there are together."""
        stretches = list(cut(outline, counts))
        written = {listed.key for listed in self.store.list(ChunkName.prefix(outline.plan))}
        missing = [stretch for stretch in stretches if stretch.key not in written]
        if missing and self.exporter is not None and is_exported(outline, counts):
            missing = self.exporter.write(outline, missing, left_seconds)
        with closing(read_stretches(self.warehouse, outline, missing)) as found:
            for stretch, rows in found:
                if left_seconds() < _CHUNK_SECONDS:
                    raise OutOfTime(f"{stretch.plan.sync}: {stretch.number} chunks are written; the next call goes on behind them")
                write_chunk(self.store, stretch.plan, stretch.number, map(encode_row, rows))
        return len(stretches)


def make_run_table(warehouse: Warehouse, outline: Outline, *, expires_at: datetime) -> Counts:
    """Run the outline's statement once; a run table that is there already stays as it is."""
    tables.make_common(warehouse)
    if outline.state_table is not None:
        tables.make_state(warehouse, outline.state_table, outline.state_columns)
    if outline.sent_table is not None and outline.cursor_type is not None:
        tables.make_sent(warehouse, outline.sent_table, outline.cursor_type)
    job = f"run/{outline.plan.sync}/{outline.plan.run}"
    make = partial(
        warehouse.create_as, outline.run_table, params=outline.query_params, expires_at=expires_at, cluster_by=("rowferry_position",)
    )
    try:
        make(outline.statement, job=job)
    except TooLarge:
        if outline.large_statement is None:
            raise
        make(outline.large_statement, job=f"{job}/large")
    return read_counts(warehouse, outline.run_table)


def read_stretches(
    warehouse: Warehouse, outline: Outline, stretches: Iterable[Stretch]
) -> Generator[tuple[Stretch, Iterator[Row]], None, None]:
    """Each stretch with its rows, all of which are to be taken before the next one is asked for. Those that follow
    each other are read in one go."""
    for together in neighbours(stretches):
        with closing(run_rows(warehouse, outline, together[0].first, together[-1].last)) as rows:
            for stretch in together:
                yield stretch, islice(rows, stretch.rows)


def run_rows(warehouse: Warehouse, outline: Outline, first: int, last: int) -> Generator[Row, None, None]:
    """Rows of a run table by position, as they stand in a chunk."""
    columns = ["row_id", "row_key", "op", "mask", *(f"c_{index}" for index in range(len(outline.plan.columns)))]
    for row_id, key, op, mask, *values in warehouse.snapshot_rows(outline.run_table, columns, first, last):
        yield Row(row_id, key, "remove" if op == "remove" else "upsert", mask, values)


def _is_refused(run: Run) -> bool:
    return run.has("refused") and not run.has("accepted")


def _manifest(run: Run, outline: Outline, counts: Counts, chunks: int) -> Manifest:
    found: dict[str, Any] = {
        "creates": counts.creates,
        "updates": counts.updates,
        "removes": counts.removes,
        "attributes": counts.attributes,
    }
    return Manifest(
        run=run.run,
        sync=run.sync,
        destination=outline.plan.destination,
        mode=outline.mode,
        run_table=outline.run_table,
        state_table=outline.state_table,
        state_columns=outline.state_columns,
        read=counts.read,
        unchanged=counts.unchanged + counts.dead,
        to_send=counts.to_send,
        rejected=counts.rejected,
        chunks=chunks,
        counts={**found, "missing_key": counts.missing_key, "duplicate_key": counts.duplicate_key, "dead": counts.dead},
        cursor_to=counts.last_cursor,
        notify=outline.notify,
    )
