"""One machine as a home: the functions run one after another in this process, to the end of the work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rowferry.app import App
from rowferry.delivery import claim, kept
from rowferry.delivery.chunk import OUTBOX, ChunkName
from rowferry.delivery.outbox import urgent
from rowferry.delivery.receipts import PREFIX
from rowferry.delivery.runs import Run, RunResult
from rowferry.errors import CredentialsError, RowferryError, SettingsError, SourceError, TryLater, UsageError
from rowferry.loads.result import LoadResult
from rowferry.settings.checks.scope import Scope
from rowferry.settings.checks.syncs import check_syncs
from rowferry.settings.model import SECTIONS
from rowferry.settings.place import located
from rowferry.settings.problems import unknown
from rowferry.syncs.preview import Preview, masked, preview, preview_open
from rowferry.syncs.resolve import DeadLetters, Resolver

if TYPE_CHECKING:
    from rowferry.pulls.puller import Pulled

_LOOK_AGAIN_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 6 * 3600.0
_LONGEST_REST_SECONDS = 60.0  # of a destination that can't be sent to: a key that was mended is found out so soon
Progress = Callable[[int], None]
log = logging.getLogger("rowferry")


def _silent(_rows: int) -> None:
    pass


@dataclass(slots=True)
class Machine:
    """Runs the steps of an `App` here, as the clouds' events would run them there."""

    app: App
    progress: Progress = field(default=_silent)
    _listing: dict[str, str] = field(default_factory=dict)
    _resting_until: dict[str, float] = field(default_factory=dict)
    _said: dict[str, set[str]] = field(default_factory=dict)

    def sync(self, name: str, *, accept: str | None = None, kind: str = "sync", **outline: Any) -> RunResult:
        """Resume the sync's open run or start one, deliver all of it, close it.

        A second `sync` of the name waits for the first. The result is the run's: `open` when work is left,
        `failed` when the model can't be read or the vendor refuses us. An open run of another `kind` is
        brought to its end first, so that a killed sync never stands in for the backfill that follows it.
        """
        resolver = self._resolver(name)
        self.app.account(resolver.sync.to)  # a secret that is missing is known before anything starts
        with self._turn(f"sync/{name}"):
            self.app.tell_latest(name)
            while True:
                try:
                    run = self.app.starter.start(name, lambda run, at: resolver.outline(run, at, **outline), accept=accept, kind=kind)
                except SourceError as error:
                    return self.app.after_run(self.app.fail_latest(name, str(error)))
                finally:
                    self.app.release()
                if reason := self.app.stranded(run):
                    return self.app.after_run(self.app.fail_latest(name, reason))
                result = self._deliver(run)
                if result.status != "closed" or accept is not None or run.kind == kind:
                    return result

    def drop(self, name: str, run: str) -> RunResult:
        """Close the sync's open run and send nothing more of it: rows without an outcome are rejected as `dropped`.

        The sync need not be in the settings any more. Raises `UsageError` when the run is not open.
        """
        with self._turn(f"sync/{name}"):
            try:
                return self.app.drop_run(name, run)
            finally:
                self.app.release()

    def plan(self, name: str) -> Preview:
        """What `sync` would do now; nothing is sent. Where a sync's run is open, that run as a whole. Raises `SourceError`."""
        resolver, at = self._resolver(name), self.app.clock.now()
        run = next(self.app.sweeper.open_runs([name]), None)
        found = preview_open(resolver, run) if run is not None and run.kind == "sync" else None
        told = "brings it to its end as it was planned; this is the whole of it"
        if found is None:
            outline = resolver.outline(f"plan-{at:%Y%m%dT%H%M%S%f}", at)
            found = preview(self.app.warehouse, resolver.destination, resolver.settings, outline, at)
            told = "brings that to its end first, as it was planned"
        return found if run is None else replace(found, notes=(f"run {run.run} is open: rowferry sync {name} {told}", *found.notes))

    def replay(self, name: str, *, run: str | None = None, code: str | None = None) -> RunResult:
        """Send the sync's open dead letters once more: all, or those of one run or with one code. Of what was relayed
        (`webhook.NAME`, `notice`) always all, as its routes made them then."""
        if self._is_relayed(name):
            if run or code:
                raise UsageError(f"--run and --reason are for syncs: of {name} everything is sent again")
            return self._replay_relayed(name)
        return self.sync(name, kind=f"replay run={run} code={code}", replay=DeadLetters(run, code))

    def _is_relayed(self, name: str) -> bool:
        return name == "notice" or name in {f"webhook.{hook}" for hook in self.app.settings.webhooks}

    def _replay_relayed(self, name: str) -> RunResult:
        try:
            chunks = {found: kept.count(self.app.state, found) for found in kept.send_again(self.app.state, name)}
            ended = [run for destination in self.app.settings.destinations for run in self._deliver_chunks(destination)]
            results = [run for run in ended if run.run in {found.part for found in chunks}]
            letters = sum(1 for _ in self.rejects(name))
        finally:
            self.app.release()
        waits = [found for found in chunks if self.app.state.head(found.key) is not None]
        pending = sum(chunks[found] for found in waits)
        rejected = sum(kept.count(self.app.state, found) for found in chunks if found not in waits)
        reasons = {reason for found in waits for reason in self._said.get(found.destination, ())}
        if letters > pending + rejected:
            reasons.add(
                f"the rows of {letters - pending - rejected} dead letters are not kept any more: only their sender can send them again"
            )
        return RunResult(
            "replay", name, "open" if pending else "closed", read=sum(chunks.values()),
            delivered=sum(chunks.values()) - pending - rejected, rejected=rejected, pending=pending,
            requests=sum(found.requests for found in results), resent=sum(found.resent for found in results),
            rejections=tuple(row for found in results for row in found.rejections), reason="; ".join(sorted(reasons)),
        )  # fmt: skip

    def _resolver(self, name: str) -> Resolver:
        """The sync's resolver. Raises `SettingsError` with what `rowferry check` says of the sync: nothing starts with a mistake."""
        resolver, settings = self.app.resolver(name), self.app.settings
        scope = Scope(settings, {section: frozenset(getattr(settings, section)) for section in SECTIONS})
        problems = [found for found in check_syncs(scope) if f"{found.path}.".startswith(f"syncs.{name}.") and not found.is_advice]
        if problems:
            raise SettingsError(located(problems, settings.places))
        return resolver

    @contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        """Hold the claim while the block runs. Whoever has it is waited for, and whoever is faster after that."""
        with ExitStack() as held:
            while True:
                self._wait_for(name)
                with suppress(claim.Held):
                    held.enter_context(self.app.claimed(name))
                    break
            yield

    def _wait_for(self, name: str) -> None:
        """Until nobody holds the claim; who comes first after that is decided by taking it. Raises `TryLater`."""
        until, is_told = self.app.clock.monotonic() + _LONGEST_WAIT_SECONDS, False
        while claim.is_held(self.app.state, name, self.app.owner, self.app.clock):
            if not is_told:
                log.warning("%s is at work elsewhere; waiting until it has ended", name)
            is_told = True
            if self.app.is_handing_back:
                raise TryLater(f"{name} is at work elsewhere, and we are to stop")
            if self.app.clock.monotonic() > until:
                raise TryLater(f"{name} has been at work elsewhere for {_LONGEST_WAIT_SECONDS / 3600:g} hours; look at `rowferry status`")
            self.app.clock.sleep(_LOOK_AGAIN_SECONDS)

    def _deliver(self, run: Run) -> RunResult:
        manifest = run.manifest()
        if manifest is None:
            return self.app.after_run(run.result())
        reason, held = "", ""
        for key in self._chunks(run):
            found = self.app.deliver_chunk(key, progress=self.progress)
            held = found.reason if found.status == "held" else held
            if found.status in ("open", "refused"):
                reason = found.reason
                break
        result = self.app.after_run(self.app.finisher.finish(run))
        if result.status == "open" and not (reason or held):
            reason = (
                f"chunks of this run are in the outbox no more, by their age or by somebody's hand; "
                f"nothing can resume it, so give it up: rowferry sync {run.sync} --drop {run.run}"
            )
        self.deliver_relayed()
        self.app.release()
        return replace(result, reason=result.reason or reason or held)

    def _chunks(self, run: Run) -> list[str]:
        plan = (run.read("outline") or {})["plan"]
        return [found.key for found in self.app.state.list(f"{OUTBOX}{plan['destination']}/{plan['lane']}/{run.sync}/{run.run}/")]

    def deliver_relayed(self, destination: str = "") -> int:
        """Deliver what webhooks and notices put into the outbox, for one destination or for all; how many chunks
        are done with. One that can't be delivered now is told in the log and holds up neither the others nor its run."""
        return sum(len(self._deliver_chunks(name)) for name in ([destination] if destination else self.app.settings.destinations))

    def _deliver_chunks(self, destination: str) -> list[RunResult]:
        """Oldest first, and many at once, round by round while some get through; how those ended that are done with. A
        vendor that refuses us, or asks us to wait, is left alone for a while."""
        done: list[RunResult] = []
        if self.app.clock.monotonic() < self._resting_until.get(destination, 0.0):
            return done
        keys = urgent(self.app.state, destination)
        while keys:
            try:
                found = self.app.deliver_gathered(keys)
            except RowferryError as error:
                self._rest(destination, {str(error)})
                break
            stopped = [got for got in found.values() if got.status in ("open", "refused")]
            asked = [_LONGEST_REST_SECONDS if got.status == "refused" else got.wait_seconds or 0.0 for got in stopped]
            self._rest(destination, {got.reason for got in stopped}, max(asked, default=0.0))
            settled = [ChunkName.of(key) for key, got in found.items() if got.status == "settled"]
            finished = [ended for name in settled if (ended := self._finish_relayed(name)) is not None]
            done += finished
            # Also what could not be sent just now: what came in behind it must not pass it.
            keys = [key for key, got in found.items() if got.status in ("held", "open")] if finished else []
        return done

    def _rest(self, destination: str, reasons: set[str], seconds: float = 0.0) -> None:
        """Say once why chunks wait, and leave the destination alone for so long, a minute at most."""
        for reason in sorted(reasons - self._said.get(destination, set())):
            log.warning("some chunks for %s wait in the outbox: %s", destination, reason)
        self._said[destination] = reasons
        self._resting_until[destination] = self.app.clock.monotonic() + min(_LONGEST_REST_SECONDS, seconds)

    def _finish_relayed(self, name: ChunkName) -> RunResult | None:
        try:
            return self.app.finish_run(f"{PREFIX}{name.stem}.json")
        except RowferryError as error:
            log.warning("%s for %s is delivered, and not finished: %s", name.sync, name.destination, error)
            return None

    def load(self, files: Sequence[Path], feed: str | None = None) -> list[LoadResult]:
        """Load local files, each exactly once; those outside the exports store are copied there first. Raises
        `UsageError` when one of them does not exist, or belongs to no feed and none is named."""
        from rowferry.loads.local import to_object

        try:
            keys = [to_object(self.app.exports, file, feed) for file in files]
            return [self.app.load_export(key, feed) for key in keys]
        finally:
            self.app.release()

    def pull(self, name: str, first: str | None = None, last: str | None = None) -> list[LoadResult]:
        """Pull these days of a report, both included, or what is due of it, and load it: a result for each window.

        A second `pull` of the name waits for the first. Without `last` the days go up to today. What the vendor does
        not give now ends as `failed`; the same call goes on with it. Raises `UsageError`.
        """
        begin, end = (_day(day) if day else None for day in (first or last, last))
        results: list[LoadResult] = []
        try:
            for found in self._pulled(name, begin, end):
                results.append(self._load_pulled(name, found))
        except (CredentialsError, TryLater) as error:
            results.append(LoadResult(self.app.settings.pulls[name].path or f"{name}/", None, "failed", reason=str(error), code="pull"))
        finally:
            self.app.release()
        return sorted(results, key=lambda result: result.file)

    def _pulled(self, name: str, first: date | None, last: date | None) -> Iterator[Pulled]:
        """The pull's windows, once nobody else is at them."""
        while True:
            self._wait_for(f"pull/{name}")
            with suppress(claim.Held):  # who was faster is waited for as well; nothing was pulled yet
                yield from self.app.pull(name, first, last, progress=self.progress)
                return

    def _load_pulled(self, name: str, found: Pulled) -> LoadResult:
        from rowferry.pulls.feeds import feed_name

        feed = feed_name(self.app.settings, name)
        if found.failure is not None:
            return LoadResult(found.key, feed, "failed", reason=found.failure, code="pull")
        return self.app.load_export(found.key, feed)

    def pulled_csv(self, name: str, keys: Sequence[str], file: IO[str]) -> int:
        """Write the rows of a pull's export files as CSV; how many."""
        from rowferry.feeds.contract import read_contract
        from rowferry.feeds.routing import upload
        from rowferry.pulls.csvfile import write_csv
        from rowferry.pulls.feeds import feed_name

        named = feed_name(self.app.settings, name)
        contract = read_contract(upload(named, self.app.feeds[named], keys[0] if keys else "none"))
        return write_csv(self.app.exports, keys, contract, self.app.settings.pulls[name].columns, file)

    def pull_due(self, name: str) -> list[LoadResult]:
        """Pull what is due of a report, and load it; what failed is said in the log."""
        results = self.pull(name)
        for result in results:
            if result.status == "failed":
                log.warning("pull %s: %s: %s", name, result.file, result.reason)
        return results

    def backfill(self, name: str, first: str, last: str) -> RunResult | list[LoadResult]:
        """Run a sync over the rows of these days again, or a feed over its files. Raises `UsageError`."""
        begin, end = _day(first), _day(last)
        if end < begin:
            raise UsageError(f"--to {last} is before --from {first}")
        settings = self.app.settings
        if name in settings.syncs:
            if settings.syncs[name].cursor is None:
                raise UsageError(f"{name} has no cursor, so its rows have no days; a backfill needs send: new")
            return self.sync(name, kind=f"backfill {begin} {end}", window=(begin.isoformat(), end.isoformat()))
        if name in settings.feeds:
            return self._backfill_feed(name, begin, end)
        raise unknown("sync or feed", name, {**settings.syncs, **settings.feeds})

    def _backfill_feed(self, name: str, begin: date, end: date) -> list[LoadResult]:
        from rowferry.loads.backfill import files_between

        try:
            found = list(files_between(self.app.exports, name, self.app.settings.feeds[name], begin, end))
            return [self.app.load_export(file.key, name) for file in found]
        finally:
            self.app.release()

    def load_new_and_follow(self) -> list[LoadResult | RunResult]:
        """Load what is new, and run the syncs that come after the feeds whose files were loaded."""
        return [*self.load_new(), *self._sync_each(self.app.wanted_syncs())]

    def _sync_each(self, names: Sequence[str]) -> list[RunResult]:
        """Each of these syncs. One that can't be done now holds up no other: what it raises is raised in the end."""
        results, failed = list[RunResult](), list[RowferryError]()
        for name in names:
            try:
                results.append(self.sync(name))
            except RowferryError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return results

    def sweep(self) -> list[RunResult]:
        """Go on with runs that were left open, start what no event started, and look at everything that waits."""
        from rowferry.webhooks import repeats

        self.app.sweeper.forget_relays()
        repeats.forget(self.app.state, self.app.clock.now())
        self.app.tell_late_feeds()
        self.app.notices.finish()
        open_runs = [run.sync for run in self.app.sweeper.open_runs(self.app.settings.syncs)]
        names = dict.fromkeys([*open_runs, *self.app.syncs_behind()])
        return self._sync_each([name for name in names if not self._is_at_work(name)])

    def _is_at_work(self, name: str) -> bool:
        return claim.is_held(self.app.state, f"sync/{name}", self.app.owner, self.app.clock)

    def status(self) -> dict[str, list[dict[str, Any]]]:
        """What ran, what is late and what was rejected; see `App.status`."""
        try:
            return self.app.status()
        finally:
            self.app.release()

    def rejects(self, name: str, *, unmasked: bool = False) -> Iterator[dict[str, Any]]:
        """The open dead letters of a sync, or of what was relayed (`webhook.NAME`, `notice`); keys are masked unless asked
        for. Raises `UsageError` when there is no such name."""
        from rowferry.syncs.status import rejects

        names = {**self.app.settings.syncs, **{f"webhook.{hook}": None for hook in self.app.settings.webhooks}}
        if name not in names and name != "notice":
            raise unknown("sync", name, names)
        for row in rejects(self.app.warehouse, name):
            yield row if unmasked else {**row, "row_key": masked(row["row_key"])}

    def load_new(self) -> list[LoadResult]:
        """Load every file of the exports store that is not in the ledger yet.

        While the store looks as it did the last time, the warehouse is left alone: others may want its file.
        """
        if self.app.settings.exports is None or not self.app.settings.feeds:
            return []
        listing = {found.key: found.version for found in self.app.exports.list()}
        if listing == self._listing:
            return []
        try:
            found = self.app.load_missed()
        finally:
            self.app.release()
        if all(result.status != "failed" or result.feed is None for result in found):  # what no feed takes waits for a person
            self._listing = listing
        return found


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no day; expected one such as 2026-01-31") from None
