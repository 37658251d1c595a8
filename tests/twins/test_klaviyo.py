"""Klaviyo's twin: its limits, its errors, its jobs and windows, and what it drops without a word."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.twins.klaviyo import KlaviyoTwin
from rowferry.twins.server import Call
from rowferry.wire import Response

HEADERS = {"authorization": "Klaviyo-API-Key key", "revision": "2026-07-15", "content-type": "application/vnd.api+json"}
JOBS = "/api/profile-bulk-import-jobs"
ZOE = {"type": "profile", "attributes": {"email": "zoe@shop.example"}}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def twin(clock: ManualClock) -> KlaviyoTwin:
    return KlaviyoTwin(api_key="key", clock=clock)


def post(twin: KlaviyoTwin, path: str, data: Any, method: str = "POST", **headers: str) -> Response:
    content = data if isinstance(data, bytes) else orjson.dumps({"data": data})
    return twin.answer(Call(method, path, HEADERS | headers, content))


def get(twin: KlaviyoTwin, path: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(twin.answer(Call("GET", path, HEADERS, b"")).body)
    return found


def pointers(response: Response) -> list[str]:
    return [error["source"]["pointer"] for error in orjson.loads(response.body)["errors"]]


def event(**attributes: Any) -> dict[str, Any]:
    metric = {"data": {"type": "metric", "attributes": {"name": "Bought"}}}
    known = {"metric": metric, "properties": {}, "time": "2026-02-01T00:00:00Z", "unique_id": "r-1"}
    return {"type": "event", "attributes": {**known, **attributes}}


def group(inner: dict[str, Any], who: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "event-bulk-create", "attributes": {"profile": {"data": who or ZOE}, "events": {"data": [inner]}}}


def post_events(twin: KlaviyoTwin, *groups: dict[str, Any]) -> Response:
    data = {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": groups}}}
    return post(twin, "/api/event-bulk-create-jobs", data)


def start_job(twin: KlaviyoTwin, *profiles: dict[str, Any], lists: tuple[str, ...] = ()) -> Response:
    data: dict[str, Any] = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles}}}
    if lists:
        data["relationships"] = {"lists": {"data": [{"type": "list", "id": name} for name in lists]}}
    return post(twin, JOBS, data)


def job_of(response: Response) -> str:
    return f"{JOBS}/{orjson.loads(response.body)['data']['id']}"


def consent(twin: KlaviyoTwin, verb: str, *profiles: dict[str, Any], where: str | None = None, **more: Any) -> Response:
    data: dict[str, Any] = {"type": f"profile-subscription-bulk-{verb}-job", "attributes": {"profiles": {"data": profiles}, **more}}
    if where:
        data["relationships"] = {"list": {"data": {"type": "list", "id": where}}}
    return post(twin, f"/api/profile-subscription-bulk-{verb}-jobs", data)


def consenting(state: str, channel: str = "email", address: str = "zoe@shop.example") -> dict[str, Any]:
    name = "email" if channel == "email" else "phone_number"
    return {"type": "profile", "attributes": {name: address, "subscriptions": {channel: {"marketing": {"consent": state}}}}}


# ── The gateway ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "method", "headers", "body", "status"),
    [
        ("/api/events", "POST", {"authorization": ""}, b"{}", 401),
        ("/api/events", "POST", {"authorization": "Klaviyo-API-Key other"}, b"{}", 401),
        ("/api/events", "POST", {"revision": ""}, b"{}", 400),
        ("/api/events", "POST", {"content-type": "text/plain"}, b"{}", 415),
        ("/api/events", "POST", {}, b"x" * 5_000_001, 413),
        ("/api/events", "POST", {}, b"{", 400),
        ("/api/events", "POST", {}, b"[]", 400),
        ("/api/events", "DELETE", {}, b"{}", 405),
        ("/api/events/", "POST", {}, b"{}", 404),
        (f"{JOBS}/unknown", "GET", {}, b"", 404),
    ],
)
def test_the_gateway_refuses(twin: KlaviyoTwin, path: str, method: str, headers: dict[str, str], body: bytes, status: int) -> None:
    """Key, revision, media type, size, JSON, path and method, each with its status and errors in JSON."""
    response = twin.answer(Call(method, path, HEADERS | headers, body))
    assert response.status == status
    assert orjson.loads(response.body)["errors"][0]["status"] == status


def test_headers_tell_of_the_long_window(twin: KlaviyoTwin, clock: ManualClock) -> None:
    """Every answer but a 429 says how much of the minute is left."""
    twin.keeps_rate = True
    clock.sleep(10)
    headers = post(twin, "/api/events", event() | {"x": 1}).headers
    assert headers["ratelimit-limit"] == "3500, 350;w=1, 3500;w=60"
    assert (headers["ratelimit-remaining"], headers["ratelimit-reset"]) == ("3499", "50")


def test_short_and_long_window_hold(twin: KlaviyoTwin, clock: ManualClock) -> None:
    """Ten bulk requests a second, 150 a minute; a 429 has Retry-After alone; other endpoints have windows of their own."""
    twin.keeps_rate = True
    statuses = [post_events(twin, group(event())).status for _ in range(11)]
    assert statuses == [202] * 10 + [429]
    refused = post_events(twin, group(event()))
    assert refused.headers["retry-after"] == "1" and "ratelimit-limit" not in refused.headers
    assert b"throttled" in refused.body
    for _ in range(14):
        clock.sleep(1)
        assert [post_events(twin, group(event())).status for _ in range(10)] == [202] * 10
    clock.sleep(1)
    assert post_events(twin, group(event())).headers["retry-after"] == "45"
    assert start_job(twin, ZOE).status == 202
    clock.sleep(45)
    assert post_events(twin, group(event())).status == 202


# ── Events ──────────────────────────────────────────────────────────────────────────────────


def test_an_event_is_stored_once(twin: KlaviyoTwin) -> None:
    """Same profile, metric and unique_id: the first is kept, and the answer is the same."""
    single = event(value=1, profile={"data": ZOE})
    assert post(twin, "/api/events", single).status == 202
    assert post(twin, "/api/events", event(value=2, profile={"data": ZOE})).status == 202
    assert [found["value"] for found in twin.events.values()] == [1]
    assert [found["email"] for found in twin.profiles.values()] == ["zoe@shop.example"]


def test_a_batch_is_checked_as_a_whole(twin: KlaviyoTwin) -> None:
    """One wrong item and nothing is stored; each wrong one has an error with a pointer."""
    nameless = event(metric={"data": {"type": "metric", "attributes": {"name": ""}}})
    nobody = {"type": "profile", "attributes": {}}
    wrong = [event(time=1_700_000_000), event(unique_id="x" * 256)]
    response = post_events(twin, group(event()), group(event(), nobody), group(nameless), *map(group, wrong))
    at = "/data/attributes/events-bulk-create/data"
    assert pointers(response) == [
        f"{at}/1/attributes/profile/data/attributes",
        f"{at}/2/attributes/events/data/0/attributes/metric/data/attributes/name",
        f"{at}/3/attributes/events/data/0/attributes/time",
        f"{at}/4/attributes/events/data/0/attributes/unique_id",
    ]
    assert twin.events == {}


def test_a_unique_id_may_not_be_twice_in_a_request(twin: KlaviyoTwin) -> None:
    """Within one request it is refused; in a later one it is discarded, or refused where that is asked for."""
    assert post_events(twin, group(event()), group(event())).status == 400
    assert post_events(twin, group(event())).status == 202
    assert post_events(twin, group(event())).status == 202
    twin.repeats = "refuse"
    assert pointers(post_events(twin, group(event())))[0].endswith("/unique_id")


def test_a_thousand_events_and_no_more(twin: KlaviyoTwin) -> None:
    """The limit of a request; more is a violation."""
    groups = [group(event(unique_id=f"r-{index}")) for index in range(1001)]
    assert post_events(twin, *groups[:1000]).status == 202
    assert twin.violations == []
    assert post_events(twin, *groups).status == 400
    assert twin.violations == ["1001 events"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"unique_id": None}, {"time": None}, {"time": "2026-02-01T00:00:00"}, {"properties": {"a": 0}}, {"properties": {"a": None}},
        {"properties": {"a": ""}}, {"properties": {"a": "x" * 100_001}}, {"properties": {"a": [1] * 4_001}}, {"value_currency": "Euro"},
        {"properties": orjson.loads(b'{"a":' * 11 + b"1" + b"}" * 11)},
    ],
)  # fmt: skip
def test_what_would_get_lost_is_a_violation(twin: KlaviyoTwin, attributes: dict[str, Any]) -> None:
    """Klaviyo answers 202 to each of these, and drops the event or the value."""
    assert post_events(twin, group(event(**attributes))).status == 202
    assert len(twin.violations) == 1


def test_test_addresses_are_dropped_where_that_is_asked_for(twin: KlaviyoTwin) -> None:
    """Klaviyo takes an event of @example.com and drops it; a rehearsal keeps it."""
    who = {"type": "profile", "attributes": {"email": "zoe@example.com"}}
    post_events(twin, group(event(), who))
    assert (len(twin.events), twin.violations) == (1, [])
    twin.drops_test_addresses = True
    post_events(twin, group(event(unique_id="r-2"), who))
    assert (len(twin.events), twin.violations) == (1, ["an event of a test address"])


# ── Profiles ────────────────────────────────────────────────────────────────────────────────


def test_a_job_takes_its_time(twin: KlaviyoTwin, clock: ManualClock) -> None:
    """Queued, processing, complete, gone after a week; the profiles are there when it is complete."""
    twin.job_seconds = 100
    answer = start_job(twin, ZOE, lists=("L1",))
    assert (answer.status, orjson.loads(answer.body)["data"]["attributes"]["status"]) == (202, "queued")
    seen = []
    for seconds in (10, 50, 39, 1):
        clock.sleep(seconds)
        attributes = get(twin, job_of(answer))["data"]["attributes"]
        seen.append((attributes["status"], attributes["completed_count"], len(twin.profiles)))
    assert seen == [("queued", 0, 0), ("processing", 0, 0), ("processing", 0, 0), ("complete", 1, 1)]
    assert twin.lists["L1"] == set(twin.profiles)
    clock.sleep(8 * 86_400)
    assert "errors" in get(twin, job_of(answer))


def test_a_job_has_failures_in_pages(twin: KlaviyoTwin) -> None:
    """It ends as complete; its errors come twenty at a time unless asked otherwise, a hundred at most."""
    twin.late_fault = lambda _profile: "is banned"
    answer = start_job(twin, *({"type": "profile", "attributes": {"external_id": f"u{index}"}} for index in range(30)))
    attributes = get(twin, job_of(answer))["data"]["attributes"]
    assert (attributes["status"], attributes["completed_count"], attributes["failed_count"]) == ("complete", 0, 30)
    first = get(twin, f"{job_of(answer)}/import-errors")
    assert len(first["data"]) == 20
    assert first["data"][3]["attributes"]["original_payload"] == {"id": None, "external_id": "u3"}
    second = get(twin, first["links"]["next"].removeprefix("https://a.klaviyo.com"))
    assert (len(second["data"]), second["links"]["next"]) == (10, None)
    assert "errors" in get(twin, f"{job_of(answer)}/import-errors?page%5Bsize%5D=101")


def test_one_malformed_profile_refuses_the_job(twin: KlaviyoTwin) -> None:
    """All or nothing, with a pointer to each."""
    wrong = [{"type": "profile", "attributes": {"email": "no"}}, ZOE, {"type": "profile", "attributes": {"phone_number": "0151"}}]
    response = start_job(twin, *wrong)
    at = "/data/attributes/profiles/data"
    assert pointers(response) == [f"{at}/0/attributes/email", f"{at}/2/attributes/phone_number"]
    assert twin.jobs == {}


@pytest.mark.parametrize(
    "profiles",
    [
        [{"type": "profile", "attributes": {"email": "a@s.ex", "title": None}}],
        [{"type": "profile", "attributes": {"email": "a@s.ex", "tier": "gold"}}],
        [{"type": "profile", "attributes": {"email": "a@s.ex", "properties": {"a": "x" * 100_000}}}],
        [{"type": "profile", "attributes": {"email": "a@s.ex", "location": {"town": "Bern"}}}],
        [ZOE, ZOE],
    ],
)
def test_what_a_job_would_ignore_is_a_violation(twin: KlaviyoTwin, profiles: list[dict[str, Any]]) -> None:
    """Nulls, unknown attributes, more than 100 KB, somebody twice."""
    start_job(twin, *profiles)
    assert len(twin.violations) == 1


def test_an_import_of_one_clears_by_null(twin: KlaviyoTwin) -> None:
    """201 for a new profile, 200 for a known one; null clears, absent leaves, `unset` removes a custom property."""
    attributes = {"email": "a@s.ex", "title": "Dr", "image": "i", "properties": {"x": 1, "y": 2}}
    assert post(twin, "/api/profile-import", {"type": "profile", "attributes": attributes}).status == 201
    again = {"type": "profile", "attributes": {"email": "A@s.ex", "title": None}, "meta": {"patch_properties": {"unset": ["x"]}}}
    assert post(twin, "/api/profile-import", again).status == 200
    [found] = twin.profiles.values()
    assert {name: found.get(name) for name in ("title", "image", "properties")} == {"title": None, "image": "i", "properties": {"y": 2}}


def test_identifiers_of_two_people_conflict(twin: KlaviyoTwin) -> None:
    """409 with the id of the other profile."""
    for attributes in ({"external_id": "u1"}, {"email": "a@s.ex"}):
        post(twin, "/api/profile-import", {"type": "profile", "attributes": attributes})
    response = post(twin, "/api/profile-import", {"type": "profile", "attributes": {"external_id": "u1", "email": "a@s.ex"}})
    [error] = orjson.loads(response.body)["errors"]
    assert (response.status, error["code"]) == (409, "duplicate_profile")
    assert error["meta"]["duplicate_profile_id"] in twin.profiles


# ── Consent, lists, deletion ────────────────────────────────────────────────────────────────


def test_consent_is_kept_by_address_and_channel(twin: KlaviyoTwin) -> None:
    """The last word counts; with a list, who subscribes is in it."""
    assert consent(twin, "create", consenting("SUBSCRIBED"), consenting("SUBSCRIBED", "sms", "+14155551234"), where="L1").status == 202
    assert consent(twin, "delete", consenting("UNSUBSCRIBED")).status == 202
    expected = {("zoe@shop.example", "email/marketing"): "UNSUBSCRIBED", ("+14155551234", "sms/marketing"): "SUBSCRIBED"}
    assert (twin.consent, len(twin.lists["L1"])) == (expected, 2)


@pytest.mark.parametrize(
    ("profile", "more"),
    [
        (consenting("UNSUBSCRIBED"), {}),
        (consenting("SUBSCRIBED", "pigeon", "+14155551234"), {}),
        ({"type": "profile", "attributes": {"email": "a@s.ex", "subscriptions": {"sms": {"marketing": {"consent": "SUBSCRIBED"}}}}}, {}),
        ({"type": "profile", "attributes": {"email": "a@s.ex"}}, {}),
        (consenting("SUBSCRIBED"), {"historical_import": True}),
    ],
)
def test_a_consent_that_does_not_fit_is_refused(twin: KlaviyoTwin, profile: dict[str, Any], more: dict[str, Any]) -> None:
    """The wrong word, an unknown channel, no address for it, none at all, history without a time."""
    response = consent(twin, "create", profile, **more)
    assert response.status == 400
    assert pointers(response)[0].startswith("/data/attributes/profiles/data/0/attributes/subscriptions")


def test_a_hundred_unsubscribes_and_no_more(twin: KlaviyoTwin) -> None:
    """The two limits differ: 1,000 to subscribe, 100 to unsubscribe."""
    people = [consenting("UNSUBSCRIBED", address=f"u{index}@s.ex") for index in range(101)]
    assert [consent(twin, "delete", *people[:100]).status, consent(twin, "delete", *people).status] == [202, 400]
    assert len(twin.violations) == 1


def test_unsubscribing_a_stranger_from_a_list_is_a_violation(twin: KlaviyoTwin) -> None:
    """Who is not in the list is unsubscribed from everything."""
    consent(twin, "delete", consenting("UNSUBSCRIBED"), where="L1")
    assert len(twin.violations) == 1


def test_lists_know_profile_ids_only(twin: KlaviyoTwin) -> None:
    """An unknown id refuses the call as a whole and says nothing of where; an unknown list is 404 where that is asked for."""
    post(twin, "/api/profile-import", ZOE)
    [zoe] = twin.profiles
    path = "/api/lists/L1/relationships/profiles"
    response = post(twin, path, [{"type": "profile", "id": zoe}, {"type": "profile", "id": "nobody"}])
    assert (response.status, pointers(response), twin.lists["L1"]) == (400, ["/data/"], set())
    assert (post(twin, path, [{"type": "profile", "id": zoe}]).status, twin.lists["L1"]) == (204, {zoe})
    assert (post(twin, path, [{"type": "profile", "id": zoe}], "DELETE").status, twin.lists["L1"]) == (204, set())
    twin.only_these_lists = True
    assert post(twin, "/api/lists/L2/relationships/profiles", [{"type": "profile", "id": zoe}]).status == 404


def test_people_are_found_by_any_of_several(twin: KlaviyoTwin) -> None:
    """A filter gives those who are known, by id alone."""
    post(twin, "/api/profile-import", ZOE)
    found = get(twin, "/api/profiles?filter=any%28email%2C%5B%22Zoe%40shop.example%22%2C%22nobody%40s.ex%22%5D%29")
    assert [profile["id"] for profile in found["data"]] == list(twin.profiles)
    assert "errors" in get(twin, "/api/profiles?filter=email")


@pytest.mark.parametrize(
    "profile", [{"attributes": {}}, {"id": "x", "attributes": {"email": "a@s.ex"}}, {"attributes": {"external_id": "u1"}}]
)
def test_a_deletion_names_one_identifier(twin: KlaviyoTwin, profile: dict[str, Any]) -> None:
    """None, two or an external id are refused."""
    data = {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": {"type": "profile", **profile}}}}
    assert post(twin, "/api/data-privacy-deletion-jobs", data).status == 400
    assert twin.deleted == []


def test_nobody_gets_the_id_of_somebody_who_is_there(twin: KlaviyoTwin) -> None:
    """Who comes after a deletion is a person of their own: by the number of people, they became one with the last of them."""
    people = [{"type": "profile", "attributes": {"email": f"u{i}@shop.example"}} for i in range(4)]
    for person in people[:3]:
        post(twin, "/api/profile-import", person)
    deletion = {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": people[0]}}}
    assert post(twin, "/api/data-privacy-deletion-jobs", deletion).status == 202
    assert post(twin, "/api/profile-import", people[3]).status == 201
    assert sorted(profile["email"] for profile in twin.profiles.values()) == [f"u{i}@shop.example" for i in (1, 2, 3)]


def test_the_state_shows_no_key(twin: KlaviyoTwin) -> None:
    """A person sees what is there; jobs that are due are done by then."""
    start_job(twin, ZOE)
    state = twin.state()
    assert (state["profiles"], list(state["jobs"].values())) == (1, ["complete"])
    assert '"key"' not in orjson.dumps(state, default=str).decode()
