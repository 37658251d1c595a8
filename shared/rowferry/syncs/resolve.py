"""From the settings to an outline: the sync as it stands now, held against its model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from rowferry.destinations.port import Destination
from rowferry.errors import SourceError
from rowferry.settings.sync import Sync
from rowferry.syncs import statements
from rowferry.syncs.cursor import days, reached
from rowferry.syncs.following import Seen
from rowferry.syncs.outline import Outline
from rowferry.syncs.shape import BACKFILL_LANE, Shape, resolve, sent_table, source_table
from rowferry.syncs.tables import DEAD_LETTERS
from rowferry.warehouse.port import Param, Warehouse, WarehouseError

if TYPE_CHECKING:
    from rowferry.syncs.source import DatabaseSource

CHUNK_ROWS = 50_000  # at most: a chunk's rows, then, take some 10 MB while it is written
_CHUNK_SECONDS = 240  # a chunk should take a worker about this long, well inside a function's life


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Which open dead letters a replay sends again: all, or those of one run, or with one code."""

    run: str | None = None
    code: str | None = None

    @property
    def condition(self) -> str:
        """More conditions on the dead letters, as SQL; their values are `params`."""
        return " ".join(f"AND dead.{column} = @dead_{column}" for column in ("run", "code") if getattr(self, column))

    @property
    def params(self) -> dict[str, tuple[str, str]]:
        return {f"dead_{column}": ("STRING", value) for column in ("run", "code") if (value := getattr(self, column))}


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves one sync. `settings` are the destination's; `source` is there for a model in a database.
    `export_rows`: see `Outline`; `look` says how the feeds stand that the sync comes after."""

    name: str
    sync: Sync
    destination: Destination[Any]
    settings: Any
    warehouse: Warehouse
    source: DatabaseSource | None = None
    export_rows: int | None = None
    look: Callable[[Sequence[str], datetime], Seen] | None = None

    def outline(self, run: str, at: datetime, *, replay: DeadLetters | None = None, window: tuple[str, str] | None = None) -> Outline:
        """What a run that starts now will do. Raises `SourceError` when the model can't be read.

        With `replay` only these dead letters are sent again; `window` are the first
        and last day of a backfill, such as 2026-01-31.
        """
        reads_model = replay is None and window is None
        seen = self.look(self.sync.after, at) if self.look is not None and self.sync.after and reads_model else None
        try:
            return replace(self._outline(run, at, replay, window), seen=seen)
        except SourceError:
            if self.source is not None:  # the next call copies its rows anew
                self.warehouse.drop(source_table(self.name, run))
            raise

    def _outline(self, run: str, at: datetime, replay: DeadLetters | None, window: tuple[str, str] | None) -> Outline:
        model, described = self._model(run, window, replay is not None)
        shape = resolve(self.name, self.sync, self.destination, self.settings, self._columns(model), described)
        if self.sync.send in ("changed", "audience"):
            return self._keyed(shape, run, model, replay)
        return self._unkeyed(shape, run, at, model, replay, window)

    def _model(self, run: str, window: tuple[str, str] | None, is_replay: bool) -> tuple[str, str]:
        model = self.sync.model
        if model.database is not None:
            return f"SELECT * FROM {self.warehouse.quote(self._copy(run, window, is_replay))}", f"the model in {model.database}"
        if model.table is not None:
            return f"SELECT * FROM {self.warehouse.quote(model.table)}", f"the table {model.table}"
        return str(model.sql).strip().rstrip(";"), "the model's statement"

    def _copy(self, run: str, window: tuple[str, str] | None, is_replay: bool) -> str:
        """The database's rows as a table of the warehouse; with a cursor only those that can be new."""
        if self.source is None:
            raise SourceError(f"syncs.{self.name}: the model is in a database, which needs the extra rowferry[sql]")
        table, above, kind = source_table(self.name, run), None, None
        if self.sync.cursor is not None and not is_replay:
            sent = sent_table(self.name, self.sync.to)
            kind = (self.warehouse.columns(sent) or {}).get("row_cursor")
            above = self._days(window, kind)[0] if window and kind else reached(self.warehouse, sent)
        self.source.copy(table, above if kind else None, kind, is_replay=is_replay)
        return table

    def _columns(self, model: str) -> dict[str, str]:
        try:
            return self.warehouse.describe(model)
        except WarehouseError as error:
            raise SourceError(f"syncs.{self.name}.model can't be read: {error}") from None

    def _keyed(self, shape: Shape, run: str, model: str, replay: DeadLetters | None) -> Outline:
        sync = self.sync
        rows = partial(
            statements.changed_rows,
            shape,
            model,
            self.warehouse.quote,
            only_dead=replay is not None,
            dead_filter=replay.condition if replay else "",
            has_letters=replay is None and self._has_letters(),
        )
        deletes = sync.on_remove == "delete" and sync.audience is None
        return Outline(
            plan=shape.plan(run),
            mode=sync.send,
            statement=rows(),
            large_statement=rows(is_large=True),
            params=self._params(replay),
            run_table=shape.run_table(run),
            state_table=shape.state_table,
            state_columns=shape.state_columns,
            vendor=self.destination.vendor,
            account=shape.account,
            member_column=shape.member_column,
            is_identifier=shape.is_identifier,
            chunk_rows=self.chunk_rows(shape),
            guards=sync.guards.model_dump() if replay is None else _NO_GUARDS,
            notify=sync.notify,
            notify_rejected_percent=sync.notify_rejected_percent,
            remove_action=self.destination.remove_action if deletes else None,
            source_table=source_table(self.name, run) if sync.model.database else None,
            export_rows=self.export_rows,
        )

    def _unkeyed(
        self, shape: Shape, run: str, at: datetime, model: str, replay: DeadLetters | None, window: tuple[str, str] | None
    ) -> Outline:
        sync = self.sync
        above, upto, cursor_type = self._window(shape, at, window, is_replay=replay is not None)
        rows = partial(
            statements.new_rows,
            shape,
            model,
            self.warehouse.quote,
            bounded=above is not None,
            only_dead=replay is not None,
            dead_filter=replay.condition if replay else "",
            is_backfill=window is not None,
        )
        params = self._params(replay)
        if cursor_type is not None:
            params["upto"] = ("STRING", upto)
            if above is not None:
                params["above"] = ("STRING", above)
        return Outline(
            plan=shape.plan(run, lane=BACKFILL_LANE if window else 2),
            mode=sync.send,
            statement=rows(),
            large_statement=rows(is_large=True),
            params=params,
            run_table=shape.run_table(run),
            state_table=None,
            state_columns=(),
            is_identifier=shape.is_identifier,
            chunk_rows=self.chunk_rows(shape),
            guards={**_NO_GUARDS, "min_rows": sync.guards.min_rows} if replay is None and window is None else _NO_GUARDS,
            notify=sync.notify,
            notify_rejected_percent=sync.notify_rejected_percent,
            sent_table=sent_table(self.name, self.sync.to) if cursor_type else None,
            cursor_type=cursor_type,
            lag_seconds=sync.lag,
            moves_cursor=cursor_type is not None and replay is None and window is None,
            queue=(str(sync.model.database), str(sync.model.table), str(sync.mark)) if sync.send == "queue" else None,
            source_table=source_table(self.name, run) if sync.model.database else None,
            export_rows=self.export_rows,
        )

    def _window(self, shape: Shape, at: datetime, window: tuple[str, str] | None, *, is_replay: bool) -> tuple[str | None, str, str | None]:
        """Lowest and highest cursor of the run (as text), and the cursor's type.

        The upper end is fixed when the run starts: for times it is now, so that a row stamped in the
        future waits for its time instead of moving the cursor past others.
        """
        if self.sync.cursor is None:
            return None, "", None
        kind = next(kind for name, kind in shape.columns if name.lower() == self.sync.cursor.lower())
        if self.sync.lag and kind in _NUMBERS:
            raise SourceError(
                f"syncs.{self.name}: its cursor {self.sync.cursor} is {kind} and tells no time, so a lag can't be taken off it"
            )
        top = _largest(kind, at)
        if window is not None:
            return *self._days(window, kind), kind
        if is_replay:
            return None, top, kind
        return reached(self.warehouse, sent_table(self.name, self.sync.to)), top, kind

    def _has_letters(self) -> bool:
        """Whether the sync has open dead letters: nobody but its own runs writes them."""
        if self.warehouse.columns(DEAD_LETTERS) is None:
            return False
        wanted = "sync = @sync AND destination = @destination AND status = 'open'"
        params = {name: Param(kind, value) for name, (kind, value) in self._params(None).items()}
        return bool(
            list(self.warehouse.query(f"SELECT 1 AS found FROM {self.warehouse.quote(DEAD_LETTERS)} WHERE {wanted} LIMIT 1", params))
        )

    def _days(self, window: tuple[str, str], kind: str) -> tuple[str, str]:
        found = days(kind, *window)
        if found is None:
            raise SourceError(f"syncs.{self.name}: its cursor {self.sync.cursor} is {kind} and tells no day, so it can't be filled by days")
        return found

    def _params(self, replay: DeadLetters | None) -> dict[str, tuple[str, str]]:
        own = {"sync": ("STRING", self.name), "destination": ("STRING", self.sync.to)}
        return own | (replay.params if replay else {})

    def chunk_rows(self, shape: Shape) -> int:
        """Rows of a chunk: what one worker sends in some minutes at the destination's pace."""
        if self.sync.chunk_rows is not None:
            return self.sync.chunk_rows
        pace = self.destination.pace_of(shape.action, self.settings)
        per_second = min(pace.per_second or float("inf"), pace.in_flight * 10) / self.settings.instances
        rows = int(per_second * shape.action.limits(self.settings).batch_rows * _CHUNK_SECONDS)
        return max(100, min(CHUNK_ROWS, rows))


_NUMBERS = ("INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC")
_NO_GUARDS: dict[str, Any] = {
    "max_changed_percent": None,
    "max_removed": None,
    "empty_source": False,
    "min_rows": None,
    "duplicate_keys": "reject",
}


def _largest(kind: str, at: datetime) -> str:
    if kind == "DATE":
        return at.date().isoformat()
    if kind == "DATETIME":
        return at.replace(tzinfo=None).isoformat(sep=" ")
    if kind == "TIMESTAMP":
        return at.isoformat(sep=" ")
    if kind in _NUMBERS:
        return str(2**63 - 1)
    return "\U0010ffff"  # text: above every other
