"""Small files of one table, loaded together: one staging table, one transaction, a row in the ledger for each.

Who loads which files together may differ from call to call, so the transaction itself keeps each
file to once: it takes a turn at the table (of two that do so at a time one is refused) and leaves
out files that the ledger has by then. Which files came together stays in the ledger (`window_id`).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rowferry.errors import FileRejected
from rowferry.feeds.contract import Contract
from rowferry.loads.fileload import FileLoad, learned, make_table, read_profile
from rowferry.loads.inference import is_settled
from rowferry.loads.quarantine import TEXT_NAME
from rowferry.loads.result import LoadResult
from rowferry.loads.shape import Target, fit_columns
from rowferry.loads.sniff import Sniffed
from rowferry.loads.spool import spool_known
from rowferry.loads.statements import FEED_COLUMNS, LINE, LoadColumn, LoadSql, bad_line_from, build_columns, line_from
from rowferry.stores.port import NotFound
from rowferry.warehouse.port import CsvFile, LoadSource, Param, TableShape, Warehouse
from rowferry.warehouse.statements import Sql, render

Reject = Callable[[FileLoad, FileRejected], LoadResult]

# Columns of the staging table that come from a file's name, beside those that are in it.
_FILE, _VERSION, _PART = "\0file", "\0version", "\0part."


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the window: its own load, and what it is."""

    work: FileLoad
    found: Sniffed

    def rows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Its rows by the names in the file, with what its own name says. Raises `FileRejected` and `NotFound`."""
        contract = self.work.titled(self.found)
        named = {_FILE: self.work.object.key, _VERSION: self.work.object.version}
        named |= {_PART + part: contract.part_text(part) or "" for part in contract.parts}
        with closing(self.work.staging.records(self.found)) as rows:
            for line, record in rows:
                yield line, {**record, **named}


@dataclass(frozen=True, slots=True)
class WindowLoad:
    """The way of several files of one feed into one table. Each has been found new by the ledger."""

    works: Sequence[FileLoad]
    reject: Reject

    def run(self) -> list[LoadResult]:
        """Load them all. A bad file goes to quarantine and the others go on; one that is gone is skipped."""
        members, names, results = self._read_through()
        if members:
            results += self._load(members, list(names))
        return results

    @property
    def warehouse(self) -> Warehouse:
        return self.works[0].warehouse

    @property
    def contract(self) -> Contract:
        return self.works[0].contract

    def _read_through(self) -> tuple[list[Member], dict[str, None], list[LoadResult]]:
        """Read every file to its end, before a row of it counts: the good ones, all their names, the others' results."""
        members: list[Member] = []
        names: dict[str, None] = {_FILE: None, _VERSION: None}
        results: list[LoadResult] = []
        for work in self.works:
            try:
                member = Member(work, work.staging.look())
                names.update(dict.fromkeys(self._names_of(member)))
                members.append(member)
            except FileRejected as error:
                results.append(self.reject(work, error))
            except NotFound:
                results.append(LoadResult(work.object.key, work.contract.feed, "skipped", reason="it was overwritten meanwhile"))
        return members, names, results

    def _names_of(self, member: Member) -> list[str]:
        """All names in a file, which must share some with the feed as that of a file alone must."""
        names: dict[str, None] = {}
        for _, record in member.rows():
            names.update(dict.fromkeys(record))
        if names:
            fit_columns(self.contract, list(names), {}, None, [name for name in names if name.startswith("\0")])
        return list(names)

    def _load(self, members: Sequence[Member], names: list[str]) -> list[LoadResult]:
        window_id = uuid.uuid4().hex
        staging = f"rowferry.staging_{window_id[:24]}"
        known = members[0].work.ledger.known_columns(self.contract.table)
        try:
            self._stage(members, names, staging, window_id)
            targets = self._targets(names, {column.known_as: column.name for column in known})
            columns = build_columns(self.contract, targets, {column.name for column in known if is_settled(column.kinds)})
            file, version = (Sql(f"c_{names.index(name)}") for name in (_FILE, _VERSION))
            quote, bad_line = self.warehouse.quote, bad_line_from(names)
            sql = LoadSql(self.contract, columns, staging, line_from(LINE), quote, file, version, only_new=True, bad_line=bad_line)
            params = self._params(members, window_id)
            profile = read_profile(self.warehouse, sql, params)
            bad = [column for column in columns if profile.bad.get(column.name)]
            if bad or profile.bad_lines:
                self._keep_rejected(members, names, sql, bad, params)
            make_table(self.warehouse, self.contract, targets)
            self._commit(sql, bad, learned(sql, profile, known), params, window_id)
        finally:
            self.warehouse.drop(staging)
        return self._results(members, window_id)

    def _stage(self, members: Sequence[Member], names: list[str], staging: str, window_id: str) -> None:
        with TemporaryDirectory(prefix="rowferry-load-") as folder:
            spooled = spool_known((row for member in members for row in member.rows()), names, Path(folder) / "rows.csv")
            shape = CsvFile([*(f"c_{place}" for place in range(len(names))), LINE], skip_lines=0)
            self.warehouse.load_csv(LoadSource(path=str(spooled.path)), staging, shape, job=f"window-{window_id}")

    def _targets(self, names: list[str], known: Mapping[str, str]) -> list[Target]:
        """As for one file, but what a file's name says is a column here: it differs from file to file."""
        own = [name for name in names if name.startswith("\0")]
        if len(own) == len(names):
            return [Target(column.name, column.type) for column in self.contract.columns]
        targets = fit_columns(self.contract, names, known, self.warehouse.columns(self.contract.table), own)
        places = {name: place for place, name in enumerate(names)}
        return [replace(each, source=places.get(_PART + each.part), part="") if each.part else each for each in targets]

    def _keep_rejected(
        self, members: Sequence[Member], names: list[str], sql: LoadSql, bad: list[LoadColumn], params: Mapping[str, Param]
    ) -> None:
        """A CSV to correct for each file that has rejected rows."""
        works = {member.work.object.key: member.work for member in members}
        shown = [column for column in sql.from_file() if not names[column.source or 0].startswith("\0")]
        cells = {str(column.text_name): names[column.source or 0] for column in shown}
        cells |= {"bad_line_text": TEXT_NAME} if sql.bad_line else {}
        rejected = self.warehouse.query(sql.rejected_rows(bad, shown), params)
        for key, rows in groupby(rejected, key=lambda row: str(row["file"])):
            work = works[key]
            work.quarantine.keep_rows(self.contract.feed, work.file_id, key, cells, rows)

    def _commit(self, sql: LoadSql, bad: list[LoadColumn], new: list[dict[str, Any]], params: Mapping[str, Param], window_id: str) -> None:
        statements = [render("load_turn", turn=self.warehouse.quote(self._turn()))]
        statements += sql.write(is_correction=False, clear_file=any(work.clear_file for work in self.works), is_empty=False)
        if bad or sql.bad_line:
            statements.append(sql.rejected_cells(bad))
        if new:
            statements.append(render("load_learn_columns", columns=new, feed_columns=self.warehouse.quote(FEED_COLUMNS)))
        self.warehouse.apply([*statements, sql.record_window()], params, once=f"window/{window_id}")

    def _turn(self) -> str:
        """The little table whose one row everybody changes who loads windows into our table."""
        name = f"rowferry.turn_{hashlib.sha256(self.contract.table.encode()).hexdigest()[:24]}"
        self.warehouse.create(name, TableShape({"turn": "STRING"}))
        self.warehouse.apply([f"INSERT INTO {self.warehouse.quote(name)} (turn) VALUES ('')"], once=f"{name}/first")
        return name

    def _params(self, members: Sequence[Member], window_id: str) -> dict[str, Param]:
        work, objects = self.works[0], [member.work.object for member in members]
        return {
            "feed": Param("STRING", self.contract.feed),
            "table_name": Param("STRING", self.contract.table),
            "loaded_at": Param("TIMESTAMP", work.at),
            "contract": Param("STRING", work.contract_id),
            "window_id": Param("STRING", window_id),
            "turn": Param("STRING", window_id),
            "files": Param("ARRAY<STRING>", [each.key for each in objects]),
            "versions": Param("ARRAY<STRING>", [each.version for each in objects]),
            "sizes": Param("ARRAY<INT64>", [each.size_bytes for each in objects]),
            "updated": Param("ARRAY<TIMESTAMP>", [each.updated_at for each in objects]),
        }

    def _results(self, members: Sequence[Member], window_id: str) -> list[LoadResult]:
        """What the ledger says of each file now: loaded by us, or by somebody else meanwhile."""
        entries = self.works[0].ledger.find_many([member.work.object.key for member in members])
        results = []
        for member in members:
            key, version = member.work.object.key, member.work.object.version
            entry = next((each for each in entries[key] if each.version == version and each.window_id == window_id), None)
            result = LoadResult(key, self.contract.feed, "skipped", self.contract.table)
            if entry is not None:
                counts = (entry.row_count, entry.rejected_rows, entry.rejected_cells)
                result = replace(result, status="loaded", rows=counts[0], rejected_rows=counts[1], rejected_cells=counts[2])
            results.append(result)
        return results
