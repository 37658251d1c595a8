"""Segment's webhook destination: `X-Signature`, an HMAC with SHA-1 in hex, over the event's JSON text.

github.com/segmentio/action-destinations (webhook destination), read 2026-11-21. Of a batch only the
first event is signed, so the others could be anybody's: a batch of several is refused here. Switch
batching off in Segment. Whoever wants batches uses `basic` or `token` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rowferry.webhooks import signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, _now: datetime) -> None:
    """Raises `SignatureError` unless the event, alone or as a batch of one, is signed with one of the secrets."""
    signed = [call.body]
    if call.body.startswith(b"[") and call.body.endswith(b"]"):
        signed.append(call.body[1:-1])  # only a batch of one has the signed text of its event between the brackets
    expected = [found for message in signed for found in signature.hex_digests(proof.secrets, message, "sha1")]
    signature.check_any(expected, [signature.header(call, "x-signature")])


def event_id(_call: Call, body: Any) -> str | None:
    """`messageId`."""
    return signature.text_at(events(body)[0], "messageId")


def events(body: Any) -> Sequence[Any]:
    """A batch's events one by one."""
    return body if isinstance(body, list) and body else (body,)


SCHEME = Scheme("segment", verify, event_id=event_id, events=events)
