"""Klaviyo: what leaves for which row, what is refused before it leaves, and what each answer means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from rowferry.destinations._klaviyo_settings import KlaviyoSettings
from rowferry.destinations.klaviyo import DESTINATION
from rowferry.destinations.port import (
    DELIVERED,
    Answer,
    Follow,
    Pace,
    Refused,
    Rejected,
    Settled,
    SlowDown,
    Split,
    TryAgain,
)
from rowferry.settings.base import Secret
from rowferry.settings.problems import to_problems
from rowferry.wire import Response
from support.klaviyo import validate
from support.vendors import klaviyo as examples

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
KEY = Secret("secret:klaviyo", "klaviyo-key-1")
JSON_API = "application/vnd.api+json"


def settings(**changes: Any) -> KlaviyoSettings:
    """An account at the real address."""
    return KlaviyoSettings.model_validate({"vendor": "klaviyo", "api_key": KEY, **changes})


def problems(action: str, names: dict[str, str | None], **changes: Any) -> list[str]:
    """The paths of what is wrong with a map."""
    return [problem.path for problem in DESTINATION.actions[action].check(names, settings(**changes))]


def batch_of(action: str, rows: int, **changes: Any) -> list[bytes]:
    """Payloads of as many people."""
    more: dict[str, Any] = {"event": {"name": "Bought", "time": AT}, "audience": {"audience": "VRgFBd", "member": True}}.get(action, {})
    more |= {"subscription": {"status": True}}.get(action, {})
    to_payload, resolved = DESTINATION.actions[action].to_payload, settings(**changes)
    named = [{"unique_id": f"r-{index}"} if action == "event" else {} for index in range(rows)]
    return [to_payload({"email": f"user-{index}@shop.example", **more, **named[index]}, resolved) for index in range(rows)]


def read(status: int, body: Any, rows: int = 3, action: str = "event", headers: dict[str, str] | None = None, **changes: Any) -> Answer:
    """What an answer to a batch of so many people means."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return DESTINATION.actions[action].read(
        Response(status, content, headers or {}), batch_of(action, rows, **changes), settings(**changes), ""
    )


def error(pointer: str, detail: str = "Not valid.", code: str = "invalid") -> dict[str, Any]:
    """One error, as Klaviyo writes them."""
    return {"id": "1", "status": 400, "code": code, "title": "Invalid input.", "detail": detail, "source": {"pointer": pointer}}


# ── Settings ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"api_key": "pk_plain"}, "api_key"),
        ({"revision": "latest"}, "revision"),
        ({"events": "all"}, "events"),
        ({"backfill": True, "revision": "2026-01-15"}, "backfill"),
        ({"lists": {"vip": "not an id"}}, "lists.vip"),
        ({"poll_every": "0s"}, "poll_every"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], path: str) -> None:
    """Wrong settings fail at check, at the key that is wrong, without the secret that stood there."""
    raw = {"vendor": "klaviyo", "api_key": "env:K", **wrong}
    with pytest.raises(ValidationError) as refused:
        KlaviyoSettings.model_validate(raw)
    found = to_problems(refused.value, raw, "", KlaviyoSettings)
    assert [problem.path for problem in found] == [path]
    assert "pk_plain" not in f"{refused.value} {found}"


def test_requests_carry_key_revision_and_media_type() -> None:
    """The private key, the pinned revision and JSON:API's media type; no slash at the path's end."""
    request = DESTINATION.actions["event"].build(batch_of("event", 1), settings())
    assert (request.method, request.url) == ("POST", "https://a.klaviyo.com/api/event-bulk-create-jobs")
    assert dict(request.headers) == {
        "authorization": "Klaviyo-API-Key klaviyo-key-1", "revision": "2026-07-15", "accept": JSON_API, "content-type": JSON_API,
    }  # fmt: skip
    newer = DESTINATION.actions["event"].build(batch_of("event", 1), settings(revision="2026-10-15"))
    assert newer.headers["revision"] == "2026-10-15"


def test_the_pace_is_the_steady_rate_of_the_actions_own_endpoint() -> None:
    """150 bulk requests a minute, 3,500 events or 750 profiles singly; per_second makes all of them slower."""
    rates = {name: DESTINATION.pace_of(action, settings()).per_second for name, action in DESTINATION.actions.items()}
    assert rates == {"event": 2.5, "profile": 2.5, "subscription": 12.5, "audience": 2.5, "delete": 1.0}
    single = settings(events="single", profiles="single", in_flight=3)
    assert DESTINATION.pace_of(DESTINATION.actions["event"], single).per_second == pytest.approx(58.33, abs=0.01)
    assert DESTINATION.pace_of(DESTINATION.actions["profile"], single) == Pace(12.5, 3)
    slow = settings(per_second=0.5)
    assert {DESTINATION.pace_of(action, slow).per_second for action in DESTINATION.actions.values()} == {0.5}


@pytest.mark.parametrize(
    ("action", "changes", "rows"),
    [
        ("event", {}, 1000),
        ("event", {"events": "single"}, 1),
        ("profile", {}, 10_000),
        ("profile", {"profiles": "single"}, 1),
        ("subscription", {}, 1000),
        ("audience", {}, 1000),
        ("delete", {}, 1),
    ],
)
def test_limits_of_a_request(action: str, changes: dict[str, Any], rows: int) -> None:
    """As many rows as each endpoint takes, in 5 MB."""
    limits = DESTINATION.actions[action].limits(settings(**changes))
    assert (limits.batch_rows, limits.body_bytes) == (rows, 5_000_000)


# ── The map ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("action", "names", "paths"),
    [
        ("event", {"name": None, "time": None}, [""]),
        ("event", {"email": None, "time": None}, ["name"]),
        ("event", {"anonymous_id": None, "name": None}, ["time"]),
        ("event", {"email": None, "name": None, "time": None, "value": "STRING"}, ["value"]),
        ("profile", {"first_name": None}, [""]),
        ("profile", {"anonymous_id": None}, [""]),
        ("profile", {"email": None, "firstName": None}, ["firstName"]),
        ("profile", {"email": None, "phone": None}, ["phone"]),
        ("profile", {"email": None, "phone": None, "phone_number": None}, []),
        ("subscription", {"status": None}, [""]),
        ("subscription", {"email": None}, ["status"]),
        ("subscription", {"email": None, "phone_number": None, "status": None}, ["channel"]),
        ("subscription", {"email": None, "status": None, "tier": None}, ["tier"]),
        ("audience", {"audience": None, "member": None}, [""]),
        ("audience", {"email": None, "external_id": None}, [""]),
        ("audience", {"email": None, "tier": None}, ["tier"]),
        ("delete", {"tier": None}, [""]),
    ],
)
def test_check_finds_what_can_never_work(action: str, names: dict[str, str | None], paths: list[str]) -> None:
    """A map that Klaviyo can't take is a problem at the field that is wrong."""
    assert problems(action, names) == paths


def test_near_duplicates_can_be_allowed() -> None:
    """Who wants a custom property beside Klaviyo's own may have it."""
    assert problems("profile", {"email": None, "firstName": None}, near_duplicates="allow") == []


def test_the_strongest_identifier_says_whose_profile_it_is() -> None:
    """The others count as attributes: a changed address must be seen and sent."""
    by = DESTINATION.actions["profile"].identifiers
    assert by(["email", "phone_number", "external_id"], settings()) == {"external_id"}
    assert by(["phone_number", "email"], settings()) == {"email"}
    assert DESTINATION.actions["event"].identifiers(["email", "phone_number", "tier"], settings()) == {"email", "phone_number"}


def test_a_consent_travels_with_all_that_gives_it_meaning() -> None:
    """When only the status has changed, channel and list must still be there."""
    names = ["email", "status", "channel", "list"]
    assert DESTINATION.actions["subscription"].identifiers(names, settings()) == {"email", "channel", "list"}


# ── Every body against the official models ──────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("action", "changes"),
    [("event", {}), ("event", {"events": "single"}), ("profile", {}), ("profile", {"profiles": "single"}), ("subscription", {}),
     ("audience", {}), ("delete", {})],
)  # fmt: skip
def test_bodies_are_what_the_official_client_would_send(action: str, changes: dict[str, Any]) -> None:
    """Each example's request, read by Klaviyo's own models: nothing missing, nothing that they do not know."""
    resolved = examples.settings("http://127.0.0.1:9", **changes)
    for row in examples.ROWS[action]:
        request = DESTINATION.actions[action].build([DESTINATION.actions[action].to_payload(row, resolved)], resolved)
        validate(request)


# ── Answers ─────────────────────────────────────────────────────────────────────────────────

EVENTS_AT = "/data/attributes/events-bulk-create/data"


def test_202_without_a_body_is_all_that_klaviyo_says_of_events() -> None:
    """Validated and queued."""
    assert read(202, b"") == Settled([DELIVERED] * 3)
    assert read(202, b"", 1, events="single") == Settled([DELIVERED])


@pytest.mark.parametrize("body", [b"<html>", b'{"dat', {"errors": []}])
def test_202_with_anything_else_is_no_delivery(body: Any) -> None:
    """A page or half a document is not Klaviyo's 202."""
    assert isinstance(read(202, body), TryAgain)


def test_a_400_rejects_the_pointed_rows_and_sends_the_others_again_at_once() -> None:
    """All or nothing at Klaviyo: nothing was taken, so the others go again without the one at fault."""
    answer = read(400, {"errors": [error(f"{EVENTS_AT}/1/attributes/profile/data/attributes/email", "Invalid email address.")]})
    assert isinstance(answer, Follow)
    sent = orjson.loads(answer.request.body)["data"]["attributes"]["events-bulk-create"]["data"]
    assert [item["attributes"]["profile"]["data"]["attributes"]["email"][:6] for item in sent] == ["user-0", "user-2"]
    action, batch = DESTINATION.actions["event"], batch_of("event", 3)
    final = action.read(Response(202), batch, settings(), answer.note)
    assert isinstance(final, Settled)
    assert [type(outcome) for outcome in final.outcomes] == [type(DELIVERED), Rejected, type(DELIVERED)]


def test_places_are_counted_in_what_was_sent_last() -> None:
    """The second refusal points into the smaller request: row 2 has become its first."""
    first = read(400, {"errors": [error(f"{EVENTS_AT}/0/attributes/x"), error(f"{EVENTS_AT}/1/attributes/x")]}, 4)
    assert isinstance(first, Follow)
    body = orjson.dumps({"errors": [error(f"{EVENTS_AT}/0/attributes/x")]})
    second = DESTINATION.actions["event"].read(Response(400, body), batch_of("event", 4), settings(), first.note)
    assert isinstance(second, Follow)
    assert b"user-3" in second.request.body and b"user-2" not in second.request.body


def test_a_reason_has_klaviyos_text_without_the_rows_value() -> None:
    """Klaviyo quotes what it does not take; the dead letter does not."""
    answer = read(400, {"errors": [error(f"{EVENTS_AT}/0/attributes/email", "Invalid email address user-0@shop.example")]}, 1)
    assert answer == Settled(
        [Rejected("refused_by_vendor", "Klaviyo refused this row: invalid: Invalid email address … (at attributes/email)")]
    )


def test_when_all_rows_are_pointed_at_nothing_goes_again() -> None:
    """No request without rows."""
    answer = read(400, {"errors": [error(f"{EVENTS_AT}/{index}/attributes/x") for index in range(3)]})
    assert isinstance(answer, Settled) and all(isinstance(outcome, Rejected) for outcome in answer.outcomes)


@pytest.mark.parametrize(
    "errors",
    [
        [error("/data")],
        [error(f"{EVENTS_AT}/7/attributes/x")],
        [error(f"{EVENTS_AT}/0/attributes/x"), error("/data/")],
        [{"source": 3}],
        ["x"],
    ],
)
def test_a_400_that_does_not_name_every_row_splits(errors: list[Any]) -> None:
    """One bad record in the unknown: halves will isolate it."""
    assert isinstance(read(400, {"errors": errors}), Split)


def test_a_repeated_unique_id_means_that_the_event_is_there() -> None:
    """Our own first try may have brought it; a setting has it refused instead."""
    body = {"errors": [error(f"{EVENTS_AT}/0/attributes/events/data/0/attributes/unique_id")]}
    assert read(400, body, 1) == Settled([DELIVERED])
    refused = read(400, body, 1, repeated_events="reject")
    assert isinstance(refused, Settled) and isinstance(refused.outcomes[0], Rejected)


def test_an_event_that_is_twice_in_a_batch_goes_once() -> None:
    """Twice in one request, it could have all of it refused: both rows share the outcome."""
    batch = [batch_of("event", 1)[0]] * 2 + batch_of("event", 2)[1:]
    request = DESTINATION.actions["event"].build(batch, settings())
    assert len(orjson.loads(request.body)["data"]["attributes"]["events-bulk-create"]["data"]) == 2
    body = orjson.dumps({"errors": [error(f"{EVENTS_AT}/0/attributes/x"), error(f"{EVENTS_AT}/1/attributes/x")]})
    answer = DESTINATION.actions["event"].read(Response(400, body), batch, settings(), "")
    assert isinstance(answer, Settled) and len(answer.outcomes) == 3


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (401, {"errors": [error("/data", "no", "not_authenticated")]}, {}, Refused),
        (403, {"errors": [error("/data", "Missing scope.", "permission_denied")]}, {}, Refused),
        (403, b"<html>Just a moment</html>", {"content-type": "text/html; charset=UTF-8", "cf-mitigated": "challenge"}, TryAgain),
        (404, {"errors": [error("/data", "no", "not_found")]}, {}, Refused),
        (405, b"", {}, Refused),
        (409, {"errors": [error("/data", "no", "conflict")]}, {}, Split),
        (410, b"", {}, Refused),
        (413, b"", {}, Split),
        (415, b"", {}, Refused),
        (500, b"", {}, TryAgain),
        (502, b"<html>", {}, TryAgain),
        (503, {"errors": []}, {}, TryAgain),
        (524, b"<html>", {}, TryAgain),
        (400, {"errors": [{"code": "invalid", "source": {"header": "revision"}}]}, {}, Refused),
        (418, b"", {}, Refused),
        (200, {"data": {}}, {}, TryAgain),
    ],
)
@pytest.mark.parametrize("action", ["event", "profile", "subscription", "audience"])
def test_what_a_status_means(action: str, status: int, body: Any, headers: dict[str, str], expected: type) -> None:
    """Key, scope, list, revision: a person must act. Cloudflare's page is none of it. Server errors pass."""
    assert isinstance(read(status, body, action=action, headers=headers), expected)


@pytest.mark.parametrize(("header", "expected"), [("3", 3.0), ("0", 1.0), ("soon", None), (None, None)])
def test_429_waits_as_told(header: str | None, expected: float | None) -> None:
    """Retry-After, at least the second of the short window: Klaviyo also says "available in 0 seconds"."""
    body = {"errors": [error("/data/", "Request was throttled. Expected available in 3 seconds.", "throttled")]}
    answer = read(429, body, headers={} if header is None else {"retry-after": header})
    assert isinstance(answer, SlowDown) and answer.wait_seconds == expected


@pytest.mark.parametrize(
    ("status", "body", "is_good"),
    [(200, {"data": []}, True), (403, {"errors": [error("/data")]}, True), (403, b"<html>", False), (401, {"errors": []}, False),
     (200, b"<html>", False)],
)  # fmt: skip
def test_the_probe_needs_no_scope_of_its_own(status: int, body: Any, is_good: bool) -> None:
    """A key without accounts:read is a good key; a page of the network's says nothing good."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    assert (DESTINATION.read_probe(Response(status, content)) is None) is is_good
