"""Vendors' texts without the row's values: they like to quote what they did not take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import orjson

from rowferry.wire import Response

_SHORTEST = 3  # characters; shorter values tell nothing, and blanking them would eat the sentence
_LONGEST = 300


def blanked(text: str, values: Iterable[Any]) -> str:
    """The text, 300 characters at most, with an ellipsis for each of these values (and those inside of them)."""
    found = {value for value in _leaves(values) if len(value) >= _SHORTEST and value in text}
    for value in sorted(found, key=len, reverse=True):
        text = text.replace(value, "…")
    return text[:_LONGEST]


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
