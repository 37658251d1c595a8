"""Jobs that run once: named after their work, adopted when they exist, begun again only after a clean failure.

    work "load file 7"  ──►  rowferry-load-<sha256>-r0
                                  │ 409: somebody began it ──► take his job
                                  │ ended, could work again ──► -r1, -r2 …

BigQuery never runs two jobs of one id, and keeps an id for about six months, whatever became of
the job (cloud.google.com/bigquery/docs/managing-jobs, read 2026-11-21).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from google.api_core import exceptions

from rowferry.clock import Clock
from rowferry.errors import TryLater
from rowferry.warehouse.bigquery_errors import ERRORS, Trouble, of_call, of_job
from rowferry.warehouse.port import WarehouseError
from rowferry.warehouse.reasons import Next

CALL_TIMEOUT = 60.0
_CALL_SECONDS = 60.0
_NEW_TRIES = 5
_MOST_NUMBERS = 200
_FIND_TRIES = 6

T = TypeVar("T")
Job = Any  # a LoadJob or QueryJob: their base class has no public name


class JobFailed(Exception):
    """The job ended with an error that trying again won't mend."""

    def __init__(self, job: Job, trouble: Trouble) -> None:
        self.job = job
        self.trouble = trouble
        super().__init__(trouble.message)


class Jobs:
    """Runs calls and jobs of one `bigquery.Client`. Safe for threads."""

    def __init__(self, client: Any, location: str | None, wait_seconds: float, clock: Clock) -> None:
        self._client = client
        self._location = location
        self._wait_seconds = wait_seconds
        self._clock = clock

    def call(self, what: Callable[[], T], *, starts_anew: bool = False) -> T:
        """`what`'s answer; passing faults are tried again for a minute, others raised as they come.

        With `starts_anew`, `what` makes a job of its own each time, so a cleanly failed one is tried again too.
        """
        again = (Next.SAME_ID, Next.NEW_ID) if starts_anew else (Next.SAME_ID,)
        until = self._clock.monotonic() + _CALL_SECONDS
        for pause in _pauses():
            try:
                return what()
            except ERRORS as error:
                trouble = of_call(error)
                if trouble.next not in again:
                    raise
                if self._clock.monotonic() + pause > until:
                    raise trouble.error() from None
            self._clock.sleep(pause)
        raise AssertionError("pauses never end")

    def run(
        self,
        kind: str,
        work: str,
        start: Callable[[str], Job],
        *,
        is_kept: Callable[[Job], bool] = lambda _: True,
        look_first: bool = False,
        wait_seconds: float = float("inf"),
    ) -> Job:
        """The ended job that did `work`: begun now with `start(job_id)`, or begun before.

        A job that ended before this call counts only if it went well and `is_kept` finds what it made.
        With `look_first` an existing job is found before `start` is called, for starts that are dear.
        `wait_seconds` shortens the wait for a job that runs. Raises `JobFailed`, `TryLater`, `CredentialsError`.
        """
        tries = 0
        for number in range(_MOST_NUMBERS):
            job_id = self.job_id(kind, work, number)
            job, is_new = self._start_or_find(job_id, start, look_first)
            if not is_new and job.state == "DONE":
                if job.error_result is None and is_kept(job):
                    return job
                continue
            trouble = self._wait(job, wait_seconds)
            if trouble is None:
                return job
            if trouble.next is not Next.NEW_ID:
                raise JobFailed(job, trouble) if trouble.next is Next.FAIL else trouble.error()
            tries += 1
            if tries >= _NEW_TRIES:
                raise trouble.error()
            self._clock.sleep(2.0**tries)
        raise WarehouseError(f"the job {self.job_id(kind, work, 0)} has failed {_MOST_NUMBERS} times; see BigQuery's job history")

    @staticmethod
    def job_id(kind: str, work: str, number: int) -> str:
        """The id of the `number`-th attempt at `work`."""
        return f"rowferry-{kind}-{hashlib.sha256(work.encode()).hexdigest()}-r{number}"

    def _start_or_find(self, job_id: str, start: Callable[[str], Job], look_first: bool) -> tuple[Job, bool]:
        if look_first:
            try:
                return self.call(lambda: self._get(job_id)), False
            except exceptions.NotFound:
                pass
        try:
            return self.call(lambda: start(job_id)), True
        except exceptions.Conflict:
            return self._find(job_id), False

    def _find(self, job_id: str) -> Job:
        """The job that was just found to exist; `jobs.get` may say 404 for a moment."""
        for pause, _ in zip(_pauses(), range(_FIND_TRIES), strict=False):
            try:
                return self.call(lambda: self._get(job_id))
            except exceptions.NotFound:
                self._clock.sleep(pause)
        raise TryLater(f"the job {job_id} exists but can't be read; is warehouse.location right?")

    def _get(self, job_id: str) -> Job:
        return self._client.get_job(job_id, location=self._location, retry=None, timeout=CALL_TIMEOUT)

    def _wait(self, job: Job, most_seconds: float) -> Trouble | None:
        """Wait for the job's end. None when it went well."""
        until = self._clock.monotonic() + min(self._wait_seconds, most_seconds)
        for pause in _pauses(first=0.1, longest=5.0):
            if self.call(lambda: job.done(retry=None, timeout=CALL_TIMEOUT)):
                return of_job(job.error_result) if job.error_result else None
            if self._clock.monotonic() >= until:
                raise TryLater(f"the job {job.job_id} still runs; the next call takes it up")
            self._clock.sleep(pause)
        raise AssertionError("pauses never end")


def _pauses(first: float = 0.5, longest: float = 16.0) -> Iterator[float]:
    while True:
        yield first
        first = min(first * 2, longest)
