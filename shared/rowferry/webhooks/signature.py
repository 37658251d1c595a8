"""What the signing schemes share: comparing without telling, and reading the sender's clock."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from rowferry import units
from rowferry.errors import SignatureError
from rowferry.webhooks.port import Call

_EPOCH = re.compile(r"[0-9]{1,16}")


def check_any(expected: Iterable[bytes], given: Iterable[bytes]) -> None:
    """Raises `SignatureError` unless one of `given` is one of `expected`. Compares all of them, each in
    constant time, so that the time taken shows neither which secret nor how much of it was right."""
    given = tuple(given)
    found = False
    for wanted in expected:
        for candidate in given:
            found |= hmac.compare_digest(wanted, candidate)
    if not found:
        raise SignatureError("the signature does not match")


def digest(secret: bytes, message: bytes, algorithm: str = "sha256") -> bytes:
    """The raw HMAC. Raises `SignatureError` for an empty secret, which anybody could sign with."""
    if not secret:
        raise SignatureError("the secret is empty")
    return hmac.digest(secret, message, algorithm)


def hex_digests(secrets: Iterable[bytes], message: bytes, algorithm: str = "sha256") -> list[bytes]:
    """The HMAC with each secret, as lower-case hex."""
    return [digest(secret, message, algorithm).hex().encode() for secret in secrets]


def header(call: Call, name: str) -> bytes:
    """The header's bytes as they came. Raises `SignatureError` when it is missing."""
    if not (value := call.headers.get(name, "")):
        raise SignatureError("a header that the scheme needs is missing")
    return value.encode("latin-1", "replace")


def check_fresh(sent_at: datetime, now: datetime, tolerance_seconds: float) -> None:
    """Raises `SignatureError` when the call was sent too long ago, or too far in the future."""
    if abs((now - sent_at).total_seconds()) > tolerance_seconds:
        raise SignatureError("the call is too old, or from the future")


def read_epoch(text: bytes | str) -> datetime:
    """Seconds or milliseconds since 1970 as a time. Raises `SignatureError` for anything else."""
    found = text.decode("latin-1") if isinstance(text, bytes) else text
    if not _EPOCH.fullmatch(found):
        raise SignatureError("the time stamp is not a number")
    if (moment := units.instant(int(found))) is None:
        raise SignatureError("the time stamp is no time")
    return moment


def read_time(text: bytes | str) -> datetime:
    """A time stamp as a number, an HTTP date or ISO 8601. Raises `SignatureError` for anything else."""
    found = text.decode("latin-1") if isinstance(text, bytes) else text
    if _EPOCH.fullmatch(found):
        return read_epoch(found)
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(found)
        except (ValueError, TypeError, OverflowError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise SignatureError("the time stamp is no time")


def text_at(body: Any, *path: str) -> str | None:
    """The text or number found below these names; None where there is none."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return str(body) if isinstance(body, str | int) and body != "" and not isinstance(body, bool) else None


def fingerprint(*parts: bytes) -> str:
    """A short name for bytes, the same for the same bytes."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()[:32]
