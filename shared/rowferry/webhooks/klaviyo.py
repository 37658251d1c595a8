"""Klaviyo's system webhooks: `Klaviyo-Signature`, hex, over the body followed by `Klaviyo-Timestamp`'s text.

developers.klaviyo.com "Working with system webhooks" as three independent verifiers agree, read
2026-11-21. The time stamp is an HTTP date there and ISO 8601 in other accounts (UNCONFIRMED): both
are read. A flow's webhook action is another feature and unsigned: use `token` or `basic` for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rowferry.webhooks import signature
from rowferry.webhooks.port import Call, Proof, Scheme

_NAMES = (("external_id",), ("topic",), ("payload", "data", "id"))


def verify(call: Call, proof: Proof, now: datetime) -> None:
    """Raises `SignatureError` unless body and time are signed with one of the secrets, at about `now`."""
    stamp = signature.header(call, "klaviyo-timestamp")
    signature.check_any(signature.hex_digests(proof.secrets, call.body + stamp), [signature.header(call, "klaviyo-signature")])
    signature.check_fresh(signature.read_time(stamp), now, proof.tolerance_seconds)


def event_id(_call: Call, body: Any) -> str | None:
    """One name for all events of the delivery (up to 1,000), which have ids of their own. What happened goes along, should
    `external_id` ever name a person instead."""
    ids = [[signature.text_at(event, *path) or "" for path in _NAMES] for event in _data(body)]
    return signature.fingerprint(*(" ".join(found).encode() for found in ids)) if ids and all(found[0] for found in ids) else None


def events(body: Any) -> Sequence[Any]:
    """Each of `data` by itself: its own fields (`topic`, `external_id`, `payload`) beside the
    delivery's `meta`, and as `data` once more."""
    return [{**body, **event, "data": event} for event in _data(body) if isinstance(event, dict)] or (body,)


def _data(body: Any) -> list[Any]:
    data = body.get("data") if isinstance(body, dict) else None
    return data if isinstance(data, list) else []


SCHEME = Scheme("klaviyo", verify, event_id=event_id, events=events)
