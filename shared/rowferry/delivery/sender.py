"""One batch on its way to an outcome for each of its rows: attempts, waits, splits.

Runs in a worker thread and blocks it: a thread is a request in flight. What an answer leads to
stands in `policy`; here is only how it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from rowferry.clock import Clock
from rowferry.delivery import policy
from rowferry.delivery.account import Account
from rowferry.delivery.batch import Batch
from rowferry.delivery.halt import Halt
from rowferry.delivery.suspects import digest_of
from rowferry.destinations.port import Action, Answer, Delivered, Follow, Refused, Rejected, Settled, SlowDown, Split, TryAgain
from rowferry.destinations.quotes import discreet
from rowferry.http import NoAnswer
from rowferry.wire import Request


@dataclass(slots=True)
class Sent:
    """What became of a batch. Rows in neither list are left for another time. `doubtful` rows were in a
    request that may have arrived, and nobody knows."""

    delivered: list[int] = field(default_factory=list)
    rejected: dict[int, Rejected] = field(default_factory=dict)
    requests: int = 0
    resent: int = 0
    doubtful: set[int] = field(default_factory=set)

    def count(self, request: Request, rows: Sequence[int]) -> None:
        """A request for these rows goes out; one that only asks carries none of them."""
        self.requests += 1
        if self.doubtful and request.method != "GET":
            self.resent += len(self.doubtful.intersection(rows))

    def count_left(self, rows: Sequence[int]) -> None:
        """Those of these rows that have no outcome go out again in another call: a repeat, where they may have arrived."""
        if self.doubtful:
            self.resent += len(self.doubtful.intersection(rows).difference(self.delivered, self.rejected))


def keep_in_flight(account: Account, halt: Halt, work: Callable[[], None]) -> None:
    """Run `work` in as many threads as the account may have requests in flight, until all of them have ended."""
    with ThreadPoolExecutor(account.in_flight, thread_name_prefix=account.name) as threads:
        try:
            for ended in as_completed([threads.submit(work) for _ in range(account.in_flight)]):
                ended.result()
        except BaseException as error:  # Ctrl-C as well: no thread goes on when its caller does not
            halt.stop(str(error))
            raise


class Sender:
    """Sends batches of one action to one account. Safe for threads.

    `left_seconds` says how much time the function still has; a wait that does not fit hands back.
    """

    def __init__(self, account: Account, action: Action[Any], clock: Clock, halt: Halt, left_seconds: Callable[[], float]) -> None:
        self._account, self._action, self._clock, self._halt, self._left_seconds = account, action, clock, halt, left_seconds
        self._settings, self._pacer = account.settings, account.pacer_of(action)
        self._suspected = account.suspects.digests() if account.suspects is not None else frozenset()
        account.watch(halt)

    def may_begin(self) -> bool:
        """Whether another batch may be begun. Once the function's time is nearly up, all senders of the chunk stop."""
        if self._halt.reason is None and self._left_seconds() < self._settings.timeout:
            self._halt.stop("the function's time is nearly up", wait_seconds=0)
        return self._halt.reason is None

    def send(self, batch: Batch) -> Sent:
        """Bring every row of the batch to its outcome, as far as vendor and time allow."""
        sent, waiting = Sent(), [batch]
        suspects: list[_Suspect] = []
        while waiting and self._halt.reason is None:
            part = waiting.pop()
            answer = self._exchange(part, sent)
            if isinstance(answer, Settled):
                waiting += self._keep(part, answer, sent)
            elif isinstance(answer, Split):
                waiting += self._split(part, answer, sent)
            elif answer is not None:
                waiting += self._suspect(part, answer, suspects)
        for suspect in suspects:
            self._judge(suspect, sent)
        sent.count_left(batch.rows)
        return sent

    def _exchange(self, part: Batch, sent: Sent) -> Settled | Split | TryAgain | None:
        """Send until there is something to act on. A `TryAgain` means that the attempts are used up,
        None that everything is to stop."""
        request, note, follows, slowed = self._action.build(part.payloads, self._settings), "", 0, 0
        started_at = self._clock.monotonic()
        while self._halt.reason is None:
            answer = self._ask(request, note, part, sent)
            if answer is None:
                return None
            if isinstance(answer, (Settled, Split)):
                return answer
            if isinstance(answer, Follow) and follows < policy.FOLLOWS:
                request, note, follows = answer.request, answer.note, follows + 1
                self._wait(answer.wait_seconds, "the vendor is still at work on a bulk job")
                started_at = self._clock.monotonic()  # polling a job that goes well is no trouble
            elif isinstance(answer, SlowDown):
                slowed += 1
                self._slow_down(answer, slowed)
            elif isinstance(answer, Refused):
                self._halt.stop(answer.reason, is_refusal=True)
            else:
                failure = answer if isinstance(answer, TryAgain) else TryAgain(_reason(answer))
                part.attempts += 1
                pause = policy.pause_seconds(part.attempts, failure.wait_seconds)
                spent_seconds = self._clock.monotonic() - started_at
                if part.suspect or part.attempts >= self._settings.attempts or spent_seconds + pause > self._settings.retry_for:
                    return failure
                self._wait(pause, failure.reason)
        return None

    def _ask(self, request: Request, note: str, part: Batch, sent: Sent) -> Answer | NoAnswer | None:
        """One request, and what its answer means; None when everything stopped before its turn came."""
        pause = self._pacer.wait_seconds()
        if pause > self._left_seconds():  # asked for while another chunk was sent
            self._halt.stop(f"{self._account.name} is to be sent nothing for {pause / 60:.0f} minutes", wait_seconds=pause)
        if self._halt.reason is not None or not self._pacer.turn(self._halt.stopped):
            return None
        sent.count(request, part.rows)
        try:
            response = self._account.client.send(request, self._settings.timeout)
        except NoAnswer as error:
            answer: Answer | NoAnswer = error
        else:
            answer = discreet(self._action.read(response, part.payloads, self._settings, note), part.payloads)
        finally:
            self._pacer.end()
        if policy.may_have_arrived(answer, request):
            sent.doubtful.update(part.rows)
        elif isinstance(answer, Follow) and answer.is_next:
            sent.doubtful.difference_update(part.rows)
        return answer

    def _wait(self, seconds: float, reason: str) -> None:
        if seconds > self._left_seconds():
            self._halt.stop(reason, wait_seconds=seconds)
        else:
            self._clock.wait(self._halt.stopped, seconds)

    def _slow_down(self, answer: SlowDown, times: int) -> None:
        seconds = policy.pause_seconds(times, answer.wait_seconds)
        self._pacer.slow_down(seconds)
        spent_seconds = self._halt.slowed_for(self._clock.monotonic())
        if seconds > self._left_seconds() or spent_seconds + seconds > self._settings.retry_for:
            self._halt.stop(answer.reason, wait_seconds=seconds)

    def _keep(self, part: Batch, answer: Settled, sent: Sent) -> list[Batch]:
        """Note every row's outcome; what is to be sent again comes back as a batch."""
        if len(answer.outcomes) != len(part.rows):
            raise AssertionError(f"{self._account.name}: {len(answer.outcomes)} outcomes for {len(part.rows)} rows")
        again, asked_seconds, reason = Batch(attempts=part.attempts + 1, suspect=part.suspect), 0.0, ""
        delivered = 0
        for row, payload, outcome in zip(part.rows, part.payloads, answer.outcomes, strict=True):
            if isinstance(outcome, Delivered):
                sent.delivered.append(row)
                delivered += 1
            elif isinstance(outcome, Rejected):
                sent.rejected[row] = outcome
            elif again.attempts >= self._settings.attempts:
                sent.rejected[row] = Rejected("still_failing", f"after {again.attempts} attempts: {outcome.reason}")
            else:
                again.rows.append(row)
                again.payloads.append(payload)
                asked_seconds, reason = max(asked_seconds, outcome.wait_seconds or 0.0), outcome.reason
        self._halt.went_well(delivered)
        self._pacer.went_well()
        self._clear(part.payloads if not again.rows else set(part.payloads).difference(again.payloads))
        if not again.rows:
            return []
        self._wait(policy.pause_seconds(again.attempts, asked_seconds or None), reason)
        return [again]

    def _clear(self, payloads: Iterable[bytes]) -> None:
        """These rows have their outcome: those that failed in an earlier call are suspects no more."""
        if self._suspected and self._account.suspects is not None:
            for payload in payloads:
                if digest_of(self._action.name, payload) in self._suspected:
                    self._account.suspects.forget(self._action.name, payload)

    def _split(self, part: Batch, answer: Split, sent: Sent) -> list[Batch]:
        if answer.too_large:
            self._account.shrink(self._action, len(part.rows))
        if len(part.rows) > 1:
            return list(part.halves())[::-1]
        sent.rejected[part.rows[0]] = Rejected(answer.code, answer.reason)
        return []

    def _suspect(self, part: Batch, answer: TryAgain, suspects: list[_Suspect]) -> list[Batch]:
        """The attempts are used up: is it one row, or is the vendor down? Halves will tell."""
        part.suspect = True
        self._halt.failed(answer.reason)
        if len(part.rows) > 1:
            return list(part.halves())[::-1]
        suspects.append(_Suspect(part, answer.reason, self._halt.delivered))
        return []

    def _judge(self, suspect: _Suspect, sent: Sent) -> None:
        """A row is at fault only when it fails, the vendor is seen to be up, and it fails again; see `policy`."""
        if self._halt.is_refusal:
            return
        fault = "the vendor fails on this row while it takes others"
        if self._halt.delivered == suspect.delivered_before:
            fault = self._lasting_fault(suspect, sent)
            if not fault:
                self._halt.stop(suspect.reason)
        if self._halt.reason is not None:
            return
        answer = self._exchange(suspect.part, sent)
        if isinstance(answer, Settled):
            self._keep(suspect.part, answer, sent)
        elif isinstance(answer, Split):
            self._split(suspect.part, answer, sent)
        elif answer is not None:
            sent.rejected[suspect.part.rows[0]] = Rejected("server_error", f"{fault}: {answer.reason}")
        if answer is not None and self._account.suspects is not None:
            self._account.suspects.forget(self._action.name, suspect.part.payloads[0])

    def _lasting_fault(self, suspect: _Suspect, sent: Sent) -> str:
        """What is wrong with a row that fails alone, with no other to tell; empty while that is not known."""
        if self._account.suspects is None:
            return ""
        failing = self._account.suspects.note(self._action.name, suspect.part.payloads[0])
        if not policy.is_at_fault(failing, self._settings.reject_after) or not self._is_up(sent):
            return ""
        return f"the vendor is up and has failed on this row for {failing.seconds / 60:.0f} minutes, {failing.calls} times over"

    def _is_up(self, sent: Sent) -> bool:
        """Whether the vendor answers a request without rows as it should."""
        probe = self._account.destination.probe(self._settings)
        if self._halt.reason is not None or not self._pacer.turn(self._halt.stopped):
            return False
        sent.count(probe, ())
        try:
            response = self._account.client.send(probe, self._settings.timeout)
        except NoAnswer:
            return False
        finally:
            self._pacer.end()
        return self._account.destination.read_probe(response) is None


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A single row that could not be sent, and how many rows had been delivered when it failed."""

    part: Batch
    reason: str
    delivered_before: int


def _reason(answer: Answer | NoAnswer) -> str:
    return str(answer) if isinstance(answer, NoAnswer) else getattr(answer, "reason", "the vendor's job did not end")
