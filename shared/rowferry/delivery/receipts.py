"""Receipts: what happened to every row of a chunk. Written once, when the last row has its outcome.

    receipts/<sync>/<run>/00042.json

Rows are counted from 0 in the chunk's order. All that were not rejected were delivered; the object
is only written when the two add up to the chunk's rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from rowferry.delivery.chunk import ChunkName
from rowferry.destinations.port import Rejected
from rowferry.stores.documents import read_json
from rowferry.stores.port import Exists, Store

PREFIX = "receipts/"


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that became a dead letter: its id in the run, its key for people, and why."""

    id: str
    key: str | None
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Receipts:
    """The outcome of a whole chunk, and what it took."""

    chunk: str
    rows: int
    delivered: int
    requests: int
    resent: int
    rejected: tuple[RejectedRow, ...]

    def __post_init__(self) -> None:
        if self.delivered + len(self.rejected) != self.rows:
            raise AssertionError(f"{self.chunk}: {self.delivered} delivered and {len(self.rejected)} rejected of {self.rows} rows")

    def write(self, store: Store) -> None:
        """Put them down; a repeat changes nothing."""
        name = ChunkName.of(self.chunk)
        rejected = [[r.id, r.key, r.code, r.reason] for r in self.rejected]
        body = {"chunk": self.chunk, "rows": self.rows, "delivered": self.delivered, "requests": self.requests, "resent": self.resent}
        try:
            store.create(f"{PREFIX}{name.stem}.json", orjson.dumps({**body, "rejected": rejected}))
        except Exists:
            return

    @classmethod
    def read(cls, body: bytes, key: str) -> Receipts:
        """What `write` wrote to `key`. Raises `DamagedState`."""
        found = read_json(body, key)
        return cls(**{**found, "rejected": tuple(RejectedRow(*r) for r in found["rejected"])})


def is_settled(store: Store, name: ChunkName) -> bool:
    """Whether the chunk's receipts stand: every row has its outcome."""
    return store.head(f"{PREFIX}{name.stem}.json") is not None


@dataclass(slots=True)
class Tally:
    """Outcomes as they come in, row by row. Not safe for threads: the journal guards it."""

    delivered: list[tuple[int, int]] = field(default_factory=list)
    rejected: dict[int, Rejected] = field(default_factory=dict)
    requests: int = 0
    resent: int = 0

    def settled(self) -> set[int]:
        """The rows that have an outcome."""
        return {row for first, end in self.delivered for row in range(first, end)} | self.rejected.keys()

    def counts(self) -> tuple[int, int]:
        """How many rows are delivered, and how many rejected."""
        return sum(end - first for first, end in self.delivered), len(self.rejected)

    def add(self, entry: dict[str, Any]) -> None:
        """Take in an entry of the journal."""
        self.delivered.extend((first, end) for first, end in entry["d"])
        self.rejected.update({row: Rejected(code, reason) for row, code, reason in entry["r"]})
        self.requests += entry["q"]
        self.resent += entry["s"]


def entry_of(delivered: Sequence[int], rejected: Mapping[int, Rejected], requests: int = 0, resent: int = 0) -> dict[str, Any]:
    """Outcomes as an entry of the journal; rows in rising order."""
    failed = [[row, why.code, why.reason] for row, why in rejected.items()]
    return {"d": ranges(delivered), "r": failed, "q": requests, "s": resent}


def ranges(rows: Iterable[int]) -> list[tuple[int, int]]:
    """Row numbers in rising order as half-open ranges."""
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and found[-1][1] == row:
            found[-1] = (found[-1][0], row + 1)
        else:
            found.append((row, row + 1))
    return found
