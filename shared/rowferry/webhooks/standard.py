"""Standard Webhooks, and Svix from which it came: `webhook-id`, `webhook-timestamp`, `webhook-signature`.

github.com/standard-webhooks/standard-webhooks, read 2026-11-21. The key is what stands after `whsec_`,
base64-decoded (Stripe uses the text as it is). Of the signatures, parted by spaces, `v1` is an HMAC;
`v1a` (ed25519) is not looked at.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

from rowferry.errors import SignatureError
from rowferry.webhooks import signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, now: datetime) -> None:
    """Raises `SignatureError` unless one `v1` is signed with one of the secrets, at about `now`."""
    sender = _sender(call)
    stamp = signature.header(call, f"{sender}-timestamp")
    message = b".".join((signature.header(call, f"{sender}-id"), stamp, call.body))
    keys = [key for secret in proof.secrets if (key := _key(secret))]
    if not keys:
        raise SignatureError("the secret is not base64")
    expected = [base64.b64encode(signature.digest(key, message)) for key in keys]
    given = [part[3:] for part in signature.header(call, f"{sender}-signature").split() if part.startswith(b"v1,")]
    signature.check_any(expected, given)
    signature.check_fresh(signature.read_epoch(stamp), now, proof.tolerance_seconds)


def event_id(call: Call, _body: Any) -> str | None:
    """`webhook-id`, which is signed as well."""
    return call.headers.get(f"{_sender(call)}-id")


def _sender(call: Call) -> str:
    return "webhook" if "webhook-id" in call.headers else "svix"


def _key(secret: bytes) -> bytes:
    """Empty where the secret is none: while one is being replaced, the other one still counts."""
    text = secret.removeprefix(b"whsec_")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""


SCHEME = Scheme("standard", verify, event_id=event_id)
