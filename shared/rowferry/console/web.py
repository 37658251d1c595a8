"""The server of one machine: status page, its JSON, and the webhooks. On loopback only."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rowferry.console import page
from rowferry.errors import UsageError
from rowferry.machine import Machine
from rowferry.webhooks.port import Answer, Call
from rowferry.webhooks.relay import answer

_MOST_BODY_BYTES = 8 * 1024 * 1024  # a body beyond every hook's own limit is not even read
_MOST_LINE_BYTES = 1024


class _BadBody(Exception):
    """The body can't be read; what the caller is told."""

    def __init__(self, status: int, word: str) -> None:
        self.status, self.word = status, word
        super().__init__(word)


@contextmanager
def listen(machine: Machine, port: int) -> Iterator[str]:
    """Serve while the block runs; its address. Raises `UsageError` when the port is taken."""
    try:
        server = _Server(("127.0.0.1", port), machine)
    except OSError as error:
        raise UsageError(f"port {port} can't be had ({error.strerror}); take another one with --port, or 0 for a free one") from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="web")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], machine: Machine) -> None:
        self.machine = machine
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller who hangs up is no fault of ours, and makes no traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        if self.path.startswith("/hooks/"):
            self.do_POST()
            return
        self.close_connection |= "content-length" in self.headers or "transfer-encoding" in self.headers  # a body that is not read
        if self.path == "/healthz":
            self._send(Answer(200, b"ok"))
        else:
            machine = self.server.machine
            found = page.answer(self.path, machine.status, machine.app.clock.now())
            self._send(Answer(found.status, found.body, found.headers))

    def do_POST(self) -> None:
        try:
            sizes = dict.fromkeys(self.headers.get_all("content-length", ["0"]))
            body = self._read_chunks() if "transfer-encoding" in self.headers else self._read(",".join(sizes), 10)
        except _BadBody as error:
            self.close_connection = True  # where the next request would start is not known
            self._send(answer(error.status, error.word))
            return
        headers = {name.lower(): ", ".join(self.headers.get_all(name, ())) for name in self.headers}  # RFC 9110, 5.3
        call = Call(self.command, self.path, headers, body, self.client_address[0])
        self._send(self.server.machine.app.relay.answer(call))

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Any other method, of which there may be as many as words, is the relay's to refuse."""
        if name.startswith("do_"):
            return self.do_POST
        raise AttributeError(name)

    def _read(self, size: str, base: int, before: int = 0) -> bytes:
        """So many bytes of the body, after those read before. Raises `_BadBody`."""
        if not re.fullmatch(r"[0-9A-Fa-f]{1,16}" if base == 16 else r"[0-9]{1,16}", size):
            raise _BadBody(400, "malformed")
        if before + int(size, base) > _MOST_BODY_BYTES:
            raise _BadBody(413, "too large")
        body = self.rfile.read(int(size, base))
        if len(body) < int(size, base):  # the caller hung up: a form that is cut short is a form as well
            raise _BadBody(400, "malformed")
        return body

    def _read_chunks(self) -> bytes:
        """A body whose sender did not know its length (RFC 9112, 7.1). Raises `_BadBody`."""
        if self.headers["transfer-encoding"].strip().lower() != "chunked" or "content-length" in self.headers:
            raise _BadBody(400, "malformed")
        body = b""
        while chunk := self._read(self.rfile.readline(_MOST_LINE_BYTES).partition(b";")[0].strip().decode("latin-1"), 16, len(body)):
            body += chunk
            self.rfile.readline(_MOST_LINE_BYTES)
        while self.rfile.readline(_MOST_LINE_BYTES).strip():
            pass  # trailers, which say nothing that we want
        return body

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what matters is logged where it is decided."""
