"""Senders of webhooks as their documentation says they sign, written apart from the code that verifies them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import orjson

from rowferry.settings.base import Secret
from rowferry.settings.webhook import Webhook
from rowferry.webhooks.port import Call

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Sign = Callable[[bytes, str, datetime], dict[str, str]]


def _mac(secret: str, message: bytes, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), message, getattr(hashlib, algorithm)).hexdigest()


def _epoch(at: datetime) -> str:
    return str(int(at.timestamp()))


def stripe(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """`Stripe-Signature: t=…,v1=…`."""
    return {"stripe-signature": f"t={_epoch(at)},v1={_mac(secret, f'{_epoch(at)}.'.encode() + body)}"}


def standard(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp`, `webhook-signature`."""
    key = base64.b64decode(secret.removeprefix("whsec_") + "==")
    message = f"msg_1.{_epoch(at)}.".encode() + body
    found = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": _epoch(at), "webhook-signature": f"v1,{found}"}


def shopify(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """`X-Shopify-Hmac-SHA256`."""
    found = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {"x-shopify-hmac-sha256": found, "x-shopify-event-id": "98880550-7158", "x-shopify-topic": "orders/paid"}


def github(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """`X-Hub-Signature-256`."""
    return {"x-hub-signature-256": f"sha256={_mac(secret, body)}", "x-github-delivery": "72d3162e-cc78"}


def klaviyo(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """`Klaviyo-Signature` over body and HTTP date."""
    stamp = format_datetime(at, usegmt=True)
    return {"klaviyo-signature": _mac(secret, body + stamp.encode()), "klaviyo-timestamp": stamp, "klaviyo-webhook-id": "wh_1"}


def segment(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """`X-Signature`, over the first event of a batch."""
    events = orjson.loads(body)
    signed = orjson.dumps(events[0]) if isinstance(events, list) else body
    return {"x-signature": _mac(secret, signed, "sha1")}


def slack(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """`X-Slack-Signature`."""
    return {"x-slack-request-timestamp": _epoch(at), "x-slack-signature": f"v0={_mac(secret, f'v0:{_epoch(at)}:'.encode() + body)}"}


def recurly(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """`recurly-signature: <ms>,<hex>`."""
    stamp = str(int(at.timestamp() * 1000))
    return {"recurly-signature": f"{stamp},{_mac(secret, f'{stamp}.'.encode() + body)}"}


def plain_hmac(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """A made-up sender's HMAC with a time stamp."""
    return {"x-sent": _epoch(at), "x-sig": f"v1={_mac(secret, f'{_epoch(at)}:'.encode() + body)}"}


def basic(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """User name and password."""
    return {"authorization": "Basic " + base64.b64encode(f"ferry:{secret}".encode()).decode()}


def bearer(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """A bearer token."""
    return {"authorization": f"Bearer {secret}"}


def token(body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """A token in a header of its own."""
    return {"x-token": secret}


SENDERS: dict[str, Sign] = {
    "basic": basic, "bearer": bearer, "github": github, "hmac": plain_hmac, "klaviyo": klaviyo, "recurly": recurly, "segment": segment,
    "shopify": shopify, "slack": slack, "standard": standard, "stripe": stripe, "token": token,
}  # fmt: skip
TIMED = ("hmac", "klaviyo", "recurly", "slack", "standard", "stripe")
_VERIFY: dict[str, dict[str, Any]] = {
    "hmac": {"header": "X-Sig", "prefix": "v1=", "message": "{timestamp}:{body}", "timestamp_header": "X-Sent"},
    "token": {"header": "X-Token"},
}


def webhook(scheme: str, routes: list[dict[str, Any]], secrets: Mapping[str, str] | None = None, **more: Any) -> Webhook:
    """A webhook's settings, with its secrets resolved. `secrets` are names and values; SECRET when left out."""
    secrets = secrets or {"one": SECRET}
    references = [f"secret:{name}" for name in secrets]
    verify: dict[str, Any] = {"scheme": scheme, **_VERIFY.get(scheme, {}), **more.pop("verify", {})}
    verify |= {"username": "ferry", "password": references} if scheme == "basic" else {"secret": references}
    found = Webhook.model_validate({"verify": verify, "routes": routes, **more})
    return found.resolved(lambda reference: secrets[Secret(reference).reference.partition(":")[2]])


def call(scheme: str, name: str, event: Any, at: datetime, secret: str = SECRET, **headers: str) -> Call:
    """A call to `/hooks/<name>`, signed as the sender does."""
    body = event if isinstance(event, bytes) else orjson.dumps(event)
    return Call(
        "POST", f"/hooks/{name}", {"content-type": "application/json", **SENDERS[scheme](body, secret, at), **headers}, body, "203.0.113.9"
    )
