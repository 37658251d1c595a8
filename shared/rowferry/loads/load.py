"""Export files into their tables, each exactly once.

    file ── look ── quarantine, when it can't be read
      │
      ▼  a load job named after the file
    staging table: every cell as text
      │
      ▼  one transaction, remembered under the file's name
    casts → table, rejected cells, what is known of columns, the ledger's row

A file is known by store, name and version. Whatever is killed and whoever calls again, the
transaction happens once, and until it has, the ledger knows nothing of the file. All before it can
be repeated, all after it (dropping the staging table) is tidying.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from rowferry.clock import Clock, SystemClock
from rowferry.errors import FileRejected, TryLater, UsageError
from rowferry.feeds.contract import read_contract
from rowferry.feeds.pattern import parse_pattern
from rowferry.feeds.routing import Ambiguous, Match, Skipped, Unrouted, explain, match, route
from rowferry.loads.fileload import FileLoad
from rowferry.loads.ledger import Entry, Ledger
from rowferry.loads.limits import DEFAULT_LIMITS, FileLimits
from rowferry.loads.quarantine import Quarantine, corrects
from rowferry.loads.result import LoadResult
from rowferry.loads.staging import Staging
from rowferry.settings.feed import Feed
from rowferry.stores.port import NotFound, Object, Store
from rowferry.warehouse.port import Warehouse, WarehouseError

_TRIES = 4


class Loader:
    """Loads objects of the exports store. Safe for threads and for any number of processes."""

    def __init__(
        self,
        store: Store,
        state: Store,
        warehouse: Warehouse,
        feeds: Mapping[str, Feed],
        clock: Clock | None = None,
        limits: FileLimits = DEFAULT_LIMITS,
    ) -> None:
        self._store = store
        self._warehouse = warehouse
        self._feeds = feeds
        self._clock = clock or SystemClock()
        self._limits = limits
        self._ledger = Ledger(warehouse)
        self._quarantine = Quarantine(store, state)

    @property
    def ledger(self) -> Ledger:
        """What was loaded so far."""
        return self._ledger

    def load(self, key: str, feed: str | None = None) -> LoadResult:
        """Load the live version of an object; with `feed`, by that feed whatever its path says.

        A bad file ends as `quarantined`, one that no feed takes and one whose table is in the way as
        `failed`; neither raises. Raises `TryLater` and `CredentialsError`, and `UsageError` for an
        unknown feed.
        """
        matched = self._match(key, feed)
        if isinstance(matched, LoadResult):
            return matched
        for _ in range(_TRIES):
            found = self._store.head(key)
            if found is None:
                return LoadResult(key, matched.name, "skipped", reason="it is no longer there")
            try:
                return self._load_version(found, matched)
            except NotFound:
                continue  # overwritten while it was read: once more with what is there now
        raise TryLater(f"{key} is overwritten again and again; it is loaded once it stays as it is")

    def _match(self, key: str, feed: str | None) -> Match | LoadResult:
        routed_key = corrects(key) or key
        if feed is None:
            found = route(self._feeds, routed_key)
        elif feed in self._feeds:
            found = match(feed, self._feeds[feed], routed_key) or Match(feed, self._feeds[feed], {})
        else:
            raise UsageError(f"there is no feed {feed!r}; known are {', '.join(self._feeds) or 'none'}")
        if isinstance(found, Match):
            return found
        if isinstance(found, Skipped):
            return LoadResult(key, found.name or None, "skipped", reason=found.reason)
        return LoadResult(key, None, "failed", reason=explain(found, key))

    def _load_version(self, object: Object, matched: Match) -> LoadResult:
        work = self._file_load(object, matched)
        for _ in range(_TRIES):
            entries = self._ledger.find(object.key)
            if (settled := self._settled(work, entries)) is not None:
                return settled
            try:
                return self._attempt(work)
            except WarehouseError as error:
                # Somebody else may have finished the file and tidied up under our hands.
                if self._warehouse.columns(work.staging.table) is not None or self._settled(work, self._ledger.find(object.key)):
                    failed = error
                    break
                failed = error
        settled = self._settled(work, self._ledger.find(object.key))
        return settled or LoadResult(object.key, matched.name, "failed", work.contract.table, reason=str(failed))
