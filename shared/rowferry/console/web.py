"""The server of one machine: status page, its JSON, and the webhooks. On loopback only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rowferry.console import page
from rowferry.errors import UsageError
from rowferry.machine import Machine
from rowferry.webhooks.port import Answer, Call

_MOST_BODY_BYTES = 8 * 1024 * 1024  # a body beyond every hook's own limit is not even read


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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        if self.path.startswith("/hooks/"):
            self.do_POST()
        elif self.path == "/healthz":
            self._send(Answer(200, b"ok"))
        else:
            machine = self.server.machine
            found = page.answer(self.path, machine.status, machine.app.clock.now())
            self._send(Answer(found.status, found.body, found.headers))

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "0")
        size = int(length) if length.isdigit() else _MOST_BODY_BYTES + 1
        if size > _MOST_BODY_BYTES:
            self.close_connection = True
            self._send(Answer(413, b'{"status":"too large"}', {"content-type": "application/json"}))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, self.path, headers, self.rfile.read(size), self.client_address[0])
        self._send(self.server.machine.app.relay.answer(call))

    do_PUT = do_PATCH = do_DELETE = do_HEAD = do_POST

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
