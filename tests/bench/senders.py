"""A sender of webhooks in a process of its own: Stripe's events over connections that stay open, as fast as they are answered.

python -m bench.senders URL CALLS FIRST     prints calls a second
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 8
SECRET = "whsec_a-made-up-secret"


def main() -> None:
    """Send events FIRST, FIRST + 1 … all of them signed before the clock starts."""
    url, calls, first = urlsplit(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    host, port = str(url.hostname), int(url.port or 80)
    requests = [_request(host, url.path, number) for number in range(first, first + calls)]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        started_at = time.perf_counter()
        for _ in threads.map(lambda some: _send(host, port, some), [requests[place::CONNECTIONS] for place in range(CONNECTIONS)]):
            pass
        sys.stdout.write(f"{calls / (time.perf_counter() - started_at)}\n")


def event(number: int) -> dict[str, Any]:
    """A subscription that was cancelled, in the shape and size of Stripe's events."""
    plan = {"id": "price_1", "lookup_key": "gold", "nickname": "Gold, monthly", "product": "prod_1"}
    price = {**plan, "recurring": {"interval": "month", "interval_count": 1}, "unit_amount": 1999}
    item = {"id": f"si_{number}", "current_period_end": 1_800_000_000, "price": price, "quantity": 1}
    subscription = {
        "id": f"sub_{number}", "object": "subscription", "customer": f"cus_{number}", "currency": "usd", "status": "canceled",
        "cancel_at_period_end": False, "canceled_at": 1_790_000_000, "ended_at": 1_790_000_000, "livemode": True,
        "cancellation_details": {"comment": None, "feedback": "too_expensive", "reason": "cancellation_requested"},
        "items": {"object": "list", "data": [item], "has_more": False, "total_count": 1},
        "metadata": {"user_id": f"user-{number:08d}", "source": "web", "campaign": "autumn"},
    }  # fmt: skip
    return {
        "id": f"evt_{number}", "object": "event", "api_version": "2026-10-28.endive", "created": 1_790_000_000, "livemode": True,
        "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None}, "type": "customer.subscription.deleted",
        "data": {"object": subscription},
    }  # fmt: skip


def _request(host: str, path: str, number: int) -> bytes:
    body = json.dumps(event(number), indent=2).encode()  # Stripe's come with indents
    at = str(int(datetime.now(UTC).timestamp()))
    mac = hmac.new(SECRET.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"Accept: */*; q=0.5, application/xml\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
        f"Cache-Control: no-cache\r\nStripe-Signature: t={at},v1={mac}\r\n\r\n"
    )
    return head.encode() + body


def _send(host: str, port: int, requests: list[bytes]) -> None:
    with socket.create_connection((host, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            connection.sendall(request)
            _read_ok(connection)


def _read_ok(connection: socket.socket) -> None:
    """Read one answer whole. Raises `AssertionError` when it is no 200."""
    found = b""
    while (end := found.find(b"\r\n\r\n")) < 0:
        found += _more(connection)
    head = found[:end].lower()
    assert head.startswith(b"http/1.1 200"), found
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    while len(found) < end + 4 + length:
        found += _more(connection)


def _more(connection: socket.socket) -> bytes:
    some = connection.recv(1 << 16)
    assert some, "the server hung up"
    return some


if __name__ == "__main__":
    main()
