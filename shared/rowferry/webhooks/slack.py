"""Slack's own calls (events, slash commands, buttons): `X-Slack-Signature: v0=<hex>` over `v0:<time>:<body>`.

docs.slack.dev "Verifying requests from Slack", read 2026-11-21: refused when older than five minutes.
Slash commands and buttons come form-encoded, the latter with JSON in the field `payload`. Slack shows
what we answer to the person who typed, so we answer nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rowferry.webhooks import signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, now: datetime) -> None:
    """Raises `SignatureError` unless the body is signed with one of the secrets, at about `now`."""
    stamp = signature.header(call, "x-slack-request-timestamp")
    expected = [b"v0=" + found for found in signature.hex_digests(proof.secrets, b"v0:" + stamp + b":" + call.body)]
    signature.check_any(expected, [signature.header(call, "x-slack-signature")])
    signature.check_fresh(signature.read_epoch(stamp), now, proof.tolerance_seconds)


def event_id(_call: Call, body: Any) -> str | None:
    """`event_id` of an event, `trigger_id` of a command or button."""
    return signature.text_at(body, "event_id") or signature.text_at(body, "trigger_id")


def reply(body: Any) -> bytes | None:
    """The challenge, which the Events API wants back before it sends its first event."""
    if signature.text_at(body, "type") != "url_verification":
        return None
    return (signature.text_at(body, "challenge") or "").encode()


SCHEME = Scheme("slack", verify, event_id=event_id, reply=reply, is_silent=True)
