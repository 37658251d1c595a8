"""A batch as a chain of requests, each sent when the one before is settled.

Some batches are more than one request: profiles whose own attributes are unset go one by one
beside the bulk job, consents differ in their list, people are looked up before they leave one.
A bulk job is polled, and its errors come in pages. Each request answers for a `Part` of the batch;
where the chain has got to travels in the note of `Follow`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import orjson

from rowferry.destinations.port import DELIVERED, Answer, Delivered, Follow, Rejected, Settled
from rowferry.wire import Request, Response

S = TypeVar("S")
Item = dict[str, Any]  # an object as it stands in a request
Known = Mapping[int, Delivered | Rejected]  # what became of rows, or items, by their place


@dataclass(frozen=True, slots=True)
class Part:
    """What one request is about. `owners` says for each item which rows of the batch it stands for.

    `about` holds what is the same for all of its items (the list, say).
    """

    kind: str
    items: Sequence[Item]
    owners: Sequence[Sequence[int]]
    about: Mapping[str, Any] = field(default_factory=dict)

    def without(self, known: Known) -> Part:
        """The part without the items whose outcome is known."""
        kept = [(item, rows) for item, rows in zip(self.items, self.owners, strict=True) if rows[0] not in known]
        return replace(self, items=[item for item, _ in kept], owners=[rows for _, rows in kept])


@dataclass(frozen=True, slots=True)
class State:
    """Where a chain has got to: the part, the step within it, and what is known of the rows.

    `known` are rows that have their outcome before their part is through, `failing` items of the
    job whose errors are being read. `memo` is what a step leaves for the next, a job's id say.
    """

    part: int = 0
    step: str = "send"
    known: Known = field(default_factory=dict)
    failing: Known = field(default_factory=dict)
    memo: Any = None

    @classmethod
    def of(cls, note: str) -> State:
        """The state that a note carries; the start for the answer to a built request."""
        if not note:
            return cls()
        part, step, known, failing, memo = orjson.loads(note)
        return cls(part, step, _outcomes(known), _outcomes(failing), memo)

    @property
    def note(self) -> str:
        """The state as text."""
        return orjson.dumps([self.part, self.step, _listed(self.known), _listed(self.failing), self.memo]).decode()

    def knowing(self, part: Part, items: Known) -> State:
        """With the outcome of these items of the part, for all the rows that they stand for."""
        found = {row: outcome for index, outcome in items.items() for row in part.owners[index]}
        return replace(self, known={**self.known, **found}, failing={})

    def follow(self, request: Request, step: str, memo: Any = None, wait_seconds: float = 0.0) -> Follow:
        """The next request of this part, whose answer is read at `step`."""
        return Follow(request, replace(self, step=step, memo=memo).note, wait_seconds)


@dataclass(frozen=True, slots=True)
class Done:
    """A part is through: all of its rows have their outcome."""

    state: State


Send = Callable[[Part, S], Request]
ReadPart = Callable[[Response, Part, State, S], Answer | Done]


def _listed(known: Known) -> list[tuple[int, str | None, str]]:
    return [
        (index, outcome.code, outcome.reason) if isinstance(outcome, Rejected) else (index, None, "") for index, outcome in known.items()
    ]


def _outcomes(listed: Sequence[tuple[int, str | None, str]]) -> Known:
    return {index: DELIVERED if code is None else Rejected(code, reason) for index, code, reason in listed}


def read(response: Response, rows: int, parts: Sequence[Part], note: str, settings: S, send: Send[S], read_part: ReadPart[S]) -> Answer:
    """What an answer means for a batch of so many rows that goes out in these parts."""
    state = State.of(note)
    answer = read_part(response, parts[state.part].without(state.known), state, settings)
    if not isinstance(answer, Done):
        return answer
    known, following = answer.state.known, state.part + 1
    if following < len(parts):
        return Follow(send(parts[following], settings), State(following, known=known).note, is_next=True)
    return Settled([known.get(index, DELIVERED) for index in range(rows)])


def settle_some(part: Part, state: State, items: Known, send: Send[S], settings: S) -> Answer | Done:
    """The outcome of some items of a request that was refused as a whole; the others go again at once.

    Each time at least one item leaves, so that this ends.
    """
    state = state.knowing(part, items)
    left = part.without(state.known)
    return state.follow(send(left, settings), "send") if left.items else Done(state)
