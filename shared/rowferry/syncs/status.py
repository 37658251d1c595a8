"""What ran, what was rejected, what is late: read from the state store and the warehouse for people and pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from rowferry.delivery.runs import Head, Run
from rowferry.stores.port import Store
from rowferry.syncs import tables
from rowferry.warehouse.port import Param, Warehouse

_SHOWN = 50
_LOADS = "rowferry.loads"


def latest_runs(store: Store, warehouse: Warehouse, syncs: Collection[str]) -> list[dict[str, Any]]:
    """Runs, newest first: each sync's latest as it stands, and those closed before it. A run that is open is shown
    although the settings have its sync no more: its rows are pending until it is dropped."""
    latest = [Run(store, name, run) for name in syncs if (run := Head(store, name).read()) is not None]
    results = [run.result() for run in [*latest, *_left_open(store, syncs)]]
    current = [{**result.to_dict(), "reason": result.reason} for result in results]
    shown = {run["run"] for run in current}
    return sorted([*current, *(run for run in _closed(warehouse) if run["run"] not in shown)], key=lambda run: run["run"], reverse=True)


def _left_open(store: Store, syncs: Collection[str]) -> Iterator[Run]:
    for found in store.list("syncs/"):
        sync, _, name = found.key.removeprefix("syncs/").rpartition("/")
        if name == "head.json" and sync not in syncs:
            run = Run(store, sync, Head(store, sync).read() or "")
            if not run.has("closed"):
                yield run


def _closed(warehouse: Warehouse) -> Iterator[dict[str, Any]]:
    if warehouse.columns(tables.RUNS) is None:
        return
    names = "run, sync, status, read_rows AS read, unchanged, delivered, rejected, 0 AS pending, requests, resent, started_at, finished_at"
    for row in warehouse.query(f"SELECT {names} FROM {warehouse.quote(tables.RUNS)} ORDER BY finished_at DESC LIMIT {_SHOWN}"):
        yield {**row, "started_at": row["started_at"].isoformat(), "finished_at": row["finished_at"].isoformat()}


def dead_letters(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Open dead letters by sync and reason, with how many and since when."""
    if warehouse.columns(tables.DEAD_LETTERS) is None:
        return []
    sql = (
        "SELECT sync, destination, code, ANY_VALUE(reason) AS reason, COUNT(*) AS letters, MIN(recorded_at) AS since"
        f" FROM {warehouse.quote(tables.DEAD_LETTERS)} WHERE status = 'open'"
        f" GROUP BY sync, destination, code ORDER BY letters DESC LIMIT {_SHOWN}"
    )
    return [{**row, "since": row["since"].isoformat()} for row in map(_renamed, warehouse.query(sql))]


def rejects(warehouse: Warehouse, sync: str) -> Iterator[dict[str, Any]]:
    """A sync's open dead letters, one row each, newest first."""
    if warehouse.columns(tables.DEAD_LETTERS) is None:
        return iter(())
    names = "sync, destination, action, run, row_key, code, reason, recorded_at"
    table = warehouse.quote(tables.DEAD_LETTERS)
    sql = f"SELECT {names} FROM {table} WHERE status = 'open' AND sync = @sync ORDER BY recorded_at DESC, row_key"
    return warehouse.query(sql, {"sync": Param("STRING", sync)})


def loads(warehouse: Warehouse) -> list[dict[str, Any]]:
    """The last files of the ledger, newest first."""
    if warehouse.columns(_LOADS) is None:
        return []
    names = "file, feed, status, table_name, row_count, rejected_rows, rejected_cells, reason, loaded_at"
    found = warehouse.query(f"SELECT {names} FROM {warehouse.quote(_LOADS)} ORDER BY loaded_at DESC LIMIT {_SHOWN}")
    return [{**_renamed(row), "loaded_at": row["loaded_at"].isoformat()} for row in found]


def feeds(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Each feed's tables: how many files and rows, and when the last came."""
    if warehouse.columns(_LOADS) is None:
        return []
    sql = (
        "SELECT feed, table_name, COUNT(*) AS files, SUM(row_count) AS row_count, MAX(loaded_at) AS last_loaded_at"
        f" FROM {warehouse.quote(_LOADS)} WHERE status = 'loaded' AND feed IS NOT NULL GROUP BY feed, table_name ORDER BY feed, table_name"
    )
    return [{**_renamed(row), "last_loaded_at": row["last_loaded_at"].isoformat()} for row in warehouse.query(sql)]


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    """The words people know: `table` and `rows` can't be columns' names in every warehouse."""
    return {{"table_name": "table", "row_count": "rows", "letters": "rows"}.get(name, name): value for name, value in row.items()}
