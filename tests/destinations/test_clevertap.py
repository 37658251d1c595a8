"""CleverTap's file: what leaves for which row, and what each of its answers means."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from rowferry.destinations._clevertap_settings import CleverTapSettings
from rowferry.destinations.clevertap import DESTINATION
from rowferry.destinations.port import (
    DELIVERED,
    Again,
    Answer,
    Refused,
    Rejected,
    Settled,
    SlowDown,
    Split,
    TryAgain,
)
from rowferry.errors import RowRejected
from rowferry.settings.base import Secret
from rowferry.settings.problems import to_problems
from rowferry.wire import Response
from support.vendors import clevertap

SETTINGS = clevertap.settings("http://127.0.0.1:1")
PROFILE, EVENT, SUBSCRIPTION, DELETE = (DESTINATION.actions[name] for name in ("profile", "event", "subscription", "delete"))


def profile_of(**fields: Any) -> dict[str, Any]:
    """The profileData that one row of a profile sync becomes."""
    data: dict[str, Any] = orjson.loads(PROFILE.to_payload({"identity": "u1", **fields}, SETTINGS))["profileData"]
    return data


def event_of(settings: CleverTapSettings = SETTINGS, **fields: Any) -> dict[str, Any]:
    """The record that one row of an event sync becomes."""
    record: dict[str, Any] = orjson.loads(EVENT.to_payload({"identity": "u1", "name": "Viewed", "time": 1_700_000_000, **fields}, settings))
    return record


def code_of(action: Any, fields: dict[str, Any], settings: CleverTapSettings = SETTINGS) -> str:
    """The code with which a row is refused before it leaves."""
    with pytest.raises(RowRejected) as refused:
        action.to_payload(fields, settings)
    return refused.value.code


def read(status: int, body: Any, rows: int = 2) -> Answer:
    """What an answer to a batch of events of u0, u1 … means."""
    batch = [EVENT.to_payload({"identity": f"user-{index}", "name": "Viewed", "time": 1}, SETTINGS) for index in range(rows)]
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return EVENT.read(Response(status, raw), batch, SETTINGS, "")


def refused_record(number: int, code: int = 515, text: str = "Email is not valid") -> dict[str, Any]:
    """One entry of `unprocessed`, as recorded from the API."""
    return {"status": "fail", "code": code, "error": f"{text}.Skipped record number : {number}", "record": {}}


# ── Settings ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu1", "api.clevertap.com"),
        ("global", "api.clevertap.com"),
        ("in1", "in1.api.clevertap.com"),
        ("sg1", "sg1.api.clevertap.com"),
        ("us1", "us1.api.clevertap.com"),
        ("aps3", "aps3.api.clevertap.com"),
        ("mec1", "mec1.api.clevertap.com"),
    ],
)
def test_region_chooses_the_host(region: str, host: str) -> None:
    """Each region has its host; Europe's is the bare one."""
    settings = CleverTapSettings.model_validate(
        {"vendor": "clevertap", "region": region, "account_id": "A", "passcode": Secret("env:P", "p")}
    )
    assert EVENT.build([b"{}"], settings).url == f"https://{host}/1/upload"


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"base_url": None}, "region"),
        ({"region": "eu2"}, "region"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"in_flight": 16}, "in_flight"),
        ({"instances": 4, "in_flight": 5}, "in_flight"),
        ({"passcode": "plain-text"}, "passcode"),
        ({"account_id": ""}, "account_id"),
        ({"event_properties": 257}, "event_properties"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], path: str) -> None:
    """Wrong settings fail at check, at the key that is wrong, and without the secret that stood there."""
    raw = {"vendor": "clevertap", "base_url": "http://127.0.0.1:1", "account_id": "A", "passcode": "env:P", **wrong}
    with pytest.raises(ValidationError) as refused:
        CleverTapSettings.model_validate(raw)
    problems = to_problems(refused.value, raw, "", CleverTapSettings)
    assert [problem.path for problem in problems] == [path]
    assert "plain-text" not in f"{refused.value} {problems}"


def test_concurrency_is_shared_among_instances() -> None:
    """There is no rate; all instances together stay below the account's 15 open requests."""
    assert (DESTINATION.pace(SETTINGS).per_second, DESTINATION.pace(SETTINGS).in_flight) == (None, 10)
    assert DESTINATION.pace(clevertap.settings("http://127.0.0.1:1", instances=3)).in_flight == 3
    assert DESTINATION.pace(clevertap.settings("http://127.0.0.1:1", in_flight=15)).in_flight == 15


# ── The map ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("action", "names", "path"),
    [
        ("event", {"name": None, "time": None}, ""),
        ("event", {"identity": "STRING", "objectId": "STRING", "name": None, "time": None}, ""),
        ("event", {"identity": "STRING", "time": "TIMESTAMP"}, "name"),
        ("event", {"identity": "STRING", "name": None}, "time"),
        ("event", {"identity": "STRING", "name": None, "time": None, "price.net": "FLOAT64"}, "price.net"),
        ("profile", {"identity": "STRING", "email": "STRING"}, "email"),
        ("profile", {"identity": "STRING", "msg_sms": "BOOL"}, "msg_sms"),
        ("profile", {"identity": "STRING", "MSG-sms": "STRING"}, "MSG-sms"),
        ("profile", {"identity": "STRING", "tier#": "STRING"}, "tier#"),
        ("profile", {"identity": "STRING", "é" * 61: "STRING"}, "é" * 61),
        ("subscription", {"email": "STRING"}, "status"),
        ("subscription", {"email": "STRING", "phone": "STRING", "status": "BOOL"}, ""),
        ("subscription", {"email": "STRING", "status": "BOOL", "tier": "STRING"}, "tier"),
    ],
)
def test_check_finds_what_can_never_work(action: str, names: dict[str, str | None], path: str) -> None:
    """A map that CleverTap can't take is one problem, at the field that is wrong."""
    assert [problem.path for problem in DESTINATION.actions[action].check(names, SETTINGS)] == [path]


@pytest.mark.parametrize("action", ["profile", "event", "subscription", "delete"])
def test_check_passes_what_works(action: str) -> None:
    """The maps of all the suite's rows have no problem."""
    for fields in clevertap.ROWS[action]:
        assert list(DESTINATION.actions[action].check(dict.fromkeys(fields), SETTINGS)) == []


def test_a_dry_run_does_nothing_in_earnest() -> None:
    """CleverTap has no dry run for consent and deletion, so with dry_run neither check nor a row lets one through."""
    dry = clevertap.settings("http://127.0.0.1:1", dry_run=True)
    for action, row in ((SUBSCRIPTION, {"email": "a@b.co", "status": False}), (DELETE, {"identity": "u1"})):
        assert [problem.path for problem in action.check(dict.fromkeys(row), dry)] == [""]
        assert code_of(action, row, dry) == "dry_run"
    assert EVENT.build([b"{}"], dry).url.endswith("/1/upload?dryRun=1")


# ── Rows ────────────────────────────────────────────────────────────────────────────────────


def test_identifiers_travel_beside_the_properties() -> None:
    """Each identifier stands on the record itself, as text, and is no attribute."""
    assert PROFILE.identifiers(["identity", "Email"], SETTINGS) == {"identity"}
    for name in ("identity", "objectId", "FBID", "GPID"):
        assert orjson.loads(PROFILE.to_payload({name: 42, "tier": "gold"}, SETTINGS)) == {
            "type": "profile",
            name: "42",
            "profileData": {"tier": "gold"},
        }


@pytest.mark.parametrize("fields", [{}, {"identity": None}, {"identity": "  "}])
def test_a_row_without_identity_is_refused(fields: dict[str, Any]) -> None:
    """A row that says nobody is refused by us, though CleverTap would answer 523 for it."""
    assert code_of(PROFILE, {**fields, "tier": "gold"}) == "missing_identifier"


def test_a_row_with_two_identities_is_refused() -> None:
    """Which of two identifiers CleverTap would take is not documented, so neither leaves."""
    assert code_of(PROFILE, {"identity": "u1", "objectId": "d1"}) == "several_identifiers"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("text", "text"),
        (True, True),
        (12, 12),
        (1.5, 1.5),
        (Decimal("12.50"), 12.5),
        (datetime(2017, 2, 20, 7, 45, 52, tzinfo=UTC), "$D_1487576752"),
        (datetime(2017, 2, 20, 7, 45, 52), "$D_1487576752"),  # noqa: DTZ001 - a DATETIME has no zone
        (date(1970, 1, 2), "$D_86400"),
        (date(1969, 12, 31), "$D_-86400"),
        (["b", "a", "b", 1, None, True], ["b", "a", "1", "true"]),
        ({"city": "Köln"}, '{"city":"Köln"}'),
        (None, {"$delete": True}),
        ([], {"$delete": True}),
        ({"$add": ["a", "b"]}, {"$add": ["a", "b"]}),
        ({"$remove": "a"}, {"$remove": ["a"]}),
        ({"$set": ["a"]}, {"$set": ["a"]}),
        ({"$incr": Decimal("2.5")}, {"$incr": 2.5}),
        ({"$decr": 3}, {"$decr": 3}),
        ({"$delete": 1}, {"$delete": True}),
    ],
)
def test_profile_values(value: Any, stored: Any) -> None:
    """Every kind of value leaves the way CleverTap stores it: dates as `$D_`, lists as texts, NULL as a removal."""
    assert profile_of(attribute=value) == {"attribute": stored}


def test_a_date_of_birth_is_a_date_even_from_text() -> None:
    """An ISO text would be stored as text, so DOB is turned into a date, or refused."""
    assert profile_of(DOB="1990-05-17") == {"DOB": "$D_642902400"}
    assert profile_of(DOB="$D_642902400") == {"DOB": "$D_642902400"}
    assert code_of(PROFILE, {"identity": "u1", "DOB": "17.5.1990"}) == "wrong_type"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tier": "x" * 513}, "value_too_long"),
        ({"tier": "é" * 257}, "value_too_long"),
        ({"tags": [f"t{index}" for index in range(101)]}, "too_many_items"),
        ({"tags": ["x" * 513]}, "value_too_long"),
        ({f"p{index}": 1 for index in range(257)}, "too_many_properties"),
        ({"x" * 121: 1}, "name_not_allowed"),
        ({"a:b": 1}, "name_not_allowed"),
        ({"Phone": 35922333232}, "phone_invalid"),
        ({"Phone": "+44+441234"}, "phone_invalid"),
        ({"Phone": "0044 1234"}, "phone_invalid"),
        ({"MSG-email": "false"}, "wrong_type"),
        ({"Email": ["a@b.co"]}, "wrong_type"),
        ({"points": {"$incr": "5"}}, "wrong_type"),
        ({"points": {"$incr": True}}, "wrong_type"),
        ({"points": {"$incr": 1, "$add": ["a"]}}, "operator_unknown"),
        ({"points": {"$push": ["a"]}}, "operator_unknown"),
        ({"score": float("nan")}, "not_a_number"),
        ({"raw": b"bytes"}, "wrong_type"),
    ],
)
def test_profile_rows_that_would_be_spoiled_are_refused(fields: dict[str, Any], code: str) -> None:
    """What CleverTap would cut, drop or store as something else without a word never leaves."""
    assert code_of(PROFILE, {"identity": "u1", **fields}) == code


def test_limits_are_reached_exactly() -> None:
    """A value, a key, a list and a profile at CleverTap's limits still leave."""
    assert profile_of(tier="x" * 512)["tier"] == "x" * 512
    assert profile_of(tier="é" * 256)["tier"] == "é" * 256
    assert len(profile_of(tags=[str(index) for index in range(100)])["tags"]) == 100
    assert len(profile_of(**{f"p{index}": 1 for index in range(256)})) == 256
    assert profile_of(**{"x" * 120: 1}) == {"x" * 120: 1}


def test_what_is_not_documented_can_be_set() -> None:
    """Nested values, removals and system events leave as the settings say."""
    careful = clevertap.settings("http://127.0.0.1:1", nested="reject", unset="reject")
    trusting = clevertap.settings("http://127.0.0.1:1", nested="object", system_events="send")
    assert code_of(PROFILE, {"identity": "u1", "address": {"city": "Köln"}}, careful) == "nested_value"
    assert code_of(PROFILE, {"identity": "u1", "tier": None}, careful) == "unset_refused"
    assert event_of(trusting, tags=["a"], name="App Installed")["evtData"] == {"tags": ["a"]}


def test_an_event_leaves_with_name_time_and_properties() -> None:
    """`ts` is in whole seconds, NULLs are left out, dates are `$D_`, lists are JSON text."""
    record = event_of(time=datetime(2026, 1, 31, 12, 0, 0, 999_999, tzinfo=UTC), when=date(2026, 2, 1), tags=["a"], empty=None)
    assert record == {
        "type": "event",
        "identity": "u1",
        "evtName": "Viewed",
        "ts": 1769860800,
        "evtData": {"when": "$D_1769904000", "tags": '["a"]'},
    }


@pytest.mark.parametrize("fields", [{}, {"time": None}])
def test_an_event_without_a_time_is_refused_or_takes_the_time_of_arrival(fields: dict[str, Any]) -> None:
    """An empty time column does not quietly become the time of arrival, unless the settings say so."""
    arrival = clevertap.settings("http://127.0.0.1:1", missing_time="arrival")
    assert code_of(EVENT, {"identity": "u1", "name": "Viewed", **fields}) == "missing_field"
    assert "ts" not in orjson.loads(EVENT.to_payload({"identity": "u1", "name": "Viewed", **fields}, arrival))


@pytest.mark.parametrize("moment", [0, -5, 1_700_000_000_000, date(1970, 1, 1), "1969-01-01T00:00:00Z"])
def test_times_that_are_no_epoch_seconds_are_refused(moment: Any) -> None:
    """0 earns CleverTap's 525, and nobody knows what it makes of milliseconds."""
    assert code_of(EVENT, {"identity": "u1", "name": "Viewed", "time": moment}) == "time_invalid"


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00", "soon", True, 1.5, b"x"])
def test_times_that_are_none_cost_only_their_row(moment: Any) -> None:
    """Text that is no time, times beyond the calendar, other types: refused, and no crash."""
    assert code_of(EVENT, {"identity": "u1", "name": "Viewed", "time": moment}) == "wrong_type"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (None, "event_name_missing"),
        ("", "event_name_missing"),
        (7, "event_name_missing"),
        ("App Launched", "event_reserved"),
        ("applaunched", "event_reserved"),
        ("notification SENT", "event_reserved"),
        ("App Installed", "event_reserved"),
        ("Order: placed", "name_not_allowed"),
        ("50% off", "name_not_allowed"),
        ("x" * 121, "name_not_allowed"),
    ],
)
def test_event_names_that_can_not_be_stored_are_refused(name: Any, code: str) -> None:
    """Reserved names are compared as CleverTap does, without case and spaces; prohibited characters are named."""
    assert code_of(EVENT, {"identity": "u1", "name": name, "time": 1}) == code


def test_names_that_only_look_reserved_leave() -> None:
    """`app_launched` is not `App Launched` to CleverTap, and a name of 120 characters fits."""
    assert event_of(name="app_launched")["evtName"] == "app_launched"
    assert event_of(name="x" * 120)["evtName"] == "x" * 120


def test_too_many_properties_follow_the_setting() -> None:
    """An event may have 100 properties, or what CleverTap raised the account to."""
    many = {f"p{index}": 1 for index in range(101)}
    assert code_of(EVENT, {"identity": "u1", "name": "Viewed", "time": 1, **many}) == "too_many_properties"
    assert len(event_of(clevertap.settings("http://127.0.0.1:1", event_properties=256), **many)["evtData"]) == 101


def test_a_purchase_keeps_its_items() -> None:
    """Only the Items of Charged leave as a list of objects, their dates as `$D_`, their NULLs left out."""
    items = [{"sku": "A", "on": date(1970, 1, 2), "note": None, "tags": ["x"]}]
    assert event_of(name="Charged", Items=items)["evtData"]["Items"] == [{"sku": "A", "on": "$D_86400", "tags": '["x"]'}]
    assert event_of(name="Viewed", Items=items[:0])["evtData"]["Items"] == "[]"


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ("[]", "items_invalid"),
        ({"sku": "A"}, "items_invalid"),
        (["A"], "items_invalid"),
        ([{"sku": "A"}] * 257, "too_many_items"),
        ([{"sku": "x" * 513}], "value_too_long"),
        ([{"a.b": 1}], "name_not_allowed"),
    ],
)
def test_items_that_are_no_items_are_refused(items: Any, code: str) -> None:
    """Items must be at most 256 flat objects within the limits of any property."""
    assert code_of(EVENT, {"identity": "u1", "name": "Charged", "time": 1, "Items": items}) == code


@pytest.mark.parametrize(
    ("fields", "record"),
    [
        ({"email": "a@b.co", "status": False}, {"type": "email", "value": "a@b.co", "status": "Unsubscribe"}),
        ({"phone": "+4412345678", "status": True}, {"type": "phone", "value": "+4412345678", "status": "Resubscribe"}),
        ({"email": "a@b.co", "status": " UNSUBSCRIBE "}, {"type": "email", "value": "a@b.co", "status": "Unsubscribe"}),
        ({"email": "a@b.co", "status": "subscribe"}, {"type": "email", "value": "a@b.co", "status": "Resubscribe"}),
    ],
)
def test_subscriptions(fields: dict[str, Any], record: dict[str, Any]) -> None:
    """A BOOL or a word says whether an address may be written to; it leaves in CleverTap's spelling."""
    assert orjson.loads(SUBSCRIPTION.to_payload(fields, SETTINGS)) == record


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"email": "a@b.co", "status": "maybe"}, "status_invalid"),
        ({"email": "a@b.co"}, "status_invalid"),
        ({"phone": "12345", "status": False}, "phone_invalid"),
        ({"email": None, "status": False}, "missing_identifier"),
        ({"email": "a@b.co", "phone": "+4412345678", "status": False}, "several_identifiers"),
    ],
)
def test_subscriptions_that_are_not_clear_are_refused(fields: dict[str, Any], code: str) -> None:
    """Consent is never guessed."""
    assert code_of(SUBSCRIPTION, fields) == code


def test_deletions_name_people_and_devices() -> None:
    """Up to 100 a request, identities and CleverTap ids each in a list of their own."""
    batch = [DELETE.to_payload(fields, SETTINGS) for fields in ({"identity": 7}, {"objectId": "d1"}, {"identity": "u2"})]
    request = DELETE.build(batch, SETTINGS)
    assert request.url.endswith("/1/delete/profiles.json")
    assert orjson.loads(request.body) == {"identity": ["7", "u2"], "guid": ["d1"]}
    assert (DELETE.limits(SETTINGS).batch_rows, DESTINATION.remove_action) == (100, "delete")
    assert code_of(DELETE, {"FBID": "f1"}) == "missing_identifier"


# ── Requests ────────────────────────────────────────────────────────────────────────────────


def test_the_request_holds_the_batch_and_both_keys() -> None:
    """Account and passcode go as headers, records under `d`, and repr shows none of it."""
    batch = [PROFILE.to_payload(fields, SETTINGS) for fields in clevertap.ROWS["profile"]]
    request = PROFILE.build(batch, SETTINGS)
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:1/1/upload")
    assert orjson.loads(request.body) == {"d": [orjson.loads(payload) for payload in batch]}
    assert request.headers["X-CleverTap-Account-Id"] == "ABC-123-4567"
    assert request.headers["X-CleverTap-Passcode"] == "passcode-1"
    assert "passcode-1" not in repr(request)
    limits = PROFILE.limits(SETTINGS)
    assert len(request.body) == limits.envelope_bytes + sum(map(len, batch)) + len(batch) - 1
    assert limits.batch_rows == 1000


# ── Answers ─────────────────────────────────────────────────────────────────────────────────


def test_success_delivers_every_row() -> None:
    """`success` with nothing left over: one delivered outcome per row."""
    assert read(200, {"status": "success", "processed": 2, "unprocessed": []}) == Settled([DELIVERED, DELIVERED])


def test_partial_rejects_the_row_that_is_named() -> None:
    """`Skipped record number : 2` is the second row, counted from 1; the first was stored."""
    answer = read(200, {"status": "partial", "processed": 1, "unprocessed": [refused_record(2)]})
    assert answer == Settled([DELIVERED, Rejected("email_invalid", "CleverTap 515: Email is not valid")])


def test_fail_with_every_row_listed_rejects_every_row() -> None:
    """200 with `fail` is no success, whatever the status says."""
    answer = read(200, {"status": "fail", "processed": 0, "unprocessed": [refused_record(1, 513), refused_record(2, 528)]})
    assert isinstance(answer, Settled)
    assert [outcome.code for outcome in answer.outcomes if isinstance(outcome, Rejected)] == ["event_reserved", "event_discarded"]


def test_a_server_fault_of_one_record_is_tried_again() -> None:
    """555 is CleverTap's own fault: that row goes once more, the others are not touched."""
    answer = read(200, {"status": "partial", "processed": 1, "unprocessed": [refused_record(1, 555, "Internal")]})
    assert answer == Settled([Again("CleverTap 555: Internal"), DELIVERED])


@pytest.mark.parametrize("code", [509, 512, 513, 514, 515, 516, 517, 518, 519, 520, 522, 523, 524, 525, 526, 528, 599, "515", None])
def test_every_other_record_code_is_final(code: Any) -> None:
    """Validation failures never pass by waiting, known codes or not."""
    answer = read(200, {"status": "fail", "processed": 0, "unprocessed": [refused_record(1, code)]}, rows=1)
    assert isinstance(answer, Settled)
    assert isinstance(answer.outcomes[0], Rejected)


def test_reasons_never_quote_the_row() -> None:
    """CleverTap may quote what it did not like; the reason has an ellipsis there."""
    batch = [PROFILE.to_payload({"identity": "person-77", "Email": "no-mail", "Phone": "+4412345678"}, SETTINGS)]
    text = "Email no-mail of person-77 is not valid. Skipped record number : 1"
    body = {"status": "fail", "processed": 0, "unprocessed": [{"code": 515, "error": text}]}
    answer = PROFILE.read(Response(200, orjson.dumps(body)), batch, SETTINGS, "")
    assert answer == Settled([Rejected("email_invalid", "CleverTap 515: Email … of … is not valid")])


@pytest.mark.parametrize("status", [200, 400, 401, 413, 429, 500])
def test_reasons_for_a_whole_request_never_quote_a_row(status: int) -> None:
    """The same for what is said of all rows at once."""
    answer = read(status, {"status": "fail", "error": "user-1 is wrong", "code": status if status != 200 else 400})
    assert not isinstance(answer, Settled)
    assert "user-1" not in str(answer)


def test_a_place_can_be_told_without_a_number() -> None:
    """When every row is listed, the order says which is which."""
    answer = read(200, {"status": "fail", "processed": 0, "unprocessed": [{"code": 515, "error": "a"}, {"code": 514, "error": "b"}]})
    assert isinstance(answer, Settled)
    assert [outcome.code for outcome in answer.outcomes if isinstance(outcome, Rejected)] == ["email_invalid", "gender_invalid"]


@pytest.mark.parametrize(
    "body",
    [
        {"status": "partial", "processed": 1, "unprocessed": [{"code": 515, "error": "Email is not valid"}]},
        {"status": "partial", "processed": 1, "unprocessed": [refused_record(3)]},
        {"status": "partial", "processed": 1, "unprocessed": [refused_record(0)]},
        {"status": "partial", "processed": 1, "unprocessed": ["what?"]},
        {"status": "fail", "processed": 0, "unprocessed": [refused_record(1)]},
        {"status": "fail", "processed": 0, "unprocessed": []},
        {"status": "fail", "error": "Invalid event", "code": 400},
    ],
)
def test_an_answer_that_can_not_be_attributed_splits_the_batch(body: dict[str, Any]) -> None:
    """No row is called delivered or rejected on a guess."""
    assert isinstance(read(200, body), Split)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", TryAgain),
        (200, b"<html>hello</html>", TryAgain),
        (200, b'{"status":"succ', TryAgain),
        (200, b"[]", TryAgain),
        (200, {"ok": True}, TryAgain),
        (200, {"status": "fail", "error": "Too many concurrent requests", "code": 429}, SlowDown),
        (200, {"status": "fail", "error": "down", "code": 503}, TryAgain),
        (200, {"status": "fail", "error": "misc", "code": 555}, TryAgain),
        (200, {"status": "fail", "error": "Invalid Credentials", "code": 401}, Refused),
        (201, {"status": "success", "processed": 2, "unprocessed": []}, Settled),
        (202, b"", Settled),
        (204, b"", Settled),
        (202, b"<html>", TryAgain),
        (302, b"", Refused),
        (400, {"status": "fail", "error": "Incorrect Usage", "code": 3}, Split),
        (401, {"status": "fail", "error": "Account ID is not valid", "code": 401}, Refused),
        (403, b"", Refused),
        (404, b"", Refused),
        (405, b"", Refused),
        (408, b"", TryAgain),
        (409, b"", TryAgain),
        (413, b"", Split),
        (429, {"status": "fail", "error": "Too many concurrent requests", "code": 429}, SlowDown),
        (500, b"", TryAgain),
        (502, b"<html>Bad gateway</html>", TryAgain),
        (503, b"", TryAgain),
    ],
)
def test_every_answer_means_one_thing(status: int, body: Any, kind: type[Answer]) -> None:
    """Every documented answer, and what proxies put in its place, leads to one next step."""
    assert isinstance(read(status, body), kind)


def test_a_wrong_key_says_what_to_look_at() -> None:
    """401 also means the wrong region, so the reason names all three settings."""
    answer = read(401, {"status": "fail", "error": "Account ID is not valid", "code": 401})
    assert isinstance(answer, Refused)
    assert "account_id, passcode or region" in answer.reason


def test_the_probe_changes_nothing_and_knows_a_working_key() -> None:
    """The live check asks for the people active now, and says what is wrong when that fails."""
    assert DESTINATION.probe(SETTINGS).url == "http://127.0.0.1:1/1/now.json"
    assert DESTINATION.read_probe(Response(200, b'{"status":"partial","req_id":1}')) is None
    for answer in (Response(200), Response(401, b'{"status":"fail"}'), Response(200, b'{"status":"fail"}'), Response(502, b"<html>")):
        assert "check region" in (DESTINATION.read_probe(answer) or "")


def test_an_echoed_record_with_half_an_emoji_is_an_answer() -> None:
    """CleverTap echoes what it refused, changed; taken for no answer, the batch would be sent again, and its events stored twice."""
    error = '{"status":"fail","code":512,"error":"Bad.Skipped record number : 2","record":{"evtData":{"t":"x\\ud83d"}}}'
    body = f'{{"status":"partial","processed":1,"unprocessed":[{error}]}}'.encode()
    answer = read(200, body)
    assert isinstance(answer, Settled)
    assert answer.outcomes[0] == DELIVERED
    assert isinstance(answer.outcomes[1], Rejected)
