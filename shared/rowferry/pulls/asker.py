"""One step to its answer: attempts, waits, pace. What an answer leads to:

| Answer              | What is done                                                                     |
|---------------------|----------------------------------------------------------------------------------|
| Page, Archive       | keep the rows                                                                    |
| Pending             | wait and ask as told; bounded by `retry_for`, after which the pull is left open   |
| TryAgain, NoAnswer  | retry: counts as an attempt; a growing pause, or the one that was asked for       |
| SlowDown            | wait: not an attempt; every window of the pull pauses; bounded                    |
| Restart             | the window begins anew (see `puller`)                                            |
| Failed              | the window is given up, the others go on                                         |
| Refused             | stop: nothing more is asked until a person has acted                             |
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any

from rowferry.clock import Clock
from rowferry.delivery.pace import Pacer
from rowferry.delivery.policy import pause_seconds
from rowferry.destinations.port import Refused, SlowDown, TryAgain
from rowferry.errors import CredentialsError, FileRejected, OutOfTime, RowferryError, TryLater
from rowferry.http import HttpClient, NoAnswer
from rowferry.pulls.archive import check_archive, read_lines, to_line
from rowferry.pulls.port import Answer, Archive, Ask, Failed, Page, Pending, PullFailed, Report, Restart, Step
from rowferry.wire import Response

PAGE_BYTES = 64 * 1024 * 1024  # of one answer that is no archive: 5,000 rows of 13 KB
_LONGEST_SLOW_SECONDS = 3600.0
_LEAVE_SECONDS = 20.0  # a request is not begun when less than this is left


class Restarted(RowferryError):
    """The vendor has forgotten where we were: the window has to begin anew."""


@dataclass(slots=True)
class _Waits:
    """How long one step has been waited for, by what it waited for."""

    attempts: int = 0
    slowed: int = 0
    seconds: dict[type, float] = field(default_factory=dict)

    def add(self, kind: type, seconds: float) -> float:
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds
        return self.seconds[kind]


class Asker:
    """Asks one account for one report. Safe for threads. `stop` ends every wait."""

    def __init__(
        self,
        report: Report[Any],
        client: HttpClient,
        pacer: Pacer,
        clock: Clock,
        left_seconds: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._report, self._client, self._pacer = report, client, pacer
        self._clock, self._left_seconds, self._stop = clock, left_seconds, stop

    @contextmanager
    def answer(self, step: Step, ask: Ask[Any]) -> Iterator[tuple[Iterable[bytes], Step | None]]:
        """The lines of the step's page, readable within the block, and the step that follows.

        Raises `PullFailed` (give the window up), `Restarted`, `CredentialsError`, and `TryLater` or `OutOfTime`
        when the vendor or our time does not allow it now.
        """
        waits = _Waits()
        with TemporaryFile() as body:
            while True:
                found = self._once(step, ask, body)
                if isinstance(found, (Page, Archive)):
                    self._pacer.went_well()
                    yield _lines(found, body), found.next
                    return
                step = self._next(found, step, ask, waits)

    def _once(self, step: Step, ask: Ask[Any], body: IO[bytes]) -> Answer | NoAnswer:
        self._check_going_on()
        self._pacer.turn()
        body.seek(0)
        body.truncate()
        try:
            response = self._send(step, ask, body)
        except NoAnswer as error:
            return error
        if len(response.body) > PAGE_BYTES:
            raise PullFailed(f"the answer has more than {PAGE_BYTES // 1024**2} MB; ask for fewer rows at once with page_rows")
        found = self._report.read(response, step, ask)
        return _whole(found, body)

    def _send(self, step: Step, ask: Ask[Any], body: IO[bytes]) -> Response:
        request = self._report.build(step, ask)
        seconds = min(max(ask.settings.timeout, self._report.timeout_seconds), self._left_seconds())
        return self._client.send(request, seconds, into=body if self._report.is_archive(step) else None)

    def _next(self, found: Answer | NoAnswer, step: Step, ask: Ask[Any], waits: _Waits) -> Step:
        """Wait as the answer asks for; the step to ask then."""
        if isinstance(found, Pending):
            if waits.add(Pending, found.wait_seconds) > ask.settings.retry_for:
                raise TryLater(f"{found.reason}, for {ask.settings.retry_for:g} s already; the same command goes on with it")
            self._wait(found.wait_seconds, found.reason)
            return found.step
        if isinstance(found, SlowDown):
            self._slow_down(found, waits)
        elif isinstance(found, (TryAgain, NoAnswer)):
            self._retry(found, ask, waits)
        elif isinstance(found, Restart):
            raise Restarted(found.reason)
        elif isinstance(found, Refused):
            raise CredentialsError(found.reason)
        else:
            assert isinstance(found, Failed)
            raise PullFailed(found.reason)
        return step

    def _slow_down(self, found: SlowDown, waits: _Waits) -> None:
        waits.slowed += 1
        seconds = pause_seconds(min(waits.slowed, 10), found.wait_seconds)
        if waits.add(SlowDown, seconds) > _LONGEST_SLOW_SECONDS:
            raise TryLater(found.reason, found.wait_seconds)
        self._check_fits(seconds, found.reason)
        self._pacer.slow_down(seconds)

    def _retry(self, found: TryAgain | NoAnswer, ask: Ask[Any], waits: _Waits) -> None:
        waits.attempts += 1
        reason, asked_seconds = (str(found), None) if isinstance(found, NoAnswer) else (found.reason, found.wait_seconds)
        seconds = pause_seconds(waits.attempts, asked_seconds)
        if waits.attempts >= ask.settings.attempts or waits.add(TryAgain, seconds) > ask.settings.retry_for:
            raise TryLater(f"{reason}, {waits.attempts} times", asked_seconds)
        self._wait(seconds, reason)

    def _wait(self, seconds: float, reason: str) -> None:
        self._check_fits(seconds, reason)
        self._clock.sleep(seconds)

    def _check_fits(self, seconds: float, reason: str) -> None:
        if seconds + _LEAVE_SECONDS > self._left_seconds():
            raise OutOfTime(f"{reason}; the pages so far are kept")

    def _check_going_on(self) -> None:
        if self._stop.is_set():
            raise OutOfTime("the pull was stopped; the pages so far are kept")
        if self._left_seconds() < _LEAVE_SECONDS:
            raise OutOfTime("the function's time is nearly up; the pages so far are kept")


def _whole(found: Answer, body: IO[bytes]) -> Answer:
    """An archive only counts when it can be read to its end: one that was cut off is asked for again."""
    if not isinstance(found, Archive):
        return found
    try:
        check_archive(body, found.format)
    except FileRejected as error:
        return TryAgain(f"the archive can't be read: {error}")
    return found


def _lines(found: Page | Archive, body: IO[bytes]) -> Iterable[bytes]:
    if isinstance(found, Archive):
        return read_lines(body, found.format)
    return (to_line(row) for row in found.rows)
