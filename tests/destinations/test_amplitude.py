"""Amplitude's file: what leaves for which row. What the answers mean is in `test_amplitude_answers`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from pydantic import ValidationError

from rowferry.destinations._amplitude_settings import AmplitudeSettings
from rowferry.destinations.amplitude import DESTINATION
from rowferry.errors import RowRejected
from rowferry.settings.base import Secret
from rowferry.wire import Response
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
    """Events of user-0, user-1 …"""
    about: dict[str, Any] = {"name": "Viewed", "time": AT}
    return [EVENT.to_payload({"user_id": f"user-{n}", **about}, SETTINGS) for n in range(rows)]


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


# ── The probe ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "body", "is_good"),
    [
        (400, {"error": "Request missing required field", "missing_field": "events"}, True),
        (200, {"code": 200, "events_ingested": 0}, True),
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
