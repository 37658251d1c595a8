"""Bulk import jobs: started, polled, and their errors read page by page. Sources: see `klaviyo`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from rowferry.destinations import _klaviyo_answers as answers
from rowferry.destinations._klaviyo_chain import Done, Item, Part, State, settle_some
from rowferry.destinations._klaviyo_requests import get, post
from rowferry.destinations._klaviyo_settings import KlaviyoSettings
from rowferry.destinations.port import Answer, Split, TryAgain
from rowferry.wire import Request, Response

JOBS = "/api/profile-bulk-import-jobs"
_ERRORS_PAGE = 100  # the largest [spec]
_UNATTRIBUTED = "unattributed"


def start(part: Part, settings: KlaviyoSettings) -> Request:
    """A job that creates or updates these profiles, and adds them to the list that the part is about."""
    data: dict[str, Any] = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": part.items}}}
    if "list" in part.about:
        data["relationships"] = {"lists": {"data": [{"type": "list", "id": part.about["list"]}]}}
    return post(settings, JOBS, data)


def read(response: Response, part: Part, state: State, settings: KlaviyoSettings) -> Answer | Done:
    """What an answer to the start of a job, or on the way to its end, means."""
    if state.step == "poll":
        return _read_job(response, state, settings)
    if state.step == "errors":
        return _read_errors(response, part, state, settings)
    job = _data(response, dict).get("id")
    if response.status == 202 and isinstance(job, str) and job:
        return state.follow(get(settings, f"{JOBS}/{quote(job, safe='')}"), "poll", job, settings.poll_every)
    if pointed := answers.pointed_at(response, part.items):
        return settle_some(part, state, pointed, start, settings)
    return answers.otherwise(response, part.items)


def _read_job(response: Response, state: State, settings: KlaviyoSettings) -> Answer | Done:
    """Later failures are counted in a job that still ends as complete [RS]; only then are there errors to read."""
    attributes = _data(response, dict).get("attributes")
    if response.status != 200 or not isinstance(attributes, dict):
        return _unread(response)
    path = f"{JOBS}/{quote(state.memo, safe='')}"
    status, failed = attributes.get("status"), attributes.get("failed_count") or 0
    if status in ("queued", "processing"):
        return state.follow(get(settings, path), "poll", state.memo, settings.poll_every)
    if status != "complete" or not isinstance(failed, int):
        return TryAgain(f"Klaviyo's import job is {str(status)[:40]}")  # cancelled: what it did not do goes into another job
    if not failed:
        return Done(state)
    return state.follow(get(settings, f"{path}/import-errors", {"page[size]": str(_ERRORS_PAGE)}), "errors", [state.memo, failed])


def _read_errors(response: Response, part: Part, state: State, settings: KlaviyoSettings) -> Answer | Done:
    errors, (job, failed) = _data(response, list), state.memo
    if response.status != 200 or not (errors or state.failing):
        return _unread(response)  # there are failures, so there is no answer without any
    by_identifier = {key: index for index, item in enumerate(part.items) for key in _identifiers(item)}
    failing = dict(state.failing)
    for entry in errors:
        error = _attributes(entry)
        index = _item_of(error, by_identifier, len(part.items))
        if index is not None:
            failing.setdefault(index, answers.rejected(error, part.items[index]))
    state = replace(state, failing=failing)
    if cursor := _next_cursor(response):
        path = f"{JOBS}/{quote(job, safe='')}/import-errors"
        return state.follow(get(settings, path, {"page[size]": str(_ERRORS_PAGE), "page[cursor]": cursor}), "errors", [job, failed])
    if len(failing) < failed:
        # Some failed that no error leads back to. Halves will tell which: an import can be repeated.
        return Split(_UNATTRIBUTED, f"Klaviyo's job failed for {failed} profiles, and its errors name {len(failing)}: {_said(errors)}")
    return Done(state.knowing(part, failing))


def _item_of(error: Mapping[str, Any], by_identifier: Mapping[tuple[str, str], int], items: int) -> int | None:
    """Whose error it is: by the identifiers that it echoes, else by a pointer that has a place in it, else there is only one."""
    payload = error.get("original_payload")
    if isinstance(payload, dict):
        for key in _identifiers(payload):
            if key in by_identifier:
                return by_identifier[key]
    index = answers.place(answers.pointer(error))
    if index is not None and index < items:
        return index
    return 0 if items == 1 else None


def _identifiers(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Strongest first. The echoed profile has been seen flat; whether it can have `attributes` is not documented."""
    attributes = profile.get("attributes")
    known = {**profile, **attributes} if isinstance(attributes, dict) else profile
    for name in ("id", "external_id", "email", "phone_number"):
        if isinstance(value := known.get(name), str):
            yield name, value.lower() if name == "email" else value


def identity(item: Item) -> tuple[str, str]:
    """What makes an object the same person's as another in the batch."""
    return next(_identifiers(item))


def _next_cursor(response: Response) -> str | None:
    """The cursor of the next page; the link's host is not trusted with our key."""
    links = (answers.document(response) or {}).get("links")
    link = links.get("next") if isinstance(links, dict) else None
    found = parse_qs(urlsplit(link).query).get("page[cursor]") if isinstance(link, str) else None
    return found[0] if found else None


def _data(response: Response, kind: type[Any]) -> Any:
    found = (answers.document(response) or {}).get("data")
    return found if isinstance(found, kind) else kind()


def _attributes(entry: Any) -> Mapping[str, Any]:
    found = entry.get("attributes") if isinstance(entry, dict) else None
    return found if isinstance(found, dict) else {}


def _unread(response: Response) -> Answer:
    """A job that is not found has expired, or is not to be seen yet: it is asked for again, then done again."""
    if response.status in (404, 410) or response.status < 300:
        return TryAgain(f"Klaviyo answered {response.status} when asked for the import job")
    return answers.otherwise(response)


def _said(errors: list[Any]) -> str:
    return "; ".join(str(_attributes(entry).get("code") or "no code") for entry in errors[:3])
