"""A tiny engine for tests of destinations: rows in, one outcome per row out. Waits for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from rowferry.destinations.port import (
    Action,
    Again,
    Answer,
    Fields,
    Follow,
    Refused,
    Rejected,
    RowOutcome,
    Settled,
    Split,
)
from rowferry.errors import RowRejected
from rowferry.wire import Request, Response

_TRIES = 8


class Stopped(Exception):
    """The vendor refused us, or went on failing: the engine would leave the run open."""


@dataclass
class TinySender:
    """Sends rows to a twin through a destination's action and keeps what happened on the way.

    The batches are cut by the action's limits. `waits` collects what `SlowDown` and `TryAgain` asked for.
    """

    action: Action[Any]
    settings: Any
    client: httpx.Client
    requests: list[Request] = field(default_factory=list)
    waits: list[float | None] = field(default_factory=list)

    def deliver(self, rows: Sequence[Fields]) -> list[RowOutcome]:
        """One outcome per row, in order. Raises `Stopped`."""
        outcomes: dict[int, RowOutcome] = {}
        payloads: list[tuple[int, bytes]] = []
        for index, fields in enumerate(rows):
            try:
                payloads.append((index, self.action.to_payload(fields, self.settings)))
            except RowRejected as rejected:
                outcomes[index] = Rejected(rejected.code, rejected.reason)
        for batch in self._batches(payloads):
            self._send(batch, outcomes, _TRIES)
        return [outcomes[index] for index in range(len(rows))]

    def _batches(self, payloads: Sequence[tuple[int, bytes]]) -> list[list[tuple[int, bytes]]]:
        limits = self.action.limits(self.settings)
        batches: list[list[tuple[int, bytes]]] = []
        size = limits.body_bytes
        for index, payload in payloads:
            size += len(payload) + 1
            if not batches or size > limits.body_bytes or len(batches[-1]) == limits.batch_rows:
                batches.append([])
                size = limits.envelope_bytes + len(payload) + 1
            batches[-1].append((index, payload))
        return batches

    def _send(self, batch: Sequence[tuple[int, bytes]], outcomes: dict[int, RowOutcome], tries: int) -> None:
        answer = self._settle([payload for _, payload in batch], tries)
        if isinstance(answer, Split) and len(batch) > 1:
            middle = len(batch) // 2
            self._send(batch[:middle], outcomes, tries)
            self._send(batch[middle:], outcomes, tries)
        elif isinstance(answer, Split):
            outcomes[batch[0][0]] = Rejected(answer.code, answer.reason)
        else:
            assert len(answer.outcomes) == len(batch), "one outcome per row"
            again = [row for row, outcome in zip(batch, answer.outcomes, strict=True) if isinstance(outcome, Again)]
            outcomes |= {index: outcome for (index, _), outcome in zip(batch, answer.outcomes, strict=True)}
            if again and tries == 0:
                raise Stopped("rows were to be sent again and again")
            if again:
                self._send(again, outcomes, tries - 1)

    def _settle(self, payloads: Sequence[bytes], tries: int) -> Settled | Split:
        request, note, reason = self.action.build(payloads, self.settings), "", "nothing was tried"
        follows = 0
        while tries > 0 and follows < 1000:
            try:
                answer = self.ask(request, payloads, note)
            except httpx.TransportError as error:
                tries, reason = tries - 1, repr(error)
                continue
            if isinstance(answer, Settled | Split):
                return answer
            if isinstance(answer, Follow):
                request, note, follows = answer.request, answer.note, follows + 1
            elif isinstance(answer, Refused):
                raise Stopped(answer.reason)
            else:
                tries, reason = tries - 1, answer.reason
                self.waits.append(answer.wait_seconds)
        raise Stopped(reason)

    def ask(self, request: Request, payloads: Sequence[bytes], note: str = "") -> Answer:
        """One request and what its answer means. Raises `httpx.TransportError`."""
        self.requests.append(request)
        return self.action.read(send(self.client, request), payloads, self.settings, note)


def send(client: httpx.Client, request: Request) -> Response:
    """One request over the wire. Raises `httpx.TransportError`."""
    got = client.request(request.method, request.url, content=request.body, headers=dict(request.headers))
    return Response(got.status_code, got.content, {name.lower(): value for name, value in got.headers.items()})
