"""Braze: profiles, events and purchases by /users/track, subscription groups, deletion.

Sources are pages of https://www.braze.com/docs as they stood on 2026-09-02: [basics] api/basics,
[errors] api/errors, [limits] api/api_limits, [track] and [bulk] api/endpoints/user_data/post_user_track
and …_bulk, [delete] …/post_user_delete, [sub] api/endpoints/subscription_groups/
post_update_user_subscription_group_status_v2; and the code of Segment's (970a17e) [SEG] and
RudderStack's (c98d160) [RUD] Braze destinations, both of August 2026. What a field may hold
stands in `_braze_values`, rows become objects in `_braze_payloads`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from rowferry.destinations import _braze_payloads as payloads
from rowferry.destinations import answers
from rowferry.destinations._braze_settings import BrazeSettings
from rowferry.destinations.port import (
    DELIVERED,
    Action,
    Again,
    Answer,
    Delivered,
    Destination,
    Fields,
    Follow,
    Limits,
    Pace,
    Rejected,
    Settled,
    Split,
    TryAgain,
)
from rowferry.destinations.values import dumps
from rowferry.wire import Request, Response

Undelivered = Mapping[int, Rejected | Again]
Build = Callable[[Sequence[bytes], BrazeSettings], Request]

_TRACK_BYTES = 4_000_000  # 4 MB, beyond it 413 [limits]
_BULK_ROWS, _BULK_BYTES = 1000, 2_000_000  # [bulk]
_USERS_A_CALL = 50  # of subscription/status/set and users/delete [sub, delete]
# 3,000 per 3 s [track], 50 a second [bulk], 5,000 and 20,000 a minute [limits], less something for the app's own calls.
_PER_SECOND, _BULK_PER_SECOND, _SUBSCRIPTIONS_PER_SECOND, _DELETIONS_PER_SECOND = 800.0, 40.0, 66.0, 266.0
_IN_FLIGHT = 20
_BULK_IS_CLOSED = (401, 403, 404)  # the beta is closed to new customers: no permission, or no such path [bulk]


# ── Batches into requests ───────────────────────────────────────────────────────────────────


def _post(settings: BrazeSettings, path: str, body: bytes) -> Request:
    headers = {"authorization": f"Bearer {settings.api_key.reveal()}", "content-type": "application/json"}
    return Request("POST", host(settings) + path, body, headers)


def host(settings: BrazeSettings) -> str:
    """Scheme and host of the workspace [basics]; a slash too many in the path can answer 403 [errors]."""
    if settings.base_url is not None:
        return settings.base_url.rstrip("/")
    where = str(settings.instance).lower()
    if where.startswith("eu-"):
        return f"https://rest.{where.replace('eu', 'fra')}.braze.eu"
    # The first eight American instances bear the name of their data centre, the later ones their own.
    return f"https://rest.{where.replace('us-0', 'iad-0')}.braze.com"


def _build_track(batch: Sequence[bytes], settings: BrazeSettings, array: str) -> Request:
    return _post_objects(batch, settings, array, "/users/track/bulk" if settings.endpoint == "bulk" else "/users/track")


def _post_objects(batch: Sequence[bytes], settings: BrazeSettings, array: str, path: str) -> Request:
    return _post(settings, path, b'{"%s":[%s]}' % (array.encode(), b",".join(batch)))


def _build_subscription(batch: Sequence[bytes], settings: BrazeSettings) -> Request:
    return _post_objects(batch, settings, "subscription_groups", "/v2/subscription/status/set")


def _build_delete(batch: Sequence[bytes], settings: BrazeSettings) -> Request:
    """One list a call [delete]; all rows of a sync are identified the same way."""
    lists: dict[str, list[Any]] = {}
    for payload in batch:
        [(kind, who)] = orjson.loads(payload).items()
        lists.setdefault(payloads.DELETABLE[kind], []).append(who)
    return _post(settings, "/users/delete", dumps(lists))


# ── Answers ─────────────────────────────────────────────────────────────────────────────────


def _read_track(response: Response, batch: Sequence[bytes], settings: BrazeSettings, note: str, array: str) -> Answer:
    if note:
        return _read_fallback(response, batch, settings, note, array)
    if settings.endpoint == "bulk" and response.status in _BULK_IS_CLOSED:
        return _fall_back(batch, settings, array, 0, settings.batch_rows, {})
    return _read_objects(response, len(batch), array)


def _read_objects(response: Response, rows: int, array: str) -> Answer:
    """One answer: a 201 can hide errors, and a 400 can name the rows at fault [errors, SEG, RUD]."""
    document = answers.json_object(response)
    if document is None or response.status not in (200, 201, 202, 400):
        return _read_status(response)
    # 202 queued: accepted in maintenance mode [errors of older copies]; deleted: users/delete [delete].
    accepted = response.status != 400 and (document.get("message") in ("success", "queued") or "deleted" in document)
    errors = document.get("errors")
    if not errors:
        return Settled([DELIVERED] * rows) if accepted else _read_status(response)
    rejected = _by_index(errors, rows, array)
    if rejected is None:
        return _unattributed(response, document, rows, array)
    # Not accepted means that nothing was queued: rows that are not named go out again, without the others.
    left = DELIVERED if accepted else Again(f"Braze answered {response.status}: {response.text}")
    return Settled([rejected.get(index, left) for index in range(rows)])


def _by_index(errors: Any, rows: int, array: str) -> dict[int, Rejected] | None:
    """The rows that the errors name; None when one of them names no row of ours."""
    rejected: dict[int, Rejected] = {}
    for error in errors if isinstance(errors, list) else [errors]:
        index = error.get("index") if isinstance(error, dict) else None
        if type(index) is not int or not 0 <= index < rows or error.get("input_array", array) != array:
            return None
        said = str(error.get("type") or error.get("message") or "no reason given")[:300]
        # Braze documents codes and often answers with a sentence: never decide on the wording [track, RUD].
        code = said.lower() if re.fullmatch(r"[A-Z_]+", said) else "refused_by_vendor"
        rejected.setdefault(index, Rejected(code, f"Braze refused this row: {said}"))
    return rejected


def _unattributed(response: Response, document: Mapping[str, Any], rows: int, array: str) -> Answer:
    said = f"Braze answered {response.status} with errors that name no row: {response.text}"
    taken = document.get(f"{array}_processed")
    if array in ("events", "purchases") and response.status != 400 and taken != 0:
        # Halving would send what was taken again, and again in each smaller half: an event would count many times.
        return Settled([Rejected("unattributed", f"{said} (it took {taken} of the {rows} sent together)")] * rows)
    return Split("unattributed", said)


def _read_status(response: Response) -> Answer:
    if response.status == 400 and b"Max Input Length Exceeded" in response.body:  # too many objects [errors]
        return Split("too_large", f"Braze answered 400: {response.text}", too_large=True)
    unread = TryAgain(f"Braze answered {response.status}, and not as its documentation says: {response.text}")
    return answers.by_status(response, "Braze", _wait_seconds(response)) or unread


def _wait_seconds(response: Response) -> float | None:
    """What the rate-limit headers ask for, in the order of their clarity [track, limits].

    X-RateLimit-Reset has two meanings: the epoch second of the reset on the general page, the seconds
    that are left on the page of /users/track.
    """
    for found in (answers.seconds(response.headers.get("x-ratelimit-retry-after")), answers.retry_after(response)):
        if found is not None:
            return found
    reset = response.headers.get("x-ratelimit-reset", "")
    if reset.isascii() and reset.isdigit() and len(reset) == 10:
        return answers.until(datetime.fromtimestamp(int(reset), UTC), response)
    return answers.seconds(reset)


def _probe(settings: BrazeSettings) -> Request:
    return _post(settings, "/users/track", b'{"attributes":[]}')


def _read_probe(response: Response) -> str | None:
    """A call without objects changes nothing: a good key is told that data is missing, a bad one 401 [errors]."""
    if 200 <= response.status < 300 or response.status == 400:
        return None
    return f"Braze answered {response.status} to a call without data: {response.text}"


# ── From the bulk endpoint back to the other ────────────────────────────────────────────────


def _fall_back(batch: Sequence[bytes], settings: BrazeSettings, array: str, start: int, rows: int, found: Undelivered) -> Answer:
    """/users/track/bulk is closed to this key: the batch goes to /users/track, part by part.

    The note carries the part's first row, how many it has, and what was not delivered before it.
    """
    if start >= len(batch):
        return Settled([found.get(index, DELIVERED) for index in range(len(batch))])
    rows = min(rows, len(batch) - start)
    undelivered = [[index, getattr(outcome, "code", None), outcome.reason] for index, outcome in found.items()]
    note = orjson.dumps([start, rows, undelivered]).decode()
    return Follow(_post_objects(batch[start : start + rows], settings, array, "/users/track"), note)


def _read_fallback(response: Response, batch: Sequence[bytes], settings: BrazeSettings, note: str, array: str) -> Answer:
    start, rows, undelivered = orjson.loads(note)
    found: dict[int, Rejected | Again] = {
        index: Rejected(code, reason) if code is not None else Again(reason) for index, code, reason in undelivered
    }
    answer = _read_objects(response, rows, array)
    if isinstance(answer, Split) and rows > 1:
        return _fall_back(batch, settings, array, start, rows // 2, found)
    if isinstance(answer, Split):
        answer = Settled([Rejected(answer.code, answer.reason)])
    if not isinstance(answer, Settled):
        return answer
    found |= {start + index: outcome for index, outcome in enumerate(answer.outcomes) if not isinstance(outcome, Delivered)}
    return _fall_back(batch, settings, array, start + rows, min(settings.batch_rows, rows * 2), found)


# ── The value ───────────────────────────────────────────────────────────────────────────────


def _track_limits(settings: BrazeSettings) -> Limits:
    return Limits(_BULK_ROWS, _BULK_BYTES) if settings.endpoint == "bulk" else Limits(settings.batch_rows, _TRACK_BYTES)


def _track_action(name: str, array: str, to_payload: Callable[[Fields, BrazeSettings], bytes]) -> Action[BrazeSettings]:
    return Action(
        name=name,
        limits=_track_limits,
        identifiers=payloads.identifiers,
        check=partial(payloads.check, kind=name),
        to_payload=to_payload,
        build=partial(_build_track, array=array),
        read=partial(_read_track, array=array),
        repeats_safely=name == "profile",  # Braze has no idempotency key: an event sent twice counts twice [track]
    )


def _whole_action(
    name: str,
    to_payload: Callable[[Fields, BrazeSettings], bytes],
    build: Build,
    per_second: float,
    identifiers: Callable[[Iterable[str], BrazeSettings], frozenset[str]] = payloads.identifiers,
) -> Action[BrazeSettings]:
    """An action whose requests Braze counts apart from those to /users/track [limits]."""
    return Action(
        name=name,
        limits=lambda _settings: Limits(_USERS_A_CALL, _TRACK_BYTES),
        identifiers=identifiers,
        check=partial(payloads.check, kind=name),
        to_payload=to_payload,
        build=build,
        read=lambda response, batch, _settings, _note: _read_objects(response, len(batch), name),
        pace=lambda settings: Pace(per_second, settings.in_flight or _IN_FLIGHT),
    )


def _subscription_identifiers(names: Iterable[str], _settings: BrazeSettings) -> frozenset[str]:
    """All but the state: it means nothing without its group, so that travels with every change."""
    return frozenset(names) - {"subscription_state"}


def _pace(settings: BrazeSettings) -> Pace:
    usual = _BULK_PER_SECOND if settings.endpoint == "bulk" else _PER_SECOND
    return Pace(settings.per_second or usual, settings.in_flight or _IN_FLIGHT)


DESTINATION = Destination(
    vendor="braze",
    title="Braze",
    settings=BrazeSettings,
    actions={
        "profile": _track_action("profile", "attributes", payloads.profile),
        "event": _track_action("event", "events", payloads.event),
        "purchase": _track_action("purchase", "purchases", payloads.purchase),
        "subscription": _whole_action(
            "subscription", payloads.subscription, _build_subscription, _SUBSCRIPTIONS_PER_SECOND, _subscription_identifiers
        ),
        "delete": _whole_action("delete", payloads.delete, _build_delete, _DELETIONS_PER_SECOND),
    },
    account=lambda settings: settings.instance,
    pace=_pace,
    probe=_probe,
    read_probe=_read_probe,
    audience="attribute",
    remove_action="delete",
    notes={
        "event": "Braze has no idempotency key: after a lost answer an event can count twice. A time in the future becomes now.",
        "profile": "A 201 means queued. With update_existing_only, rows of unknown users vanish without a word.",
    },
)
