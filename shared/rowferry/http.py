"""The HTTP client: httpx's synchronous transport, shared by the threads that each have a request in flight.

A thread a request costs a quarter of the CPU of httpx's async client here (measured, 2026-11: about
0.4 ms against 1.9 ms a request) and keeps the code in one colour. `httpx.Client` above the transport
would take 0.25 ms more for what no vendor's API needs: cookies, redirects, authentication, events.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import IO
from urllib.request import getproxies, proxy_bypass

import httpx

from rowferry import __version__
from rowferry.errors import RowferryError
from rowferry.wire import Request, Response

for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)  # they log addresses and headers, where secrets stand
_HEADERS = {"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": f"rowferry/{__version__}"}
_KEPT_SECONDS = 30.0  # a connection that nobody needs
_WITH_BODY = {"POST", "PUT", "PATCH"}  # they say how long it is even when there is none
BODY_BYTES = 8 * 1024 * 1024  # of an answer: the largest that any vendor sends us back is far below


class NoAnswer(RowferryError):
    """No whole answer came. `maybe_applied` is False only when the request surely did not arrive."""

    def __init__(self, message: str, maybe_applied: bool) -> None:
        self.maybe_applied = maybe_applied
        super().__init__(message)


class HttpClient:
    """Sends requests. Safe for threads; keeps connections open between them; follows no redirect; goes through the
    proxy that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` ask for.

    A connection is one request's alone, and then the next one's, whoever sends that. A pool that threads
    share is searched by each request, under a lock: with 80 threads that took 2.3 ms of CPU a request, and
    0.6 ms without (measured, 2026-11).
    """

    def __init__(self, connections: int = 100, transport: httpx.BaseTransport | None = None, body_bytes: int = BODY_BYTES) -> None:
        """`connections` to a host are kept open for later requests, at most. `body_bytes` bounds an answer that is
        kept in memory; a longer one is cut off just behind it."""
        self._kept, self._transport, self._body_bytes = connections, transport, body_bytes
        self._idle: defaultdict[str, list[httpx.BaseTransport]] = defaultdict(list)  # by scheme and host
        self._tls = httpx.create_ssl_context()  # once: it reads all certificates

    def send(self, request: Request, timeout_seconds: float, into: IO[bytes] | None = None) -> Response:
        """The answer, whatever its status. Raises `NoAnswer` when there is none or it breaks off.

        The answer has to be whole in `timeout_seconds`, give or take a read that is under way. With `into`, the
        body of a 2xx goes there, however long it is and takes, and the answer itself has none.
        """
        until = time.monotonic() + timeout_seconds
        try:
            url = _parsed(request.url)
            prepared = _prepared(request, url, timeout_seconds)
            with self._connection(url) as connection, closing(connection.handle_request(prepared)) as response:
                body = self._read(response, until) if into is None or not response.is_success else _copy(response, into)
                return Response(response.status_code, body, dict(response.headers.items()))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NoAnswer(f"{request.place} can't be reached ({type(error).__name__})", maybe_applied=False) from None
        except httpx.TimeoutException as error:
            raise NoAnswer(
                f"{request.place} did not answer in {timeout_seconds:g} s ({type(error).__name__})", maybe_applied=True
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"the connection to {request.place} broke ({type(error).__name__})", maybe_applied=True) from None

    @contextmanager
    def _connection(self, url: httpx.URL) -> Iterator[httpx.BaseTransport]:
        """A transport of one connection, for one request: the one that was used last, or a new one."""
        idle = self._idle[f"{url.scheme}://{url.host}"]
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._transport or _new_connection(url, self._tls)
        try:
            yield connection
        finally:
            if len(idle) < self._kept:
                idle.append(connection)
            else:
                connection.close()

    def _read(self, response: httpx.Response, until: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            if time.monotonic() > until:  # httpx bounds each read: an answer that trickles in would hold its thread for ever
                raise httpx.ReadTimeout("the answer came too slowly")
            parts.append(part)
            size += len(part)
            if size > self._body_bytes:
                break
        return b"".join(parts)

    def close(self) -> None:
        """Let go of all connections; those in use are kept no longer than their request."""
        self._kept = 0
        for idle in self._idle.values():
            while idle:
                idle.pop().close()


def _new_connection(url: httpx.URL, tls: ssl.SSLContext) -> httpx.HTTPTransport:
    limits = httpx.Limits(max_connections=1, keepalive_expiry=_KEPT_SECONDS)
    return httpx.HTTPTransport(verify=tls, limits=limits, proxy=_proxy(url))


def _proxy(url: httpx.URL) -> str | None:
    """The proxy that the environment (on macOS: or the system) asks for; `host:port` alone counts as http."""
    proxies = {} if proxy_bypass(url.host) else getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    return found if found is None or "://" in found else f"http://{found}"


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


def _prepared(request: Request, url: httpx.URL, timeout_seconds: float) -> httpx.Request:
    headers = {"host": url.netloc.decode(), **_HEADERS, **{name.lower(): value for name, value in request.headers.items()}}
    if request.body or request.method in _WITH_BODY:
        headers["content-length"] = str(len(request.body))
    timeout = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout_seconds)}
    return httpx.Request(request.method, url, headers=headers, stream=httpx.ByteStream(request.body), extensions=timeout)


def _copy(response: httpx.Response, into: IO[bytes]) -> bytes:
    for part in response.iter_bytes():
        into.write(part)
    return b""
