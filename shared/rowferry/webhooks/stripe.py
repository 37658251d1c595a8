"""Stripe: `Stripe-Signature: t=…,v1=…`, over `<t>.<body>` with the whole `whsec_…` text as the key.

docs.stripe.com/webhooks, read 2026-11-21. Two `v1` appear while a secret is being rotated; `v0` is
for test events of long ago and is not looked at. Stripe's own library lets stamps from the future
pass; we do not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rowferry.errors import SignatureError
from rowferry.webhooks import signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, now: datetime) -> None:
    """Raises `SignatureError` unless one `v1` is signed with one of the secrets, at about `now`."""
    parts = [part.strip().partition(b"=") for part in signature.header(call, "stripe-signature").split(b",")]
    stamps = [value for name, _, value in parts if name == b"t"]
    if len(stamps) != 1:
        raise SignatureError("the signature should hold one time stamp")
    given = [value for name, _, value in parts if name == b"v1"]
    signature.check_any(signature.hex_digests(proof.secrets, stamps[0] + b"." + call.body), given)
    signature.check_fresh(signature.read_epoch(stamps[0]), now, proof.tolerance_seconds)


def event_id(_call: Call, body: Any) -> str | None:
    """`evt_…`, the same for every attempt at delivery."""
    return signature.text_at(body, "id")


SCHEME = Scheme("stripe", verify, event_id=event_id)
