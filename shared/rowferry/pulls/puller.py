"""Pulls windows of one report into export files, a page at a time, so that killed and repeated it has no gap and no double.

    ask a step ──► store its page ──► … ──► last page stored ──► write the export file ──► note the window as done ──► drop the pages

A window counts as pulled when it is noted as done, and not before. Everything up to there can be repeated: pages
that are stored are not asked for again, and the export file has one name, so that writing it twice replaces it.

    pulls/<pull>/done/<window>.json      what was pulled, when, by which attempt
    pulls/<pull>/pages/…                 see `pages`
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

import orjson

from rowferry.clock import Clock
from rowferry.delivery.pace import Pacer
from rowferry.http import HttpClient
from rowferry.pulls.asker import Asker, Restarted
from rowferry.pulls.ids import forget_ids, kept_ids
from rowferry.pulls.pages import Attempt, began_at, open_attempt
from rowferry.pulls.port import Ask, PullFailed, Report, Source, Window
from rowferry.settings.pull import Pull
from rowferry.stores.port import NotFound, Store

_RESTARTS = 2  # how often a window begins anew before it is given up


@dataclass(frozen=True, slots=True)
class Pulled:
    """What became of a window: the export file's key and its rows, as they stood from `asked_at` on, or why there is none."""

    window: Window
    key: str
    rows: int = 0
    failure: str | None = None
    asked_at: datetime | None = None


@dataclass(slots=True)
class Puller:
    """Pulls one report of one account. `state` and `exports` are the settings' stores.

    `progress` is told of new rows. `left_seconds` says how much time the function still has. Windows that were pulled
    since `began_at` are not pulled again: that is when an earlier call began, which this one goes on with.
    """

    name: str
    pull: Pull
    source: Source[Any]
    settings: Any
    state: Store
    exports: Store
    client: HttpClient
    clock: Clock
    ids: Callable[[], Iterable[str]] = tuple
    left_seconds: Callable[[], float] = lambda: float("inf")
    progress: Callable[[int], None] = lambda _rows: None
    began_at: datetime | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def report(self) -> Report[Any]:
        """The report that is pulled."""
        return self.source.reports[self.pull.report]

    def key(self, window: Window) -> str:
        """The export file of a window."""
        return export_key(self.name, self.pull, self.report, window)

    def run(self, windows: Iterable[Window]) -> Iterator[Pulled]:
        """Pull the windows, as many at once as the vendor allows, and say of each what became of it as soon as
        it is known. A window that fails holds up no other.

        Raises `CredentialsError`, `TryLater` and `OutOfTime`, after the windows under way have ended or come to a halt
        at their next page; what is stored by then is not asked for again.
        """
        todo, asker = iter(windows), self._asker()
        error: BaseException | None = None
        with ThreadPoolExecutor(self.source.in_flight, thread_name_prefix="pull") as pool:
            try:
                under_way = {pool.submit(self._pull, window, asker) for window in islice(todo, self.source.in_flight)}
                while under_way:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for found in done:
                        if found.exception() is None:
                            yield found.result()
                        else:
                            error = error or found.exception()
                            self._stop.set()
                    if error is None:
                        under_way |= {pool.submit(self._pull, window, asker) for window in islice(todo, len(done))}
            finally:
                self._stop.set()
        if error is not None:
            raise error

    def _asker(self) -> Asker:
        self._stop.clear()
        pacer = Pacer(self.report.per_second, self.clock)
        return Asker(self.report, self.client, pacer, self.clock, self.left_seconds, self._stop)

    def _pull(self, window: Window, asker: Asker) -> Pulled:
        if (done := self._done_since(window)) is not None:
            return Pulled(window, self.key(window), int(done["rows"]), asked_at=began_at(done["attempt"]))
        try:
            for _ in range(_RESTARTS + 1):
                attempt = self._open(window)
                try:
                    self._ask_all(window, attempt, asker)
                    return self._finish(window, attempt)
                except Restarted as error:
                    reason = str(error)
                    self._drop(attempt)
            raise PullFailed(f"{reason}; it was begun anew {_RESTARTS} times")
        except PullFailed as error:
            return Pulled(window, self.key(window), failure=str(error))

    def _done_since(self, window: Window) -> dict[str, Any] | None:
        """What is noted of a window that an earlier call for the same work has pulled already."""
        done = self.done(window) if self.began_at is not None else None
        if done is None or self.began_at is None or datetime.fromisoformat(done["pulled_at"]) <= self.began_at:
            return None
        return done

    def _open(self, window: Window) -> Attempt:
        folder = f"pulls/{self.name}/pages/{window.name}/"
        done = self.done(window) or {}
        return open_attempt(self.state, folder, self.report.first(self._ask(window)), self._mark(), self.clock.now(), done.get("attempt"))

    def _ask(self, window: Window) -> Ask[Any]:
        return Ask(self.pull, self.settings, window)

    def _mark(self) -> str:
        """What an attempt was asked for, in short: one of other settings is not gone on with."""
        asked = orjson.dumps([self.pull.model_dump(mode="json"), self.source.zone(self.settings)], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(asked).hexdigest()[:12]

    def _ask_all(self, window: Window, attempt: Attempt, asker: Asker) -> None:
        """Ask until the last page is stored."""
        ask = self._ask(window)
        if self.report.needs_ids:
            ask = replace(ask, ids=kept_ids(self.state, self.name, attempt.name, self.ids))
            if not ask.ids:
                attempt.add((), None)  # nobody to ask for
        while attempt.step is not None:
            try:
                with asker.answer(attempt.step, ask) as (lines, following):
                    self.progress(attempt.add(lines, following))
            except PullFailed:
                self._drop(attempt)
                raise

    def _finish(self, window: Window, attempt: Attempt) -> Pulled:
        key, now = self.key(window), self.clock.now()
        with attempt.export() as file:
            self.exports.write(key, file)
        note = {"attempt": attempt.name, "rows": attempt.rows, "pages": attempt.pages, "file": key, "pulled_at": now.isoformat()}
        self.state.write(self._done_key(window), orjson.dumps(note))
        self._drop(attempt)
        return Pulled(window, key, attempt.rows, asked_at=began_at(attempt.name))

    def _drop(self, attempt: Attempt) -> None:
        attempt.clear()
        if self.report.needs_ids:
            forget_ids(self.state, self.name, attempt.name)

    def done(self, window: Window) -> dict[str, Any] | None:
        """What is noted of a window that was pulled; None when it never was."""
        try:
            found: dict[str, Any] = orjson.loads(self.state.read(self._done_key(window))[0])
        except NotFound:
            return None
        return found

    def _done_key(self, window: Window) -> str:
        return f"pulls/{self.name}/done/{window.name}.json"


def export_key(name: str, pull: Pull, report: Report[Any], window: Window) -> str:
    """The key of a window's export file: always the same one."""
    file = report.file_name(pull, window) if report.file_name else f"{name}-{window.name}.jsonl.gz"
    return f"{pull.path or f'{name}/'}{file}"
