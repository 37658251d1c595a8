"""What vendors share to read an answer to a pull: JSON that keeps its digits, and what a status usually means."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import orjson

from rowferry.destinations.answers import by_status
from rowferry.destinations.port import Refused, SlowDown, TryAgain
from rowferry.pulls.port import Failed
from rowferry.wire import Response

# A number of so many digits may not survive being a 64-bit float or integer: then it is read digit by digit.
_LONG_NUMBER = re.compile(rb"[0-9.]{16}")
_exact = json.JSONDecoder(parse_float=Decimal, parse_constant=str)


def read_json(response: Response) -> Any:
    """The body as JSON, whole numbers and decimals with all their digits; None when it is no JSON (HTML, cut off, empty)."""
    try:
        if _LONG_NUMBER.search(response.body) is None:
            return orjson.loads(response.body)
        return _exact.decode(response.body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def read_object(response: Response) -> dict[str, Any] | None:
    """The same for a body that has to be an object; None for anything else."""
    found = read_json(response)
    return found if isinstance(found, dict) else None


def failed(response: Response, vendor: str) -> TryAgain | SlowDown | Refused | Failed | None:
    """What a status outside 2xx means when a report was asked for; None for 2xx.

    What can't be mended by asking again is a failure of this window alone, but for a key that is refused.
    """
    answer = by_status(response, vendor)
    if answer is None or isinstance(answer, (TryAgain, SlowDown)):
        return answer
    said = f"{vendor} answered {response.status}" + (f": {response.text}" if response.text else "")
    return Refused(said) if response.status in (401, 403) else Failed(said)


def unreadable(response: Response, vendor: str) -> TryAgain:
    """For a 2xx that holds none of what was asked for: a proxy's page, an empty body, half an answer."""
    what = f"{len(response.body):,} bytes that are not the report" if response.body else "nothing"
    return TryAgain(f"{vendor} answered {response.status} with {what}")
