"""One pull of the settings, put together: which windows, from whom, into which stores, and what is news of it.

    pulls/<pull>/open.json     what was asked for and since when, while it is not through

A call that was killed or had to stop leaves its windows open: the same call again goes on with those that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson

from rowferry import pulls
from rowferry.clock import Clock
from rowferry.errors import CredentialsError
from rowferry.http import HttpClient
from rowferry.notices.kinds import Change, pull_failed, pull_works
from rowferry.pulls.asker import PAGE_BYTES
from rowferry.pulls.due import Plan
from rowferry.pulls.pages import FRESH
from rowferry.pulls.port import Window
from rowferry.pulls.puller import Pulled, Puller
from rowferry.settings.pull import Pull
from rowferry.stores.port import NotFound, Store


@dataclass(frozen=True, slots=True)
class Job:
    """A pull at work. `settings` are the account's, with their secrets; `ids` gives what the pull's model holds;
    `tell` is told how things stand once all windows are through."""

    name: str
    pull: Pull
    settings: Any
    state: Store
    exports: Store
    clock: Clock
    ids: Callable[[], Iterable[str]]
    tell: Callable[[Change], object]
    left_seconds: Callable[[], float]
    progress: Callable[[int], None]

    def run(self, first: date | None, last: date | None) -> Iterator[Pulled]:
        """Pull the days `first` to `last` (today without it), or what is due; what became of each window.

        Raises `UsageError` for days that can't be pulled, and what `Puller.run` raises.
        """
        source = pulls.find(self.settings.vendor)
        plan = Plan(self.name, self.pull, source.reports[self.pull.report], source.zone(self.settings), self.state)
        plan.check_cut()
        now = self.clock.now()
        windows = plan.due(now) if first is None else plan.between(first, last or max(first, plan.today(now)), now)
        failures = []
        try:
            for found in self._pull(windows, self._began_at([plan.asked, str(first), str(last)], now)):
                if found.asked_at is not None:
                    plan.settle(found.window, found.asked_at)
                else:
                    failures.append(f"{found.window.name}: {found.failure}")
                yield found
        except CredentialsError as error:
            self.tell(pull_failed(self.name, str(error)))
            raise
        self.state.delete(self._open_key)
        self.tell(pull_failed(self.name, failures[0]) if failures else pull_works(self.name))

    def _began_at(self, asked: list[str], now: datetime) -> datetime:
        """When this work began: before, if a call for the same was not through and is not long ago."""
        with suppress(NotFound):
            note = orjson.loads(self.state.read(self._open_key)[0])
            began_at = datetime.fromisoformat(note["began_at"])
            if note["asked"] == asked and now - began_at < FRESH:
                return began_at
        self.state.write(self._open_key, orjson.dumps({"asked": asked, "began_at": now.isoformat()}))
        return now

    @property
    def _open_key(self) -> str:
        return f"pulls/{self.name}/open.json"

    def _pull(self, windows: list[Window], began_at: datetime) -> Iterator[Pulled]:
        source = pulls.find(self.settings.vendor)
        with closing(HttpClient(source.in_flight, body_bytes=PAGE_BYTES)) as client:
            yield from Puller(
                self.name,
                self.pull,
                source,
                self.settings,
                self.state,
                self.exports,
                client,
                self.clock,
                self.ids,
                self.left_seconds,
                self.progress,
                began_at,
            ).run(windows)
