"""The journal of a chunk: outcomes made durable before the next request may go out.

    journal/<sync>/<run>/00042/00000007

Each entry is a create-only object that holds the outcomes of one or more finished requests. A worker
thread may send its next batch only when its last one stands here, so what a killed worker can have
sent without a trace is at most what was in flight. While an entry is being written, whoever else has outcomes
joins the next one (group commit): a slow store costs one write for many requests.

Numbers are taken by `create`, so two workers on one chunk can't both write: the second finds its
number taken and knows that its claim is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import orjson

from rowferry.delivery.receipts import Tally, entry_of
from rowferry.destinations.port import Rejected
from rowferry.errors import RowferryError
from rowferry.stores.documents import read_json
from rowferry.stores.port import Exists, Store
from rowferry.stores.removal import remove_all

_AT_ONCE = 16  # entries read at the same moment: each is a round trip to the store


class LostClaim(RowferryError):
    """Another worker writes this chunk's journal: leave it to them."""


class _Group:
    """Outcomes that are written together; `written` ends when they are, for all who wait for it."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.is_led = False
        self.written = Future[None]()


class Journal:
    """The outcomes of one chunk so far. Safe for threads."""

    def __init__(self, store: Store, stem: str) -> None:
        self._store = store
        self._prefix = _prefix(stem)
        self._group = _Group()
        self._adding = threading.Lock()
        self._writing = threading.Lock()
        self.tally = Tally()
        keys = [found.key for found in store.list(self._prefix)]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="journal") as threads:
            for key, (body, _) in zip(keys, threads.map(store.read, keys), strict=True):
                for entry in read_json(body, key):
                    self.tally.add(entry)
        self._next = int(keys[-1].rpartition("/")[2]) + 1 if keys else 0

    @property
    def is_new(self) -> bool:
        """Whether nobody has worked on the chunk before."""
        return self._next == 0

    def record(self, delivered: Sequence[int], rejected: Mapping[int, Rejected], requests: int = 0, resent: int = 0) -> None:
        """Make outcomes durable. Returns when they are. Raises `LostClaim`, `TryLater`: `resent` is not counted then."""
        entry = entry_of(delivered, rejected, requests, resent)
        with self._adding:
            group = self._group
            group.entries.append(entry)
            leads, group.is_led = not group.is_led, True
        if leads:
            self._write(group)
        group.written.result()

    def _write(self, group: _Group) -> None:
        """Write a group down, as soon as the one before it is: until then, others may join it."""
        with self._writing:
            with self._adding:
                self._group = _Group()
            try:
                self._create(group.entries)
            except BaseException as error:  # whatever it is, the others must not wait for ever
                with self._adding:
                    # Who comes next may have more luck with them. Who is told that they don't stand counts their repeats.
                    self._group.entries[:0] = [{**entry, "s": 0} for entry in group.entries]
                group.written.set_exception(error)
            else:
                group.written.set_result(None)

    def _create(self, entries: list[dict[str, Any]]) -> None:
        try:
            self._store.create(f"{self._prefix}{self._next:08d}", orjson.dumps(entries))
        except Exists:
            raise LostClaim("another worker has taken this chunk over") from None
        self._next += 1
        for entry in entries:
            self.tally.add(entry)

    def clear(self) -> None:
        """Remove it: the receipts stand."""
        remove_all(self._store, self._prefix)


def clear_away(store: Store, stem: str) -> None:
    """Remove a journal unread, whose chunk's receipts stand: whoever wrote them may have been killed before that, or
    be at it just now."""
    remove_all(store, _prefix(stem))


def _prefix(stem: str) -> str:
    return f"journal/{stem}/"
