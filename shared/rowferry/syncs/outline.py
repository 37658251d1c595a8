"""The outline of a run: everything that decides what it sends, fixed before anything is read.

Written once as `runs/<sync>/<run>/outline.json`, so that a run that was killed while being planned goes
on as it began, even when the settings file has changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rowferry.delivery.plan import Plan
from rowferry.syncs.following import Seen
from rowferry.warehouse.port import Param


@dataclass(frozen=True, slots=True)
class Outline:
    """`statement` makes `run_table` with `params` (name → type and text); where it takes more memory than the
    warehouse has, `large_statement` does, in another order. `keyed` is whether the delivered state follows
    (`changed`, `audience`), `cursor_type` whether a window of a cursor does (`new`). From `export_rows` rows
    on, the warehouse writes the chunks by itself; None: never. `queue` is where a queue's rows were taken from, and are
    marked: database, table, column. `member_column` of the delivered state tells who is in the audience, where that is an
    attribute. `seen` is what the run knows of the feeds that its sync comes after."""

    plan: Plan
    mode: str
    statement: str
    params: Mapping[str, tuple[str, str]]
    run_table: str
    state_table: str | None
    state_columns: tuple[str, ...]
    is_identifier: tuple[bool, ...]
    chunk_rows: int
    guards: Mapping[str, Any]
    notify: tuple[str, ...]
    notify_rejected_percent: float = 0.0
    remove_action: str | None = None
    sent_table: str | None = None
    cursor_type: str | None = None
    lag_seconds: float = 0.0
    moves_cursor: bool = False
    source_table: str | None = None
    export_rows: int | None = None
    large_statement: str | None = None
    queue: tuple[str, str, str] | None = None
    vendor: str = ""
    account: str | None = None
    member_column: str | None = None
    seen: Seen | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values; `from_dict` reads them back."""
        return {**asdict(self), "plan": self.plan.to_dict()}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Outline:
        """The outline that `to_dict` wrote."""
        lists = {name: tuple(found[name]) for name in ("state_columns", "is_identifier", "notify")}
        params = {name: (kind, value) for name, (kind, value) in found["params"].items()}
        queue = tuple(found["queue"]) if found.get("queue") else None
        seen = Seen.of(found["seen"]) if found.get("seen") else None
        return cls(**{**found, **lists, "params": params, "queue": queue, "seen": seen, "plan": Plan.from_dict(found["plan"])})

    @property
    def query_params(self) -> dict[str, Param]:
        """The statement's parameters as the warehouse takes them."""
        return {name: Param(kind, value) for name, (kind, value) in self.params.items()}
