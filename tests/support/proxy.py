"""A proxy that spoils single requests on their way to a stand-in: an error, a cut before or after.

with FaultProxy(gcs.url) as proxy:
    proxy.faults.append(Fault(reset="after", when=lambda call: call.method == "POST"))
"""

from __future__ import annotations

import http.client
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from rowferry.twins.server import Call, Fault
from rowferry.wire import Response

_HOP_HEADERS = {"connection", "expect", "transfer-encoding", "keep-alive"}


class FaultProxy:
    """Hands requests on to `upstream` (`http://host:port`), playing `faults` in their order. A context manager."""

    def __init__(self, upstream: str) -> None:
        self.faults: deque[Fault] = deque()
        self.calls: list[Call] = []
        self._upstream = urlsplit(upstream).netloc
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), self)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True, name="proxy").start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, call: Call) -> Response | None:
        """The upstream's answer, or what a fault makes of it; None means: cut the connection."""
        with self._lock:
            self.calls.append(call)
            fault = next((fault for fault in list(self.faults) if fault.when is None or fault.when(call)), None)
            if fault is not None:
                self.faults.remove(fault)
        if fault is not None and fault.reset == "before":
            return None
        if fault is not None and fault.response is not None:
            return fault.response
        response = self._ask(call)
        return None if fault is not None and fault.reset == "after" else response

    def _ask(self, call: Call) -> Response:
        connection = http.client.HTTPConnection(self._upstream, timeout=300)
        try:
            connection.request(call.method, call.path, call.body, dict(call.headers))
            response = connection.getresponse()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_HEADERS}
            return Response(response.status, response.read(), headers)
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() not in _HOP_HEADERS}
        response = self.server.proxy.answer(Call(self.command, self.path, headers, body))
        if response is None:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(response.status)
        sent = _sized(response)
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
            self.close_connection = int(sent.get("Content-Length", 0)) > len(response.body)  # a fault that breaks off

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server names its methods by the verb

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what came in is in `FaultProxy.calls`."""


def _sized(response: Response) -> dict[str, str]:
    if any(name.lower() == "content-length" for name in response.headers) or response.status == 204:
        return dict(response.headers)
    return {**response.headers, "Content-Length": str(len(response.body))}
