"""What Klaviyo's answers say: which rows an error points at, and what a status means. Sources: see `klaviyo`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rowferry.destinations import answers
from rowferry.destinations.port import Answer, Refused, Rejected, SlowDown, Split, TryAgain
from rowferry.destinations.quotes import blanked
from rowferry.wire import Response

REFUSED = "refused_by_vendor"
_PLACE = re.compile(r"/data/(\d{1,6})(?:/|$)", re.ASCII)  # /data/attributes/profiles/data/3/attributes/email [SEG, RS]
_WITHIN = re.compile(r"/(?:data/\d+|data)/(attributes/[a-z_/-]{1,80})$", re.ASCII)
_ABOUT_ROWS = (400, 409, 422)


def document(response: Response) -> dict[str, Any] | None:
    """The body as a JSON:API document that reports no errors; None when it is anything else."""
    found = answers.json_object(response)
    return None if found is None or "errors" in found else found


def is_accepted(response: Response) -> bool:
    """Whether this is the 202 or 204 without a body that means "validated and queued" [spec]."""
    if response.status not in (202, 204):
        return False
    return not response.body.strip() or document(response) is not None


def errors(response: Response) -> list[dict[str, Any]]:
    """The errors that stand in the answer, as far as they have the documented form."""
    found = (answers.json_object(response) or {}).get("errors")
    return [error for error in found if isinstance(error, dict)] if isinstance(found, list) else []


def pointed_at(response: Response, items: Sequence[Mapping[str, Any]]) -> dict[int, Rejected] | None:
    """The items that a 400 names, with the reason of each; None unless every error names one of them.

    Klaviyo checks a batch as a whole: one wrong item, and none is taken [SEG, RS]. An item that
    was sent alone is meant by every error, but for one about the request's revision.
    """
    if response.status not in _ABOUT_ROWS:
        return None
    found: dict[int, Rejected] = {}
    for error in errors(response):
        index = 0 if len(items) == 1 and not is_about_revision(error) else place(pointer(error))
        if index is None or index >= len(items):
            return None
        found.setdefault(index, rejected(error, items[index]))
    return found or None


def is_about_revision(error: Mapping[str, Any]) -> bool:
    """Whether the header `revision` is what Klaviyo does not take, which no row can help."""
    source = error.get("source")
    return isinstance(source, dict) and "revision" in (source.get("header"), source.get("parameter"))


def pointer(error: Mapping[str, Any]) -> str:
    """Where in the request the error is; "" when it does not say."""
    source = error.get("source")
    return str(source.get("pointer") or "") if isinstance(source, dict) else ""


def place(where: str) -> int | None:
    """Which item of a batch a pointer is about; None when about the request as a whole."""
    match = _PLACE.search(where)
    return int(match[1]) if match else None


def rejected(error: Mapping[str, Any], item: Mapping[str, Any]) -> Rejected:
    """The outcome of an item with this error; Klaviyo's text may quote the item, the reason does not."""
    said = f"{error.get('code') or 'no code'}: {error.get('detail') or error.get('title') or 'no reason given'}"
    at = _WITHIN.search(pointer(error))
    where = f" (at {at[1]})" if at else ""
    code = str(error.get("code"))
    known = code if re.fullmatch(r"[a-z][a-z_]{2,40}", code) and code != "invalid" else REFUSED
    return Rejected(known, blanked(f"Klaviyo refused this row: {said}{where}", _quotable(item)))


def _quotable(item: Mapping[str, Any]) -> Iterator[Any]:
    """What of an item is a row's value: not the words of the format."""
    for key, value in item.items():
        if key != "type":
            yield from _quotable(value) if isinstance(value, dict) else [value]


def otherwise(response: Response, items: Sequence[Mapping[str, Any]] = ()) -> Answer:
    """What an answer means that settles no row by itself."""
    if _is_challenge(response):
        return TryAgain(f"the network in front of Klaviyo answered {response.status} with a page of its own", answers.retry_after(response))
    said = f"Klaviyo answered {response.status}: {_said(response, items)}"
    if response.status in _ABOUT_ROWS:
        about_us = any(is_about_revision(error) for error in errors(response))
        return Refused(f"{said}; {_HINTS[410]}") if about_us else Split(REFUSED, said)
    if response.status == 429:
        wait_seconds = answers.retry_after(response)
        # "Available in 0 seconds" is said too [PY15]; the short window is a second [rates].
        return SlowDown(said, None if wait_seconds is None else max(1.0, wait_seconds))
    answer = answers.by_status(response, "Klaviyo")
    if isinstance(answer, Refused):
        return Refused(f"{said}; {_HINTS.get(response.status, 'a person must look')}")
    return answer or TryAgain(f"Klaviyo answered {response.status}, and not as its documentation says")


_HINTS = {
    401: "api_key is wrong; it must be a private key",
    403: "the key lacks a scope: profiles need lists:write and profiles:write, and lists:read and profiles:read to follow the job",
    404: "a list of this id does not exist, or base_url is wrong",
    410: "the revision has ended: set a newer one",
}


def _said(response: Response, items: Sequence[Mapping[str, Any]]) -> str:
    texts = [f"{error.get('code')}: {error.get('detail') or error.get('title')}" for error in errors(response)[:3]]
    said = "; ".join(texts) or response.text or "nothing"
    return blanked(said, (value for item in items for value in _quotable(item)))


def _is_challenge(response: Response) -> bool:
    """Cloudflare's 403, which a good key can meet: never to be read as a bad one [PY84]."""
    is_page = "text/html" in response.headers.get("content-type", "")
    return response.status == 403 and (is_page or "cf-mitigated" in response.headers)
