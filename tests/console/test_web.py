"""The server of one machine at the wire: methods nobody knows, bodies in chunks, lengths that lie, and no 5xx for any of it."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.app import App
from rowferry.console.web import listen
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from support.senders import SECRET, call

SETTINGS = """
rowferry: 1
warehouse: {engine: duckdb, path: warehouse.duckdb}
state: ./state
destinations: {ops: {vendor: slack, webhook_url: "env:SLACK"}}
webhooks:
  shop: {verify: {scheme: github, secret: "env:SECRET"}, routes: [{notify: {to: ops, text: "{{ word }}"}}]}
  form: {verify: {scheme: bearer, secret: "env:SECRET"}, routes: [{notify: {to: ops, text: "{{ amount }}"}}]}
"""
Ask = Callable[[bytes], tuple[int, bytes]]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the server listens."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "rowferry.yaml").write_text(SETTINGS)
    environment = {"SECRET": SECRET, "SLACK": "https://hooks.slack.com/services/T/B/x"}
    with App(read_settings(Path(folder), environment), environment=environment) as app, listen(Machine(app), 0) as address:
        yield int(address.rpartition(":")[2])


@pytest.fixture(scope="module")
def ask(port: int) -> Ask:
    """Send bytes over a connection of their own; the status and the body of the first answer."""

    def send(request: bytes) -> tuple[int, bytes]:
        with socket.create_connection(("127.0.0.1", port), timeout=300) as connection:
            connection.sendall(request)
            with suppress(OSError):  # it has answered and hung up already
                connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
        return (int(found[1]) if found else 0), answer.partition(b"\r\n\r\n")[2]

    return send


def _head(method: str = "POST", path: str = "/hooks/shop", **headers: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: x",
        "connection: close",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _signed(word: str) -> tuple[bytes, dict[str, str]]:
    found = call("github", "shop", {"word": word}, datetime.now(UTC), **{"x-github-delivery": word})
    return found.body, dict(found.headers)


def test_a_body_in_chunks(ask: Ask) -> None:
    """A sender that does not know the length beforehand is verified over the bytes it meant, chunk by chunk."""
    body, headers = _signed("chunked")
    first, rest = body[:5], body[5:]
    chunks = b"%x;name=value\r\n%b\r\n%X\r\n%b\r\n0\r\ntrailer: x\r\n\r\n" % (len(first), first, len(rest), rest)
    assert ask(_head(transfer_encoding="chunked", **headers) + chunks) == (200, b'{"status":"accepted"}')
    assert ask(_head(content_length=str(len(body)), **headers) + body) == (200, b'{"status":"repeated"}')


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PATCH", "BREW", "GET", "PUT"])
def test_any_other_method_is_not_allowed(ask: Ask, method: str) -> None:
    """At a hook that is there; at one that is not, it is not found as everything else."""
    assert ask(_head(method)) == (405, b'{"status":"only POST"}')
    assert ask(_head(method, "/hooks/nosuch")) == (404, b'{"status":"not found"}')


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content_length": "²"}, b"", 400), ({"content_length": "-1"}, b"", 400), ({"content_length": "9" * 16}, b"", 413),
        ({"content_length": "2", "transfer_encoding": "chunked"}, b"2\r\n{}\r\n0\r\n\r\n", 400), ({"transfer_encoding": "gzip"}, b"", 400),
        ({"transfer_encoding": "chunked"}, b"zz\r\n", 400), ({"transfer_encoding": "chunked"}, b"7fffffff\r\n", 413),
        ({"transfer_encoding": "chunked"}, b"7a0000\r\n" + b"x" * 0x7A0000 + b"\r\n7a0000\r\n", 413),
        ({"content_length": "50"}, b"{}", 400), ({"transfer_encoding": "chunked"}, b"5\r\n{}", 400),
    ],
)  # fmt: skip
def test_a_length_that_lies(ask: Ask, headers: dict[str, str], body: bytes, status: int) -> None:
    """Refused without reading on, and the connection ends: what follows may be anything."""
    assert ask(_head(**headers) + body)[0] == status


def test_a_caller_who_hangs_up_half_way_is_not_taken_in(ask: Ask) -> None:
    """What is signed would not match, but a form under a token that is cut short is a form all the same."""
    headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/x-www-form-urlencoded"}
    assert ask(_head(path="/hooks/form", content_length="20", **headers) + b"word=one&amount=1") == (400, b'{"status":"malformed"}')
    assert ask(_head(path="/hooks/form", content_length="20", **headers) + b"word=one&amount=1999") == (200, b'{"status":"accepted"}')


def test_two_lengths_are_none(ask: Ask) -> None:
    """Two that differ are refused, since two readers would each take another one; the same twice is one (RFC 9112, 6.3)."""
    body, headers = _signed("lengths")
    head = _head(content_length=str(len(body)), **headers)
    assert ask(head.replace(b"host: x", b"host: x\r\ncontent-length: 4") + body)[0] == 400
    assert ask(head.replace(b"host: x", b"host: x\r\ncontent-length: %d" % len(body)) + body)[0] == 200


def test_a_header_that_comes_twice_is_one(ask: Ask) -> None:
    """As both clouds hand it over: of two signatures, a true one beside another, none is picked."""
    body, headers = _signed("twice")
    head = _head(content_length=str(len(body)), **headers)
    other = b"x-hub-signature-256: sha256=00"
    assert ask(head.replace(b"host: x", b"host: x\r\n" + other) + body)[0] == 401
    assert ask(head.replace(b"connection: close", b"connection: close\r\nx-other: 1\r\nX-Other: 2") + body)[0] == 200


def test_the_body_of_a_page_is_no_request(ask: Ask) -> None:
    """What comes along with a GET that reads no body is not taken for the next request: the connection ends."""
    body, headers = _signed("smuggled")
    smuggled = _head(content_length=str(len(body)), **headers) + body
    assert ask(b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(smuggled) + smuggled) == (200, b"ok")


def test_a_caller_who_is_gone_makes_no_traceback(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    """A connection that is reset is everyday; the log is for what a person has to look at."""
    others = set(threading.enumerate())  # handlers of other servers may wait for their clients as long as they like
    connection = socket.create_connection(("127.0.0.1", port), timeout=300)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes with a reset
    connection.sendall(_head(content_length="100"))
    handlers: list[threading.Thread] = []
    for _ in range(3000):
        new = [found for found in threading.enumerate() if found not in others and "process_request_thread" in found.name]
        if handlers := [found for found in new if found.is_alive()]:  # one that is not yet started can't be waited for
            break
        time.sleep(0.02)
    connection.close()
    for handler in handlers:
        handler.join(300)
    assert "Traceback" not in capfd.readouterr().err


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    method=st.sampled_from(["POST", "GET", "OPTIONS"]) | st.from_regex(r"[A-Z]{1,8}", fullmatch=True),
    path=st.sampled_from(["/hooks/shop", "/hooks/", "/hooks//shop", "/hooks/shop/"]) | st.from_regex(r"/hooks/[!-~]{0,20}", fullmatch=True),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["content-type", "content-length", "transfer-encoding", "x-hub-signature-256", "expect", "content-encoding"]),
            st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)
            | st.sampled_from(["chunked", "0", "5", "sha256="]),
        ),
        max_size=4,
    ),
    body=st.binary(max_size=60),
)
def test_no_bytes_make_a_5xx(ask: Ask, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> None:
    """Whatever comes: an answer that is meant, or none where the caller hung up half way."""
    lines = [f"{method} {path} HTTP/1.1", "connection: close", *(f"{name}: {value}" for name, value in headers), "", ""]
    assert ask("\r\n".join(lines).encode("latin-1") + body)[0] < 500
