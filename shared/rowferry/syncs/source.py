"""A model in a database: its rows are copied into the warehouse for one run, and all the rest is SQL there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rowferry.databases.copying import copy_rows
from rowferry.databases.database import Database
from rowferry.databases.queue import look, take
from rowferry.databases.reader import column_names, read_rows
from rowferry.errors import SourceError
from rowferry.mapping.values import decoder
from rowferry.settings.sync import ColumnField, Sync
from rowferry.warehouse.names import is_column
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
        columns = self._needed(column_names(self.database, self.sync.model))
        copy_rows(self._rows(columns, above, above_type, is_replay), columns, self.warehouse, table, job=f"source/{table}")

    def _needed(self, names: list[str]) -> list[str]:
        """Of the model's columns those that the sync reads: what else stands in its table is no business of it. Raises
        `SourceError` when one is not there, or has a name that no warehouse takes."""
        sync, model = self.sync, f"the model in databases.{self.database.name}"
        if sync.rest is None and len(set(names)) == len(names) > 0:
            wanted = [*sync.key, *(field.column for field in sync.map.values() if isinstance(field, ColumnField))]
            wanted += [sync.cursor] if sync.cursor else []
            found = {name.lower(): name for name in names}
            for name in wanted:
                if name.lower() not in found:
                    raise SourceError(f"{model} has no column {name!r}; it has {', '.join(names)}")
            # As it is spelled, where that is one of them: a database may have `id` and `ID`.
            names = list(dict.fromkeys(name if name in names else found[name.lower()] for name in wanted))
        for name in names:
            if not is_column(name):
                raise SourceError(f"the warehouse takes no column {name!r} of {model}: rename it there, {{sql: SELECT … AS other_name}}")
        return names

    def _rows(self, columns: Sequence[str], above: str | None, above_type: str | None, is_replay: bool) -> Iterator[Any]:
        sync = self.sync
        if sync.send == "queue":
            if is_replay:
                return look(self.database, str(sync.model.table), columns)
            return take(self.database, str(sync.model.table), sync.key, str(sync.mark), columns)
        decode = decoder(above_type or "")
        bound = decode(above) if decode is not None and above is not None else above
        cursor = sync.cursor if above is not None else None
        return read_rows(self.database, sync.model, sync.key, columns=columns, cursor=cursor, above=bound)
