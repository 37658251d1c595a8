"""`Authorization: Bearer <token>`, a token that only the sender and we know."""

from __future__ import annotations

from datetime import datetime

from rowferry.errors import SignatureError
from rowferry.webhooks import chargebee, clevertap, signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, _now: datetime) -> None:
    """Raises `SignatureError` unless the token is one of the secrets."""
    kind, _, token = signature.header(call, "authorization").partition(b" ")
    signature.check_any((secret for secret in proof.secrets if secret), [token.strip()])
    if kind.lower() != b"bearer":
        raise SignatureError("the token is no bearer token")


SCHEME = Scheme("bearer", verify, event_id=chargebee.event_id, events=clevertap.events, challenge='Bearer realm="webhooks"')
