"""Amplitude's file: what leaves for which row, and what each of its answers means."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from pydantic import ValidationError

from rowferry.destinations.amplitude import DESTINATION, AmplitudeSettings
from rowferry.destinations.port import DELIVERED, Again, Answer, Follow, Refused, Rejected, Settled, SlowDown, Split, TryAgain
from rowferry.errors import RowRejected
from rowferry.settings.base import Secret
from rowferry.wire import Request, Response
from support.vendors import amplitude

SETTINGS = amplitude.settings("http://127.0.0.1:1")
EVENT, PROFILE, GROUP, AUDIENCE = (DESTINATION.actions[name] for name in ("event", "profile", "group", "audience"))
AT = 1_772_368_200_000
HTML = b"<html><title>Bad Gateway</title></html>"


def event_of(settings: AmplitudeSettings = SETTINGS, **fields: Any) -> dict[str, Any]:
    """The event that one row becomes."""
    found: dict[str, Any] = orjson.loads(EVENT.to_payload({"user_id": "u1", "name": "Viewed", "time": AT, **fields}, settings))
    return found


def form_of(action: Any, *rows: dict[str, Any], settings: AmplitudeSettings = SETTINGS) -> dict[str, Any]:
    """A request's form, with JSON read."""
    request = action.build([action.to_payload(fields, settings) for fields in rows], settings)
    form = {name: value for name, [value] in parse_qs(request.body.decode(), strict_parsing=True).items()}
    return {**form, "options": orjson.loads(form["options"]), "identification": orjson.loads(form["identification"])}


def user_of(**fields: Any) -> dict[str, Any]:
    """The identification that one row of a profile sync becomes."""
    [found] = form_of(PROFILE, {"user_id": "u1", **fields})["identification"]
    return dict(found)


def code_of(action: Any, fields: dict[str, Any], settings: AmplitudeSettings = SETTINGS) -> str:
    """The code with which a row is refused before it leaves."""
    with pytest.raises(RowRejected) as refused:
        action.to_payload(fields, settings)
    return refused.value.code


def event_code(**fields: Any) -> str:
    """The same for an event that is right but for these fields."""
    return code_of(EVENT, {"user_id": "u1", "name": "Viewed", "time": AT, **fields})


def user_code(**fields: Any) -> str:
    """The same for a profile."""
    return code_of(PROFILE, {"user_id": "u1", **fields})


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


# ── Settings ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("region", "events", "cohorts"),
    [
        ("US", "https://api2.amplitude.com", "https://amplitude.com"),
        ("EU", "https://api.eu.amplitude.com", "https://analytics.eu.amplitude.com"),
    ],
)
def test_region_chooses_the_hosts(region: str, events: str, cohorts: str) -> None:
    """Each region has a host for what is sent and one for cohorts."""
    keys = {"api_key": Secret("env:K", "k"), "secret_key": Secret("env:S", "s")}
    settings = AmplitudeSettings.model_validate({"vendor": "amplitude", "region": region, **keys})
    assert EVENT.build([b"{}"], settings).url == f"{events}/2/httpapi"
    assert PROFILE.build([b"{}"], settings).url == f"{events}/identify"
    assert GROUP.build([b"{}"], settings).url == f"{events}/groupidentify"
    assert AUDIENCE.build([b"{}"], settings).url == f"{cohorts}/api/3/cohorts"


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "eu"},
        {"api_key": "plain-text"},
        {"endpoint": "v1"},
        {"batch_rows": 2001},
        {"min_id_length": 0},
        {"list_characters": 10_001},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    """Wrong settings fail at check, without the secret that stood there."""
    with pytest.raises(ValidationError) as refused:
        AmplitudeSettings.model_validate({"vendor": "amplitude", "api_key": "env:K", **wrong})
    assert "plain-text" not in str(refused.value)


@pytest.mark.parametrize(
    ("endpoint", "rows", "path"),
    [
        ("auto", 1, "/2/httpapi"),
        ("auto", 100, "/2/httpapi"),
        ("auto", 101, "/batch"),
        ("batch", 1, "/batch"),
        ("http_v2", 1000, "/2/httpapi"),
    ],
)
def test_volume_chooses_the_endpoint(endpoint: str, rows: int, path: str) -> None:
    """A webhook's few rows are to be seen at once; a sync's many go where the limits are wide."""
    settings = amplitude.settings("http://127.0.0.1:1", endpoint=endpoint)
    assert EVENT.build(batch_of(1) * rows, settings).url == f"http://127.0.0.1:1{path}"


def test_a_large_event_goes_to_batch_or_is_refused() -> None:
    """An event over HTTP V2's 1 MB fits into Batch's 20 MB; with http_v2 alone it can't leave."""
    large = {f"p{n}": "x" * 1000 for n in range(1100)}
    payload = EVENT.to_payload({"user_id": "u1", "name": "Viewed", "time": AT, **large}, SETTINGS)
    assert EVENT.build([payload], SETTINGS).url.endswith("/batch")
    v2 = amplitude.settings("http://127.0.0.1:1", endpoint="http_v2")
    assert code_of(EVENT, {"user_id": "u1", "name": "Viewed", "time": AT, **large}, v2) == "row_too_large"
    assert EVENT.limits(v2).body_bytes == 1_000_000


def test_limits_and_pace_can_be_set() -> None:
    """Rows a request, requests a second and in flight are as the settings say."""
    own = amplitude.settings("http://127.0.0.1:1", batch_rows=2000, identify_rows=50, per_second=5, in_flight=2)
    assert (EVENT.limits(own).batch_rows, PROFILE.limits(own).batch_rows, GROUP.limits(own).batch_rows) == (2000, 50, 1024)
    assert (DESTINATION.pace(own).per_second, DESTINATION.pace(own).in_flight) == (5, 2)


# ── The map ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("action", "names", "path"),
    [
        ("event", {"name": None, "time": None}, ""),
        ("event", {"user_id": "STRING", "time": None}, "name"),
        ("event", {"user_id": "STRING", "name": None}, "time"),
        ("event", {"user_id": "STRING", "name": None, "time": None, "event_type": None}, "event_type"),
        ("event", {"user_id": "STRING", "name": None, "time": None, "productId": None}, "productId"),
        ("event", {"user_id": "STRING", "name": None, "time": None, "insertId": None}, "insertId"),
        ("event", {"user_id": "STRING", "name": None, "time": None, "group_properties": None}, "group_properties"),
        ("profile", {"tier": "STRING"}, ""),
        ("profile", {"user_id": "STRING", "$increment": "JSON"}, "$increment"),
        ("profile", {"user_id": "STRING", "deviceId": "STRING"}, "deviceId"),
        ("group", {"group_type": "STRING"}, "group_value"),
        ("group", {"group_type": "STRING", "group_value": "STRING", "$remove": "JSON"}, "$remove"),
        ("audience", {"audience": "STRING", "member": "BOOL"}, "user_id"),
        ("audience", {"user_id": "STRING", "audience": "STRING", "member": "BOOL", "tier": "STRING"}, "tier"),
    ],
)
def test_check_finds_what_can_never_work(action: str, names: dict[str, str | None], path: str) -> None:
    """A map that Amplitude can't take is one problem, at the field that is wrong."""
    assert [problem.path for problem in DESTINATION.actions[action].check(names, SETTINGS)] == [path]


def test_an_audience_needs_the_secret_key() -> None:
    """The API key only writes events: neither check nor a row lets an audience through without the other one."""
    settings = AmplitudeSettings.model_validate({"vendor": "amplitude", "api_key": "env:K"})
    row = {"user_id": "u1", "audience": "vip", "member": True}
    assert [problem.path for problem in AUDIENCE.check(dict.fromkeys(row), settings)] == [""]
    assert code_of(AUDIENCE, row, settings) == "missing_secret_key"


# ── Events ──────────────────────────────────────────────────────────────────────────────────


def test_an_event_leaves_whole() -> None:
    """Amplitude's own fields stand on the event, everything else in event_properties, NULLs nowhere."""
    found = event_of(
        device_id="d1",
        time=datetime(2026, 3, 1, 12, 30, 0, 123_456, tzinfo=UTC),
        insert_id="i1",
        price=Decimal("9.90"),
        quantity=Decimal(2),
        productId="sku",
        currency="eur",
        session_id="1772368200000",
        groups={"company": ["Acme", 7], "none": None},
        user_properties={"tier": "gold", "old": None},
        colour="red",
        on=date(2026, 2, 1),
        note=None,
    )
    assert found == {
        "user_id": "u1",
        "device_id": "d1",
        "event_type": "Viewed",
        "time": 1_772_368_200_123,
        "insert_id": "i1",
        "price": 9.9,
        "quantity": 2,
        "productId": "sku",
        "currency": "EUR",
        "session_id": 1_772_368_200_000,
        "groups": {"company": ["Acme", "7"]},
        "user_properties": {"tier": "gold"},
        "event_properties": {"colour": "red", "on": "2026-02-01"},
    }


def test_the_envelope_holds_key_and_options() -> None:
    """The key stands in the body, min_id_length holds for the request."""
    request = EVENT.build([b"{}"], amplitude.settings("http://127.0.0.1:1", min_id_length=3))
    assert orjson.loads(request.body) == {"api_key": "amplitude-key", "options": {"min_id_length": 3}, "events": [{}]}
    assert request.headers == {"content-type": "application/json"}


def test_an_object_of_properties_is_taken_apart() -> None:
    """A column event_properties, as Amplitude's own import has it, joins the others; a name in both is refused."""
    assert event_of(event_properties={"a": 1, "b": None}, c=2)["event_properties"] == {"a": 1, "c": 2}
    assert event_code(event_properties={"a": 1}, a=2) == "conflicting_fields"
    assert event_code(event_properties='{"a": 1}') == "wrong_type"


def test_an_anonymous_event_is_its_devices() -> None:
    """A user that is NULL beside a device is an event before the sign-up; with neither it is nobody's."""
    assert event_of(user_id=None, device_id="d1")["device_id"] == "d1"
    assert event_code(user_id=None, device_id=None) == "missing_identifier"


def test_identifiers_become_text() -> None:
    """Numbers were taken with 200 and never seen (Amplitude-Node #63)."""
    assert event_of(user_id=4711)["user_id"] == "4711"


@pytest.mark.parametrize(
    "who", ["anonymous", "Anonymous", "NULL", "None", "n/a", "undefined", "unknown", 0, -1, "00000000-0000-0000-0000-000000000000", "{}"]
)
def test_nobodies_are_refused(who: Any) -> None:
    """One of these would turn the whole request into a 400."""
    assert event_code(user_id=who) == "identifier_not_allowed"


def test_min_id_length_is_the_settings() -> None:
    """By default everything leaves; with Amplitude's own 5 a shorter id is refused here, not with its whole batch."""
    strict = amplitude.settings("http://127.0.0.1:1", min_id_length=5)
    assert event_of(user_id="x")["user_id"] == "x"
    assert event_of(strict, user_id="12345")["user_id"] == "12345"
    assert code_of(EVENT, {"user_id": "1234", "name": "Viewed", "time": AT}, strict) == "identifier_too_short"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": None}, "missing_field"),
        ({"name": " "}, "missing_field"),
        ({"name": "$identify"}, "name_reserved"),
        ({"name": "[Amplitude] Revenue"}, "name_reserved"),
        ({"time": None}, "missing_field"),
        ({"time": 1_772_368_200}, "time_invalid"),
        ({"time": "1.3.2026"}, "wrong_type"),
        ({"time": date(1970, 1, 1)}, "time_invalid"),
        ({"time": True}, "wrong_type"),
        ({"insert_id": ""}, "missing_field"),
        ({"ip": "$remote"}, "not_allowed"),
        ({"session_id": "abc"}, "wrong_type"),
        ({"quantity": Decimal("1.5")}, "wrong_type"),
        ({"price": "9.90"}, "wrong_type"),
        ({"price": float("nan")}, "not_a_number"),
        ({"productId": "sku"}, "missing_field"),
        ({"currency": "Euro", "price": 1}, "not_allowed"),
        ({"price": 10, "quantity": 2, "revenue": 10}, "conflicting_fields"),
        ({"groups": {str(n): "a" for n in range(6)}}, "too_many_groups"),
        ({"groups": {"company": [str(n) for n in range(11)]}}, "too_many_groups"),
        ({"groups": "Acme"}, "wrong_type"),
        ({"group_properties": {"a": 1}}, "name_not_allowed"),
        ({"event_type": "Viewed"}, "name_not_allowed"),
        ({"plan": {"branch": "main", "other": "x"}}, "not_allowed"),
        ({"user_properties": {"$add": {"n": 1}}}, "not_allowed"),
        ({"$skip_user_properties_sync": "true"}, "wrong_type"),
        ({"colour": "x" * 1025}, "value_too_long"),
        ({"colour": "🐘" * 513}, "value_too_long"),
        ({"colour": ["x" * 1025]}, "value_too_long"),
        ({"user_id": "x" * 1025}, "value_too_long"),
        ({"colour": b"x"}, "wrong_type"),
    ],
)
def test_events_that_would_be_spoiled_are_refused(fields: dict[str, Any], code: str) -> None:
    """What Amplitude would cut, drop or misread behind a 200, or refuse a whole batch for, never leaves."""
    assert event_code(**fields) == code


def test_limits_are_reached_exactly() -> None:
    """Text of 1,024 characters, five types of ten groups and 40 levels still leave; a level more does not."""
    assert event_of(a="x" * 1024, b="🐘" * 512)["event_properties"] == {"a": "x" * 1024, "b": "🐘" * 512}
    groups = {str(kind): [str(n) for n in range(10)] for kind in range(5)}
    assert event_of(groups=groups)["groups"] == groups

    def nested(levels: int) -> Any:
        return {"in": nested(levels - 1)} if levels > 1 else "end"

    assert event_of(deep=nested(40))["event_properties"] == {"deep": nested(40)}
    assert event_code(deep=nested(41)) == "nested_too_deep"


def test_revenue_that_agrees_leaves() -> None:
    """Price, quantity and revenue together are right when they say the same."""
    assert event_of(price=Decimal("0.10"), quantity=3, revenue=Decimal("0.30"))["revenue"] == 0.3
    assert event_of(price=-5)["price"] == -5.0


def test_a_backfill_can_leave_users_alone() -> None:
    """With the constant true, old events do not overwrite what users have now."""
    constant: dict[str, Any] = {"$skip_user_properties_sync": True}
    assert event_of(**constant)["$skip_user_properties_sync"] is True


def test_events_repeat_safely() -> None:
    """The engine fills insert_id, with which a repeat is a no-op at Amplitude."""
    assert (EVENT.idempotency, EVENT.repeats_safely) == ("insert_id", True)


# ── Users and groups ────────────────────────────────────────────────────────────────────────


def test_a_profile_is_a_form() -> None:
    """Key, options and a JSON list of identifications, all form-encoded; several rows stand in one list."""
    rows = [{"user_id": "Zoë & co+", "tier": "gold; 100 %"}, {"user_id": "u2", "tier": "=1"}]
    request = PROFILE.build([PROFILE.to_payload(row, SETTINGS) for row in rows], SETTINGS)
    assert request.headers == {"content-type": "application/x-www-form-urlencoded"}
    assert form_of(PROFILE, *rows) == {
        "api_key": "amplitude-key",
        "options": {"min_id_length": 1},
        "identification": [
            {"user_id": "Zoë & co+", "user_properties": {"$set": {"tier": "gold; 100 %"}}},
            {"user_id": "u2", "user_properties": {"$set": {"tier": "=1"}}},
        ],
    }


def test_operators_stand_apart() -> None:
    """Plain values are $set, NULL is $unset, operators are given per property or as Amplitude's own objects."""
    found = user_of(
        tier="gold",
        old=None,
        points={"$add": Decimal("2.5")},
        visits={"$add": 1},
        tags={"$append": ["a"]},
        seen={"$preInsert": "x"},
        gone={"$unset": True},
        **{"$setOnce": {"source": "shop", "first": date(2026, 1, 2)}, "$remove": {"likes": "b"}},
    )
    assert found["user_properties"] == {
        "$set": {"tier": "gold"},
        "$unset": {"old": "-", "gone": "-"},
        "$add": {"points": 2.5, "visits": 1},
        "$append": {"tags": ["a"]},
        "$preInsert": {"seen": "x"},
        "$setOnce": {"source": "shop", "first": "2026-01-02"},
        "$remove": {"likes": "b"},
    }


def test_amplitudes_own_fields_of_a_user_stand_beside_the_properties() -> None:
    """Country, groups and their like are no custom properties."""
    assert user_of(country="CH", groups={"company": "Acme"}, paying=True, tier="gold") == {
        "user_id": "u1",
        "country": "CH",
        "groups": {"company": "Acme"},
        "paying": "true",
        "user_properties": {"$set": {"tier": "gold"}},
    }


def test_an_object_of_user_properties_is_taken_apart() -> None:
    """A column user_properties joins the others."""
    assert user_of(user_properties={"a": 1, "b": {"$add": 2}, "c": None}, d=3)["user_properties"] == {
        "$set": {"a": 1, "d": 3},
        "$add": {"b": 2},
        "$unset": {"c": "-"},
    }


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"points": {"$add": "5"}}, "wrong_type"),
        ({"points": {"$add": None}}, "missing_field"),
        ({"points": {"$increment": 1}}, "operator_unknown"),
        ({"points": {"$add": 1, "$set": 2}}, "operator_unknown"),
        ({"points": {"$add": 1, "other": 2}}, "operator_unknown"),
        ({"$clearAll": {"points": 1}}, "operator_unknown"),
        ({"$set": {"$add": 1}}, "operator_unknown"),
        ({"$set": "gold"}, "wrong_type"),
        ({"tier": 1, "$setOnce": {"tier": 2}}, "conflicting_fields"),
        ({"country": None}, "unset_refused"),
        ({"tags": ["x" * 600, "y" * 600]}, "value_too_long"),
        ({"tier": "x" * 1025}, "value_too_long"),
        ({"user_id": None, "device_id": "d1"}, "missing_identifier"),
    ],
)
def test_profiles_that_would_be_spoiled_are_refused(fields: dict[str, Any], code: str) -> None:
    """Unknown and mixed operators, cut values, and a device in the place of a user that is NULL never leave."""
    assert user_code(**fields) == code


def test_longer_lists_can_be_allowed() -> None:
    """Whether a list's first write is cut at 1,024 characters can be set, up to the 10,000 that are kept."""
    settings = amplitude.settings("http://127.0.0.1:1", list_characters=10_000)
    assert PROFILE.to_payload({"user_id": "u1", "tags": ["x" * 1000] * 9}, settings)
    assert code_of(PROFILE, {"user_id": "u1", "tags": ["x" * 1000] * 10}, settings) == "value_too_long"


def test_a_group_is_a_form_as_well() -> None:
    """Type and value say which group; operators are those that groups have."""
    [found] = form_of(GROUP, {"group_type": "company", "group_value": 17, "seats": {"$add": 2}, "plan": "gold", "old": None})[
        "identification"
    ]
    assert found == {
        "group_type": "company",
        "group_value": "17",
        "group_properties": {"$add": {"seats": 2}, "$set": {"plan": "gold"}, "$unset": {"old": "-"}},
    }
    assert code_of(GROUP, {"group_type": "company", "group_value": "A", "tags": {"$remove": "x"}}) == "operator_unknown"
    assert code_of(GROUP, {"group_type": "company", "group_value": None}) == "missing_field"
    assert code_of(GROUP, {"group_type": "c", "group_value": "A", **{f"p{n}": n for n in range(1025)}}) == "too_many_properties"


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


# ── The probe ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "body", "is_good"),
    [
        (400, {"error": "Request missing required field", "missing_field": "events"}, True),
        (200, taken(0), True),
        (400, {"error": "Invalid API key: x"}, False),
        (400, HTML, False),
        (403, {"error": "Forbidden"}, False),
        (500, {}, False),
    ],
)
def test_the_probe_is_read(status: int, body: Any, is_good: bool) -> None:
    """A request without events tells a good key from a bad one."""
    found = DESTINATION.read_probe(Response(status, body if isinstance(body, bytes) else orjson.dumps(body)))
    assert (found is None) is is_good
