"""Recurly's JSON webhooks: `recurly-signature: <time>,<hex>[,<hex>]`, over `<time>.<body>`.

docs.recurly.com, read 2026-11-21. Two signatures stand there for 24 hours after a rotation. The text
says milliseconds, the sample shows seconds (UNCONFIRMED): both are read. The body is thin: it names the
subscription, and has neither plan nor amount. Recurly's XML notifications are unsigned: use `basic`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rowferry.webhooks import signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, now: datetime) -> None:
    """Raises `SignatureError` unless one signature is with one of the secrets, at about `now`."""
    stamp, *given = [part.strip() for part in signature.header(call, "recurly-signature").split(b",")]
    signature.check_any(signature.hex_digests(proof.secrets, stamp + b"." + call.body), given)
    signature.check_fresh(signature.read_epoch(stamp), now, proof.tolerance_seconds)


def event_id(call: Call, body: Any) -> str | None:
    """The notification's id (UNCONFIRMED header), else what happened to what, and when."""
    if found := call.headers.get("recurly-notification-id"):
        return found
    parts = [signature.text_at(body, name) for name in ("object_type", "id", "event_type", "event_time")]
    return " ".join(part or "" for part in parts) if parts[1] and parts[3] else None


SCHEME = Scheme("recurly", verify, event_id=event_id)
