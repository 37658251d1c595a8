"""Everything put together from the settings: the only place that chooses adapters.

An edge builds an `App` and calls one of its steps; so does the command line. Adapters are built when
a step first needs them, and imported then, so that each function's cold start pays for its own only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson

from rowferry import destinations
from rowferry.clock import Clock, SystemClock
from rowferry.errors import UsageError
from rowferry.owner import Owner
from rowferry.settings.model import Settings
from rowferry.stores.address import open_store
from rowferry.stores.port import NotFound, Store

if TYPE_CHECKING:
    from rowferry.alerts.check import Look
    from rowferry.databases.database import Database
    from rowferry.delivery.account import Account
    from rowferry.delivery.chunk import ChunkName
    from rowferry.delivery.deliver import Delivery
    from rowferry.delivery.outbox import Outbox
    from rowferry.delivery.runs import RunResult
    from rowferry.loads.load import Loader
    from rowferry.loads.result import LoadResult
    from rowferry.loads.sweep import Due
    from rowferry.notices.kinds import Change
    from rowferry.notices.notices import Notices
    from rowferry.pulls.puller import Pulled
    from rowferry.secrets import Resolve
    from rowferry.settings.feed import Feed
    from rowferry.syncs.finish import Finisher
    from rowferry.syncs.resolve import Resolver
    from rowferry.syncs.source import DatabaseSource
    from rowferry.syncs.start import Starter
    from rowferry.syncs.sweep import Sweeper
    from rowferry.warehouse.port import Warehouse
    from rowferry.webhooks.relay import Relay


LEFT_ALONE = timedelta(minutes=10)  # a file that is younger has an event under way, most likely


def forever() -> float:
    """The time left where no platform sets an end."""
    return float("inf")


class App:
    """Rowferry for one settings file. Safe for threads; `close` it, or use it as a context manager."""

    def __init__(
        self,
        settings: Settings,
        *,
        base: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        clock: Clock | None = None,
        owner: Owner | None = None,
        resolve_secret: Resolve | None = None,
    ) -> None:
        """`base` is the settings file's folder, where relative paths start. `owner` signs claims: on one
        machine the process, in the clouds a name that nobody else can judge. `resolve_secret` takes the
        place of the environment's or cloud's secrets."""
        self.settings = settings
        self.clock = clock or SystemClock()
        self.owner = owner or Owner.anonymous()
        self._base = base or Path()
        self._environment = environment
        self._accounts: dict[str, Account] = {}
        self._databases: dict[str, Database] = {}
        self._resolve_secret = resolve_secret

    # ── What it is made of ──────────────────────────────────────────────────────────────────

    @cached_property
    def state(self) -> Store:
        """The store of outbox, claims, journals, receipts and runs."""
        return open_store(self.settings.state, self._base)

    @cached_property
    def exports(self) -> Store:
        """The store where vendors drop their files. Raises `UsageError` when the settings name none."""
        if self.settings.exports is None:
            raise UsageError("the settings have no `exports`: write the bucket or folder where files land")
        return open_store(self.settings.exports, self._base)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse the settings name."""
        wanted = self.settings.warehouse
        if wanted.engine == "duckdb":
            from rowferry.warehouse.duckdb import DuckDbWarehouse

            return DuckDbWarehouse(self._base / wanted.file, memory_limit=wanted.memory_limit, threads=wanted.threads)
        from rowferry.warehouse.bigquery import open_bigquery

        return open_bigquery(wanted)

    @cached_property
    def resolve_secret(self) -> Resolve:
        """Where secrets are found: the cloud's own store when its runtime is around us, else the environment."""
        if self._resolve_secret is not None:
            return self._resolve_secret
        if "AWS_LAMBDA_FUNCTION_NAME" in self._environment:
            from rowferry.secrets_aws import from_secrets_manager

            return from_secrets_manager()
        if "K_SERVICE" in self._environment:
            from rowferry.secrets_gcp import from_secret_manager

            return from_secret_manager()
        from rowferry.secrets import from_environment

        return from_environment(self._environment)

    @cached_property
    def outbox(self) -> Outbox:
        """For rows that come one by one: webhooks and notices."""
        from rowferry.delivery.outbox import Outbox

        return Outbox(self.state)

    def account(self, name: str) -> Account:
        """The destination `name`, ready to send to; shared by all who send to it from here."""
        if name not in self._accounts:
            from rowferry.delivery.account import Account
            from rowferry.delivery.pace import Pacer
            from rowferry.http import HttpClient

            unresolved = self._destination(name)
            settings = unresolved.resolved(self.resolve_secret)
            destination = destinations.find(settings.vendor)
            pace = destination.pace(settings)
            per_second = pace.per_second / settings.instances if pace.per_second is not None else None
            self._accounts[name] = Account(
                name=name,
                destination=destination,
                settings=settings,
                client=HttpClient(pace.in_flight),
                pacer=Pacer(per_second, self.clock),
                in_flight=pace.in_flight,
            )
        return self._accounts[name]

    def _destination(self, name: str) -> Any:
        if name not in self.settings.destinations:
            raise UsageError(unknown("destination", name, self.settings.destinations))
        return self.settings.destinations[name]

    # ── The steps ───────────────────────────────────────────────────────────────────────────

    def resolver(self, name: str) -> Resolver:
        """The sync `name`, ready to be held against its model. Raises `UsageError` when there is none."""
        from rowferry.syncs.resolve import Resolver

        if name not in self.settings.syncs:
            raise UsageError(unknown("sync", name, self.settings.syncs))
        sync = self.settings.syncs[name]
        settings = self._destination(sync.to)
        source = self._source(name) if sync.model.database is not None else None
        return Resolver(name, sync, destinations.find(settings.vendor), settings, self.warehouse, source)

    def _source(self, name: str) -> DatabaseSource:
        from rowferry.syncs.source import DatabaseSource

        sync = self.settings.syncs[name]
        return DatabaseSource(sync, self.database(str(sync.model.database)), self.warehouse)

    def database(self, name: str) -> Database:
        """The database `name`. Raises `UsageError` when there is none, or its driver is not installed."""
        if name not in self._databases:
            try:
                from rowferry.databases.database import Database
            except ImportError:
                raise UsageError(f"databases.{name} needs SQLAlchemy; install rowferry[sql]") from None
            if name not in self.settings.databases:
                raise UsageError(unknown("database", name, self.settings.databases))
            settings = self.settings.databases[name].resolved(self.resolve_secret)
            self._databases[name] = Database(name, settings.url.reveal(), page_rows=settings.page_rows, timeout_seconds=settings.timeout)
        return self._databases[name]

    def _mark(self, sync: str, keys: Iterator[Sequence[Any]]) -> None:
        self._source(sync).mark(keys, self.clock.now())

    @property
    def starter(self) -> Starter:
        """Starts runs."""
        from rowferry.syncs.start import Starter

        return Starter(self.state, self.warehouse, self.clock)

    @property
    def finisher(self) -> Finisher:
        """Closes runs."""
        from rowferry.syncs.finish import Finisher

        return Finisher(self.state, self.warehouse, self.clock, self._mark)

    @contextmanager
    def claimed(self, name: str) -> Iterator[None]:
        """Hold the claim of this name while the block runs. Raises `claim.Held` when somebody else does."""
        from rowferry.delivery import claim

        with claim.renewing(claim.take(self.state, name, self.owner, self.clock)):
            yield

    def start_sync(self, name: str, left_seconds: Callable[[], float] = forever) -> RunResult:
        """Start a run of the sync, or go on planning an open one, and return how it stands.

        A run that has nothing to send is closed here. Raises `claim.Held` when another function is
        starting it, `SourceError` when its model can't be read; the run is then noted as failed.
        """
        from rowferry.errors import SourceError

        resolver = self.resolver(name)
        with self.claimed(f"sync/{name}"):
            try:
                run = self.starter.start(name, resolver.outline, left_seconds=left_seconds)
            except SourceError as error:
                return self.after_run(self.fail_latest(name, str(error)))
            manifest = run.manifest()
            return self.after_run(self.finisher.finish(run) if manifest is not None and manifest.chunks == 0 else run.result())

    def fail_latest(self, name: str, reason: str) -> RunResult:
        """Note on the sync's latest run why it stopped; how it stands."""
        from rowferry.delivery.runs import Head, Run

        run = Run(self.state, name, Head(self.state, name).read() or "")
        run.fail(reason, self.clock.now())
        return run.result()

    def deliver_chunk(
        self, key: str, left_seconds: Callable[[], float] = forever, progress: Callable[[int], None] = lambda _rows: None
    ) -> Delivery:
        """Bring one chunk to its receipts, as far as vendor and time allow; see `delivery.deliver`."""
        from rowferry.delivery.chunk import ChunkName
        from rowferry.delivery.deliver import deliver_chunk

        found = deliver_chunk(
            key,
            store=self.state,
            account_of=self.account,
            clock=self.clock,
            owner=self.owner,
            left_seconds=left_seconds,
            progress=progress,
        )
        if found.status == "refused":
            self._refused(ChunkName.of(key), found.reason)
        return found

    def _refused(self, name: ChunkName, reason: str) -> None:
        """A vendor refuses our key: the run has failed, and its people are told."""
        from rowferry.delivery.runs import Run

        if name.sync not in self.settings.syncs:
            return  # a relayed row waits in the outbox until the key is mended
        run = Run(self.state, name.sync, name.run)
        run.fail(reason, self.clock.now())
        self.after_run(run.result())

    def finish_run(self, receipts_key: str) -> RunResult:
        """Close the run that these receipts belong to, if they were its last. Raises `ValueError` when
        `receipts_key` names no receipts."""
        from rowferry.delivery.chunk import ChunkName
        from rowferry.delivery.outbox import URGENT
        from rowferry.delivery.receipts import Receipts
        from rowferry.delivery.runs import Run

        parts = receipts_key.split("/")
        if len(parts) != 4 or parts[0] != "receipts":
            raise ValueError(f"{receipts_key!r} names no receipts; expected receipts/sync/run/number.json")
        try:
            receipts = Receipts.read(self.state.read(receipts_key)[0])
        except NotFound:
            return Run(self.state, parts[1], parts[2]).result()  # a late event for a run that is closed and cleared
        if ChunkName.of(receipts.chunk).lane == URGENT:
            return self.finisher.finish_relayed(receipts)
        return self.after_run(self.finisher.finish(Run(self.state, parts[1], parts[2])))

    @cached_property
    def loader(self) -> Loader:
        """Loads export files."""
        from rowferry.loads.load import Loader

        return Loader(self.exports, self.state, self.warehouse, self.feeds, self.clock)

    @cached_property
    def feeds(self) -> Mapping[str, Feed]:
        """The feeds of the settings, and those that load the files of pulls."""
        if not self.settings.pulls:
            return self.settings.feeds
        from rowferry.pulls.feeds import all_feeds

        return all_feeds(self.settings)

    def load_export(self, key: str, feed: str | None = None) -> LoadResult:
        """Load one object of the exports store; see `loads.load.Loader.load`."""
        return self._after_load(self.loader.load(key, feed))

    def load_missed(self, older_than: timedelta = timedelta()) -> list[LoadResult]:
        """Load every object that the ledger does not know and that has been there so long."""
        from rowferry.loads.sweep import Missed, missed

        before = self.clock.now() - older_than
        found = list(missed(self.exports, self.loader.ledger, self.feeds, before))
        return [self.load_export(file.key) for file in found if isinstance(file, Missed)]

    def wanted_syncs(self) -> list[str]:
        """Syncs with `after` for which files have been loaded since their latest run began."""
        return [name for name, sync in self.settings.syncs.items() if sync.after and self._is_wanted(name)]

    def _is_wanted(self, name: str) -> bool:
        from rowferry.delivery.runs import Head, Run

        try:
            wanted = orjson.loads(self.state.read(f"syncs/{name}/wanted.json")[0])
        except NotFound:
            return False
        latest = Head(self.state, name).read()
        started = (Run(self.state, name, latest).read("started") or {}) if latest else {}
        return str(started.get("started_at", "")) < str(wanted["at"])

    def start_wanted(self, left_seconds: Callable[[], float] = forever) -> None:
        """Start the syncs that come after what was loaded. One that is at work just now is started by the
        next sweep, for it may not have seen the last files."""
        from rowferry.delivery.claim import Held

        for name in self.wanted_syncs():
            with suppress(Held):
                self.start_sync(name, left_seconds)

    def pull(
        self,
        name: str,
        first: date | None = None,
        last: date | None = None,
        *,
        left_seconds: Callable[[], float] = forever,
        progress: Callable[[int], None] = lambda _rows: None,
    ) -> Iterator[Pulled]:
        """Pull the days `first` to `last` of a report into export files, or all that is due; what became of each window.

        Raises `UsageError` for an unknown pull or days that can't be pulled, `claim.Held` while another function
        pulls it, and what `Puller.run` raises.
        """
        from rowferry.pulls.job import Job

        if name not in self.settings.pulls:
            raise UsageError(unknown("pull", name, self.settings.pulls))
        pull = self.settings.pulls[name]
        settings = self._destination(pull.from_).resolved(self.resolve_secret)

        def tell(change: Change) -> None:
            if pull.notify:
                self.notices.tell_change(change, pull.notify)

        job = Job(name, pull, settings, self.state, self.exports, self.clock, tuple, tell, left_seconds, progress)
        with self.claimed(f"pull/{name}"):
            yield from job.run(first, last)

    def late_feeds(self) -> list[Due]:
        """Feeds with an `expect` for which nothing came when it was due."""
        return [due for due in self._due_feeds() if due.is_late]

    def tell_late_feeds(self) -> None:
        """Tell of feeds that are late, and of those that are back."""
        from rowferry.notices import kinds

        for due in self._due_feeds():
            notify = self.feeds[due.feed].notify
            if due.is_late:
                self.notices.tell_change(kinds.feed_late(due.feed, due.due_at, due.last_at), notify)
            elif due.last_at is not None:
                self.notices.tell_change(kinds.feed_on_time(due.feed, due.last_at), notify)

    def _due_feeds(self) -> list[Due]:
        from rowferry.loads.sweep import due

        if self.settings.exports is None or not any(feed.expect for feed in self.feeds.values()):
            return []
        return due(self.feeds, self.loader.ledger, self.clock.now())

    def _after_load(self, result: LoadResult) -> LoadResult:
        """Tell of a file what is news about it, and note which syncs come after it. Returns the result as it is."""
        from rowferry.notices import kinds

        if result.status == "loaded":
            for name, sync in self.settings.syncs.items():
                if result.feed in sync.after:
                    self.state.write(f"syncs/{name}/wanted.json", orjson.dumps({"at": self.clock.now().isoformat()}))

        feed = self.feeds.get(result.feed or "")
        if feed is not None and feed.notify and result.feed is not None:
            if result.status == "quarantined":
                self.notices.tell_change(kinds.file_quarantined(result.feed, result.file, result.status, result.reason or ""), feed.notify)
            elif result.status == "loaded":
                self.notices.tell_change(kinds.file_loaded(result.feed, result.file, result.rows), feed.notify)
        return result

    def sweep(self) -> dict[str, int]:
        """Start again what an event missed or a crash left behind; how much of each kind.

        Chunks and receipts are announced anew, so that the platform hands them to their own functions.
        """
        from rowferry.webhooks import repeats

        found = {"runs": 0, "chunks": 0, "files": 0, "relays": self.sweeper.forget_relays()}
        repeats.forget(self.state, self.clock.now())
        if self.feeds and self.settings.exports is not None:
            found["files"] = len(self.load_missed(LEFT_ALONE))
        self.tell_late_feeds()
        found["notices"] = self.notices.finish()
        for run in self.sweeper.open_runs(self.settings.syncs):
            found["runs"] += 1
            if run.manifest() is None:
                self._start_again(run.sync)
            else:
                self.after_run(self.finisher.finish(run))
        self.start_wanted()
        for key in self.sweeper.stuck_chunks():
            found["chunks"] += self.sweeper.announce(key)
        return found

    def _start_again(self, sync: str) -> None:
        from rowferry.delivery.claim import Held

        with suppress(Held):
            self.start_sync(sync)

    @property
    def sweeper(self) -> Sweeper:
        """Looks for what is left behind."""
        from rowferry.syncs.sweep import Sweeper

        return Sweeper(self.state, self.clock)

    @cached_property
    def notices(self) -> Notices:
        """Tells people, once for each change of state."""
        from rowferry.notices.notices import Notices

        return Notices(self.state, self.outbox, self.clock)

    @cached_property
    def relay(self) -> Relay:
        """Takes webhooks in. Raises `SettingsError` when one has an empty secret, `UsageError` when one has none."""
        from rowferry.webhooks.hook import hooks_of
        from rowferry.webhooks.relay import Relay

        def idempotency(destination: str, action: str) -> str | None:
            return destinations.find(self._destination(destination).vendor).actions[action].idempotency

        hooks = hooks_of({name: webhook.resolved(self.resolve_secret) for name, webhook in self.settings.webhooks.items()})
        return Relay(hooks, self.outbox, self.state, self.clock, idempotency)

    def check_alert(self, name: str) -> Look:
        """Look at the alert once and tell what is news. Raises `UsageError` when there is no such alert."""
        from rowferry.alerts.check import Alerts

        if name not in self.settings.alerts:
            raise UsageError(unknown("alert", name, self.settings.alerts))
        return Alerts(self.warehouse, self.state, self.notices, self.clock).check(name, self.settings.alerts[name])

    def status(self) -> dict[str, list[dict[str, Any]]]:
        """What ran, what is late and what was rejected, as `rowferry status --json` prints it."""
        from rowferry.syncs.status import dead_letters, feeds, latest_runs, loads

        return {
            "feeds": feeds(self.warehouse),
            "loads": loads(self.warehouse),
            "runs": latest_runs(self.state, self.warehouse, self.settings.syncs),
            "dead_letters": dead_letters(self.warehouse),
            "late": [due.to_dict() for due in self.late_feeds()],
        }

    def after_run(self, result: RunResult) -> RunResult:
        """Tell of a run what is news about it. Returns the result as it is."""
        from rowferry.notices import kinds

        sync = self.settings.syncs.get(result.sync)
        if sync is not None and sync.notify and result.status != "open":
            for change in (kinds.first_run(result), kinds.run_ended(result), kinds.rows_rejected(result, sync.notify_rejected_percent)):
                self.notices.tell_change(change, sync.notify)
        return result

    def release(self) -> None:
        """Between two pieces of work: let go of what others may wait for."""
        if "warehouse" in self.__dict__:
            self.warehouse.release()

    def close(self) -> None:
        """Let go of everything."""
        self.release()
        for account in self._accounts.values():
            account.client.close()
        for database in self._databases.values():
            database.close()
        for store in ("state", "exports"):
            if store in self.__dict__:
                getattr(self, store).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def unknown(kind: str, name: str, known: Mapping[str, Any]) -> str:
    """The sentence for a name that the settings do not have."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"the settings have {', '.join(known) or 'none'}"
    return f"there is no {kind} {name!r}; {hint}"
