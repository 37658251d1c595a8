"""What vendors share to read an answer to a pull: JSON that keeps its digits, and what a status usually means."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from decimal import Decimal
from typing import Any

import orjson

from rowferry.destinations.answers import by_status
from rowferry.destinations.port import Refused, SlowDown, TryAgain
from rowferry.loads.textvalues import without_lone_surrogates
from rowferry.pulls.port import Failed
from rowferry.wire import Response

# A number of so many digits may not survive being a 64-bit float or integer: then it is read digit by digit.
_LONG_NUMBER = re.compile(rb"[0-9.]{16}")
_exact = json.JSONDecoder(parse_float=Decimal, parse_constant=str)


def read_json(response: Response) -> Any:
    """The body as JSON, whole numbers and decimals with all their digits; None when it is no JSON (HTML, cut off, empty)."""
    return parse_json(response.body)


def parse_json(text: bytes) -> Any:
    """The same for bytes that came from somewhere else, such as a step's token."""
    if _LONG_NUMBER.search(text) is None:
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(text)
    try:
        return without_lone_surrogates(_exact.decode(text.decode("utf-8")))
    except (ValueError, RecursionError):
        return None


def read_object(response: Response) -> dict[str, Any] | None:
    """The same for a body that has to be an object; None for anything else."""
    found = read_json(response)
    return found if isinstance(found, dict) else None


def objects(value: Any) -> list[dict[str, Any]] | None:
    """A list that holds objects alone; None for anything else: of a list that is broken nothing is taken."""
    return value if isinstance(value, list) and all(isinstance(member, dict) for member in value) else None


def member(value: Any, *names: str) -> Any:
    """What stands at a path of names in nested objects; None where the path ends."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def within(value: Any, *names: str) -> dict[str, Any]:
    """The object at a path of names; empty where there is none."""
    found = member(value, *names)
    return found if isinstance(found, dict) else {}


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
