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
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from rowferry.clock import Clock, SystemClock
from rowferry.errors import FileRejected, TryLater
from rowferry.feeds.contract import missing_parts, read_contract
from rowferry.feeds.preset import find_preset
from rowferry.feeds.routing import Ambiguous, Match, Skipped, explain, match, route, upload
from rowferry.loads.fileload import FileLoad
from rowferry.loads.ledger import Entry, Ledger, is_back
from rowferry.loads.limits import DEFAULT_LIMITS, FileLimits
from rowferry.loads.plan import DEFAULT_WINDOW, WindowLimits, group_files, window_ends
from rowferry.loads.quarantine import AS_WE_WRITE, Quarantine, corrects
from rowferry.loads.result import LoadResult
from rowferry.loads.staging import Staging
from rowferry.loads.views import SUFFIX, refresh_latest
from rowferry.loads.windowload import WindowLoad
from rowferry.settings.feed import Feed
from rowferry.settings.problems import unknown
from rowferry.stores.port import NotFound, Object, Store
from rowferry.warehouse.port import Warehouse, WarehouseError

_TRIES = 4
_log = logging.getLogger(__name__)


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
        window_limits: WindowLimits = DEFAULT_WINDOW,
    ) -> None:
        self._store = store
        self._warehouse = warehouse
        self._feeds = feeds
        self._clock = clock or SystemClock()
        self._limits = limits
        self._window_limits = window_limits
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
            if self._is_small(found, matched):
                return self._load_window([key], matched.name)[0]
            try:
                return self._load_version(found, matched)
            except NotFound:
                continue  # overwritten while it was read: once more with what is there now
        raise TryLater(f"{key} is overwritten again and again; it is loaded once it stays as it is")

    def load_many(self, keys: Iterable[str], feed: str | None = None) -> Iterator[LoadResult]:
        """Load these objects, small files of feeds with a `window` together. The results come as they are known,
        one for each key; raises what `load` raises."""
        together: dict[tuple[str, str], list[Object]] = {}
        for key in keys:
            matched = self._match(key, feed)
            found = self._store.head(key) if isinstance(matched, Match) else None
            if isinstance(matched, Match) and found is not None and self._is_small(found, matched):
                together.setdefault((matched.name, read_contract(matched).table), []).append(found)
            else:
                yield self.load(key, feed)
        for (name, _), objects in together.items():
            for group in group_files(objects, self._window_limits):
                yield from self._load_window([file.key for file in group.files], name)

    def waits_until(self, key: str) -> datetime | None:
        """When the window of a small file is over, in which others may come to be loaded with it; None when it need not wait."""
        matched = self._match(key, None)
        found = self._store.head(key) if isinstance(matched, Match) else None
        if isinstance(matched, LoadResult) or found is None or matched.feed.window is None or not self._is_small(found, matched):
            return None
        ends = window_ends(found.updated_at, matched.feed.window)
        return ends if ends > self._clock.now() else None

    def _is_small(self, found: Object, matched: Match) -> bool:
        """Whether a file goes the way of windows. One version always goes the same way, or it could go both."""
        return loads_together(matched.feed) and found.size_bytes <= self._window_limits.small_bytes and corrects(found.key) is None

    def _load_window(self, keys: Sequence[str], feed: str) -> list[LoadResult]:
        """Load files of one table in one transaction. The feed's name is known, and its window set."""
        results, works = [], []
        entries = self._ledger.find_many(keys)
        for key in keys:
            matched, found = self._match(key, feed), self._store.head(key)
            if found is None or isinstance(matched, LoadResult):
                results.append(LoadResult(key, feed, "skipped", reason="it is no longer there"))
                continue
            work = self._file_load(found, matched, entries[key], 0)
            settled = self._settled(work, entries[key])
            if settled is not None:
                results.append(settled)
            elif is_back(found, entries[key]):
                results.append(self._load_alone(found, matched))
            else:
                works.append(work)
        return results + self._run_window(works) if works else results

    def _load_alone(self, found: Object, matched: Match) -> LoadResult:
        try:
            return self._load_version(found, matched)
        except NotFound:
            return LoadResult(found.key, matched.name, "skipped", reason="it was overwritten meanwhile")

    def _run_window(self, works: list[FileLoad]) -> list[LoadResult]:
        try:
            results = WindowLoad(works, self._put_into_quarantine).run()
        except WarehouseError as error:
            return [self._failed(work, str(error)) for work in works]
        if any(result.status == "loaded" for result in results):
            self._refresh_view(works[0])
        return results

    def _match(self, key: str, feed: str | None) -> Match | LoadResult:
        routed_key = corrects(key) or key
        if feed is None:
            found = route(self._feeds, routed_key)
        elif feed in self._feeds:
            found = match(feed, self._feeds[feed], routed_key) or upload(feed, self._feeds[feed], routed_key)
        else:
            raise unknown("feed", feed, self._feeds)
        if isinstance(found, Match):
            lacking = missing_parts(found)
            reason = f"its name does not say {{{lacking[0]}}}, which the table's name needs" if lacking else None
            return LoadResult(key, found.name, "failed", reason=reason, code="no_part") if reason else found
        if isinstance(found, Skipped):
            return LoadResult(key, found.name or None, "skipped", reason=found.reason)
        code = "two_feeds" if isinstance(found, Ambiguous) else "no_feed"
        return LoadResult(key, None, "failed", reason=explain(found, key), code=code)

    def _load_version(self, object: Object, matched: Match) -> LoadResult:
        for attempt in range(_TRIES):
            entries = self._ledger.find(object.key)
            work = self._file_load(object, matched, entries, attempt)
            if (settled := self._settled(work, entries)) is not None:
                return settled
            try:
                return self._attempt(work)
            except WarehouseError as error:
                if self._warehouse.columns(work.staging.table) is not None:
                    return self._failed(work, str(error))
                # Somebody else finished the file and tidied up under our hands, or the staging table's time was over.
        return self._failed(work, "its staging table went away again and again")

    def _attempt(self, work: FileLoad) -> LoadResult:
        try:
            result = work.run()
        except FileRejected as error:
            result = self._put_into_quarantine(work, error)
        work.tidy()
        if result.status == "loaded":
            self._refresh_view(work)
        return result

    def _refresh_view(self, work: FileLoad) -> None:
        """The rows are in; a view that can't be made now is made by a later load."""
        try:
            refresh_latest(self._warehouse, work.contract, self._ledger.known_columns(work.contract.table))
        except (WarehouseError, TryLater) as error:
            _log.warning("%s%s could not be refreshed: %s", work.contract.table, SUFFIX, error)

    def _settled(self, work: FileLoad, entries: list[Entry]) -> LoadResult | None:
        """What the ledger says is to be done with this version: None when it has to be loaded."""
        result = LoadResult(work.object.key, work.contract.feed, "skipped", work.contract.table)
        for entry in entries if not is_back(work.object, entries) else ():
            if entry.version == work.object.version and entry.status in ("loaded", "skipped"):
                return replace(result, table=entry.table_name, reason=entry.reason)
            if entry.version == work.object.version and entry.contract == work.contract_id:
                return replace(result, status="quarantined", reason=entry.reason, code=entry.code)
        return self._passed_over(work, entries, result)

    def _passed_over(self, work: FileLoad, entries: list[Entry], result: LoadResult) -> LoadResult | None:
        """A file that is not to be loaded though it is new: the ledger gets a row, so that it is settled."""
        settings = work.contract.settings
        reason = None
        if settings.on_overwrite == "ignore" and any(entry.status == "loaded" for entry in entries):
            reason = "an earlier file of this name is loaded, and the feed says on_overwrite: ignore"
        elif settings.write == "replace" and settings.replace == "table" and not work.is_correction:
            newest = self._ledger.newest_replacement(work.contract.table)
            if newest is not None and newest > work.object.updated_at:
                reason = "a newer file has taken the table's place already"
        return work.record(replace(result, reason=reason), [], {}) if reason else None

    def _put_into_quarantine(self, work: FileLoad, error: FileRejected) -> LoadResult:
        self._ledger.make()
        self._quarantine.keep_file(work.contract.feed, work.file_id, work.object, error, work.at)
        result = LoadResult(work.object.key, work.contract.feed, "quarantined", work.contract.table, reason=error.reason, code=error.code)
        return work.record(result, [], {})

    def _failed(self, work: FileLoad, reason: str) -> LoadResult:
        settled = self._settled(work, self._ledger.find(work.object.key))
        return settled or LoadResult(work.object.key, work.contract.feed, "failed", work.contract.table, reason=reason, code="warehouse")

    def _file_load(self, object: Object, matched: Match, entries: list[Entry], attempt: int) -> FileLoad:
        contract = read_contract(matched)
        file = corrects(object.key) or object.key
        if file != object.key:
            contract = replace(contract, settings=contract.settings.model_copy(update=AS_WE_WRITE))
        again = [object.updated_at.isoformat()] if is_back(object, entries) else []
        file_id = _hash(self._store.url, object.key, object.version, *again)
        settings_id = contract_id(matched)
        staging = Staging(
            store=self._store,
            warehouse=self._warehouse,
            object=object,
            contract=contract,
            table=f"rowferry.staging_{file_id[:24]}",
            job=f"load-{file_id[:32]}-{settings_id}-{attempt}",
            limits=self._limits,
        )
        came_before = contract.settings.on_overwrite == "replace_rows" and any(entry.status == "loaded" for entry in entries)
        return FileLoad(
            warehouse=self._warehouse,
            ledger=self._ledger,
            quarantine=self._quarantine,
            staging=staging,
            contract=contract,
            contract_id=settings_id,
            file_id=file_id,
            file=file,
            clear_file=came_before,
            at=self._clock.now(),
        )


def loads_together(feed: Feed) -> bool:
    """Whether small files of a feed may load together. Not where a file is judged or replaced as a whole, nor
    where of two rows with one key the one that is loaded last counts."""
    has_order = feed.write != "merge" or bool(feed.order_by or (feed.preset and find_preset(feed.preset).newest_by))
    return feed.window is not None and feed.write != "replace" and feed.bad_value != "fail_file" and has_order


def contract_id(matched: Match) -> str:
    """What changes when a feed's settings do: a file in quarantine is then worth another try."""
    return _hash(matched.name, matched.feed.model_dump_json())[:16]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
