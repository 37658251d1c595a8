"""One version of one file, through staging into its table. `Loader` decides whether and how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rowferry.errors import FileRejected
from rowferry.feeds.contract import SYSTEM_COLUMNS, Contract
from rowferry.loads.badlines import BAD_COLUMNS
from rowferry.loads.inference import is_settled
from rowferry.loads.ledger import KnownColumn, Ledger, record_params
from rowferry.loads.quarantine import LINE_NAME, OUR_NAMES, TEXT_NAME, Quarantine
from rowferry.loads.result import LoadResult
from rowferry.loads.shape import Target, fit_columns
from rowferry.loads.sniff import Sniffed
from rowferry.loads.staging import Staged, Staging
from rowferry.loads.statements import FEED_COLUMNS, LINE, LoadSql, bad_line_from, build_columns, line_from, part_params
from rowferry.stores.port import NotFound, Object
from rowferry.warehouse.port import Param, TableShape, Warehouse, WarehouseError
from rowferry.warehouse.statements import render

_DAY_TYPES = ("DATE", "DATETIME", "TIMESTAMP")


@dataclass(frozen=True, slots=True)
class Profile:
    """What one query said of a staging table: its rows, bad cells by column, kinds of values, how many
    rows only their line tells from another of their key, and lines that are no rows."""

    rows: int
    dropped_rows: int
    bad: Mapping[str, int]
    kinds: Mapping[str, int]
    ties: int = 0
    bad_lines: int = 0


@dataclass(frozen=True, slots=True)
class FileLoad:
    """The way of one file. `file` is what its rows are known by: its key, or that of the file it corrects."""

    warehouse: Warehouse
    ledger: Ledger
    quarantine: Quarantine
    staging: Staging
    contract: Contract
    contract_id: str
    file_id: str
    file: str
    clear_file: bool
    at: datetime

    @property
    def object(self) -> Object:
        return self.staging.object

    @property
    def is_correction(self) -> bool:
        """Whether the file holds corrected rows of another one."""
        return self.file != self.object.key

    def run(self) -> LoadResult:
        """Load it. Raises `FileRejected` when it has to go to quarantine, `NotFound` when this version is gone."""
        found = self.staging.look()
        staged = self.staging.stage(found)
        self._check_still_there()
        contract = self.titled(found)
        known = self.ledger.known_columns(contract.table)
        targets = self._targets(contract, staged, known)
        sql = self._sql(contract, targets, staged, known)
        params = self._params(contract, targets)
        profile = read_profile(self.warehouse, sql, params) if staged.rows else Profile(0, 0, {}, {})
        if (profile.ties or any(profile.bad.values())) and not staged.has_lines and not self.is_correction:
            sql, profile = self._with_lines(found, sql, params, profile)
        self._check_bad(sql, profile)
        self._keep_rejected(sql, profile, staged, params)
        make_table(self.warehouse, contract, targets)
        return self._commit(sql, profile, known, params)

    def _check_still_there(self) -> None:
        """What was staged must be this version, which an engine that reads the file by name can't promise."""
        now = self.staging.store.head(self.object.key)
        if now is None or now.version != self.object.version:
            raise NotFound(self.object.key)

    def titled(self, found: Sniffed) -> Contract:
        """The event's name as the file's first line has it, where names of files are lossy."""
        if found.title is None or "event" not in self.contract.parts:
            return self.contract
        return replace(self.contract, parts={**self.contract.parts, "event": found.title})

    def _targets(self, contract: Contract, staged: Staged, known: list[KnownColumn]) -> list[Target]:
        table = self.warehouse.columns(contract.table)
        if not staged.names:
            return [Target(column.name, column.type) for column in contract.columns]
        if self.is_correction and LINE_NAME not in staged.names:
            raise FileRejected("no_line", f"a file of corrected rows keeps its column {LINE_NAME}, which says what they correct")
        names = {column.known_as: column.name for column in known}
        return fit_columns(contract, staged.names, names, table, (*BAD_COLUMNS, *OUR_NAMES) if self.is_correction else BAD_COLUMNS)

    def _sql(self, contract: Contract, targets: list[Target], staged: Staged, known: list[KnownColumn]) -> LoadSql:
        settled = {column.name for column in known if is_settled(column.kinds)}
        line = LINE if staged.has_lines else None
        if self.is_correction and staged.names:
            line = f"c_{staged.names.index(LINE_NAME)}"
        columns = build_columns(contract, targets, settled)
        bad_line = bad_line_from(staged.names)
        return LoadSql(contract, columns, staged.table, line_from(line), self.warehouse.quote, bad_line=bad_line)

    def _with_lines(self, found: Sniffed, sql: LoadSql, params: Mapping[str, Param], profile: Profile) -> tuple[LoadSql, Profile]:
        """The same, from a staging table that knows lines; as it was, when both readers don't see the same rows."""
        again = replace(self.staging, table=f"{self.staging.table}_lines")
        staged = again.stage(found, with_lines=True)
        self._check_still_there()
        numbered = replace(sql, staging=staged.table, line=line_from(LINE))
        seen = read_profile(self.warehouse, numbered, params)
        return (numbered, seen) if seen == replace(profile, ties=0) else (sql, profile)

    def _check_bad(self, sql: LoadSql, profile: Profile) -> None:
        if self.contract.settings.bad_value == "fail_file" and any(profile.bad.values()):
            worst = [column for column in sql.columns if profile.bad.get(column.name)]
            counts = ", ".join(f"{column.name}: {profile.bad[column.name]} ({column.reason})" for column in worst)
            raise FileRejected("bad_values", f"cells that can't be read, by column: {counts}")

    def _keep_rejected(self, sql: LoadSql, profile: Profile, staged: Staged, params: Mapping[str, Param]) -> None:
        """The rejected rows as a CSV to correct, where their lines are known."""
        bad = [column for column in sql.columns if profile.bad.get(column.name)]
        if (bad or profile.bad_lines) and sql.knows_lines:
            shown = sql.from_file()
            names = {str(column.text_name): staged.names[column.source] for column in shown if column.source is not None}
            names |= {"bad_line_text": TEXT_NAME} if profile.bad_lines else {}
            rows = self.warehouse.query(sql.rejected_rows(bad, shown), params)
            self.quarantine.keep_rows(self.contract.feed, self.file_id, self.object.key, names, rows)

    def _commit(self, sql: LoadSql, profile: Profile, known: list[KnownColumn], params: Mapping[str, Param]) -> LoadResult:
        bad = [column for column in sql.columns if profile.bad.get(column.name)]
        statements = sql.write(is_correction=self.is_correction, clear_file=self.clear_file, is_empty=profile.rows == 0)
        if bad or profile.bad_lines:
            statements.append(sql.rejected_cells(bad))
        if new := learned(sql, profile, known):
            statements.append(render("load_learn_columns", columns=new, feed_columns=self.warehouse.quote(FEED_COLUMNS)))
        result = LoadResult(
            file=self.object.key,
            feed=self.contract.feed,
            status="loaded",
            table=self.contract.table,
            rows=profile.rows - profile.dropped_rows,
            rejected_rows=profile.dropped_rows,
            rejected_cells=sum(profile.bad.values()),
        )
        return self.record(result, statements, params)

    def record(self, result: LoadResult, statements: list[str], params: Mapping[str, Param]) -> LoadResult:
        """The statements and the ledger's row, both or neither. `skipped` when it had been done before."""
        row = {
            "file": self.object.key,
            "version": self.object.version,
            "feed": self.contract.feed,
            "table_name": result.table,
            "status": result.status,
            "row_count": result.rows,
            "rejected_rows": result.rejected_rows,
            "rejected_cells": result.rejected_cells,
            "code": result.code,
            "reason": result.reason,
            "contract": self.contract_id,
            "size_bytes": self.object.size_bytes,
            "file_updated_at": self.object.updated_at,
            "loaded_at": self.at,
        }
        once = f"load/{self.file_id}" if result.status == "loaded" else f"load/{self.file_id}/{result.status}/{self.contract_id}"
        if self.warehouse.apply([*statements, self.ledger.record_sql()], {**params, **record_params(row)}, once=once):
            return result
        return replace(result, status="skipped", rows=0, rejected_rows=0, rejected_cells=0) if result.status == "loaded" else result

    def tidy(self) -> None:
        """Drop the staging tables; the warehouse would after a while."""
        self.warehouse.drop(self.staging.table)
        self.warehouse.drop(f"{self.staging.table}_lines")

    def _params(self, contract: Contract, targets: list[Target]) -> dict[str, Param]:
        return {
            "file": Param("STRING", self.file),
            "version": Param("STRING", self.object.version),
            "feed": Param("STRING", contract.feed),
            "table_name": Param("STRING", contract.table),
            "loaded_at": Param("TIMESTAMP", self.at),
            **part_params(contract, targets),
        }


def read_profile(warehouse: Warehouse, sql: LoadSql, params: Mapping[str, Param]) -> Profile:
    """Look at every cell of the staging table once."""
    row = next(iter(warehouse.query(sql.profile(), params)))
    bad = {column.name: int(row[column.bad_name] or 0) for column in sql.columns if column.bad}
    kinds = {column.name: int(row[column.kinds_name] or 0) for column in sql.columns if column.kinds}
    return Profile(
        int(row["row_count"]), int(row["dropped_rows"] or 0), bad, kinds, int(row.get("ties") or 0), int(row.get("bad_lines") or 0)
    )


def make_table(warehouse: Warehouse, contract: Contract, targets: Sequence[Target]) -> None:
    """Make the table or add what it lacks; both leave alone what is there."""
    columns = {target.name: target.type for target in targets} | SYSTEM_COLUMNS
    if warehouse.columns(contract.table) is None:
        partition_by = contract.partition_by
        if partition_by and columns.get(partition_by) not in _DAY_TYPES:
            raise WarehouseError(f"{contract.table} can't be partitioned by {partition_by}: declare it as DATE, DATETIME or TIMESTAMP")
        cluster_by = tuple(name for name in contract.cluster_by if name in columns)
        warehouse.create(contract.table, TableShape(columns, partition_by, cluster_by))
    warehouse.add_columns(contract.table, columns)


def learned(sql: LoadSql, profile: Profile, known: list[KnownColumn]) -> list[dict[str, Any]]:
    """Undeclared columns that are new, or that now look like more than they did."""
    before = {column.name: column.kinds for column in known}
    return [
        {"name": column.name, "known_as": column.known_as, "kinds": profile.kinds[column.name]}
        for column in sql.columns
        if column.name in profile.kinds and profile.kinds[column.name] | before.get(column.name, 0) != before.get(column.name)
    ]
