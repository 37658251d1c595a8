"""The server under every twin: HTTP as clients speak it, faults, latency, state."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from rowferry.twins.server import Call, Fault, Twin
from rowferry.wire import Response


@dataclass
class EchoTwin(Twin):
    """Answers each request with its body, and keeps the bodies it applied."""

    applied: list[bytes] = field(default_factory=list)

    def answer(self, call: Call) -> Response:
        self.applied.append(call.body)
        return Response(200, call.body, {"x-method": call.method})

    def state(self) -> dict[str, Any]:
        return super().state() | {"applied": len(self.applied)}


@pytest.fixture
def twin() -> Iterator[EchoTwin]:
    with EchoTwin() as twin:
        yield twin


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_request_comes_in_whole(twin: EchoTwin, method: str) -> None:
    """Method, path with query, headers in lower case, body."""
    got = httpx.request(method, f"{twin.url}/a/b?c=d", content=b"x" * 100_000, headers={"X-Thing": "Value: 1"}, timeout=300)
    assert got.content == b"x" * 100_000
    [call] = twin.log
    assert (call.method, call.path, call.headers["x-thing"]) == (method, "/a/b?c=d", "Value: 1")


def test_a_connection_is_kept(twin: EchoTwin) -> None:
    """Many requests over one connection, as a real client sends them."""
    with httpx.Client(timeout=300) as client:
        ours = [client.post(twin.url).extensions["network_stream"].get_extra_info("client_addr") for _ in range(3)]
    assert len(set(ours)) == 1
    assert twin.requests == 3


def test_a_client_may_ask_whether_to_go_on(twin: EchoTwin) -> None:
    """curl asks with `Expect: 100-continue` before a large body."""
    with socket.create_connection(("127.0.0.1", int(twin.url.rpartition(":")[2])), timeout=300) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 100 ")
        raw.sendall(b"hi")
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nhi")


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"nonsense\r\n\r\n"])
def test_nonsense_ends_the_connection_and_no_more(twin: EchoTwin, sent: bytes) -> None:
    """A port scanner or a client that hangs up does not disturb the others."""
    with socket.create_connection(("127.0.0.1", int(twin.url.rpartition(":")[2])), timeout=300) as raw:
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(100) == b""
    assert httpx.post(twin.url, content=b"x", timeout=300).content == b"x"


def test_a_fault_takes_the_next_request_only(twin: EchoTwin) -> None:
    """An ordered answer replaces the vendor's, once, and nothing is applied."""
    twin.faults.append(Fault(response=Response(503, b"no", {"retry-after": "1"})))
    assert httpx.post(twin.url, timeout=300).status_code == 503
    assert httpx.post(twin.url, timeout=300).status_code == 200
    assert len(twin.applied) == 1


@pytest.mark.parametrize(("reset", "applied"), [("before", 0), ("after", 1)])
def test_a_reset_cuts_before_or_after_applying(twin: EchoTwin, reset: str, applied: int) -> None:
    """The client can't tell the two apart; the twin's state can."""
    twin.faults.append(Fault(reset=reset))
    with pytest.raises(httpx.TransportError):
        httpx.post(twin.url, content=b"x", timeout=300)
    assert len(twin.applied) == applied


def test_a_fault_can_wait_for_its_request(twin: EchoTwin) -> None:
    """`when` picks; other requests pass by."""
    twin.faults.append(Fault(response=Response(500), when=lambda call: b"poison" in call.body))
    assert httpx.post(twin.url, content=b"good", timeout=300).status_code == 200
    assert httpx.post(twin.url, content=b"poison", timeout=300).status_code == 500


def test_people_can_look_inside(twin: EchoTwin) -> None:
    """The state is JSON, is no request of its own, and is out of reach of faults."""
    twin.faults.append(Fault(response=Response(500)))
    assert httpx.get(f"{twin.url}/_twin/state", timeout=300).json() == {"requests": 0, "violations": [], "applied": 0}
    assert twin.requests == 0
    assert len(twin.faults) == 1


def test_without_a_log_nothing_is_kept() -> None:
    """For hours of load."""
    with EchoTwin(keep_log=False) as twin:
        httpx.post(twin.url, timeout=300)
        assert (twin.requests, twin.log) == (1, [])


def test_a_stopped_twin_answers_nobody(twin: EchoTwin) -> None:
    """Not even over a connection that was kept."""
    with httpx.Client(timeout=300) as client:
        client.post(twin.url, content=b"x")
        address = twin.url
        twin.stop()
        with pytest.raises(httpx.TransportError):
            client.post(address, content=b"y")
    assert twin.applied == [b"x"]


def test_a_stopped_twin_has_no_address(twin: EchoTwin) -> None:
    """Nobody sends to a port that somebody else may have by now."""
    twin.stop()
    with pytest.raises(RuntimeError):
        assert twin.url
