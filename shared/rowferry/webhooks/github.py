"""GitHub, and the many that sign as it does: `X-Hub-Signature-256: sha256=<hex>` over the body.

docs.github.com, "Validating webhook deliveries", read 2026-11-21. There is no time stamp, so only
the memory of delivery ids guards against a replay. A redelivery bears the first one's id.
What happened stands in `X-GitHub-Event` alone, which is not signed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rowferry.webhooks import signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, _now: datetime) -> None:
    """Raises `SignatureError` unless the body is signed with one of the secrets."""
    expected = [b"sha256=" + found for found in signature.hex_digests(proof.secrets, call.body)]
    signature.check_any(expected, [signature.header(call, "x-hub-signature-256")])


def event_id(call: Call, _body: Any) -> str | None:
    """`X-GitHub-Delivery`."""
    return call.headers.get("x-github-delivery")


SCHEME = Scheme("github", verify, event_id=event_id, topic_header="x-github-event")
