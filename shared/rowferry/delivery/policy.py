"""The retry policy, in one table: what each answer leads to.

| Answer    | What is done                                                                            |
|-----------|-----------------------------------------------------------------------------------------|
| Settled   | keep: each row has its outcome; a row to be sent again becomes a batch of its own        |
| TryAgain  | retry: counts as an attempt; a growing pause, or the one that was asked for              |
| NoAnswer  | retry: counts as an attempt                                                              |
| SlowDown  | wait: not an attempt; every worker of the account pauses; bounded by time, see below    |
| Follow    | ask on: the next request of the chain, bounded                                           |
| Split     | split: halves, down to the one row at fault, which is rejected                           |
| Refused   | stop: nothing more is sent; the run is `failed` until a person has acted                 |

A vendor that takes nothing and only asks for pauses is left alone when the next one would end beyond
`retry_for` or the function's life: the run stays open.

A 5xx, an answer that can't be read and one that never came leave it open whether the rows arrived: each
row that goes out once more after that counts as `resent`.

When the attempts are used up the batch is split too: either a row in it breaks the vendor, and its
neighbours get through, or nothing gets through, and the run is left open. A row that fails alone is
rejected when others get through after it, and it fails again. Where there is no other row to tell, time
does: it has failed in `SUSPECT_CALLS` calls over `reject_after`, the vendor answers a request without rows
as it should, and no more than `MOST_SUSPECTS` rows of the destination are in that state. More than that
are the vendor's fault, not the rows'.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from rowferry.delivery.suspects import Failing
from rowferry.destinations.port import Answer, Follow, Refused, Settled, SlowDown, Split, TryAgain
from rowferry.http import NoAnswer
from rowferry.wire import Request

FOLLOWS = 2000  # requests of one chain: a bulk job that is polled every few seconds for hours
HOPELESS = 12  # failures in a row, with nothing delivered since, after which the vendor counts as down
SUSPECT_CALLS = 3
MOST_SUSPECTS = 20
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0


class Step(Enum):
    """What the sender does next."""

    KEEP = auto()
    RETRY = auto()
    WAIT = auto()
    FOLLOW = auto()
    SPLIT = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """What an answer leads to, whether it uses up an attempt, and whether the rows may have arrived without its saying so."""

    step: Step
    is_attempt: bool = False
    may_have_arrived: bool = False


RULES: Mapping[type, Rule] = {
    Settled: Rule(Step.KEEP),
    TryAgain: Rule(Step.RETRY, is_attempt=True, may_have_arrived=True),
    NoAnswer: Rule(Step.RETRY, is_attempt=True, may_have_arrived=True),
    SlowDown: Rule(Step.WAIT),
    Follow: Rule(Step.FOLLOW),
    Split: Rule(Step.SPLIT),
    Refused: Rule(Step.STOP),
}


def may_have_arrived(answer: Answer | NoAnswer, request: Request) -> bool:
    """Whether the rows that `request` carried may be at the vendor without an outcome, so that sending them again is a repeat.

    A GET carries none. A bulk job that was taken in and is asked after from now on has them all.
    """
    if request.method == "GET" or (isinstance(answer, NoAnswer) and not answer.maybe_applied):
        return False
    if isinstance(answer, Follow):
        return answer.request.method == "GET" and not answer.is_next
    return RULES[type(answer)].may_have_arrived


def is_at_fault(failing: Failing, reject_after_seconds: float) -> bool:
    """Whether a row that has failed alone like this is what the vendor fails on, if the vendor is up now."""
    return failing.calls >= SUSPECT_CALLS and failing.seconds >= reject_after_seconds and failing.rows <= MOST_SUSPECTS


def pause_seconds(attempt: int, asked_seconds: float | None) -> float:
    """How long to wait after the `attempt`-th failure (from 1): what the vendor asked for, else
    exponential with full jitter, so that many workers don't come back at the same moment. A vendor that asks
    for no time at all, or for one that is over, has said nothing: asked again at once, it could be for minutes."""
    if asked_seconds is not None and asked_seconds > 0:
        return asked_seconds
    ceiling: float = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
    return random.uniform(ceiling / 2, ceiling)
