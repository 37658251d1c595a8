"""Dropping a run that can't or should not go on: every row without an outcome gets one, and the run is closed.

    plan to its end, if it was not ─► each chunk's claim ─► what the vendor took stays delivered, the rest is
    rejected as `dropped` ─► receipts ─► the run closes like any other: delivered state, dead letters, balance

Needs neither the sync nor its destination in the settings: a run carries its own plan. Each step is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from rowferry.clock import Clock
from rowferry.delivery import claim as claims
from rowferry.delivery.chunk import Chunk, ChunkName, Row
from rowferry.delivery.journal import Journal
from rowferry.delivery.receipts import Receipts, RejectedRow, Tally, is_settled
from rowferry.delivery.runs import Head, Manifest, Run, RunResult, Totals
from rowferry.errors import DamagedState, UsageError
from rowferry.owner import Owner
from rowferry.stores.port import Store
from rowferry.syncs.counts import read_counts
from rowferry.syncs.finish import DROPPED, Finisher
from rowferry.syncs.outline import Outline
from rowferry.syncs.start import Starter, run_rows
from rowferry.syncs.stretches import cut

_REASON = "the run was dropped by hand before this row had an outcome"
_FORGOTTEN = "the run was open for so long that its table has expired: nothing of it is remembered, and the next run sends its rows again"


@dataclass(frozen=True, slots=True)
class Dropper:
    """Drops runs. The caller holds the sync's claim."""

    store: Store
    clock: Clock
    owner: Owner
    starter: Starter
    finisher: Finisher

    def drop(self, sync: str, name: str) -> RunResult:
        """Close the sync's open run `name` and send nothing more of it; how it ended.

        Raises `UsageError` when it is not the latest run or is not open, `claim.Held` while a worker is at one of its chunks,
        `SourceError` when it was not planned to its end and its model can't be read any more.
        """
        run = self._open_run(sync, name)
        if (lost := self.starter.lost(run)) is not None:
            run.put_manifest(lost)
        elif run.has("outline"):
            self.starter.start(sync, _never)
        manifest = run.manifest()
        if manifest is None:
            return run.result() if run.has("refused") else self._close_empty(run)
        run.put(DROPPED, {"at": self.clock.now().isoformat()})
        for chunk in self._chunks(run):
            with suppress(DamagedState):  # its rows stand in the run's table yet
                self._settle(chunk, self._rows_of(chunk))
        if self.starter.warehouse.columns(manifest.run_table) is None:
            return self._close_forgotten(run, manifest)
        if not self.finisher.is_due(run):
            self._settle_lost(run)
        return self.finisher.finish(run)

    def _open_run(self, sync: str, name: str) -> Run:
        latest = Head(self.store, sync).read()
        if name != latest:
            raise UsageError(f"the latest run of {sync} is {latest or 'not there yet'}; only that one can be dropped, not {name}")
        run = Run(self.store, sync, name)
        if run.has("closed"):
            raise UsageError(f"run {name} of {sync} is closed; there is nothing to drop")
        if run.has("refused") and not run.has("accepted"):
            raise UsageError(f"run {name} of {sync} was refused: nothing of it was sent, and the next run takes no notice of it")
        return run

    def _close_empty(self, run: Run) -> RunResult:
        """A run that never knew what to send."""
        now = self.clock.now().isoformat()
        started_at = (run.read("started") or {}).get("started_at", now)
        run.put("closed", RunResult(run.run, run.sync, "closed", started_at=started_at, finished_at=now).to_dict())
        return run.result()

    def _close_forgotten(self, run: Run, manifest: Manifest) -> RunResult:
        """A run so old that its table has expired: there is nothing left to commit from, so what it delivered is not known."""
        totals = Totals.of(run.receipts())
        found = RunResult(
            run=run.run,
            sync=run.sync,
            status="closed",
            read=manifest.read,
            unchanged=manifest.unchanged,
            delivered=totals.delivered,
            rejected=manifest.rejected + manifest.to_send - totals.delivered,
            requests=totals.requests,
            resent=totals.resent,
            rejections=tuple(totals.rejections),
            started_at=(run.read("started") or {})["started_at"],
            finished_at=self.clock.now().isoformat(),
        )
        run.put("closed", found.to_dict())
        return replace(self.finisher.finish(run), reason=_FORGOTTEN)

    def _settle_lost(self, run: Run) -> None:
        """Chunks that are not settled, and not in the outbox to be read: the bucket let them go by their age, or something damaged them."""
        outline = Outline.from_dict(run.read("outline") or {})
        for stretch in cut(outline, read_counts(self.starter.warehouse, outline.run_table)):
            self._settle(ChunkName.of(stretch.key), run_rows(self.starter.warehouse, outline, stretch.first, stretch.last))

    def _chunks(self, run: Run) -> list[ChunkName]:
        plan = Outline.from_dict(run.read("outline") or {}).plan
        return [ChunkName.of(found.key) for found in self.store.list(ChunkName.prefix(plan))]

    def _rows_of(self, name: ChunkName) -> Generator[Row, None, None]:
        with Chunk(self.store, name.key) as chunk:
            yield from chunk.rows()

    def _settle(self, name: ChunkName, rows: Generator[Row, None, None]) -> None:
        with closing(rows), claims.renewing(claims.take(self.store, name.stem, self.owner, self.clock)):
            if is_settled(self.store, name):
                return
            journal = Journal(self.store, name.stem)
            number, rejected = _outcomes(rows, journal.tally)
            Receipts(
                chunk=name.key,
                rows=number,
                delivered=journal.tally.counts()[0],
                requests=journal.tally.requests,
                resent=journal.tally.resent,
                rejected=tuple(rejected),
            ).write(self.store)
            journal.clear()


def _outcomes(rows: Iterable[Row], tally: Tally) -> tuple[int, list[RejectedRow]]:
    """How many rows a chunk has, and those that are rejected: by the vendor before, or now."""
    settled, rejected, number = tally.settled(), list[RejectedRow](), 0
    for number, row in enumerate(rows, start=1):
        if (found := tally.rejected.get(number - 1)) is not None:
            rejected.append(RejectedRow(row.id, row.key, found.code, found.reason))
        elif number - 1 not in settled:
            rejected.append(RejectedRow(row.id, row.key, DROPPED, _REASON))
    return number, rejected


def _never(run: str, _at: datetime) -> Outline:
    raise AssertionError(f"run {run} has its outline")
