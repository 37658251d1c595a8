"""A model in a database: its rows are copied into the warehouse for one run, and all the rest is SQL there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rowferry.databases.copying import copy_rows
from rowferry.databases.database import Database
from rowferry.databases.queue import look, take
from rowferry.databases.reader import column_names, read_rows
from rowferry.mapping.values import decoder
from rowferry.settings.sync import Sync
from rowferry.warehouse.port import Warehouse


@dataclass(frozen=True, slots=True)
class DatabaseSource:
    """The database side of one sync."""

    sync: Sync
    database: Database
    warehouse: Warehouse

    def copy(self, table: str, above: str | None, above_type: str | None, *, is_replay: bool = False) -> None:
        """Copy the rows that a run needs into `table`: all, those that wait (`queue`, unless it is a replay), or those at
        and above a cursor (`new`; `above` is its text, `above_type` BigQuery's type). Raises what the database raises."""
        model = self.sync.model
        columns = column_names(self.database, model)
        copy_rows(self._rows(above, above_type, is_replay), columns, self.warehouse, table, job=f"source/{table}")

    def _rows(self, above: str | None, above_type: str | None, is_replay: bool) -> Iterator[Any]:
        sync = self.sync
        if sync.send == "queue":
            if is_replay:
                return look(self.database, str(sync.model.table))
            return take(self.database, str(sync.model.table), sync.key, str(sync.mark))
        decode = decoder(above_type or "")
        bound = decode(above) if decode is not None and above is not None else above
        return read_rows(self.database, sync.model, sync.key, cursor=sync.cursor if above is not None else None, above=bound)
