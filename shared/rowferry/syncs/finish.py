"""Closing a run: when the last receipts are in, one commit of everything it changed, then the balance.

    all receipts ─► rejected rows into a table ─► ONE transaction: delivered state, what was sent, receipts,
    dead letters, the run's row ─► closed.json ─► chunks, journals, claims, run table removed

The transaction runs once ever for a run, whoever calls and however often. Nothing in it looks ahead
of a vendor's answer: rows without receipts keep the run open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rowferry.clock import Clock
from rowferry.delivery import kept
from rowferry.delivery.chunk import OUTBOX, Chunk, ChunkName, Row
from rowferry.delivery.exported import FOLDER
from rowferry.delivery.plan import Plan
from rowferry.delivery.receipts import PREFIX, Receipts, RejectedRow
from rowferry.delivery.runs import SHOWN_REJECTIONS, Manifest, Run, RunResult, Totals
from rowferry.stores.port import Conflict, Object, Store
from rowferry.stores.removal import remove_all
from rowferry.syncs import tables
from rowferry.syncs.counts import REASONS, read_rejections
from rowferry.syncs.cursor import less_lag, reached
from rowferry.syncs.outline import Outline
from rowferry.syncs.shape import table_part
from rowferry.warehouse.port import Param, Warehouse
from rowferry.warehouse.statements import render, split

_EXPIRED = "the run was open for so long that the table it is closed from has expired; give it up, and the next run sends its rows again"
DROPPED = "dropped"  # the code of rows that were dropped with their run, and the object of the run that says so


@dataclass(frozen=True, slots=True)
class Finisher:
    """Closes runs. `mark(outline, keys)` sets the marks of a queue's rows in their database."""

    store: Store
    warehouse: Warehouse
    clock: Clock
    mark: Callable[[Outline, Iterator[Sequence[Any]]], None]

    def finish(self, run: Run) -> RunResult:
        """Close the run if nothing is pending; else leave it. Returns how it stands now: `failed` when the table that its
        commit reads has expired."""
        manifest = run.manifest()
        if manifest is None or run.has("closed"):
            self._clear(run)
            return run.result()
        if not self.is_due(run):
            return run.result()
        if self.warehouse.columns(manifest.run_table) is None:
            run.fail(f"{_EXPIRED}: rowferry sync {run.sync} --drop {run.run}", self.clock.now())
            return run.result()
        totals = Totals.of(run.receipts())
        if totals.delivered + totals.rejected != manifest.to_send:
            raise AssertionError(
                f"run {run.run}: {totals.delivered} delivered and {totals.rejected} rejected of {manifest.to_send} sent rows"
            )
        outline = Outline.from_dict(run.read("outline") or {})
        self._commit(run, manifest, outline, totals)
        if outline.mode == "queue":
            self.mark(outline, self._keys(run, outline))
        run.put("closed", self._closed(run, manifest, totals).to_dict())
        self._clear(run)
        return run.result()

    def is_due(self, run: Run) -> bool:
        """Whether all of the run's chunks have their receipts: a listing, where `finish` reads every one of them."""
        manifest = run.manifest()
        return manifest is not None and sum(1 for _ in self.store.list(f"{PREFIX}{run.sync}/{run.run}/")) >= manifest.chunks

    def finish_relayed(self, receipts: Receipts) -> RunResult:
        """A webhook's or a notice's rows have their outcome: nothing to commit but dead letters. Its chunk leaves the
        outbox, so that what stands there waits; the receipts stay for a while, for they tell a repeat of the webhook. One
        of which nothing was taken may be sent again by its sender, once the mistake is mended."""
        name = ChunkName.of(receipts.chunk)
        was_rejected = kept.is_kept(self.store, name)
        if receipts.rejected or was_rejected:
            self._bury(name, receipts, was_rejected)
        else:
            self.store.delete(receipts.chunk)
        return RunResult(
            name.part,
            name.sync,
            "closed",
            read=receipts.rows,
            delivered=receipts.delivered,
            rejected=len(receipts.rejected),
            requests=receipts.requests,
            resent=receipts.resent,
            rejections=tuple({"key": row.key, "code": row.code, "reason": row.reason} for row in receipts.rejected[:SHOWN_REJECTIONS]),
        )

    def _bury(self, name: ChunkName, receipts: Receipts, was_rejected: bool) -> None:
        """Dead letters for what was rejected, none any more for what was rejected before; its rows are kept to be sent again.

        Another may have done all of it while we stood still, and the webhook may have come or been sent again since:
        nothing that is newer than what we began with is touched."""
        settled, standing = self.store.head(f"{PREFIX}{name.stem}.json"), self.store.head(receipts.chunk)
        if standing is not None:  # without a chunk, it is done
            rows = self._commit_relayed(name, receipts, was_rejected, settled)
            if self.store.head(receipts.chunk) == standing:
                kept.keep(self.store, name, *rows)
            self._delete(standing)
        if receipts.delivered == 0 and settled is not None:
            self._delete(settled)

    def _delete(self, found: Object) -> None:
        with suppress(Conflict):
            self.store.delete(found.key, found.version)

    def _commit_relayed(
        self, name: ChunkName, receipts: Receipts, was_rejected: bool, settled: Object | None
    ) -> tuple[Plan, Sequence[Row]]:
        """The dead letters; what was rejected, as it is to be kept."""
        tables.make_common(self.warehouse)
        with Chunk(self.store, receipts.chunk) as chunk:
            plan, sent = chunk.plan, list(chunk.rows())
        why = {row.id: row for row in receipts.rejected}
        outcomes = f"rowferry.{table_part('rejected', name.sync, name.part)}"
        columns = {"row_id": "STRING", "row_key": "STRING", "code": "STRING", "reason": "STRING"}
        rows = ({"row_id": row.id, "row_key": row.key, **_reason(why.get(row.id))} for row in sent)
        once = f"{name.stem}/{settled.version}/{settled.updated_at.isoformat()}" if settled else name.stem  # it may be sent again
        self.warehouse.load_rows(outcomes, columns, rows, job=f"rejected/{once}")
        texts = {"sync": name.sync, "run": name.part, "destination": name.destination, "action": plan.action}
        params = {key: Param("STRING", value) for key, value in texts.items()} | {"at": Param("TIMESTAMP", self.clock.now())}
        quote = self.warehouse.quote
        statements = render(
            "commit_relayed", dead_letters=quote(tables.DEAD_LETTERS), outcomes=quote(outcomes), was_rejected=was_rejected
        )  # fmt: skip
        self.warehouse.apply(split(statements), params, once=f"finish/{once}")
        self.warehouse.drop(outcomes)
        return plan, [row for row in sent if row.id in why]

    def _commit(self, run: Run, manifest: Manifest, outline: Outline, totals: Totals) -> None:
        rejected = f"rowferry.rejected_{manifest.run_table.partition('.')[2]}"
        columns = {"row_id": "STRING", "code": "STRING", "reason": "STRING"}
        self.warehouse.load_rows(rejected, columns, self._rejected_rows(run), job=f"rejected/{run.sync}/{run.run}")
        names = {"run_table": self.warehouse.quote(manifest.run_table), "rejected": self.warehouse.quote(rejected)}
        statements = self._statements(outline, manifest, names)
        self.warehouse.apply(statements, self._params(run, manifest, outline, totals), once=f"finish/{run.sync}/{run.run}")
        self.warehouse.drop(rejected)

    def _keys(self, run: Run, outline: Outline) -> Iterator[Sequence[Any]]:
        """The keys of all rows of the run, column by column and in their order; every one of them has its outcome. Those
        that were dropped with the run wait on in their queue."""
        names = [name for name, _ in outline.plan.columns]
        columns = ", ".join(f"c_{names.index(name)}" for name in outline.plan.key_columns)
        statement = f"SELECT {columns} FROM {self.warehouse.quote(outline.run_table)} WHERE op = 'create'"
        if run.has(DROPPED):
            dropped = f"SELECT row_id FROM {self.warehouse.quote(tables.RECEIPTS)} WHERE run = @run AND sync = @sync AND code = '{DROPPED}'"
            statement += f" AND row_id NOT IN ({dropped})"
        statement += f" ORDER BY {columns}"
        params = {"run": Param("STRING", run.run), "sync": Param("STRING", run.sync)}
        return (tuple(row.values()) for row in self.warehouse.query(statement, params))

    def _rejected_rows(self, run: Run) -> Iterator[dict[str, Any]]:
        for receipts in run.receipts():
            for row in receipts.rejected:
                yield {"row_id": row.id, "code": row.code, "reason": row.reason}

    def _statements(self, outline: Outline, manifest: Manifest, names: dict[str, str]) -> list[str]:
        quote = self.warehouse.quote
        scripts = [
            render(
                "commit_outcomes", receipts=quote(tables.RECEIPTS), dead_letters=quote(tables.DEAD_LETTERS), **names
            ),
            render("commit_run", runs=quote(tables.RUNS)),
        ]  # fmt: skip
        if manifest.state_table is not None:
            tables.make_state(self.warehouse, manifest.state_table, manifest.state_columns)  # the run may be older than its shape
            state = {"state": quote(manifest.state_table), "state_columns": list(manifest.state_columns), "member": outline.member_column}
            renews = manifest.counts["creates"] + manifest.counts["removes"] > 0
            scripts.insert(0, render("commit_delivered", renews=renews, **state, **names))
        if outline.sent_table is not None and outline.cursor_type is not None and self._keep_from(outline, manifest) is not None:
            tables.make_sent(self.warehouse, outline.sent_table, outline.cursor_type)  # the run may be older than the table's shape
            moves, kind = outline.moves_cursor, outline.cursor_type
            replaces = "replaces" in (self.warehouse.columns(manifest.run_table) or {})  # an earlier version's run table has none
            sent_names = {"run_table": names["run_table"], "sent": quote(outline.sent_table), "dead_letters": quote(tables.DEAD_LETTERS)}
            scripts.insert(0, render("commit_sent", cursor_type=kind, moves_cursor=moves, replaces=replaces, **sent_names))
        return [statement for script in scripts for statement in split(script)]

    def _params(self, run: Run, manifest: Manifest, outline: Outline, totals: Totals) -> dict[str, Param]:
        started = datetime.fromisoformat((run.read("started") or {})["started_at"])
        texts = {
            "run": run.run, "sync": run.sync, "destination": manifest.destination, "action": outline.plan.action, "mode": manifest.mode,
            "vendor": outline.vendor, "account": outline.account or "", **REASONS,
        }  # fmt: skip
        numbers = {
            "read_rows": manifest.read, "unchanged": manifest.unchanged, "delivered": totals.delivered,
            "rejected": totals.rejected + manifest.rejected, "requests": totals.requests, "resent": totals.resent,
        }  # fmt: skip
        return {
            **{name: Param("STRING", value) for name, value in texts.items()},
            **{name: Param("INT64", value) for name, value in numbers.items()},
            "at": Param("TIMESTAMP", self.clock.now()),
            "started_at": Param("TIMESTAMP", started),
            "keep_from": Param("STRING", self._keep_from(outline, manifest) or ""),
        }

    def _keep_from(self, outline: Outline, manifest: Manifest) -> str | None:
        """From which cursor on ids are to be remembered: a run that moves the cursor says so itself,
        a backfill keeps to what is remembered anyway. None when there is nothing to remember."""
        if manifest.cursor_to is None:
            return None
        if not outline.moves_cursor:
            return reached(self.warehouse, outline.sent_table) if outline.sent_table else None
        return less_lag(manifest.cursor_to, outline)

    def _closed(self, run: Run, manifest: Manifest, totals: Totals) -> RunResult:
        rejections = [*self._rejected_before(manifest), *totals.rejections][:SHOWN_REJECTIONS]
        return RunResult(
            run=run.run,
            sync=run.sync,
            status="closed",
            read=manifest.read,
            unchanged=manifest.unchanged,
            delivered=totals.delivered,
            rejected=totals.rejected + manifest.rejected,
            pending=0,
            requests=totals.requests,
            resent=totals.resent,
            rejections=tuple(rejections),
            started_at=(run.read("started") or {})["started_at"],
            finished_at=self.clock.now().isoformat(),
        )

    def _rejected_before(self, manifest: Manifest) -> list[dict[str, Any]]:
        if not manifest.rejected:
            return []
        return read_rejections(self.warehouse, manifest.run_table, SHOWN_REJECTIONS)

    def _clear(self, run: Run) -> None:
        """Remove what a closed run no longer needs. Its `closed.json` stays, and so does its row."""
        if not run.has("closed"):
            return
        outline = run.read("outline")
        if outline is None:
            return
        plan = Outline.from_dict(outline).plan
        own = f"{run.sync}/{run.run}/"
        outbox = f"{OUTBOX}{plan.destination}/{plan.lane}/{own}"
        for prefix in (outbox, f"journal/{own}", f"claims/{own}", f"{PREFIX}{own}", f"{FOLDER}{own}"):
            remove_all(self.store, prefix)
        self.warehouse.drop(outline["run_table"])
        if outline["source_table"]:
            self.warehouse.drop(outline["source_table"])


def _reason(row: RejectedRow | None) -> dict[str, str | None]:
    """Why a row was rejected, as columns; NULL where it was not."""
    return {"code": row.code if row else None, "reason": row.reason if row else None}
