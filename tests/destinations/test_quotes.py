"""Vendors' texts lose what they quote from a row, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from rowferry.destinations.quotes import blanked, quotable, unquoting
from rowferry.wire import Response


@pytest.mark.parametrize(
    ("text", "values", "found"),
    [
        ("a@b.co is no address", ["a@b.co"], "… is no address"),
        ("4711 of anna and ann", [{"name": "ann", "more": [{"name": "anna"}, 4711]}], "… of … and …"),
        ("F is no gender", ["F"], "F is no gender"),
        ("true is no text", [True, None], "true is no text"),
        ("nothing of it", ["elsewhere"], "nothing of it"),
        ("x" * 400, [], "x" * 300),
    ],
)
def test_values_are_blanked(text: str, values: list[Any], found: str) -> None:
    """Every value of three characters and more, the longest first, however deep it stands."""
    assert blanked(text, values) == found


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b'{"a":"secret"}', {"a": "secret"}),
        (b'["/path",{}]\n{"a":"secret"}', {"a": "secret"}),
        (b"a=secret&b=%C3%A4", ["secret", "ä"]),
        (b"", []),
    ],
)
def test_payloads_of_each_kind_can_be_quoted_from(payload: bytes, value: Any) -> None:
    """JSON, JSON after a line of its own, forms, and nothing at all."""
    assert quotable(payload) == value


def test_an_answer_keeps_status_and_headers() -> None:
    """Only its text changes, so that it means what it meant."""
    answer = unquoting(Response(429, b"slow down, secret", {"retry-after": "3"}), ["secret"])
    assert (answer.status, answer.text, answer.headers) == (429, "slow down, …", {"retry-after": "3"})
