"""What several vendors share to read an answer: JSON or not, how long to wait, what a status usually means."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from rowferry.destinations.port import Answer, Refused, SlowDown, Split, TryAgain
from rowferry.wire import Response

# Longer than any vendor's window: a header that says more is broken, and is not believed.
_LONGEST_WAIT_SECONDS = 86_400


def json_object(response: Response) -> dict[str, Any] | None:
    """The body as a JSON object; None when it is anything else (HTML, cut off, empty, a list)."""
    try:
        document = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        document = _with_half_pairs(response.body)
    return document if isinstance(document, dict) else None


def _with_half_pairs(body: bytes) -> Any:
    """JSON that echoes a text cut within an emoji (`\\ud83d` alone), which orjson takes for broken: an answer that is not understood
    is asked for again, and what it took would be sent twice. `?` stands for the half; None when it is no JSON."""
    try:
        return orjson.loads(json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def seconds(text: str | None) -> float | None:
    """A header's number of seconds; None when it is missing or makes no sense."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 <= found <= _LONGEST_WAIT_SECONDS else None


def retry_after(response: Response) -> float | None:
    """The seconds that `Retry-After` asks for, given as seconds or as a date (RFC 9110 §10.2.3)."""
    text = response.headers.get("retry-after")
    found = seconds(text)
    return until(_http_date(text), response) if found is None else found


def until(moment: datetime | None, response: Response) -> float | None:
    """The seconds from the answer's own `Date` to `moment`: a destination has no clock. None when either is missing."""
    now = _http_date(response.headers.get("date"))
    if now is None or moment is None:
        return None
    wait_seconds = max(0.0, (moment - now).total_seconds())
    return wait_seconds if wait_seconds <= _LONGEST_WAIT_SECONDS else None


def by_status(response: Response, vendor: str, wait_seconds: float | None = None) -> Answer | None:
    """What a status outside 2xx means at nearly every HTTP API; None for 2xx.

    `wait_seconds` is what the vendor's own headers ask for, if they do; `Retry-After` is read here.
    A vendor's file looks at what it knows better first (400 with per-row errors, say).
    """
    status = response.status
    if 200 <= status < 300:
        return None
    said = f"{vendor} answered {status}" + (f": {response.text}" if response.text else "")
    wait_seconds = retry_after(response) if wait_seconds is None else wait_seconds
    if status == 429:
        return SlowDown(said, wait_seconds)
    if status in (408, 425) or status >= 500:
        return TryAgain(said, wait_seconds)
    if status == 413:
        return Split("too_large", said, too_large=True)
    if status in (400, 422):
        return Split("refused_by_vendor", said)
    return Refused(said)


def _http_date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
