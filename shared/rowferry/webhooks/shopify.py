"""Shopify: `X-Shopify-Hmac-SHA256`, base64, over the body with the app's client secret.

shopify.dev, read 2026-11-21. There is no time stamp that is signed, so only the memory of event ids
guards against a replay. What happened stands in `X-Shopify-Topic` alone, which is not signed either. After
the app's secret was changed the old one may go on signing for a while: give both.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from rowferry.webhooks import signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, _now: datetime) -> None:
    """Raises `SignatureError` unless the body is signed with one of the secrets."""
    expected = [base64.b64encode(signature.digest(secret, call.body)) for secret in proof.secrets]
    signature.check_any(expected, [signature.header(call, "x-shopify-hmac-sha256")])


def event_id(call: Call, body: Any) -> str | None:
    """The event's id with its topic and what it is about, else the delivery's id. One event may be sent under two topics,
    and what a merchant does at once to many products may be one event (UNCONFIRMED): none of them is a repeat."""
    if event := call.headers.get("x-shopify-event-id"):
        about = [signature.text_at(body, name) or "" for name in ("id", "inventory_item_id", "location_id")]
        return " ".join([call.headers.get("x-shopify-topic", ""), event, *about]).rstrip()
    return call.headers.get("x-shopify-webhook-id")


SCHEME = Scheme("shopify", verify, event_id=event_id, topic_header="x-shopify-topic")
