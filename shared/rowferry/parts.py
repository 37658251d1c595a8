"""What an app is made of: stores, warehouse, secrets, accounts. The only place that chooses adapters.

They are built when a step first needs them, and imported then, so that each function's cold start pays
for its own only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from rowferry import destinations
from rowferry.clock import Clock, SystemClock
from rowferry.errors import RowferryError, SettingsError, UsageError
from rowferry.fresh import Fresh
from rowferry.owner import Owner
from rowferry.settings.model import Settings
from rowferry.settings.problems import unknown
from rowferry.stores.address import open_store
from rowferry.stores.port import Store

if TYPE_CHECKING:
    from rowferry.databases.database import Database
    from rowferry.delivery.account import Account
    from rowferry.delivery.outbox import Outbox
    from rowferry.loads.load import Loader
    from rowferry.notices.notices import Notices
    from rowferry.secrets import Resolve
    from rowferry.settings.feed import Feed
    from rowferry.syncs.finish import Finisher
    from rowferry.syncs.following import Following
    from rowferry.syncs.outline import Outline
    from rowferry.syncs.resolve import Resolver
    from rowferry.syncs.source import DatabaseSource
    from rowferry.syncs.start import Starter
    from rowferry.syncs.sweep import Sweeper
    from rowferry.warehouse.port import Exporting, Warehouse
    from rowferry.webhooks.relay import Relay

T = TypeVar("T")


class Parts:
    """The parts of one settings file. Safe for threads; `close` them, or use them as a context manager."""

    def __init__(
        self,
        settings: Settings,
        *,
        environment: Mapping[str, str] = os.environ,
        clock: Clock | None = None,
        owner: Owner | None = None,
        resolve_secret: Resolve | None = None,
    ) -> None:
        """`owner` signs claims: on one machine the process, in the clouds a name that nobody else can judge.
        `resolve_secret` takes the place of the environment's or cloud's secrets."""
        self.settings = settings
        self.clock = clock or SystemClock()
        self.owner = owner or Owner.anonymous()
        self._environment = environment
        self._accounts: dict[str, Fresh[Account]] = {}
        self._databases: dict[str, Fresh[Database]] = {}
        self._resolve_secret = resolve_secret
        self._handing_back = ""  # why, once everything is to stop

    @cached_property
    def state(self) -> Store:
        """The store of outbox, claims, journals, receipts and runs."""
        return open_store(self.settings.state)

    @cached_property
    def exports(self) -> Store:
        """The store where vendors drop their files. Raises `UsageError` when the settings name none."""
        if self.settings.exports is None:
            raise UsageError("the settings have no `exports`: write the bucket or folder where files land")
        return open_store(self.settings.exports)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse the settings name."""
        wanted = self.settings.warehouse
        if wanted.engine == "duckdb":
            from rowferry.warehouse.duckdb import DuckDbWarehouse

            return DuckDbWarehouse(wanted.file, memory_limit=wanted.memory_limit, threads=wanted.threads)
        from rowferry.warehouse.bigquery import open_bigquery

        return open_bigquery(wanted)

    @cached_property
    def resolve_secret(self) -> Resolve:
        """Where secrets are found: the cloud's own store when its runtime is around us, else the environment."""
        if self._resolve_secret is not None:
            return self._resolve_secret
        if "AWS_LAMBDA_FUNCTION_NAME" in self._environment:
            from rowferry.secrets_aws import from_secrets_manager

            return from_secrets_manager(self._environment)
        if "K_SERVICE" in self._environment:
            from rowferry.secrets_gcp import from_secret_manager

            return from_secret_manager(self._environment)
        from rowferry.secrets import from_environment

        return from_environment(self._environment)

    @cached_property
    def outbox(self) -> Outbox:
        """For rows that come one by one: webhooks and notices."""
        from rowferry.delivery.outbox import Outbox

        return Outbox(self.state, self.clock)

    def account(self, name: str) -> Account:
        """The destination `name`, ready to send to; shared by all who send to it from here."""
        if name not in self._accounts:
            self._accounts.setdefault(name, self._fresh(lambda resolve: self._make_account(name, resolve)))
        return self._accounts[name].get()

    def _make_account(self, name: str, resolve: Resolve) -> Account:
        from rowferry.delivery.account import Account

        settings = self._destination(name).resolved(resolve)
        account = Account.of(name, destinations.find(settings.vendor), settings, lambda: self.state, self.clock)
        if self._handing_back:
            account.hand_back(self._handing_back)
        return account

    def _fresh(self, make: Callable[[Resolve], T]) -> Fresh[T]:
        return Fresh(make, self.resolve_secret, self.clock)

    def hand_back(self, reason: str) -> None:
        """Stop sending, from now on: what is in flight ends, waits are cut short, and runs are left open."""
        self._handing_back = reason
        for found in list(self._accounts.values()):
            if found.made is not None:
                found.made.hand_back(reason)

    @property
    def is_handing_back(self) -> bool:
        """Whether everything is to stop."""
        return bool(self._handing_back)

    def _destination(self, name: str) -> Any:
        if name not in self.settings.destinations:
            raise unknown("destination", name, self.settings.destinations)
        return self.settings.destinations[name]

    def resolver(self, name: str) -> Resolver:
        """The sync `name`, ready to be held against its model. Raises `UsageError` when there is none."""
        from rowferry.syncs.resolve import Resolver

        if name not in self.settings.syncs:
            raise unknown("sync", name, self.settings.syncs)
        sync = self.settings.syncs[name]
        settings = self._destination(sync.to)
        source = self._source(name) if sync.model.database is not None else None
        vendor = destinations.find(settings.vendor)
        return Resolver(name, sync, vendor, settings, self.warehouse, source, self.export_rows, self.following.look)

    @property
    def following(self) -> Following:
        """Which syncs are due because of files."""
        from rowferry.loads.ledger import Ledger
        from rowferry.syncs.following import Following

        return Following(self.state, lambda feeds, since: Ledger(self.warehouse).loaded(feeds, since))

    def _source(self, name: str) -> DatabaseSource:
        from rowferry.syncs.source import DatabaseSource

        sync = self.settings.syncs[name]
        return DatabaseSource(sync, self.database(str(sync.model.database)), self.warehouse)

    def database(self, name: str) -> Database:
        """The database `name`. Raises `UsageError` when there is none, or its driver is not installed."""
        if name not in self._databases:
            self._databases.setdefault(name, self._fresh(lambda resolve: self._make_database(name, resolve)))
        return self._databases[name].get()

    def _make_database(self, name: str, resolve: Resolve) -> Database:
        from rowferry.databases.database import Database

        if name not in self.settings.databases:
            raise unknown("database", name, self.settings.databases)
        settings = self.settings.databases[name].resolved(resolve)
        return Database(name, settings.url.reveal(), page_rows=settings.page_rows, timeout_seconds=settings.timeout)

    def _mark(self, outline: Outline, keys: Iterator[Sequence[Any]]) -> None:
        """Mark a queue's rows in the table that they were taken from, whatever table the settings name by now."""
        from rowferry.databases.queue import mark_sent

        if outline.queue is None:  # a run that an earlier version has begun
            sync = self.settings.syncs[outline.plan.sync]
            database, table, mark = str(sync.model.database), str(sync.model.table), str(sync.mark)
        else:
            database, table, mark = outline.queue
        mark_sent(self.database(database), table, outline.plan.key_columns, mark, keys, self.clock.now())

    @property
    def starter(self) -> Starter:
        """Starts runs."""
        from rowferry.syncs.exporter import Exporter
        from rowferry.syncs.start import Starter

        exporter = Exporter(self.state, cast("Exporting", self.warehouse)) if self.export_rows is not None else None
        return Starter(self.state, self.warehouse, self.clock, exporter)

    @property
    def export_rows(self) -> int | None:
        """From how many rows on the warehouse writes a run's chunks by itself; None where it can't: BigQuery alone
        does, and into Cloud Storage alone."""
        wanted = self.settings.warehouse
        return wanted.export_rows if wanted.engine == "bigquery" and self.settings.state.startswith("gs://") else None

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

    @property
    def relay(self) -> Relay:
        """Takes webhooks in; those whose secret is missing or empty are closed, and say why. Raises `TryLater` and
        `CredentialsError` where secrets can't be read."""
        return self._relay.get()

    @cached_property
    def _relay(self) -> Fresh[Relay]:
        return self._fresh(self._make_relay)

    def _make_relay(self, resolve: Resolve) -> Relay:
        from rowferry.webhooks.hook import Hook, hooks_of
        from rowferry.webhooks.relay import Relay

        hooks: dict[str, Hook] = {}
        closed: dict[str, RowferryError] = {}
        for name, webhook in self.settings.webhooks.items():
            try:
                hooks |= hooks_of({name: webhook.resolved(resolve)})
            except (UsageError, SettingsError) as error:  # one sender's secret is not there: the others' calls go on
                closed[name] = error

        def idempotency(destination: str, action: str) -> str | None:
            return destinations.find(self._destination(destination).vendor).actions[action].idempotency

        return Relay(hooks, self.outbox, self.state, self.clock, idempotency, closed)

    def release(self) -> None:
        """Between two pieces of work: let go of what others may wait for."""
        if "warehouse" in self.__dict__:
            self.warehouse.release()

    def close(self) -> None:
        """Let go of everything."""
        self.release()
        for account in self._accounts.values():
            if account.made is not None:
                account.made.client.close()
        for database in self._databases.values():
            if database.made is not None:
                database.made.close()
        for store in ("state", "exports"):
            if store in self.__dict__:
                getattr(self, store).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
