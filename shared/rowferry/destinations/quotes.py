"""Vendors' texts without the row's values: they like to quote what they did not take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import orjson

from rowferry.destinations.port import Answer, Delivered, Refused, RowOutcome, Settled, SlowDown, Split, TryAgain
from rowferry.wire import Response

_SHORTEST = 3  # characters; shorter values tell nothing, and blanking them would eat the sentence
_LONGEST = 300


def blanked(text: str, values: Iterable[Any]) -> str:
    """The text, 300 characters at most, with an ellipsis for each of these values (and those inside of them)."""
    found = {value for value in _leaves(values) if len(value) >= _SHORTEST and value in text}
    for value in sorted(found, key=len, reverse=True):
        text = text.replace(value, "…")
    return text[:_LONGEST]


def discreet(answer: Answer, payloads: Sequence[bytes]) -> Answer:
    """The answer with no value of these rows in its reasons: they end in logs, notices and errors."""
    if isinstance(answer, (TryAgain, SlowDown, Split, Refused)):
        return replace(answer, reason=blanked(answer.reason, map(quotable, payloads)))
    if isinstance(answer, Settled) and not all(isinstance(outcome, Delivered) for outcome in answer.outcomes):
        return Settled([_discreet_row(outcome, payload) for outcome, payload in zip(answer.outcomes, payloads, strict=False)])
    return answer


def _discreet_row(outcome: RowOutcome, payload: bytes) -> RowOutcome:
    if isinstance(outcome, Delivered):
        return outcome
    return replace(outcome, reason=blanked(outcome.reason, [quotable(payload)]))


def unquoting(response: Response, values: Iterable[Any]) -> Response:
    """The answer, cut to its start, with an ellipsis for each of these values: fit for a reason, not for reading."""
    return Response(response.status, blanked(response.text, values).encode(), response.headers)


def quotable(payload: bytes) -> Any:
    """What an answer may quote from a payload: of JSON or a form, without a line of its own before it."""
    body = payload.rpartition(b"\n")[2]
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return [value for _, value in parse_qsl(body.decode(errors="replace"))]


def _leaves(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        document = document.values()
    if isinstance(document, str):
        yield document
    elif isinstance(document, Iterable):
        for part in document:
            yield from _leaves(part)
    elif document is not None and not isinstance(document, bool):
        yield str(document)
