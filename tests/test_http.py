"""The HTTP client against answers that no friendly server gives."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from rowferry.http import HttpClient, NoAnswer
from rowferry.twins.server import Call, Twin
from rowferry.wire import Request, Response


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


class Mirror(Twin):
    """Says what it was asked for."""

    def answer(self, call: Call) -> Response:
        """Method, target and host, as they came."""
        said = f"{call.method} {call.path} for {call.headers['host']}, {call.headers.get('content-length', 'no')} bytes"
        return Response(200, said.encode(), {"X-Said": "one", "x-said": "two", "set-cookie": "a=b"})


def test_a_request_says_who_it_is_for_and_how_long_it_is() -> None:
    """Host and length are there whatever the method; header names of the answer are lower case; no cookie comes back."""
    client = HttpClient()
    with Mirror() as vendor:
        host = vendor.url.removeprefix("http://")
        asked = [
            client.send(Request(method, f"{vendor.url}/in?a=b", body), 5) for method, body in (("GET", b""), ("POST", b""), ("PUT", b"{}"))
        ]
        assert [answer.body.decode() for answer in asked] == [
            f"GET /in?a=b for {host}, no bytes",
            f"POST /in?a=b for {host}, 0 bytes",
            f"PUT /in?a=b for {host}, 2 bytes",
        ]
        assert asked[0].headers["x-said"] == "one, two"
        assert not any("cookie" in call.headers for call in vendor.log)
    client.close()


def test_requests_go_through_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a company's proxy nothing reaches the vendor directly; hosts of `NO_PROXY` are reached without it."""
    client = HttpClient()
    with Mirror() as proxy, Mirror() as vendor:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert client.send(Request("GET", "http://vendor.example/in"), 5).text.startswith("GET http://vendor.example/in")
        assert client.send(Request("GET", f"{vendor.url}/in"), 5).text.startswith("GET /in")
        assert (proxy.requests, vendor.requests) == (1, 1)
    client.close()
