"""A vendor's stand-in as a real HTTP server on loopback, with latency and faults on order.

A twin's own file holds one class on top of `Twin` with the vendor's rules in `answer`. The base
keeps what came in, counts, sleeps for latency and plays faults. `latency_seconds`, `faults` and
`log` may be changed while it runs. `GET /_twin/state` shows a person what it holds.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Any, Self

import orjson

from rowferry.wire import Response

_LONGEST_LINE_BYTES = 65_536
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the twin saw it. Header names are lower case, `path` has the query in it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of (or around) the vendor's own answer to one request.

    `response`: answer this and apply nothing. `reset`: "before" cuts the connection unapplied,
    "after" applies the request and then cuts. `wait_seconds` comes on top of the latency.
    `when` picks the request; None takes the next one.
    """

    response: Response | None = None
    reset: str | None = None
    wait_seconds: float = 0.0
    when: Callable[[Call], bool] | None = None


@dataclass
class Twin:
    """A vendor's stand-in. Use it as a context manager, or `start()` and `stop()` it.

    Subclasses fill `answer`; it is called under a lock, one request at a time, so their state
    needs no care of its own. They add to `violations` a sentence for each thing the real vendor
    would drop, cut or misread without saying so, and for each request over one of its limits:
    the contract suite wants none, whatever the rows.
    """

    latency_seconds: float = 0.0
    port: int = 0
    keep_log: bool = True
    faults: deque[Fault] = field(default_factory=deque)
    log: list[Call] = field(default_factory=list)
    requests: int = 0
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def answer(self, call: Call) -> Response:
        """What the vendor would say, and its effect on the twin's state."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """What `GET /_twin/state` shows, as JSON: never a secret. Subclasses add what they hold."""
        return {"requests": self.requests, "violations": self.violations[-100:]}

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end. Only while it runs."""
        if self._server is None:
            raise RuntimeError("the twin is not running")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Listen on loopback; on a free port unless `port` says which."""
        self._server = _Server(("127.0.0.1", self.port), self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name=type(self).__name__).start()
        return self

    def stop(self) -> None:
        """Stop listening; requests under way are cut."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def serve(self, call: Call) -> Response | None:
        """Latency, faults, log and the answer of one request; None means: cut the connection."""
        with self._lock:
            if call.path == "/_twin/state":
                return Response(200, orjson.dumps(self.state(), default=str), {"content-type": "application/json"})
            self.requests += 1
            if self.keep_log:
                self.log.append(call)
            fault = self._next_fault(call)
            if fault is not None and fault.reset == "before":
                response = None
            elif fault is not None and fault.response is not None:
                response = fault.response
            else:
                response = self.answer(call)
                if fault is not None and fault.reset == "after":
                    response = None
        wait_seconds = self.latency_seconds + (fault.wait_seconds if fault is not None else 0.0)
        if wait_seconds:
            time.sleep(wait_seconds)
        return response

    def _next_fault(self, call: Call) -> Fault | None:
        for fault in list(self.faults):  # whoever gave them may take them back meanwhile
            if fault.when is None or fault.when(call):
                with suppress(ValueError, IndexError):
                    self.faults.remove(fault)
                return fault
        return None


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], twin: Twin) -> None:
        self.twin = twin
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """End the connections that clients have kept: nobody is answered by a twin that was stopped."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; a fault of a twin's own is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Connection(StreamRequestHandler):
    """HTTP/1.1 with keep-alive. Reads by hand: http.server's own parser would take most of a load test's CPU."""

    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Read a request and answer it; whether the connection goes on."""
        call = self._read()
        response = self.server.twin.serve(call) if call is not None else None
        if call is None or response is None:
            return False
        lines = [f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, 'Unknown')}", f"content-length: {len(response.body)}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + response.body)
        return call.headers.get("connection", "").lower() != "close"

    def _read(self) -> Call | None:
        """The next request; None when the client has gone or does not speak HTTP/1.1."""
        words = self.rfile.readline(_LONGEST_LINE_BYTES).decode("latin-1").split()
        if len(words) != 3:
            return None
        headers: dict[str, str] = {}
        while line := self.rfile.readline(_LONGEST_LINE_BYTES):
            if not line.strip():
                break
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if not line:
            return None  # cut off within the headers
        if headers.get("expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            return None  # the client died while it was sending: no server acts on half a request
        return Call(words[0], words[1], headers, body)
