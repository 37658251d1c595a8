"""Audiences as Amplitude's cohorts: who is in goes in, who is out is taken out, by user id.

    list of cohorts ─► the one of that name ─────────────────────► membership: ADD these, REMOVE those
         ▲                └─ none: upload one with these ids ─┐          └─► skipped_ids: nobody Amplitude knows
         └────────────────────────────────────────────────────┘

The membership API takes single users, so an audience follows its rows; the upload API replaces whole
cohorts and only makes them here. Two workers that make the same cohort at once list again and take the
same one of the two. Everything here is safe to repeat.

Sources: amplitude.com/docs/apis/analytics/behavioral-cohorts, read 2026-03 to 2026-11 [COH]; Segment's
amplitude-cohorts at 970a17e [SEG].
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from rowferry.destinations import _amplitude_values as values
from rowferry.destinations import answers
from rowferry.destinations._amplitude_settings import AmplitudeSettings
from rowferry.destinations.port import DELIVERED, Action, Answer, Fields, Follow, Limits, Pace, Refused, Rejected, Settled, Split, TryAgain
from rowferry.destinations.quotes import blanked
from rowferry.destinations.values import dumps, required
from rowferry.errors import Problem, RowRejected
from rowferry.wire import Request, Response

HOSTS = {"US": "https://amplitude.com", "EU": "https://analytics.eu.amplitude.com"}  # [COH]
MAX_ROWS = 50_000  # of 100,000 ids a request [COH]: a chunk whole, since two changes of a cohort at once earn 429 [SEG]
_FIELDS = frozenset({"user_id", "audience", "member"})
_MEMBERSHIP, _UPLOAD, _MADE = "membership", "upload", "made:"
_UNKNOWN = Rejected("unknown_user", "Amplitude has no user of this user_id, and only users that it has seen can be in a cohort")


def identifiers(names: Iterable[str], _settings: AmplitudeSettings) -> frozenset[str]:
    """Members are known by user_id: what the API calls BY_NAME [COH]. Their cohort travels with every change."""
    return frozenset(names) & {"user_id", "audience"}


def check(names: Mapping[str, str | None], settings: AmplitudeSettings) -> Iterator[Problem]:
    """Whether members can be told, and whether we may; see `Action.check`."""
    if "user_id" not in names:
        yield Problem("user_id", "is missing: a cohort's members are known by it")
    for name in names.keys() - _FIELDS:
        yield Problem(name, "can't be sent to a cohort, which has members and nothing else", "a sync of its own with action: profile")
    if settings.secret_key is None:
        yield Problem("", "cohorts need the destination's secret_key", "Settings, Projects, Secret Key at Amplitude")


def membership(fields: Fields, settings: AmplitudeSettings) -> bytes:
    """Whether one user is in one audience. Raises `RowRejected`."""
    if settings.secret_key is None:
        raise RowRejected("missing_secret_key", "cohorts need the destination's secret_key")
    member = fields.get("member")
    if not isinstance(member, bool):
        raise RowRejected("wrong_type", "member must be true or false")
    user_id = values.who(fields.get("user_id"), "user_id", 1)
    return dumps({"user_id": user_id, "audience": values.text(required(fields, "audience"), "audience"), "member": member})


# ── Requests ────────────────────────────────────────────────────────────────────────────────


def _request(method: str, path: str, settings: AmplitudeSettings, document: Any = None) -> Request:
    host = settings.base_url or HOSTS[settings.region]
    secret_key = settings.secret_key.reveal() if settings.secret_key is not None else ""
    basic = base64.b64encode(f"{settings.api_key.reveal()}:{secret_key}".encode()).decode()
    headers = {"authorization": f"Basic {basic}", "content-type": "application/json"}
    return Request(method, host + path, b"" if document is None else dumps(document), headers)


def _build(_batch: Sequence[bytes], settings: AmplitudeSettings) -> Request:
    return _request("GET", "/api/3/cohorts", settings)


def _change(cohort: str, members: Mapping[str, bool], settings: AmplitudeSettings) -> Request:
    changes = [
        {"ids": ids, "id_type": "BY_NAME", "operation": operation}
        for operation, wanted in (("ADD", True), ("REMOVE", False))
        if (ids := [who for who, member in members.items() if member is wanted])
    ]
    document = {"cohort_id": cohort, "memberships": changes, "skip_invalid_ids": True}
    return _request("POST", "/api/3/cohorts/membership", settings, document)


def _upload(name: str, ids: Sequence[str], settings: AmplitudeSettings) -> Request:
    document = {
        "name": name,
        "app_id": settings.project_id,
        "id_type": "BY_USER_ID",
        "ids": ids,
        "owner": settings.cohort_owner,
        "published": True,
        "skip_invalid_ids": True,
    }
    return _request("POST", "/api/3/cohorts/upload", settings, document)


# ── Answers ─────────────────────────────────────────────────────────────────────────────────


def _read(response: Response, batch: Sequence[bytes], settings: AmplitudeSettings, note: str) -> Answer:
    document = answers.json_object(response)
    found = [orjson.loads(payload) for payload in batch]
    if response.status != 200 or document is None:
        unread = TryAgain(f"Amplitude answered {response.status}, and not as its documentation says")
        return answers.by_status(_without_ids(response, found), "Amplitude", answers.retry_after(response)) or unread
    if note == _MEMBERSHIP:
        return _read_membership(document, found)
    if note == _UPLOAD:
        made = document.get("cohortId")
        return Follow(_build(batch, settings), _MADE + made) if isinstance(made, str) and made else _no_cohort()
    return _read_list(document, found, settings, note.removeprefix(_MADE))


def _without_ids(response: Response, found: Sequence[Mapping[str, Any]]) -> Response:
    """Amplitude's errors here may quote the ids that it did not take."""
    return Response(response.status, blanked(response.text, found).encode(), response.headers)


def _read_list(document: Mapping[str, Any], found: Sequence[Mapping[str, Any]], settings: AmplitudeSettings, made: str) -> Answer:
    if len({row["audience"] for row in found}) > 1:  # rows of a webhook's routes can be for several
        return Split("mixed_audiences", "the rows are for several audiences")
    name = found[0]["audience"]
    members = {row["user_id"]: row["member"] for row in found}
    listed = document.get("cohorts")
    if not isinstance(listed, list):
        return TryAgain("Amplitude answered 200 without a list of cohorts")
    ids = [str(cohort["id"]) for cohort in listed if isinstance(cohort, dict) and _is_named(cohort, name, settings)]
    if cohort_id := min(ids, default=made):
        return Follow(_change(cohort_id, members, settings), _MEMBERSHIP)
    new = [who for who, member in members.items() if member]
    if not new:
        return Settled([DELIVERED] * len(found))  # nobody is in what is not there
    if settings.project_id is None or settings.cohort_owner is None:
        return Refused("Amplitude has no cohort of the audience's name: make one there, or set project_id and cohort_owner")
    return Follow(_upload(name, new, settings), _UPLOAD)


def _is_named(cohort: Mapping[str, Any], name: str, settings: AmplitudeSettings) -> bool:
    """By its name, or by its id, which the cohort's address shows."""
    if cohort.get("archived") or cohort.get("id") is None:
        return False
    is_here = settings.project_id is None or cohort.get("appId", settings.project_id) == settings.project_id
    return is_here and name in (cohort.get("name"), cohort["id"])


def _read_membership(document: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> Answer:
    """Who was skipped is unknown to Amplitude: no member, which is right only for those who leave."""
    results = document.get("memberships_result")
    if "cohort_id" not in document or not isinstance(results, list):
        return TryAgain("Amplitude answered 200 without saying what became of the members")
    skipped = {who for result in results if isinstance(result, dict) for who in result.get("skipped_ids") or ()}
    return Settled([_UNKNOWN if row["member"] and row["user_id"] in skipped else DELIVERED for row in found])


def _no_cohort() -> TryAgain:
    return TryAgain("Amplitude answered 200 without the id of the cohort that it made")


def _limits(_settings: AmplitudeSettings) -> Limits:
    return Limits(MAX_ROWS, 8_000_000)  # rows hold the audience's name, which the request has once


# Two changes of one cohort at once answer 429 (Segment's code, 970a17e), so one after the other.
ACTION: Action[AmplitudeSettings] = Action(
    "audience",
    _limits,
    identifiers,
    check,
    membership,
    _build,
    _read,
    pace=lambda settings: Pace(settings.per_second, 1),
    requests=lambda _batch, _settings: 2,  # of a cohort that is there
)
