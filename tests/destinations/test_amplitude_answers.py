"""What each of Amplitude's answers means: to events, to identifications, about cohorts."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from rowferry.destinations._amplitude_settings import AmplitudeSettings
from rowferry.destinations.amplitude import DESTINATION
from rowferry.destinations.port import DELIVERED, Again, Answer, Follow, Refused, Rejected, Settled, SlowDown, Split, TryAgain
from rowferry.wire import Request, Response
from support.vendors import amplitude

SETTINGS = amplitude.settings("http://127.0.0.1:1")
EVENT, PROFILE, AUDIENCE = (DESTINATION.actions[name] for name in ("event", "profile", "audience"))
AT = 1_772_368_200_000
HTML = b"<html><title>Bad Gateway</title></html>"


def batch_of(rows: int) -> list[bytes]:
    """Events of user-0, user-1 … on device-0, device-1 …"""
    about: dict[str, Any] = {"name": "Viewed", "time": AT}
    return [EVENT.to_payload({"user_id": f"user-{n}", "device_id": f"device-{n}", **about}, SETTINGS) for n in range(rows)]


def read(status: int, body: Any, rows: int = 3, note: str = "", settings: AmplitudeSettings = SETTINGS, retry_after: str = "") -> Answer:
    """What an answer to a batch of events means."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = {"retry-after": retry_after} if retry_after else {}
    return EVENT.read(Response(status, raw, headers), batch_of(rows), settings, note)


def users_in(request: Request) -> list[str]:
    """Whose events stand in a request."""
    return [event["user_id"] for event in orjson.loads(request.body)["events"]]


def taken(events: int) -> dict[str, Any]:
    """The documented body of a 200."""
    return {"code": 200, "events_ingested": events, "payload_size_bytes": 50, "server_upload_time": AT}


# ── Answers to events ───────────────────────────────────────────────────────────────────────


def test_taken_is_delivered() -> None:
    """A 200 with the documented body delivers all."""
    assert read(200, taken(3)) == Settled([DELIVERED] * 3)


@pytest.mark.parametrize("body", [b"", HTML, b'{"code": 20', b"{}", b"[]", b'{"code": 400}'])
def test_a_200_that_says_something_else_is_no_delivery(body: bytes) -> None:
    """A proxy's page or half an answer delivers nothing."""
    assert isinstance(read(200, body), TryAgain)


def test_a_200_that_took_fewer_is_looked_into() -> None:
    """The batch is halved until the event is alone that is never counted; the settings can trust it instead."""
    answer = read(200, taken(2))
    assert isinstance(answer, Split)
    assert answer.code == "not_ingested"
    trusting = amplitude.settings("http://127.0.0.1:1", short_count="deliver")
    assert read(200, taken(2), settings=trusting) == Settled([DELIVERED] * 3)


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ({"events_with_invalid_fields": {"time": [1]}}, "invalid_field"),
        ({"events_with_missing_fields": {"event_type": [1]}}, "missing_field"),
        ({"events_with_invalid_id_lengths": {"user_id": [1]}}, "identifier_too_short"),
        ({"events_with_too_long_values": {"colour": [1]}}, "refused_by_vendor"),
        ({"silenced_events": [1]}, "silenced"),
        ({"silenced_devices": ["device-1"]}, "silenced"),
        ({"silenced_devices": ["device-1"], "silenced_events": [1], "eps_threshold": 30}, "silenced"),
        # The page's own example has every list, and a missing_field besides.
        (
            {"missing_field": "api_key", "events_with_invalid_fields": {"time": [1]}, "events_with_missing_fields": {"x": [1]}},
            "invalid_field",
        ),
    ],
)
def test_a_refused_row_is_left_out_and_the_rest_goes_again(listed: dict[str, Any], code: str) -> None:
    """A 400 refuses all for one: the named row is rejected, and the others are sent at once, without it."""
    answer = read(400, {"code": 400, "error": "Invalid field values on some events", **listed})
    assert isinstance(answer, Follow)
    assert users_in(answer.request) == ["user-0", "user-2"]
    settled = read(200, taken(2), note=answer.note)
    assert isinstance(settled, Settled)
    assert [getattr(row, "code", "delivered") for row in settled.outcomes] == ["delivered", code, "delivered"]


def test_places_are_those_of_the_last_request() -> None:
    """A second refusal counts in what was left, not in the batch."""
    first = read(400, {"error": "…", "events_with_invalid_fields": {"time": [0]}})
    assert isinstance(first, Follow)
    second = read(400, {"error": "…", "events_with_invalid_fields": {"time": [0]}}, note=first.note)
    assert isinstance(second, Follow)
    assert users_in(second.request) == ["user-2"]


def test_all_rows_refused_is_settled() -> None:
    """When nothing is left, nothing is sent."""
    answer = read(400, {"error": "…", "events_with_invalid_fields": {"time": [0, 1, 2]}})
    assert isinstance(answer, Settled)
    assert all(isinstance(row, Rejected) for row in answer.outcomes)


def test_leaving_out_is_bounded() -> None:
    """When an answer names one row after another, the batch is halved in the end."""
    answer: Answer = read(400, {"error": "…", "events_with_invalid_fields": {"time": [0]}}, rows=20)
    rounds = 1
    while isinstance(answer, Follow):
        answer = read(400, {"error": "…", "events_with_invalid_fields": {"time": [0]}}, rows=20, note=answer.note)
        rounds += 1
    assert isinstance(answer, Split)
    assert rounds == 5


@pytest.mark.parametrize("places", [[3], [-1], ["0"], [True], [0, 99]])
def test_places_that_are_none_of_ours_name_nobody(places: list[Any]) -> None:
    """An answer that counts otherwise than we do rejects nobody by mistake: the batch is halved."""
    assert isinstance(read(400, {"error": "…", "events_with_invalid_fields": {"time": places}}), Split)


@pytest.mark.parametrize(
    "body",
    [
        {"code": 400, "error": "Invalid API key: amp…"},
        {"code": 400, "error": "Request missing required field", "missing_field": "api_key"},
        {"code": 400, "error": "Invalid request path"},
    ],
)
def test_a_request_that_is_wrong_itself_stops_the_run(body: dict[str, Any]) -> None:
    """Key and address are for a person to mend; no row is at fault."""
    assert isinstance(read(400, body), Refused)


@pytest.mark.parametrize("body", [{"error": "Invalid event JSON"}, {"error": "Invalid JSON request body"}, {}, HTML])
def test_a_400_that_names_nobody_is_halved(body: Any) -> None:
    """Down to the row at fault, if it is one."""
    assert isinstance(read(400, body), Split)


def test_a_throttled_user_is_left_alone_and_the_others_go_on() -> None:
    """A 429 names users, devices and events; theirs wait half a minute, the others are sent now."""
    body = {"error": "Too many", "eps_threshold": 30, "throttled_users": {"user-0": 31}, "throttled_devices": {}, "throttled_events": [0]}
    answer = read(429, body)
    assert isinstance(answer, Follow)
    assert users_in(answer.request) == ["user-1", "user-2"]
    settled = read(200, taken(2), note=answer.note)
    assert isinstance(settled, Settled)
    assert isinstance(settled.outcomes[0], Again)
    assert settled.outcomes[0].wait_seconds == 30
    assert list(settled.outcomes[1:]) == [DELIVERED] * 2


def test_all_throttled_is_a_pause_and_no_attempt() -> None:
    """When everybody in the batch is throttled it waits, however often."""
    answer = read(429, {"error": "Too many", "throttled_users": {f"user-{n}": 31 for n in range(3)}})
    assert answer == SlowDown("Amplitude answered 429: Too many", 30.0)


def test_more_than_a_seconds_worth_is_halved() -> None:
    """A request that is over the threshold by itself could be refused after every pause, so it gets smaller before it waits."""
    throttled = {"error": "Too many", "eps_threshold": 2, "throttled_events": [0, 1, 2]}
    assert isinstance(read(429, throttled, rows=3), Split)
    assert isinstance(read(429, {**throttled, "throttled_events": [0, 1]}, rows=2), SlowDown)
    assert isinstance(read(429, {**throttled, "throttled_events": [0], "eps_threshold": 0}, rows=1), SlowDown)


@pytest.mark.parametrize(("rows", "pause_seconds"), [(3, 30.0), (200, 15.0)])
@pytest.mark.parametrize("body", [{"error": "Too many"}, HTML, b""])
def test_a_429_that_names_nobody_pauses_as_the_endpoint_says(rows: int, pause_seconds: float, body: Any) -> None:
    """30 s at HTTP V2, 15 s at Batch, or what Retry-After asks for."""
    told, asked = read(429, body, rows), read(429, body, rows, retry_after="7")
    assert isinstance(told, SlowDown)
    assert isinstance(asked, SlowDown)
    assert (told.wait_seconds, asked.wait_seconds) == (pause_seconds, 7.0)


@pytest.mark.parametrize("name", ["exceeded_daily_quota_users", "exceeded_daily_quota_devices"])
def test_over_the_daily_quota_is_rejected(name: str) -> None:
    """It can take a day to pass: a dead letter with the way out in its reason, and not a run that never ends."""
    who = "user-1" if name.endswith("users") else "device-1"
    answer = read(429, {"error": "Too many", name: {who: 500_001}, "throttled_events": [1], "throttled_devices": {"device-1": 500_001}})
    assert isinstance(answer, Follow)
    settled = read(200, taken(2), note=answer.note)
    assert isinstance(settled, Settled)
    assert isinstance(settled.outcomes[1], Rejected)
    assert settled.outcomes[1].code == "daily_quota"


def test_no_identifier_is_quoted() -> None:
    """The answer names users; what is written down does not."""
    body = {"error": "user user-1 sends too much", "throttled_users": {"user-1": 31}, "events_with_invalid_fields": {"time": [0]}}
    answer = read(429, body, rows=2)
    assert "user-1" not in str(answer)
    assert "user-1" not in str(read(429, {"error": "user user-1 sends too much"}, rows=2))


def test_a_firewall_that_refuses_a_row_is_told_from_one_that_refuses_us() -> None:
    """A 403 halves the batch; alone, a request without rows shows whether it is the row."""
    assert isinstance(read(403, {"error": "Forbidden"}), Split)
    alone = read(403, {"error": "Forbidden"}, rows=1)
    assert isinstance(alone, Follow)
    assert orjson.loads(alone.request.body)["events"] == []
    rejected = read(400, {"error": "Request missing required field", "missing_field": "events"}, rows=1, note=alone.note)
    assert isinstance(rejected, Settled)
    assert isinstance(rejected.outcomes[0], Rejected)
    assert isinstance(read(403, HTML, rows=1, note=alone.note), Refused)
    assert isinstance(read(502, HTML, rows=1, note=alone.note), TryAgain)


def test_too_large_is_split_and_remembered() -> None:
    """413 makes later batches smaller too."""
    answer = read(413, {"code": 413, "error": "Payload too large"})
    assert isinstance(answer, Split)
    assert answer.too_large


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_server_faults_are_tried_again(status: int) -> None:
    """With insert_id even a 504 that was applied does no harm."""
    assert isinstance(read(status, HTML), TryAgain)


# ── Answers to identifications ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", [b"success", b'"success"', b'{"code": 200, "server_upload_time": 1}', b"{}"])
def test_identifications_are_taken_by_status(body: bytes) -> None:
    """The body of their 200 is not documented: a word or an object will do."""
    batch = [PROFILE.to_payload({"user_id": "u1", "tier": "gold"}, SETTINGS)]
    assert PROFILE.read(Response(200, body), batch, SETTINGS, "") == Settled([DELIVERED])


def test_an_empty_answer_is_what_the_settings_say() -> None:
    """It can't be told from one that was cut off, so it is tried again unless the settings know better."""
    batch = [PROFILE.to_payload({"user_id": "u1", "tier": "gold"}, SETTINGS)]
    knowing = amplitude.settings("http://127.0.0.1:1", empty_answer="delivered")
    assert isinstance(PROFILE.read(Response(200), batch, SETTINGS, ""), TryAgain)
    assert PROFILE.read(Response(200), batch, knowing, "") == Settled([DELIVERED])


def test_identifications_are_left_out_the_same_way() -> None:
    """A list of faults or a throttled user in a form's answer is read as for events, with 15 s of rest."""
    batch = [PROFILE.to_payload({"user_id": f"user-{n}", "tier": "gold"}, SETTINGS) for n in range(3)]
    body = orjson.dumps({"error": "…", "throttled_users": {"user-1": 31}})
    answer = PROFILE.read(Response(429, body), batch, SETTINGS, "")
    assert isinstance(answer, Follow)
    assert [found["user_id"] for found in orjson.loads(parse_qs(answer.request.body.decode())["identification"][0])] == ["user-0", "user-2"]
    settled = PROFILE.read(Response(200, b"success"), batch, SETTINGS, answer.note)
    assert isinstance(settled, Settled)
    assert settled.outcomes[1] == Again("Amplitude throttles this row's user or device", 15.0)
    assert isinstance(PROFILE.read(Response(400, b'{"error": "missing_event"}'), batch, SETTINGS, ""), Split)


# ── Answers about cohorts ───────────────────────────────────────────────────────────────────


def audience(*members: tuple[str, bool], settings: AmplitudeSettings = SETTINGS, name: str = "vip") -> list[bytes]:
    """Rows of one audience."""
    return [AUDIENCE.to_payload({"user_id": who, "audience": name, "member": member}, settings) for who, member in members]


def read_cohorts(body: Any, batch: list[bytes], note: str = "", status: int = 200, settings: AmplitudeSettings = SETTINGS) -> Answer:
    """What an answer of the cohorts' API means."""
    return AUDIENCE.read(Response(status, body if isinstance(body, bytes) else orjson.dumps(body)), batch, settings, note)


LISTED = {
    "cohorts": [
        {"id": "c2", "name": "vip", "appId": 1},
        {"id": "c1", "name": "vip", "appId": 1},
        {"id": "c0", "name": "vip", "archived": True},
    ]
}


def test_members_are_added_and_removed_in_one_request() -> None:
    """The cohort is found by name, the first of several by id, without those that are archived."""
    batch = audience(("u1", True), ("u2", False), ("u3", True))
    answer = read_cohorts(LISTED, batch)
    assert isinstance(answer, Follow)
    assert answer.request.url.endswith("/api/3/cohorts/membership")
    assert orjson.loads(answer.request.body) == {
        "cohort_id": "c1",
        "memberships": [
            {"ids": ["u1", "u3"], "id_type": "BY_NAME", "operation": "ADD"},
            {"ids": ["u2"], "id_type": "BY_NAME", "operation": "REMOVE"},
        ],
        "skip_invalid_ids": True,
    }
    assert answer.request.headers["authorization"] == "Basic YW1wbGl0dWRlLWtleTphbXBsaXR1ZGUtc2VjcmV0"
    result = {
        "cohort_id": "c1",
        "memberships_result": [{"skipped_ids": ["u3"], "operation": "ADD"}, {"skipped_ids": ["u2"], "operation": "REMOVE"}],
    }
    settled = read_cohorts(result, batch, answer.note)
    assert isinstance(settled, Settled)
    assert [getattr(row, "code", "delivered") for row in settled.outcomes] == ["delivered", "delivered", "unknown_user"]


def test_a_cohort_is_found_by_its_id_and_in_its_project_alone() -> None:
    """The id from the cohort's address will do for a name; another project's cohort of the name will not."""
    by_id = read_cohorts({"cohorts": [{"id": "c9", "name": "x"}]}, audience(("u1", True), name="c9"))
    assert isinstance(by_id, Follow)
    assert orjson.loads(by_id.request.body)["cohort_id"] == "c9"
    elsewhere = read_cohorts({"cohorts": [{"id": "c9", "name": "vip", "appId": 2}]}, audience(("u1", True)))
    assert isinstance(elsewhere, Follow)
    assert elsewhere.request.url.endswith("/upload")


def test_a_cohort_that_is_missing_is_made_or_asked_for() -> None:
    """With project and owner it is made of who is in; without, a person has to; and nobody leaves what is not there."""
    made = read_cohorts({"cohorts": []}, audience(("u1", True), ("u2", False)))
    assert isinstance(made, Follow)
    sent = orjson.loads(made.request.body)
    assert (sent["name"], sent["app_id"], sent["ids"], sent["owner"], sent["id_type"]) == (
        "vip",
        1,
        ["u1"],
        "ops@example.com",
        "BY_USER_ID",
    )
    listing = read_cohorts({"cohortId": "c5"}, audience(("u1", True)), made.note)
    assert isinstance(listing, Follow)
    assert listing.request.method == "GET"
    change = read_cohorts({"cohorts": []}, audience(("u1", True)), listing.note)
    assert isinstance(change, Follow)
    assert orjson.loads(change.request.body)["cohort_id"] == "c5"
    poor = amplitude.settings("http://127.0.0.1:1", project_id=None)
    assert isinstance(read_cohorts({"cohorts": []}, audience(("u1", True)), settings=poor), Refused)
    assert read_cohorts({"cohorts": []}, audience(("u1", False)), settings=poor) == Settled([DELIVERED])


def test_two_audiences_in_one_batch_part() -> None:
    """A webhook's rows can be for several: the batch is halved until each is for one."""
    assert isinstance(read_cohorts(LISTED, audience(("u1", True)) + audience(("u1", True), name="other")), Split)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Refused), (403, Refused), (429, SlowDown), (400, Split), (413, Split), (500, TryAgain), (202, TryAgain)]
)
@pytest.mark.parametrize("note", ["", "membership", "upload"])
def test_other_answers_of_the_cohorts_api(status: int, kind: type, note: str) -> None:
    """By status; the ids that it quotes are not repeated."""
    answer = read_cohorts({"error": "Invalid ids: ['user-77']"}, audience(("user-77", True)), note, status)
    assert isinstance(answer, kind)
    assert "user-77" not in str(answer)


@pytest.mark.parametrize("note", ["", "membership", "upload"])
def test_a_200_that_says_nothing_of_cohorts_is_tried_again(note: str) -> None:
    """Nobody counts as a member before Amplitude has said so."""
    assert isinstance(read_cohorts({}, audience(("u1", True)), note), TryAgain)
