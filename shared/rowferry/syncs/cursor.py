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
    """The cursor less the lag, as text. A text that is no ISO 8601 time stays as it is, and so does a number."""
    if not outline.lag_seconds or outline.cursor_type not in ("TIMESTAMP", "DATETIME", "DATE", "STRING"):
        return cursor
    try:
        moment = datetime.fromisoformat(cursor) - timedelta(seconds=outline.lag_seconds)
    except ValueError:
        return cursor
    if outline.cursor_type == "STRING":  # texts are compared as such: the same form, and what a fraction or a zone may follow
        return moment.replace(tzinfo=None).isoformat(cursor[10:11] or " ", "seconds")[: len(cursor)]
    return moment.date().isoformat() if outline.cursor_type == "DATE" else moment.isoformat(sep=" ")  # BigQuery takes no time for a day


def days(kind: str, first: str, last: str) -> tuple[str, str] | None:
    """Lowest and highest cursor of these days, both included, as text; None for a type that tells no days."""
    if kind == "DATE":
        return first, last
    if kind == "DATETIME":
        return f"{first} 00:00:00", f"{last} 23:59:59.999999"
    if kind == "TIMESTAMP":
        return f"{first} 00:00:00+00:00", f"{last} 23:59:59.999999+00:00"
    return (first, f"{last}\U0010ffff") if kind == "STRING" else None  # however a time goes on behind its day
