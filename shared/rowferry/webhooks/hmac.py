"""Any sender that signs with an HMAC: the settings name its header, encoding, algorithm and what is signed.

`message` says what is signed, with `{body}` and `{timestamp}` standing for the body and for what is in the
header that `timestamp_header` names: `{timestamp}.{body}`. Of several signatures in the header, parted by
commas or spaces, one has to match; each bears the `prefix` (`sha256=`) where there is one.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime

from rowferry.webhooks import signature
from rowferry.webhooks.port import Call, Proof, Scheme

_PLACE = re.compile(r"(\{body\}|\{timestamp\})")


def verify(call: Call, proof: Proof, now: datetime) -> None:
    """Raises `SignatureError` unless the message is signed with one of the secrets, and fresh where a time is given."""
    message = _message(call, proof)
    digests = [signature.digest(secret, message, proof.algorithm) for secret in proof.secrets]
    prefix = proof.prefix.encode()
    parts = re.split(rb"[,\s]+", signature.header(call, proof.header))
    given = [part.removeprefix(prefix) for part in parts if part.startswith(prefix)]
    if proof.encoding == "hex":
        signature.check_any([found.hex().encode() for found in digests], [part.lower() for part in given])
    else:
        signature.check_any([base64.b64encode(found) for found in digests], given)
    if proof.timestamp_header:
        signature.check_fresh(signature.read_time(signature.header(call, proof.timestamp_header)), now, proof.tolerance_seconds)


def _message(call: Call, proof: Proof) -> bytes:
    stamp = signature.header(call, proof.timestamp_header) if proof.timestamp_header else b""
    places = {"{body}": call.body, "{timestamp}": stamp}
    return b"".join(places[part] if part in places else part.encode() for part in _PLACE.split(proof.message))


SCHEME = Scheme("hmac", verify)
