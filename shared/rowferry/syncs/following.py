"""A sync that comes after feeds: what makes it start, and what its last run has seen of them.

    a file is in ─► wanted.json ─► run: count the feeds' files, read the model ─► seen.json

Whoever loads a file may be killed before the mark is written, so the sweep counts once more: files that are in
and that no run has seen want one. The count is taken before the model is read, so that a file which comes in
meanwhile is not among it. Runs that read a part of the model (replays, backfills) see nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from rowferry.delivery.runs import Head, Run
from rowferry.stores.documents import read_json
from rowferry.stores.port import Exists, NotFound, Store

_LONGEST_LOAD = timedelta(days=2)  # the ledger bears the time at which a load began


@dataclass(frozen=True, slots=True)
class Seen:
    """How many files of `feeds` were in, of those whose load began at `since` or later, when the run of `at` read its model."""

    at: str
    since: str
    feeds: tuple[str, ...]
    files: int

    @classmethod
    def of(cls, found: dict[str, Any]) -> Seen:
        """What `asdict` made of it."""
        return cls(**{**found, "feeds": tuple(found["feeds"])})


@dataclass(frozen=True, slots=True)
class Following:
    """Which syncs are due because of files. `count(feeds, since)` counts those that are in."""

    store: Store
    count: Callable[[Sequence[str], datetime], int]

    def look(self, feeds: Sequence[str], at: datetime) -> Seen:
        """What a run that starts `at` this time, and reads its model after this, will have seen."""
        since = at - _LONGEST_LOAD
        return Seen(at.isoformat(), since.isoformat(), tuple(feeds), self.count(feeds, since))

    def want(self, sync: str, at: datetime) -> None:
        """A file is in that the sync comes after."""
        self.store.write(f"syncs/{sync}/wanted.json", orjson.dumps({"at": at.isoformat()}))

    def is_wanted(self, sync: str) -> bool:
        """Whether a file is known to have come in since the sync's latest run began. Asks the state store alone."""
        try:
            key = f"syncs/{sync}/wanted.json"
            wanted = read_json(self.store.read(key)[0], key)
        except NotFound:
            return False
        return self._began_at(sync) < str(wanted["at"])

    def is_behind(self, sync: str, feeds: Sequence[str], now: datetime) -> bool:
        """Whether files are in that no run has seen, marked or not. A sync of which nothing is noted yet counts from now on."""
        seen = self._seen(sync)
        if seen is None:
            found = self.look(feeds, now)
            with suppress(Exists):
                self.store.create(_key(sync), orjson.dumps({**asdict(found), "at": self._began_at(sync)}))
            return False
        return self.count(seen.feeds, datetime.fromisoformat(seen.since)) > seen.files

    def _seen(self, sync: str) -> Seen | None:
        try:
            return Seen.of(read_json(self.store.read(_key(sync))[0], _key(sync)))
        except NotFound:
            return None

    def _began_at(self, sync: str) -> str:
        """When the latest run began that read the model; empty before the first."""
        if (seen := self._seen(sync)) is not None:
            return seen.at
        latest = Head(self.store, sync).read()
        started = (Run(self.store, sync, latest).read("started") or {}) if latest else {}
        return str(started.get("started_at", ""))


def note(store: Store, sync: str, seen: Seen) -> None:
    """Write down what the sync's open run has seen. It holds the sync's claim."""
    store.write(_key(sync), orjson.dumps(asdict(seen)))


def _key(sync: str) -> str:
    return f"syncs/{sync}/seen.json"
