"""The tables of the sending half: made when they are first needed."""

from __future__ import annotations

from collections.abc import Sequence

from rowferry.warehouse.port import TableShape, Warehouse

RECEIPTS = "rowferry.receipts"
DEAD_LETTERS = "rowferry.dead_letters"
RUNS = "rowferry.runs"

_SHAPES = {
    RECEIPTS: TableShape(
        {
            "run": "STRING", "sync": "STRING", "destination": "STRING", "row_id": "STRING", "row_key": "STRING",
            "outcome": "STRING", "code": "STRING", "reason": "STRING", "recorded_at": "TIMESTAMP",
        },
        partition_by="recorded_at",
        cluster_by=("sync", "row_key"),
    ),
    DEAD_LETTERS: TableShape(
        {
            "sync": "STRING", "destination": "STRING", "action": "STRING", "run": "STRING", "row_id": "STRING", "row_key": "STRING",
            "row_print": "INT64", "code": "STRING", "reason": "STRING", "status": "STRING", "recorded_at": "TIMESTAMP",
        },
        cluster_by=("sync", "row_id"),
    ),
    RUNS: TableShape(
        {
            "run": "STRING", "sync": "STRING", "destination": "STRING", "mode": "STRING", "status": "STRING",
            "read_rows": "INT64", "unchanged": "INT64", "delivered": "INT64", "rejected": "INT64", "requests": "INT64",
            "resent": "INT64", "started_at": "TIMESTAMP", "finished_at": "TIMESTAMP",
        },
    ),
}  # fmt: skip


def make_common(warehouse: Warehouse) -> None:
    """Receipts, dead letters and runs, for all syncs."""
    for table, shape in _SHAPES.items():
        warehouse.create(table, shape)


def make_state(warehouse: Warehouse, table: str, columns: Sequence[str]) -> None:
    """The delivered state of a sync; fields that came to its map since get their column, and so does what an earlier version
    did not keep."""
    own = {**dict.fromkeys(columns, "INT64"), "vendor": "STRING", "account": "STRING"}
    warehouse.create(table, TableShape({"row_key": "STRING", **own, "run": "STRING"}, cluster_by=("row_key",)))
    warehouse.add_columns(table, own)


def make_sent(warehouse: Warehouse, table: str, cursor_type: str) -> None:
    """What a `new` sync remembers of the rows around its cursor. A table of an earlier version gets the column it lacks;
    one that was made for another type of cursor is made anew while nothing is in it: a database without rows tells no types."""
    columns = {"row_id": "STRING", "row_cursor": cursor_type, "row_print": "INT64", "run": "STRING"}
    found = warehouse.columns(table)
    if (
        found is not None
        and found["row_cursor"] != cursor_type
        and not any(warehouse.query(f"SELECT 1 FROM {warehouse.quote(table)} LIMIT 1"))
    ):
        warehouse.drop(table)
    warehouse.create(table, TableShape(columns, cluster_by=("row_id",)))
    warehouse.add_columns(table, {"row_print": "INT64"})
