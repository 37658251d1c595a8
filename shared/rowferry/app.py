"""The app: Rowferry for one settings file, and the steps that edges, commands and timers call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from rowferry.errors import RowferryError, UsageError
from rowferry.parts import Parts
from rowferry.settings.problems import unknown
from rowferry.stores.port import NotFound

if TYPE_CHECKING:
    from rowferry.alerts.check import Look
    from rowferry.delivery.chunk import ChunkName
    from rowferry.delivery.deliver import Delivery
    from rowferry.delivery.receipts import Receipts
    from rowferry.delivery.runs import Run, RunResult
    from rowferry.loads.result import LoadResult
    from rowferry.loads.sweep import Due
    from rowferry.notices.kinds import Change
    from rowferry.pulls.puller import Pulled


LEFT_ALONE = timedelta(minutes=10)  # a file that is younger has an event under way, most likely
_SWEEP_SECONDS = 60.0  # less than this left, and a sweep begins nothing more

log = logging.getLogger("rowferry")


def forever() -> float:
    """The time left where no platform sets an end."""
    return float("inf")


class App(Parts):
    """Rowferry for one settings file. Safe for threads; `close` it, or use it as a context manager.

    Each step is safe to repeat, at any time and by anybody: what one leaves behind the next goes on with.
    """

    def start_sync(self, name: str, left_seconds: Callable[[], float] = forever) -> RunResult:
        """Start a run of the sync, or go on planning an open one, and return how it stands; of one that is open that alone.

        A run that has nothing to send is closed here. Raises `claim.Held` when another function is
        starting it. When its model can't be read, the run is `failed`.
        """
        from rowferry.delivery.runs import RunResult
        from rowferry.errors import SourceError

        resolver = self.resolver(name)
        with self.claimed(f"sync/{name}"):
            self.tell_latest(name)
            try:
                run = self.starter.start(name, resolver.outline, left_seconds=left_seconds)
            except SourceError as error:
                return self.after_run(self.fail_latest(name, str(error)))
            if reason := self.stranded(run):
                return self.after_run(self.fail_latest(name, reason))
            manifest = run.manifest()
            if manifest is None:
                return self.after_run(run.result())
            return self.after_run(self.finisher.finish(run)) if manifest.chunks == 0 else RunResult(run.run, name, "open")

    def drop_run(self, name: str, run: str) -> RunResult:
        """Close a sync's open run and send nothing more of it; see `drop.Dropper.drop`. Raises `UsageError` also when the
        run emptied a queue in a database that the settings have no more: what was delivered is to be marked there."""
        from rowferry.delivery.runs import Run
        from rowferry.syncs.drop import Dropper

        queue = (Run(self.state, name, run).read("outline") or {}).get("queue")
        if queue and queue[0] not in self.settings.databases:
            told = f"run {run} emptied a queue in databases.{queue[0]}: put that back"
            raise UsageError(f"{told}, so that what was delivered is marked there, then drop it")
        return self.after_run(Dropper(self.state, self.clock, self.owner, self.starter, self.finisher).drop(name, run))

    def stranded(self, run: Run) -> str:
        """Why an open run can't go on as the settings stand now; empty when it can."""
        manifest = run.manifest()
        if manifest is None or run.has("closed") or manifest.destination in self.settings.destinations:
            return ""
        return (
            f"run {run.run} was planned for the destination {manifest.destination!r}, which the settings have no more: "
            f"put it back, or drop the run: rowferry sync {run.sync} --drop {run.run}"
        )

    def fail_latest(self, name: str, reason: str) -> RunResult:
        """Note on the sync's latest run why it stopped; how it stands."""
        from rowferry.delivery.runs import Head, Run

        run = Run(self.state, name, Head(self.state, name).read() or "")
        run.fail(reason, self.clock.now())
        return run.result()

    def deliver_chunk(
        self,
        key: str,
        left_seconds: Callable[[], float] = forever,
        progress: Callable[[int], None] = lambda _rows: None,
        makes_way: Callable[[], bool] = lambda: False,
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
            makes_way=makes_way,
        )
        self._after_delivery(ChunkName.of(key), found)
        return found

    def deliver_announced(self, key: str, left_seconds: Callable[[], float] = forever) -> Delivery:
        """Deliver a chunk that an event tells of, where all lanes share a worker: what waits in better ones passes it,
        before it and on its way; see `delivery.dispatch`."""
        from rowferry.delivery.dispatch import Dispatch

        return Dispatch(self.state, self.clock, self.owner, self.deliver_chunk, self.deliver_gathered).run(key, left_seconds)

    def deliver_gathered(self, keys: Sequence[str], left_seconds: Callable[[], float] = forever) -> dict[str, Delivery]:
        """Bring small chunks of one destination to their receipts together; see `delivery.gather`. One alone goes as any."""
        from rowferry.delivery.chunk import ChunkName
        from rowferry.delivery.gather import deliver_gathered

        if len(keys) == 1:
            return {keys[0]: self.deliver_chunk(keys[0], left_seconds)}
        name = ChunkName.of(keys[0])
        account = self.account(name.destination)
        found = deliver_gathered(keys, store=self.state, account=account, clock=self.clock, owner=self.owner, left_seconds=left_seconds)
        for status in ("settled", "refused"):  # in this order: a key may be revoked on the way
            if (told := next((got for got in found.values() if got.status == status), None)) is not None:
                self._after_delivery(name, told)
        return found

    def _after_delivery(self, name: ChunkName, found: Delivery) -> None:
        """Tell of a vendor that refuses our key, and of one that takes rows again. A run that it refuses has failed;
        what was relayed waits in the outbox until the key is mended."""
        from rowferry.delivery.chunk import OUTBOX
        from rowferry.delivery.runs import Run
        from rowferry.notices import kinds

        told = self._told_of(name.destination)
        if found.status == "settled" and told:
            self.notices.tell_change(kinds.vendor_takes(name.destination), told)
        if found.status != "refused":
            return
        if name.sync in self.settings.syncs:
            run = Run(self.state, name.sync, name.run)
            run.fail(found.reason, self.clock.now())
            self.after_run(run.result())
        if told and (name.sync not in self.settings.syncs or self.settings.destinations[name.destination].notify):
            waiting = sum(1 for _ in self.state.list(f"{OUTBOX}{name.destination}/"))
            self.notices.tell_change(kinds.vendor_refused(name.destination, found.reason, waiting), told)

    def _told_of(self, destination: str) -> Sequence[str]:
        """Who is told how things stand with a destination; never itself."""
        named = self.settings.destinations[destination].notify
        syncs = [told for sync in self.settings.syncs.values() if sync.to == destination for told in sync.notify]
        return [told for told in dict.fromkeys(named or syncs) if told != destination]

    def finish_run(self, receipts_key: str) -> RunResult:
        """Close the run that these receipts belong to, if they were its last; else it is `open`, and nothing is counted.
        Raises `ValueError` when `receipts_key` names no receipts."""
        from rowferry.delivery.chunk import ChunkName
        from rowferry.delivery.outbox import URGENT
        from rowferry.delivery.receipts import Receipts
        from rowferry.delivery.runs import Run, RunResult

        parts = receipts_key.split("/")
        if len(parts) != 4 or parts[0] != "receipts":
            raise ValueError(f"{receipts_key!r} names no receipts; expected receipts/sync/run/number.json")
        try:
            receipts = Receipts.read(self.state.read(receipts_key)[0], receipts_key)
        except NotFound:
            return Run(self.state, parts[1], parts[2]).result()  # a late event for a run that is closed and cleared
        name = ChunkName.of(receipts.chunk)
        if name.lane == URGENT:
            self._tell_rejected(name, receipts)
            return self.finisher.finish_relayed(receipts)
        run = Run(self.state, parts[1], parts[2])
        if not run.has("closed") and not self.finisher.is_due(run):
            return RunResult(run.run, run.sync, "open")  # how it stands takes a look at all receipts so far: too dear for each of them
        return self.after_run(self.finisher.finish(run))

    def _tell_rejected(self, name: ChunkName, receipts: Receipts) -> None:
        """Tell of a webhook's rows that were rejected: it has no run whose end would."""
        from rowferry.notices import kinds

        told = self._told_of(name.destination) if receipts.rejected and name.destination in self.settings.destinations else ()
        if told:
            for change in kinds.relayed_rejected(name.sync, name.destination, receipts, self.clock.now()):
                self.notices.tell_change(change, told)

    def load_export(self, key: str, feed: str | None = None) -> LoadResult:
        """Load one object of the exports store; see `loads.load.Loader.load`."""
        return self._after_load(self.loader.load(key, feed))

    def load_arrived(self, key: str) -> LoadResult:
        """Load an object that an event tells of. A small file whose feed has a `window` is left for the sweep,
        which loads it together with those that come meanwhile."""
        from rowferry.loads.result import LoadResult

        until = self.loader.waits_until(key)
        if until is not None:
            return LoadResult(key, None, "skipped", reason=f"it waits for others of its window, until {until:%H:%M:%S} UTC")
        return self.load_export(key)

    def load_missed(self, older_than: timedelta = timedelta(), left_seconds: Callable[[], float] = forever) -> list[LoadResult]:
        """Load every object that the ledger does not know and that has been there so long, while there is time. One in a
        feed's folder that no feed takes, or that two would, is `failed` with no feed."""
        from rowferry.loads.result import LoadResult
        from rowferry.loads.sweep import Missed, Stray, missed

        now = self.clock.now()
        found = list(missed(self.exports, self.loader.ledger, self.feeds, now - older_than, now))
        keys = takewhile(lambda _: left_seconds() > _SWEEP_SECONDS, (file.key for file in found if isinstance(file, Missed)))
        strays = [LoadResult(file.key, None, "failed", reason=file.problem, code="no_feed") for file in found if isinstance(file, Stray)]
        return [*strays, *(self._after_load(result) for result in self.loader.load_many(keys))]

    def wanted_syncs(self) -> list[str]:
        """Syncs with `after` for which files have been loaded since their latest run began."""
        return [name for name, sync in self.settings.syncs.items() if sync.after and self.following.is_wanted(name)]

    def syncs_behind(self) -> list[str]:
        """Syncs with `after` for which files are in that none of their runs has seen: also where the one that loaded
        them was killed before it could say so. Asks the warehouse."""
        now = self.clock.now()
        return [name for name, sync in self.settings.syncs.items() if sync.after and self.following.is_behind(name, sync.after, now)]

    def start_wanted(self, left_seconds: Callable[[], float] = forever) -> None:
        """Start the syncs that come after what was loaded. One that is at work just now is started by the
        next sweep, for it may not have seen the last files; one too large for the time left is gone on with there."""
        for name in self.wanted_syncs():
            self._start_again(name, left_seconds)

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
            raise unknown("pull", name, self.settings.pulls)
        pull = self.settings.pulls[name]
        settings = self._destination(pull.from_).resolved(self.resolve_secret)

        def tell(change: Change) -> None:
            if pull.notify:
                self.notices.tell_change(change, pull.notify)

        def ids() -> Iterable[str]:
            from rowferry.pulls.ids import ids_of

            return ids_of(self.warehouse, pull.model, f"pulls.{name}") if pull.model else ()

        job = Job(name, pull, settings, self.state, self.exports, self.clock, ids, tell, left_seconds, progress)
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
                    self.following.want(name, self.clock.now())

        feed = self.feeds.get(result.feed or "")
        if feed is not None and feed.notify and result.feed is not None:
            if result.status == "quarantined":
                self.notices.tell_change(kinds.file_quarantined(result.feed, result.file, result.reason or ""), feed.notify)
            elif result.status == "loaded":
                self.notices.tell_change(kinds.file_loaded(result.feed, result.file, result.rows), feed.notify)
        return result

    def sweep(self, left_seconds: Callable[[], float] = forever) -> dict[str, int]:
        """Start again what an event missed or a crash left behind; how much of each kind.

        Chunks and receipts are announced anew, so that the platform hands them to their own functions. Runs that
        are still to be planned and files come last: a large one may take all the time that is left, or the process.
        """
        from rowferry.webhooks import repeats

        found = {"runs": 0, "chunks": 0, "files": 0, "relays": self.sweeper.forget_relays(), "notices": self.notices.finish()}
        repeats.forget(self.state, self.clock.now())
        unplanned = []
        for run in self.sweeper.open_runs(self.settings.syncs):
            found["runs"] += 1
            if run.manifest() is None:
                unplanned.append(run.sync)
            else:
                self._finish_again(run)
        self._finish_relays(left_seconds)
        found["chunks"] = self.sweeper.announce(self.sweeper.stuck_chunks(), lambda: left_seconds() - _SWEEP_SECONDS)
        for sync in unplanned:
            self._start_again(sync, left_seconds)
        if self.feeds and self.settings.exports is not None:
            found["files"] = sum(1 for result in self.load_missed(LEFT_ALONE, left_seconds) if result.feed is not None)
        self.tell_late_feeds()
        for name in dict.fromkeys([*self.wanted_syncs(), *self.syncs_behind()]):
            self._start_again(name, left_seconds)
        return found

    def _finish_relays(self, left_seconds: Callable[[], float]) -> None:
        for receipts in self.sweeper.unfinished_relays():
            if left_seconds() < _SWEEP_SECONDS:
                break
            try:
                self.finish_run(receipts)
            except RowferryError as error:
                log.warning("%s can't be finished now: %s", receipts, error)

    def _finish_again(self, run: Run) -> None:
        """Close a run if it can be closed, and tell of one that failed. Of one that goes on no receipts are read: they may be
        a hundred thousand. One whose database is out of reach holds up no other: the next sweep looks again."""
        try:
            if self.finisher.is_due(run) or run.has("failed"):
                self.after_run(self.finisher.finish(run))
        except RowferryError as error:
            log.warning("run %s of %s can't be closed now: %s", run.run, run.sync, error)

    def _start_again(self, sync: str, left_seconds: Callable[[], float]) -> None:
        from rowferry.delivery.claim import Held
        from rowferry.errors import OutOfTime

        try:
            with suppress(Held, OutOfTime):
                self.start_sync(sync, left_seconds)
        except RowferryError as error:
            log.warning("%s can't be started now: %s", sync, error)

    def check_alert(self, name: str) -> Look:
        """Look at the alert once and tell what is news. Raises `UsageError` when there is no such alert."""
        from rowferry.alerts.check import Alerts

        if name not in self.settings.alerts:
            raise unknown("alert", name, self.settings.alerts)
        return Alerts(self.warehouse, self.state, self.notices, self.clock).check(name, self.settings.alerts[name])

    def status(self) -> dict[str, list[dict[str, Any]]]:
        """What ran, what is late, what was rejected and how alerts stand, as `rowferry status --json` prints it."""
        from rowferry.alerts.standing import standing
        from rowferry.syncs.status import dead_letters, feeds, latest_runs, loads

        return {
            "feeds": feeds(self.warehouse),
            "loads": loads(self.warehouse),
            "runs": latest_runs(self.state, self.warehouse, self.settings.syncs),
            "dead_letters": dead_letters(self.warehouse),
            "late": [due.to_dict() for due in self.late_feeds()],
            **({"alerts": standing(self.settings.alerts, self.state, self.notices)} if self.settings.alerts else {}),
        }

    def tell_latest(self, name: str) -> None:
        """Tell of the sync's latest run, where it is closed: who closed it may have been killed before it could."""
        from rowferry.delivery.runs import Head, Run

        latest = Head(self.state, name).read() if self.settings.syncs[name].notify else None
        if latest is not None and (run := Run(self.state, name, latest)).has("closed"):
            self.after_run(run.result())

    def after_run(self, result: RunResult) -> RunResult:
        """Tell of a run what is news about it. Returns the result as it is."""
        from rowferry.notices import kinds

        sync = self.settings.syncs.get(result.sync)
        if sync is not None and sync.notify and result.status != "open":
            for change in (kinds.first_run(result), kinds.run_ended(result), kinds.rows_rejected(result, sync.notify_rejected_percent)):
                self.notices.tell_change(change, sync.notify)
        return result
