"""What a webhook scheme is: a value that knows how one sender proves who it is, and names its events.

A scheme does no I/O and has no clock: it is handed the call as it came, byte for byte, what it
has to check with, and the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MOST_BODY_BYTES = 6_000_000  # what settings allow at most, and what a Lambda is handed at most


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request from a sender. Header names are lower case, `path` has the query in it,
    `body` is as it came over the wire; an edge need not read more than `MOST_BODY_BYTES` and one.
    `remote` is the caller's address as the platform saw it.
    The repr shows sizes only: the rest is the sender's customers' data."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    remote: str = ""

    def __repr__(self) -> str:
        return f"<Call {self.method} {len(self.body)} bytes>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told. Never a reason that helps a forger."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a call is checked with. A scheme reads the fields it needs; the others stay empty.

    `secrets`: any of them may match, so that a secret (for `basic`, the password) can be rotated
    without losing a call. `header` is where `hmac` and `token` look, `parameter` is `token`'s in the
    URL. `encoding`, `algorithm`, `prefix`, `message`, `timestamp_header`: how `hmac`'s sender signs.
    `tolerance_seconds`: how far the sender's clock may be from ours, either way.
    """

    secrets: tuple[bytes, ...] = ()
    username: bytes = b""
    header: str = ""
    parameter: str = ""
    encoding: str = "hex"
    algorithm: str = "sha256"
    prefix: str = ""
    message: str = "{body}"
    timestamp_header: str = ""
    tolerance_seconds: float = 300.0

    def __repr__(self) -> str:
        return f"<Proof with {len(self.secrets)} secrets>"


def _whole(body: Any) -> Sequence[Any]:
    return (body,)


def _no_id(_call: Call, _body: Any) -> str | None:
    return None


def _no_reply(_body: Any) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way of proving who calls. The file `webhooks/<name>.py` holds it under the name `SCHEME`.

    `verify(call, proof, now)` raises `SignatureError` unless the call is from whom it says, and
    fresh where the sender says when it was sent.
    `event_id(call, body)`: the sender's own name for what it sends, the same when it repeats itself;
    None where it gives none. Called after `verify`.
    `events(body)`: a delivery may hold several events; a route sees them one by one.
    `reply(body)`: the answer that the sender's handshake wants instead of being relayed.
    `is_silent`: the sender shows our answer to a person, so it is to be empty.
    `topic_header`: where the sender says what happened, when its body does not; lower case.
    `challenge`: what a 401 says in `WWW-Authenticate`, where the scheme is one of HTTP's own.
    """

    name: str
    verify: Callable[[Call, Proof, datetime], None]
    event_id: Callable[[Call, Any], str | None] = _no_id
    events: Callable[[Any], Sequence[Any]] = _whole
    reply: Callable[[Any], bytes | None] = _no_reply
    is_silent: bool = False
    topic_header: str = ""
    challenge: str | None = None
