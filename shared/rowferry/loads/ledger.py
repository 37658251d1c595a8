"""The ledger of files: what was loaded, skipped or put into quarantine, and what is known of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from rowferry.loads.statements import FEED_COLUMNS, LOADS, REJECTED_CELLS
from rowferry.stores.port import Object
from rowferry.warehouse.port import Param, TableShape, Warehouse
from rowferry.warehouse.statements import render

_TABLES = {
    LOADS: TableShape(
        {
            "file": "STRING",
            "version": "STRING",
            "feed": "STRING",
            "table_name": "STRING",
            "status": "STRING",
            "row_count": "INT64",
            "rejected_rows": "INT64",
            "rejected_cells": "INT64",
            "code": "STRING",
            "reason": "STRING",
            "contract": "STRING",
            "size_bytes": "INT64",
            "file_updated_at": "TIMESTAMP",
            "loaded_at": "TIMESTAMP",
            "window_id": "STRING",
        },
        partition_by="loaded_at",
        cluster_by=("file",),
    ),
    REJECTED_CELLS: TableShape(
        {
            "file": "STRING",
            "line": "INT64",
            "column": "STRING",
            "value": "STRING",
            "reason": "STRING",
            "feed": "STRING",
            "table_name": "STRING",
            "version": "STRING",
            "row_loaded": "BOOL",
            "loaded_at": "TIMESTAMP",
        },
        partition_by="loaded_at",
        cluster_by=("file",),
    ),
    FEED_COLUMNS: TableShape(
        {"table_name": "STRING", "name": "STRING", "known_as": "STRING", "kinds": "INT64", "learned_at": "TIMESTAMP"},
        cluster_by=("table_name",),
    ),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file's row in the ledger. `status` is loaded, skipped or quarantined; `contract` tells
    whether a file in quarantine was judged by the settings of today, `window_id` which files came in
    together with it."""

    version: str
    status: str
    table_name: str | None
    row_count: int
    rejected_rows: int
    rejected_cells: int
    code: str | None
    reason: str | None
    contract: str
    file_updated_at: datetime | None
    loaded_at: datetime
    window_id: str | None


@dataclass(frozen=True, slots=True)
class KnownFile:
    """One version of a file as a listing is held against it."""

    file: str
    version: str
    status: str
    contract: str
    file_updated_at: datetime | None


def is_back(object: Object, known: Iterable[Entry | KnownFile]) -> bool:
    """Whether a version that was loaded is live again, after another one took the place of its rows.

    S3 tells versions by their content alone: what a file held the day before yesterday may be back today.
    """
    times: dict[bool, datetime] = {}
    for each in known:
        if each.status == "loaded" and each.file_updated_at is not None:
            is_same = each.version == object.version
            times[is_same] = max(each.file_updated_at, times.get(is_same, each.file_updated_at))
    return len(times) == 2 and times[True] < times[False] < object.updated_at


@dataclass(frozen=True, slots=True)
class KnownColumn:
    """An undeclared column of a table: its name in the files, and what all its values look like."""

    name: str
    known_as: str
    kinds: int


class Ledger:
    """Reads the ledger; what is written to it goes with the rows, in one transaction (see `load`)."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._made = False
        self._lock = Lock()

    def make(self) -> None:
        """Make the ledger's tables, once for this object."""
        with self._lock:
            if not self._made:
                for table, shape in _TABLES.items():
                    self._warehouse.create(table, shape)
                    self._warehouse.add_columns(table, shape.columns)  # a ledger of an earlier version
                self._made = True

    def find(self, file: str) -> list[Entry]:
        """What is known of a file, the newest first, all its versions."""
        self.make()
        sql = render("load_find", loads=self._warehouse.quote(LOADS))
        return [Entry(**row) for row in self._warehouse.query(sql, {"file": Param("STRING", file)})]

    def find_many(self, files: Sequence[str]) -> dict[str, list[Entry]]:
        """What is known of these files, each as `find` tells it."""
        self.make()
        sql = render("load_find_many", loads=self._warehouse.quote(LOADS))
        found: dict[str, list[Entry]] = {file: [] for file in files}
        for row in self._warehouse.query(sql, {"files": Param("ARRAY<STRING>", list(files))}):
            found[row.pop("file")].append(Entry(**row))
        return found

    def files(self, first: str = "") -> Iterator[KnownFile]:
        """Every known version of every file from the name `first` on, in the order of their names."""
        self.make()
        sql = render("load_known_files", loads=self._warehouse.quote(LOADS))
        for row in self._warehouse.query(sql, {"first": Param("STRING", first)}):
            yield KnownFile(**row)

    def freshness(self) -> list[dict[str, Any]]:
        """For each feed and table what came and when: the columns of `load_freshness.sql`. Makes nothing: who only looks may only read."""
        if self._warehouse.columns(LOADS) is None:
            return []
        return list(self._warehouse.query(render("load_freshness", loads=self._warehouse.quote(LOADS))))

    def loaded(self, feeds: Sequence[str], since: datetime) -> int:
        """How many files of these feeds are in, of those whose load began at `since` or later. Makes nothing, as `freshness`."""
        if self._warehouse.columns(LOADS) is None:
            return 0
        sql = render("load_count", loads=self._warehouse.quote(LOADS))
        params = {"feeds": Param("ARRAY<STRING>", list(feeds)), "since": Param("TIMESTAMP", since)}
        return int(next(iter(self._warehouse.query(sql, params)))["files"])

    def known_columns(self, table: str) -> list[KnownColumn]:
        """The undeclared columns that earlier files brought to a table."""
        self.make()
        sql = render("load_known_columns", feed_columns=self._warehouse.quote(FEED_COLUMNS))
        return [KnownColumn(**row) for row in self._warehouse.query(sql, {"table_name": Param("STRING", table)})]

    def newest_replacement(self, table: str) -> datetime | None:
        """When the newest file was written that filled a table."""
        self.make()
        sql = render("load_newest", loads=self._warehouse.quote(LOADS))
        found = list(self._warehouse.query(sql, {"table_name": Param("STRING", table)}))
        return found[0]["file_updated_at"] if found else None

    def record_sql(self) -> str:
        """The statement that writes a file's row; `record_params` are its parameters."""
        return render("load_record", loads=self._warehouse.quote(LOADS))


def record_params(values: Mapping[str, Any]) -> dict[str, Param]:
    """The parameters of the ledger's row, typed as its columns are; the file's is @ledger_file. What
    `values` lacks is NULL."""
    columns = _TABLES[LOADS].columns
    found = {name: Param(kind, values.get(name)) for name, kind in columns.items()}
    return {("ledger_file" if name == "file" else name): param for name, param in found.items()}
