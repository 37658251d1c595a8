"""HTTP Basic authentication: for senders that don't sign, CleverTap and Chargebee among them.

It shows that the caller knows the password, not that the body is as it was sent: TLS has to do that.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import datetime

from rowferry.errors import SignatureError
from rowferry.webhooks import chargebee, clevertap, signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, _now: datetime) -> None:
    """Raises `SignatureError` unless the user name is ours and the password one of the secrets."""
    kind, _, credentials = signature.header(call, "authorization").partition(b" ")
    try:
        username, _, password = base64.b64decode(credentials.strip(), validate=True).partition(b":")
    except binascii.Error:
        raise SignatureError("the credentials are not base64") from None
    right_username = hmac.compare_digest(username, proof.username)
    signature.check_any((secret for secret in proof.secrets if secret), [password])
    if not right_username or kind.lower() != b"basic":
        raise SignatureError("the user name is wrong")


SCHEME = Scheme(
    "basic",
    verify,
    event_id=chargebee.event_id,
    events=clevertap.events,
    challenge='Basic realm="webhooks", charset="UTF-8"',
)
