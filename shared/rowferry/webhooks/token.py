"""A shared token in a header of its own, which `header` names, or in the URL's query.

With `parameter` the token stands in the URL, for senders that can't set a header. That is a last
resort: URLs end in access logs.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import parse_qsl

from rowferry.webhooks import chargebee, clevertap, signature
from rowferry.webhooks.port import Call, Proof, Scheme


def verify(call: Call, proof: Proof, _now: datetime) -> None:
    """Raises `SignatureError` unless the token is one of the secrets."""
    if proof.parameter:
        query = parse_qsl(call.path.partition("?")[2])
        given = [value.encode() for name, value in query if name == proof.parameter]
    else:
        given = [signature.header(call, proof.header)]
    signature.check_any((secret for secret in proof.secrets if secret), given)


SCHEME = Scheme("token", verify, event_id=chargebee.event_id, events=clevertap.events)
