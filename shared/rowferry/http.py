"""The HTTP client: one synchronous httpx client, shared by the threads that each have a request in flight.

A thread a request costs a quarter of the CPU of httpx's async client here (measured, 2026-11: about
0.4 ms against 1.9 ms a request) and keeps the code in one colour.
"""

from __future__ import annotations

import logging
from typing import IO

import httpx

from rowferry.errors import RowferryError
from rowferry.wire import Request, Response

for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)  # they log addresses and headers, where secrets stand
BODY_BYTES = 8 * 1024 * 1024  # of an answer: the largest that any vendor sends us back is far below


class NoAnswer(RowferryError):
    """No whole answer came. `maybe_applied` is False only when the request surely did not arrive."""

    def __init__(self, message: str, maybe_applied: bool) -> None:
        self.maybe_applied = maybe_applied
        super().__init__(message)


class HttpClient:
    """Sends requests. Safe for threads; keeps connections open between them; follows no redirect."""

    def __init__(self, connections: int = 100, transport: httpx.BaseTransport | None = None, body_bytes: int = BODY_BYTES) -> None:
        """`body_bytes` bounds an answer that is kept in memory; a longer one is cut off just behind it."""
        self._body_bytes = body_bytes
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=30)
        self._client = httpx.Client(limits=limits, transport=transport, follow_redirects=False, trust_env=True)

    def send(self, request: Request, timeout_seconds: float, into: IO[bytes] | None = None) -> Response:
        """The answer, whatever its status. Raises `NoAnswer` when there is none or it breaks off.

        With `into`, the body of a 2xx goes there, however long it is, and the answer itself has none.
        """
        try:
            with self._client.stream(
                request.method, request.url, content=request.body, headers=dict(request.headers), timeout=timeout_seconds
            ) as response:
                body = self._read(response) if into is None or not response.is_success else _copy(response, into)
                return Response(response.status_code, body, {name.lower(): value for name, value in response.headers.items()})
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NoAnswer(f"{request.place} can't be reached ({type(error).__name__})", maybe_applied=False) from None
        except httpx.TimeoutException as error:
            raise NoAnswer(
                f"{request.place} did not answer in {timeout_seconds:g} s ({type(error).__name__})", maybe_applied=True
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"the connection to {request.place} broke ({type(error).__name__})", maybe_applied=True) from None

    def _read(self, response: httpx.Response) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > self._body_bytes:
                break
        return b"".join(parts)

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()


def _copy(response: httpx.Response, into: IO[bytes]) -> bytes:
    for part in response.iter_bytes():
        into.write(part)
    return b""
