"""The HTTP client against answers that no friendly server gives."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from rowferry.http import HttpClient, NoAnswer
from rowferry.wire import Request


class Trickle(httpx.SyncByteStream):
    """A body that comes byte by byte and never ends."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b" "


def test_an_answer_that_trickles_in_is_none() -> None:
    """A request takes no longer than its timeout, even when each of its reads is quick; the rows may have arrived."""
    client = HttpClient(transport=httpx.MockTransport(lambda _request: httpx.Response(201, stream=Trickle())), body_bytes=1 << 60)
    with pytest.raises(NoAnswer) as caught:
        client.send(Request("POST", "https://vendor.example/in"), timeout_seconds=0.05)
    assert caught.value.maybe_applied
