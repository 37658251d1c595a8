"""CleverTap: profiles, events and consent, through `POST /1/upload` and `POST /1/subscribe`.

Three things to know before reading on. Success is not the status: 200 carries `success`, `partial`
and `fail` alike, and the records it did not take say their place in words ("Skipped record number
: 2"). There is no rate, only a number of requests that may be open at once. And there is no
idempotency key: an event that is sent twice is stored twice.

Sources, with the dates of the copies read: developer.clevertap.com/docs/upload-events-api (2026-06-30),
/upload-user-profiles-api, /subscribe-api, /api-request-limit (2026-03-17), /api-errors (2025-12-14),
/common-api-components, docs.clevertap.com/docs/platform-considerations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from rowferry.destinations import _clevertap_records as records
from rowferry.destinations._clevertap_settings import HOSTS, CleverTapSettings, in_flight_of
from rowferry.destinations.answers import by_status, json_object
from rowferry.destinations.port import (
    DELIVERED,
    Action,
    Again,
    Answer,
    Destination,
    Limits,
    Pace,
    Refused,
    Rejected,
    RowOutcome,
    Settled,
    SlowDown,
    Split,
    TryAgain,
)
from rowferry.destinations.quotes import blanked, unquoting
from rowferry.wire import Request, Response

BATCH_ROWS = 1000  # upload-events-api, upload-user-profiles-api, subscribe-api
DELETED_ROWS = 100  # delete-user-profile-api (2026-07-03)
MAX_OPEN_DELETIONS = 3  # api-request-limit: counted apart from uploads

# api-errors: what a record's code means, in our words.
CODES = {
    509: "event_name_missing", 512: "event_malformed", 513: "event_reserved", 514: "gender_invalid", 515: "email_invalid",
    516: "phone_invalid", 517: "employed_invalid", 518: "education_invalid", 519: "married_invalid", 520: "age_invalid",
    522: "too_many_properties", 523: "missing_identifier", 524: "record_malformed", 525: "time_invalid", 526: "object_id_invalid",
    528: "event_discarded",
}  # fmt: skip
REFUSED_BY_VENDOR = "refused_by_vendor"  # for codes that are not in that list
_SERVER_FAULT = 555  # api-errors: the only record code that passes by itself
_PLACE = re.compile(r"\.?\s*Skipped record number\s*:\s*(\d+)\s*$")


def host(settings: CleverTapSettings) -> str:
    """Scheme and host of the project's APIs, without a slash at the end."""
    return (settings.base_url or f"https://{HOSTS[settings.region or 'global']}.clevertap.com").rstrip("/")


# ── Requests and answers ────────────────────────────────────────────────────────────────────


def _limits(settings: CleverTapSettings) -> Limits:
    return Limits(BATCH_ROWS, settings.request_bytes, envelope_bytes=len(_envelope([])))


def _delete_limits(settings: CleverTapSettings) -> Limits:
    return Limits(DELETED_ROWS, settings.request_bytes)


def _pace(settings: CleverTapSettings) -> Pace:
    """api-request-limit: no requests a second, minute or day are counted, only those open at once."""
    return Pace(per_second=settings.per_second, in_flight=in_flight_of(settings))


def _delete_pace(settings: CleverTapSettings) -> Pace:
    return Pace(settings.per_second, min(in_flight_of(settings), max(1, MAX_OPEN_DELETIONS // settings.instances)))


def _post(path: str, body: bytes, settings: CleverTapSettings) -> Request:
    headers = {
        "X-CleverTap-Account-Id": settings.account_id,
        "X-CleverTap-Passcode": settings.passcode.reveal(),
        "Content-Type": "application/json; charset=utf-8",
    }
    return Request("POST", host(settings) + path, body, headers)


def _envelope(batch: Sequence[bytes]) -> bytes:
    return b'{"d":[' + b",".join(batch) + b"]}"


def _upload(batch: Sequence[bytes], settings: CleverTapSettings) -> Request:
    return _post("/1/upload?dryRun=1" if settings.dry_run else "/1/upload", _envelope(batch), settings)


def _subscribe(batch: Sequence[bytes], settings: CleverTapSettings) -> Request:
    return _post("/1/subscribe", _envelope(batch), settings)


def _delete(batch: Sequence[bytes], settings: CleverTapSettings) -> Request:
    people: dict[str, list[str]] = {}
    for payload in batch:
        for name, who in orjson.loads(payload).items():
            people.setdefault(name, []).append(who)
    return _post("/1/delete/profiles.json", orjson.dumps(people), settings)


def _read(response: Response, batch: Sequence[bytes], _settings: CleverTapSettings, _note: str) -> Answer:
    if 200 <= response.status < 300:
        return _read_body(response, batch)
    if response.status == 409:  # api-errors: "conflict", with nothing said for uploads
        return TryAgain("CleverTap answered 409")
    answer = by_status(unquoting(response, map(_quotable, batch)), "CleverTap")
    if isinstance(answer, Refused):
        return Refused(f"{answer.reason}; account_id, passcode or region is wrong")
    return answer or TryAgain(f"CleverTap answered {response.status}")


def _read_body(response: Response, batch: Sequence[bytes]) -> Answer:
    if not response.body and response.status != 200:  # 201, 202, 204 by api-errors: created, accepted, no content
        return Settled.all_delivered(batch)
    body = json_object(response)
    if body is None or body.get("status") not in ("success", "partial", "fail"):
        return TryAgain(f"CleverTap answered {response.status} without an outcome")  # unknown paths answer 200 and nothing
    if isinstance(unprocessed := body.get("unprocessed"), list) and unprocessed:
        return _read_records(body, unprocessed, batch)
    return Settled.all_delivered(batch) if body["status"] == "success" else _read_failure(body, batch)


def _read_records(body: dict[str, Any], unprocessed: list[Any], batch: Sequence[bytes]) -> Answer:
    """An outcome for each record that is listed; the others were stored, if `processed` has room for them.

    Where a place is missing the batch is split, though events that were stored are then stored
    twice: better twice than lost, and no answer like that is known.
    """
    outcomes: dict[int, RowOutcome] = {}
    for order, entry in enumerate(unprocessed):
        entry = entry if isinstance(entry, dict) else {"error": str(entry)}
        place = _place(entry, order, len(unprocessed), len(batch))
        if place is None:
            return Split(REFUSED_BY_VENDOR, "CleverTap refused records without saying which")
        outcomes[place] = _read_record(entry, batch[place])
    processed = body.get("processed")
    if isinstance(processed, int) and body["status"] != "success" and processed < len(batch) - len(outcomes):
        return Split(REFUSED_BY_VENDOR, "CleverTap stored fewer records than it named no fault in")
    return Settled([outcomes.get(index, DELIVERED) for index in range(len(batch))])


def _place(entry: dict[str, Any], order: int, listed: int, size: int) -> int | None:
    """Where in the batch a refused record stood. The echoed `record` is no help: CleverTap changes it."""
    if found := _PLACE.search(str(entry.get("error", ""))):
        place = int(found[1]) - 1
        return place if 0 <= place < size else None
    return order if listed == size else None


def _read_record(entry: dict[str, Any], payload: bytes) -> RowOutcome:
    code = entry["code"] if isinstance(entry.get("code"), int) else 0
    said = f"CleverTap {code}: {blanked(_PLACE.sub('', str(entry.get('error', ''))), [_quotable(payload)])}"
    if code == _SERVER_FAULT:
        return Again(said)
    return Rejected(CODES.get(code, REFUSED_BY_VENDOR), said)


def _quotable(payload: bytes) -> list[Any]:
    """What CleverTap may quote of a record; its names are no secret."""
    record = orjson.loads(payload)
    return [record.get(name) for name in (*records.IDENTIFIERS, "value", "guid", "profileData", "evtData")]


def _read_failure(body: dict[str, Any], batch: Sequence[bytes]) -> Answer:
    """`fail` for the request as a whole, which comes with status 200 too. Nothing was stored."""
    code = body.get("code")
    said = f"CleverTap refused the request, code {code}: {blanked(str(body.get('error', '')), map(_quotable, batch))}"
    if code == 429:
        return SlowDown(said)
    if code in (500, 503, _SERVER_FAULT):
        return TryAgain(said)
    if code in (401, 403):
        return Refused(said)
    return Split(REFUSED_BY_VENDOR, said)


def _probe(settings: CleverTapSettings) -> Request:
    """How many people are active now (real-time counts): changes nothing, and needs the passcode."""
    return _post("/1/now.json", b"{}", settings)


def _read_probe(response: Response) -> str | None:
    if response.status == 200 and (json_object(response) or {}).get("status") in ("success", "partial"):
        return None
    return f"CleverTap answered {response.status}: {response.text or 'nothing'}; check region, account_id and passcode"


def _identifiers(names: Iterable[str], _settings: CleverTapSettings) -> frozenset[str]:
    return frozenset(names) & frozenset(records.IDENTIFIERS)


def _channels(names: Iterable[str], _settings: CleverTapSettings) -> frozenset[str]:
    return frozenset(names) & frozenset(records.CHANNELS)


DESTINATION = Destination(
    vendor="clevertap",
    title="CleverTap",
    settings=CleverTapSettings,
    actions={
        "profile": Action("profile", _limits, _identifiers, records.check_profile, records.to_profile, _upload, _read),
        "event": Action("event", _limits, _identifiers, records.check_event, records.to_event, _upload, _read, repeats_safely=False),
        "subscription": Action("subscription", _limits, _channels, records.check_subscription, records.to_subscription, _subscribe, _read),
        "delete": Action(
            "delete", _delete_limits, _identifiers, records.check_deletion, records.to_deletion, _delete, _read, pace=_delete_pace
        ),
    },
    account=lambda settings: settings.account_id,
    pace=_pace,
    probe=_probe,
    read_probe=_read_probe,
    audience="attribute",
    remove_action="delete",
    notes={
        "profile": "$incr and $decr count twice when a request has to be repeated; prefer the total as a plain attribute.",
        "event": "CleverTap does not recognise a repeated event: a request whose answer was lost is stored twice.",
        "subscription": "Holds for every profile that shares the address; MSG-email and its like by `profile` hold for one person.",
        "delete": "CleverTap takes 3 deletions at a time, over all instances: they go slowly, beside the uploads.",
    },
)
