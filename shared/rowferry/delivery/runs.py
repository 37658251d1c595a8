"""Runs as objects in the state store: what was started, how far it got, how it ended.

    syncs/<sync>/head.json             which run is the sync's latest (compare-and-swap)
    runs/<sync>/<run>/started.json     when it began, and what kind of run it is
    runs/<sync>/<run>/outline.json     everything that decides what it sends (see `syncs.outline`)
    runs/<sync>/<run>/counted.json     its rows by what becomes of them, as they stand in its table
    runs/<sync>/<run>/manifest.json    what it will send: counts, tables, number of chunks
    runs/<sync>/<run>/refused.json     a guard said no; `accepted.json`: a person said yes
    runs/<sync>/<run>/failed.json      it stopped until somebody acts; removed when it goes on
    runs/<sync>/<run>/dropped.json     a person gave it up
    runs/<sync>/<run>/closed.json      the balance; nothing follows

All are create-only but the head, `failed` and, until the first chunk is written, `started`, the outline and the
counts, so two functions that do the same step leave one result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Literal

import orjson

from rowferry.delivery.journal import Journal
from rowferry.delivery.receipts import PREFIX, Receipts, Tally
from rowferry.stores.documents import read_json
from rowferry.stores.port import Conflict, Exists, NotFound, Store

Status = Literal["closed", "open", "refused", "failed"]
SHOWN_REJECTIONS = 100
_AT_ONCE = 16  # receipts that are read at the same moment


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a run will send and what it needs to commit it. Written before the first chunk.

    `rejected` rows were rejected by us before any chunk (no key, a key twice) and stand in the run
    table with their op. `state_columns` are the columns of the delivered state, one for each of
    the plan's fields, in order. `cursor_to` is where a `new` run's window ends.
    """

    run: str
    sync: str
    destination: str
    mode: str
    run_table: str
    state_table: str | None
    state_columns: tuple[str, ...]
    read: int
    unchanged: int
    to_send: int
    rejected: int
    chunks: int
    counts: Mapping[str, int] = field(default_factory=dict)
    cursor_to: str | None = None
    notify: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run as `rowferry sync --json` shows it. `read = unchanged + delivered + rejected + pending`."""

    run: str
    sync: str
    status: Status
    read: int = 0
    unchanged: int = 0
    delivered: int = 0
    rejected: int = 0
    pending: int = 0
    requests: int = 0
    resent: int = 0
    rejections: tuple[Mapping[str, Any], ...] = ()
    started_at: str | None = None
    finished_at: str | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The run as `--json` prints it: all but the reason, which is for people."""
        return {name: value for name, value in asdict(self).items() if name != "reason"}

    @property
    def is_clean(self) -> bool:
        """Whether every row was delivered or unchanged."""
        return self.status == "closed" and self.rejected == 0 and self.pending == 0


class Run:
    """One run's objects."""

    def __init__(self, store: Store, sync: str, run: str) -> None:
        self._store, self.sync, self.run = store, sync, run
        self._folder = f"runs/{sync}/{run}/"

    def read(self, name: str) -> dict[str, Any] | None:
        """One of the run's objects, or None when it is not there."""
        try:
            key = f"{self._folder}{name}.json"
            found: dict[str, Any] = read_json(self._store.read(key)[0], key)
        except NotFound:
            return None
        return found

    def has(self, name: str) -> bool:
        """Whether one of the run's objects is there."""
        return self._store.head(f"{self._folder}{name}.json") is not None

    def put(self, name: str, body: Mapping[str, Any]) -> bool:
        """Create one of the run's objects; False when it was there already."""
        try:
            self._store.create(f"{self._folder}{name}.json", orjson.dumps(body))
        except Exists:
            return False
        return True

    def put_over(self, name: str, body: Mapping[str, Any]) -> None:
        """Write one of the run's objects, whatever was there."""
        self._store.write(f"{self._folder}{name}.json", orjson.dumps(body))

    def manifest(self) -> Manifest | None:
        """The manifest, or None while the run is still being planned."""
        found = self.read("manifest")
        if found is None:
            return None
        return Manifest(**{**found, "state_columns": tuple(found["state_columns"]), "notify": tuple(found["notify"])})

    def forget(self, name: str) -> None:
        """Remove one of the run's objects, to be made anew."""
        self._store.delete(f"{self._folder}{name}.json")

    @property
    def kind(self) -> str:
        """What asked for the run: `sync`, or a replay or backfill with what it covers."""
        return str((self.read("started") or {}).get("kind", "sync"))

    def put_manifest(self, manifest: Manifest) -> None:
        """Write the manifest; a repeat changes nothing."""
        self.put("manifest", asdict(manifest))

    def fail(self, reason: str, at: datetime) -> None:
        """Note why the run stopped."""
        self._store.write(f"{self._folder}failed.json", orjson.dumps({"reason": reason, "at": at.isoformat()}))

    def go_on(self) -> None:
        """It is worth another try."""
        self._store.delete(f"{self._folder}failed.json")

    def receipts(self) -> Iterator[Receipts]:
        """The receipts of its chunks so far, in the chunks' order. Some are read at once: a large run has thousands."""
        keys = (found.key for found in self._store.list(f"{PREFIX}{self.sync}/{self.run}/"))
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="receipts") as threads:
            while group := list(islice(keys, _AT_ONCE)):
                yield from threads.map(self._read_receipts, group)

    def _read_receipts(self, key: str) -> Receipts:
        return Receipts.read(self._store.read(key)[0], key)

    def journals(self) -> Iterator[Tally]:
        """How far the chunks without receipts have got. One that is settled while we look is left to the next look."""
        own = f"{self.sync}/{self.run}/"
        settled = {found.key.removeprefix(PREFIX).removesuffix(".json") for found in self._store.list(f"{PREFIX}{own}")}
        begun = {found.key.removeprefix("journal/").rpartition("/")[0] for found in self._store.list(f"journal/{own}")}
        for stem in sorted(begun - settled):
            with suppress(NotFound):
                yield Journal(self._store, stem).tally

    def result(self) -> RunResult:
        """How the run stands, from what is written down. Reads the receipts and journals of an open run."""
        closed = self.read("closed")
        if closed is not None:
            return RunResult(**{**closed, "rejections": tuple(closed["rejections"])})
        started = self.read("started") or {}
        manifest = self.manifest()
        refused, failed = self.read("refused"), self.read("failed")
        is_refused = refused is not None and not self.has("accepted")
        if manifest is None:
            counts = (refused or {}).get("counts", {})
            status: Status = "refused" if is_refused else "failed" if failed else "open"
            reason = ((refused if is_refused else failed) or {}).get("reason", "")
            return RunResult(
                self.run, self.sync, status, started_at=started.get("started_at"), reason=reason,
                read=counts.get("read", 0), unchanged=counts.get("unchanged", 0), rejected=counts.get("rejected", 0),
                pending=counts.get("pending", 0), rejections=tuple((refused or {}).get("rejections", ())),
            )  # fmt: skip
        tally = Totals.of(self.receipts())
        for under_way in self.journals():
            tally.take_in(under_way)
        return RunResult(
            run=self.run,
            sync=self.sync,
            status="failed" if failed else "open",
            read=manifest.read,
            unchanged=manifest.unchanged,
            delivered=tally.delivered,
            rejected=tally.rejected + manifest.rejected,
            pending=manifest.to_send - tally.delivered - tally.rejected,
            requests=tally.requests,
            resent=tally.resent,
            rejections=tuple(tally.rejections),
            started_at=started.get("started_at"),
            reason=(failed or {}).get("reason", ""),
        )


@dataclass(slots=True)
class Totals:
    """The receipts of a run, added up; the first rejected rows are kept to be shown."""

    chunks: int = 0
    delivered: int = 0
    rejected: int = 0
    requests: int = 0
    resent: int = 0
    rejections: list[dict[str, Any]] = field(default_factory=list)

    def take_in(self, tally: Tally) -> None:
        """Count a chunk that is under way; its rejected rows are shown when its receipts name them."""
        delivered, rejected = tally.counts()
        self.delivered += delivered
        self.rejected += rejected
        self.requests += tally.requests
        self.resent += tally.resent

    @classmethod
    def of(cls, receipts: Iterator[Receipts]) -> Totals:
        total = cls()
        for found in receipts:
            total.chunks += 1
            total.delivered += found.delivered
            total.rejected += len(found.rejected)
            total.requests += found.requests
            total.resent += found.resent
            for row in found.rejected[: SHOWN_REJECTIONS - len(total.rejections)]:
                total.rejections.append({"key": row.key, "code": row.code, "reason": row.reason})
        return total


class Head:
    """Which run is a sync's latest."""

    def __init__(self, store: Store, sync: str) -> None:
        self._store, self._key = store, f"syncs/{sync}/head.json"

    def read(self) -> str | None:
        """The latest run's name, or None before the first."""
        try:
            return str(read_json(self._store.read(self._key)[0], self._key)["run"])
        except NotFound:
            return None

    def advance(self, before: str | None, run: str) -> bool:
        """Make `run` the latest, if `before` still is. False when somebody else was first."""
        body = orjson.dumps({"run": run})
        try:
            if before is None:
                self._store.create(self._key, body)
                return True
            found, version = self._store.read(self._key)
            if read_json(found, self._key)["run"] != before:
                return False
            self._store.replace(self._key, body, version)
        except (Exists, Conflict, NotFound):
            return False
        return True
