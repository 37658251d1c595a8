"""The counts of a run table: what the run found, taken from the same snapshot as its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from rowferry.warehouse.names import quote_column
from rowferry.warehouse.port import Warehouse


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by what becomes of them. `dead` are dead letters that have not changed; `attributes` how
    many values leave. `read` counts the model's rows and the keys that left it and are to be removed."""

    read_rows: int = 0
    unchanged: int = 0
    dead: int = 0
    missing_key: int = 0
    missing_cursor: int = 0
    duplicate_key: int = 0
    creates: int = 0
    updates: int = 0
    removes: int = 0
    attributes: int = 0
    last_cursor: str | None = None

    @property
    def read(self) -> int:
        return self.read_rows + self.removes

    @property
    def upserts(self) -> int:
        return self.creates + self.updates

    @property
    def to_send(self) -> int:
        return self.upserts + self.removes

    @property
    def rejected(self) -> int:
        """Rows that can't be sent as they stand: without a key or cursor, or with a key that others have too."""
        return self.missing_key + self.missing_cursor + self.duplicate_key


def read_counts(warehouse: Warehouse, run_table: str) -> Counts:
    """The counts that the run's statement left at position 0 of its table."""
    found = next(iter(warehouse.query(f"SELECT summary FROM {warehouse.quote(run_table)} WHERE rowferry_position = 0")))
    values: dict[str, Any] = orjson.loads(found["summary"])
    last_cursor = values.pop("last_cursor", None)
    # DuckDB counts no rows as NULL where COUNTIF is asked for
    return Counts(**{name: int(value or 0) for name, value in values.items()}, last_cursor=last_cursor)


def known_rows(warehouse: Warehouse, state_table: str, member_column: str | None) -> int:
    """How many keys the delivered state holds; of an audience, how many are in it."""
    counted = quote_column(member_column) if member_column is not None else "*"
    return int(next(iter(warehouse.query(f"SELECT COUNT({counted}) AS known FROM {warehouse.quote(state_table)}")))["known"])


REASONS = {
    "missing_key": "the row has no key: its key column is NULL; without a key it can't be known again",
    "missing_cursor": "the row's cursor column is NULL, so it can't be known when it is new",
    "duplicate_key": "the key stands in more than one row of the model, so which of them is right can't be known",
}


def read_rejections(warehouse: Warehouse, run_table: str, most: int) -> list[dict[str, Any]]:
    """The first rows that were rejected before anything was sent, as a run shows them."""
    ops = ", ".join(f"'{op}'" for op in REASONS)
    shown = f"SELECT row_key, op FROM {warehouse.quote(run_table)} WHERE op IN ({ops}) ORDER BY row_id LIMIT {int(most)}"
    return [{"key": row["row_key"], "code": row["op"], "reason": REASONS[row["op"]]} for row in warehouse.query(shown)]
