"""How the answers of a generic HTTP destination are read: by the rules of its description, else as usual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jmespath
import orjson
from jmespath.exceptions import JMESPathError

from rowferry.destinations._http_settings import HttpSettings, RowErrors, Rule
from rowferry.destinations.answers import by_status, retry_after
from rowferry.destinations.port import DELIVERED, Again, Answer, Refused, Rejected, RowOutcome, Settled, SlowDown, Split, TryAgain
from rowferry.destinations.quotes import blanked, quotable, unquoting
from rowferry.wire import Response

REFUSED_BY_VENDOR = "refused_by_vendor"


def read(response: Response, batch: Sequence[bytes], settings: HttpSettings, _note: str) -> Answer:
    """What the answer means, by the destination's `outcome`."""
    document, outcome = _document(response), settings.outcome
    for rule in outcome.rules:
        if response.status in rule.status and (rule.when is None or _search(rule.when, document)):
            return _by_rule(rule, response, batch)
    is_ok = 200 <= response.status < 300
    if outcome.errors is not None and (is_ok or response.status in (400, 409, 422)):
        found = _search(outcome.errors.at, document)
        if isinstance(found, list) and found:
            is_whole = not is_ok or (outcome.success is not None and not _search(outcome.success, document))
            others = Again(_told(response, batch)) if is_whole else DELIVERED
            return _by_row(found, outcome.errors, others, batch)
    if not is_ok:
        return _by_status(response, batch, settings)
    if _is_page(response) or (isinstance(document, str) and (outcome.success or outcome.errors)):
        return TryAgain(f"{_told(response, batch)}, which is no outcome")
    if outcome.success is not None and not _search(outcome.success, document):
        return Split(REFUSED_BY_VENDOR, _told(response, batch))
    return Settled.all_delivered(batch)


def _told(response: Response, batch: Sequence[bytes]) -> str:
    """The answer for people, without what it quotes from the rows."""
    text = blanked(response.text, map(quotable, batch))
    return f"the API answered {response.status}" + (f": {text}" if text else "")


def _document(response: Response) -> Any:
    """The answer as JSON; where it is none, its text."""
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return response.text


def _is_page(response: Response) -> bool:
    """A web page from a proxy or a log-in, not an API's answer."""
    return response.body[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _search(path: str, document: Any) -> Any:
    """What the expression finds; None where it does not fit the answer."""
    try:
        return jmespath.search(path, document)
    except JMESPathError:
        return None


def _by_rule(rule: Rule, response: Response, batch: Sequence[bytes]) -> Answer:
    match rule.then:
        case "delivered":
            return Settled.all_delivered(batch)
        case "reject":
            return Split(REFUSED_BY_VENDOR, _told(response, batch))  # which a single row turns into a rejection
        case "again":
            return TryAgain(_told(response, batch), retry_after(response))
        case "slow_down":
            return SlowDown(_told(response, batch), retry_after(response))
        case "refuse":
            return Refused(_told(response, batch))


def _by_row(found: list[Any], errors: RowErrors, others: RowOutcome, batch: Sequence[bytes]) -> Answer:
    """An outcome for each row that is listed, `others` for the rest; a split where an error names no row."""
    outcomes: dict[int, RowOutcome] = {}
    for error in found:
        place = 0 if len(batch) == 1 else _place(_search(errors.index, error), errors.first)
        if place is None or not 0 <= place < len(batch):
            return Split(REFUSED_BY_VENDOR, "the API listed errors without saying which row")
        message = _search(errors.message, error) or "nothing"
        text = f"the API said: {blanked(str(message), [quotable(batch[place])])}"
        again = errors.again is not None and bool(_search(errors.again, error))
        outcomes[place] = Again(text) if again else Rejected(REFUSED_BY_VENDOR, text)
    return Settled([outcomes.get(index, others) for index in range(len(batch))])


def _place(found: Any, first: int) -> int | None:
    """A row's place counted from 0; None where the error has none."""
    if isinstance(found, str) and found.isdecimal():
        found = int(found)
    return found - first if isinstance(found, int) else None


def _by_status(response: Response, batch: Sequence[bytes], settings: HttpSettings) -> Answer:
    """As at most APIs, but a 404 or 409 for an address of the row's own is about the row."""
    if response.status in (404, 409, 410) and settings.row_names:
        return Split(REFUSED_BY_VENDOR, _told(response, batch))
    return by_status(unquoting(response, map(quotable, batch)), "the API") or TryAgain(_told(response, batch))
