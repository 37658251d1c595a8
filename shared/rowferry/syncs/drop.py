"""Dropping a run that can't or should not go on: every row without an outcome gets one, and the run is closed.

    plan to its end, if it was not ─► each chunk's claim ─► what the vendor took stays delivered, the rest is
    rejected as `dropped` ─► receipts ─► the run closes like any other: delivered state, dead letters, balance

Needs neither the sync nor its destination in the settings: a run carries its own plan. Each step is safe to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rowferry.clock import Clock
from rowferry.delivery import claim as claims
from rowferry.delivery.chunk import Chunk, ChunkName
from rowferry.delivery.journal import Journal
from rowferry.delivery.receipts import PREFIX, Receipts, RejectedRow, Tally
from rowferry.delivery.runs import Head, Run, RunResult
from rowferry.errors import UsageError
from rowferry.owner import Owner
from rowferry.stores.port import Store
from rowferry.syncs.finish import DROPPED, Finisher
from rowferry.syncs.outline import Outline
from rowferry.syncs.start import Starter

_REASON = "the run was dropped by hand before this row had an outcome"


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
        if run.has("outline"):
            self.starter.start(sync, _never)
        if run.manifest() is None:
            return run.result() if run.has("refused") else self._close_empty(run)
        run.put(DROPPED, {"at": self.clock.now().isoformat()})
        for chunk in self._chunks(run):
            self._settle(chunk)
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

    def _chunks(self, run: Run) -> list[ChunkName]:
        plan = Outline.from_dict(run.read("outline") or {}).plan
        return [ChunkName.of(found.key) for found in self.store.list(ChunkName.prefix(plan))]

    def _settle(self, name: ChunkName) -> None:
        with claims.renewing(claims.take(self.store, name.stem, self.owner, self.clock)):
            if self.store.head(f"{PREFIX}{name.stem}.json") is not None:
                return
            journal = Journal(self.store, name.stem)
            rows, rejected = self._outcomes(name, journal.tally)
            Receipts(
                chunk=name.key,
                rows=rows,
                delivered=journal.tally.counts()[0],
                requests=journal.tally.requests,
                resent=journal.tally.resent,
                rejected=tuple(rejected),
            ).write(self.store)
            journal.clear()

    def _outcomes(self, name: ChunkName, tally: Tally) -> tuple[int, list[RejectedRow]]:
        """How many rows the chunk has, and those that are rejected: by the vendor before, or now."""
        settled, rejected, number = tally.settled(), list[RejectedRow](), 0
        with Chunk(self.store, name.key) as chunk:
            for number, row in enumerate(chunk.rows(), start=1):
                if (found := tally.rejected.get(number - 1)) is not None:
                    rejected.append(RejectedRow(row.id, row.key, found.code, found.reason))
                elif number - 1 not in settled:
                    rejected.append(RejectedRow(row.id, row.key, DROPPED, _REASON))
        return number, rejected


def _never(run: str, _at: datetime) -> Outline:
    raise AssertionError(f"run {run} has its outline")
