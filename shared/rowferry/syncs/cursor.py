"""The cursor of `send: new`: how far the sync has read, and from where on it remembers what it sent."""

from __future__ import annotations

from datetime import datetime, timedelta

from rowferry.syncs.outline import Outline
from rowferry.warehouse.port import Warehouse


def reached(warehouse: Warehouse, sent_table: str) -> str | None:
    """From which cursor on a `new` sync remembers what it sent; None before its first run."""
    if warehouse.columns(sent_table) is None:
        return None
    found = warehouse.query(f"SELECT CAST(row_cursor AS STRING) AS row_cursor FROM {warehouse.quote(sent_table)} WHERE row_id = ''")
    return next((str(row["row_cursor"]) for row in found), None)


def less_lag(cursor: str, outline: Outline) -> str:
    """The cursor less the lag, as text."""
    if outline.lag_seconds and outline.cursor_type in ("TIMESTAMP", "DATETIME", "DATE"):
        return (datetime.fromisoformat(cursor) - timedelta(seconds=outline.lag_seconds)).isoformat(sep=" ")
    return cursor
