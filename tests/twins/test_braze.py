"""Braze's twin: its limits, its errors, and what it drops without a word."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Call
from rowferry.wire import Response

HEADERS = {"authorization": "Bearer key", "content-type": "application/json"}
AT = "2026-03-01T12:00:00Z"


@pytest.fixture
def twin() -> BrazeTwin:
    return BrazeTwin(api_key="key")


def post(twin: BrazeTwin, path: str, body: Any, headers: dict[str, str] = HEADERS) -> Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return twin.answer(Call("POST", path, headers, content))


def track(twin: BrazeTwin, **arrays: Any) -> tuple[int, dict[str, Any]]:
    response = post(twin, "/users/track", arrays)
    return response.status, orjson.loads(response.body)


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "message"),
    [
        ("/users/nowhere", HEADERS, {}, 404, "Invalid URL"),
        ("/users/track/", HEADERS, {}, 404, "Invalid URL"),
        ("/users/track", {"content-type": "application/json"}, {}, 401, "Invalid API key"),
        ("/users/track", {**HEADERS, "authorization": "Bearer other"}, {}, 401, "Invalid API key"),
        ("/users/track/bulk", HEADERS, {}, 403, "The API key has no permission for this endpoint"),
        ("/users/track", {"authorization": "Bearer key"}, {}, 415, "Unsupported content type"),
        ("/users/track", HEADERS, b"x" * 4_000_001, 413, "Request body too large"),
        ("/users/track", HEADERS, b"{", 400, "Error parsing JSON"),
        ("/users/track", HEADERS, b'{"attributes":[{"external_id":"u","x":NaN}]}', 400, "Error parsing JSON"),
        ("/users/track", HEADERS, {"attributes": [{"external_id": "u"}] * 76}, 400, "Max Input Length Exceeded"),
        ("/users/track", HEADERS, {"attributes": [{}] * 40, "events": [{}] * 36}, 400, "Max Input Length Exceeded"),
    ],
)
def test_the_gateway_refuses(twin: BrazeTwin, path: str, headers: dict[str, str], body: Any, status: int, message: str) -> None:
    """Path, key, permission, content type, size, JSON, number of objects: in this order, with Braze's statuses."""
    response = post(twin, path, body, headers)
    assert (response.status, orjson.loads(response.body)) == (status, {"message": message})
    assert twin.profiles == {}


def test_bulk_has_limits_of_its_own(twin: BrazeTwin) -> None:
    """1,000 objects and 2 MB, over which it answers 400."""
    twin.has_bulk = True
    assert post(twin, "/users/track/bulk", {"attributes": [{"external_id": f"u{i}"} for i in range(1000)]}).status == 201
    assert post(twin, "/users/track/bulk", {"attributes": [{"external_id": "u"}] * 1001}).status == 400
    assert post(twin, "/users/track/bulk", b"x" * 2_000_001).status == 400


def test_attributes_are_set_merged_and_removed(twin: BrazeTwin) -> None:
    """A nested object is overwritten unless it is to be merged; null removes."""
    track(twin, attributes=[{"external_id": "u", "tier": "gold", "address": {"city": "Bern", "zip": "3000"}}])
    track(twin, attributes=[{"external_id": "u", "tier": None, "address": {"zip": "3001"}, "_merge_objects": True}])
    assert twin.profiles == {"u": {"address": {"city": "Bern", "zip": "3001"}}}
    track(twin, attributes=[{"external_id": "u", "address": {"zip": "3002"}}])
    assert twin.profiles == {"u": {"address": {"zip": "3002"}}}


def test_each_attribute_costs_a_data_point(twin: BrazeTwin) -> None:
    """Null included, a nested object one a key; identifiers, flags, language and subscriptions nothing."""
    row = {"external_id": "u", "tier": "gold", "old": None, "address": {"a": 1, "b": 2}, "language": "de", "_merge_objects": True}
    track(twin, attributes=[row])
    assert twin.data_points == 4


def test_errors_name_their_objects(twin: BrazeTwin) -> None:
    """A 201 hides them beside the count; when all fail it is a 400."""
    status, answer = track(twin, attributes=[{"external_id": "u"}, {"tier": "x"}, {"external_id": "v", "email": "nobody"}])
    assert (status, answer["message"], answer["attributes_processed"]) == (201, "success", 1)
    assert [(error["input_array"], error["index"]) for error in answer["errors"]] == [("attributes", 1), ("attributes", 2)]
    status, answer = track(twin, attributes=[{"tier": "x"}])
    assert status == 400
    assert answer["message"].startswith("Valid data must be provided")
    assert len(answer["errors"]) == 1
    assert track(twin)[0] == 400


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"external_id": ""},
        {"external_id": 7},
        {"external_id": "u", "braze_id": "b"},
        {"user_alias": {"alias_name": "n"}},
        {"user_alias": "n"},
        {"external_id": "é" * 494},
        {"email": 7},
        {"external_id": "u", "email_subscribe": "yes"},
        {"external_id": "u", "push_subscribe": "yes"},
        {"external_id": "u", "email_subscription_info": "x"},
        "text",
    ],
)
def test_an_object_that_braze_refuses(twin: BrazeTwin, item: Any) -> None:
    """No or two identifiers, one that is too long, states that don't exist."""
    status, answer = track(twin, attributes=[item])
    assert status == 400
    assert answer["errors"][0]["index"] == 0
    assert twin.profiles == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tier", "x" * 256),
        ("first_name", 7),
        ("image_url", "x" * 1025),
        ("dob", "1.1.1990"),
        ("gender", "female"),
        ("country", "Germany"),
        ("time_zone", "+02:00"),
        ("likes", ["x"] * 501),
        ("likes", ["x" * 250] * 450),
        ("likes", [None]),
        ("likes", ["x" * 256]),
        ("address", {"a": None}),
        ("address", {"a b": 1}),
        ("address", {"a": {"b": ["x" * 256]}}),
        ("address", {f"k{i}": "x" * 250 for i in range(250)}),
        ("bio", "x"),
        (" tier", "x"),
        ("x" * 256, "x"),
    ],
)
def test_what_a_201_hides_is_dropped_and_told(twin: BrazeTwin, name: str, value: Any) -> None:
    """The answer is success all the same: only the twin's list of violations tells."""
    assert track(twin, attributes=[{"external_id": "u", "kept": 1, name: value}])[0] == 201
    assert twin.profiles == {"u": {"kept": 1}}
    assert len(twin.violations) == 1


def test_a_row_of_an_unknown_user_vanishes(twin: BrazeTwin) -> None:
    """With the flag, and by default with an alias."""
    alias = {"alias_name": "n", "alias_label": "l"}
    assert track(twin, attributes=[{"external_id": "u", "_update_existing_only": True}, {"user_alias": alias}])[0] == 201
    assert twin.profiles == {}
    assert len(twin.violations) == 2
    track(twin, attributes=[{"user_alias": alias, "_update_existing_only": False, "tier": "x"}])
    assert twin.profiles == {"alias:l:n": {"tier": "x"}}


def test_an_address_finds_the_profile_that_had_it_last(twin: BrazeTwin) -> None:
    """Without a primary identifier; no match makes a profile of the address alone."""
    track(twin, attributes=[{"external_id": "u", "email": "a@b.ch"}, {"external_id": "v", "email": "a@b.ch"}])
    track(twin, attributes=[{"email": "a@b.ch", "tier": "x"}, {"phone": "+41441234567", "tier": "y"}])
    assert twin.profiles["v"]["tier"] == "x"
    assert twin.profiles["phone:+41441234567"] == {"phone": "+41441234567", "tier": "y"}


def test_events_and_purchases_are_kept(twin: BrazeTwin) -> None:
    """In the order in which they came; each makes its profile when there is none."""
    event = {"external_id": "u", "name": "n", "time": AT, "properties": {"a": 1}}
    purchase = {"external_id": "u", "product_id": "p", "currency": "EUR", "price": 1.5, "time": AT, "quantity": 2}
    assert track(twin, events=[event], purchases=[purchase]) == (
        201,
        {"message": "success", "events_processed": 1, "purchases_processed": 1},
    )
    assert (twin.events, twin.purchases, twin.violations) == ([event], [purchase], [])


@pytest.mark.parametrize(
    "changes", [{"name": None}, {"time": "soon"}, {"time": None}, {"external_id": ""}],
)  # fmt: skip
def test_an_event_that_braze_refuses(twin: BrazeTwin, changes: dict[str, Any]) -> None:
    """Name, time, identifier."""
    assert track(twin, events=[{"external_id": "u", "name": "n", "time": AT, **changes}])[0] == 400


@pytest.mark.parametrize(
    "changes", [{"price": "1"}, {"price": True}, {"quantity": 101}, {"quantity": 0}, {"quantity": "2"}, {"currency": None}]
)
def test_a_purchase_that_braze_refuses(twin: BrazeTwin, changes: dict[str, Any]) -> None:
    """Price, quantity, currency."""
    purchase = {"external_id": "u", "product_id": "p", "currency": "EUR", "price": 1.5, "time": AT, **changes}
    assert track(twin, purchases=[purchase])[0] == 400


@pytest.mark.parametrize("properties", [{"time": 1}, {"$a": 1}, {"a": None}, {"a": "x" * 256}, {"a": {"b": None}}, {"a": "x" * 200_000}])
def test_properties_that_vanish_are_told(twin: BrazeTwin, properties: dict[str, Any]) -> None:
    """Reserved names, nulls, long texts, too much."""
    assert track(twin, events=[{"external_id": "u", "name": "n", "time": AT, "properties": properties}])[0] == 201
    assert twin.violations


@pytest.mark.parametrize(
    ("groups", "status"),
    [
        ([{"subscription_group_id": "g", "subscription_state": "subscribed", "external_ids": ["u"]}], 201),
        ([{"subscription_group_id": "g", "subscription_state": "subscribed", "phones": ["+41441234567"]}], 201),
        ([{"subscription_group_id": "g", "subscription_state": "subscribed", "phones": ["044 123 45 67"]}], 400),
        ([{"subscription_group_id": "g", "subscription_state": "maybe", "external_ids": ["u"]}], 400),
        ([{"subscription_group_id": "g", "subscription_state": "subscribed", "external_ids": ["u"] * 51}], 400),
        ([{"subscription_group_id": "g", "subscription_state": "subscribed", "emails": ["e"], "phones": ["+41441234567"]}], 400),
        ([], 400),
    ],
)
def test_subscriptions_are_set_whole_or_not(twin: BrazeTwin, groups: list[Any], status: int) -> None:
    """50 users a call, one kind of address, states that exist."""
    assert post(twin, "/v2/subscription/status/set", {"subscription_groups": groups}).status == status
    assert bool(twin.subscriptions) == (status == 201)


@pytest.mark.parametrize("body", [{}, {"external_ids": ["u"] * 51}, {"external_ids": ["u"], "braze_ids": ["b"]}])
def test_a_deletion_has_one_list_of_at_most_50(twin: BrazeTwin, body: dict[str, Any]) -> None:
    """Anything else deletes nobody."""
    track(twin, attributes=[{"external_id": "u"}])
    assert post(twin, "/users/delete", body).status == 400
    assert list(twin.profiles) == ["u"]


@pytest.mark.parametrize(
    ("style", "header", "value"),
    [
        ("retry-after", "x-ratelimit-retry-after", "31"),
        ("delta", "x-ratelimit-reset", "31"),
        ("epoch", "x-ratelimit-reset", str(int(datetime(2026, 3, 1, 13, 0, 1, tzinfo=UTC).timestamp()))),
    ],
)
def test_a_window_that_is_used_up_says_when_it_resets(twin: BrazeTwin, style: Any, header: str, value: str) -> None:
    """On the clock's full hour, in the form that is set."""
    clock = ManualClock(datetime(2026, 3, 1, 12, 59, 30, tzinfo=UTC))
    twin.clock, twin.window_requests, twin.window_seconds, twin.limit_headers = clock, 2, 3600, style
    assert [track(twin, attributes=[{"external_id": "u"}])[0] for _ in range(3)] == [201, 201, 429]
    assert post(twin, "/users/track", {}).headers[header] == value
    clock.sleep(31)
    assert track(twin, attributes=[{"external_id": "u"}])[0] == 201


@pytest.fixture
def running() -> Iterator[BrazeTwin]:
    with BrazeTwin(api_key="planted-key") as twin:
        yield twin


def test_its_state_shows_profiles_and_no_key(running: BrazeTwin) -> None:
    """For people who rehearse their own settings."""
    headers = {**HEADERS, "authorization": "Bearer planted-key"}
    httpx.post(
        f"{running.url}/users/track",
        content=orjson.dumps({"attributes": [{"external_id": "u", "tier": "x"}]}),
        headers=headers,
        timeout=300,
    )
    shown = httpx.get(f"{running.url}/_twin/state", timeout=300)
    assert shown.json()["first_profiles"] == {"u": {"tier": "x"}}
    assert "planted-key" not in shown.text
