"""Braze: what leaves, what is refused before it leaves, and what each answer means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest
from pydantic import ValidationError

from rowferry.clock import ManualClock
from rowferry.destinations._braze_settings import BrazeSettings
from rowferry.destinations.braze import DESTINATION
from rowferry.destinations.port import (
    DELIVERED,
    Again,
    Answer,
    Delivered,
    Fields,
    Follow,
    Refused,
    Rejected,
    Settled,
    SlowDown,
    Split,
    TryAgain,
)
from rowferry.errors import RowRejected
from rowferry.settings.base import Secret
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.sender import Stopped, TinySender
from support.vendors import braze as examples

KEY = Secret("env:BRAZE_KEY", "braze-key")
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def settings(**changes: Any) -> BrazeSettings:
    return BrazeSettings.model_validate({"vendor": "braze", "instance": "EU-01", "api_key": KEY, **changes})


def payload(action: str, fields: Fields, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(DESTINATION.actions[action].to_payload(fields, settings(**changes)))
    return found


def problems(action: str, names: dict[str, str | None], **changes: Any) -> list[str]:
    return [str(problem) for problem in DESTINATION.actions[action].check(names, settings(**changes))]


def read(status: int, body: Any, rows: int = 3, action: str = "profile", headers: dict[str, str] | None = None) -> Answer:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return DESTINATION.actions[action].read(Response(status, content, headers or {}), [b"{}"] * rows, settings(), "")


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    with BrazeTwin(api_key="braze-key") as twin:
        yield twin


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=300) as client:
        yield client


def sender(action: str, twin: BrazeTwin, client: httpx.Client, **changes: Any) -> TinySender:
    return TinySender(DESTINATION.actions[action], examples.settings(twin.url).model_copy(update=changes), client)


# ── Settings ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("instance", "host"),
    [
        ("US-01", "https://rest.iad-01.braze.com"),
        ("US-08", "https://rest.iad-08.braze.com"),
        ("US-10", "https://rest.us-10.braze.com"),
        ("EU-01", "https://rest.fra-01.braze.eu"),
        ("EU-02", "https://rest.fra-02.braze.eu"),
        ("AU-01", "https://rest.au-01.braze.com"),
        ("JP-01", "https://rest.jp-01.braze.com"),
    ],
)
def test_an_instance_has_its_host(instance: str, host: str) -> None:
    """The hosts are those of Braze's table; the European ones end in .eu."""
    request = DESTINATION.actions["profile"].build([b"{}"], settings(instance=instance))
    assert request.url == f"{host}/users/track"


def test_a_base_url_overrides_the_instance() -> None:
    """An instance that Braze opens tomorrow can be reached today, and a slash at the end does no harm."""
    request = DESTINATION.actions["profile"].build([b"{}"], settings(base_url="https://rest.us-09.braze.com/"))
    assert request.url == "https://rest.us-09.braze.com/users/track"


@pytest.mark.parametrize(
    "changes",
    [{"instance": None}, {"instance": "EU-09"}, {"api_key": "plain-key"}, {"batch_rows": 76}, {"batch_rows": 0}, {"surprise": 1}],
)
def test_settings_that_can_not_work_are_refused(changes: dict[str, Any]) -> None:
    """No address, an unknown instance, a key in plain text, more objects than Braze takes, an unknown key."""
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    assert "plain-key" not in str(caught.value)


# ── Who a row is for ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["external_id", "email", "phone"], {"external_id"}),
        (["braze_id", "tier"], {"braze_id"}),
        (["tier", "alias_label", "alias_name"], {"alias_name", "alias_label"}),
        (["user_alias"], {"user_alias"}),
        (["phone", "email"], {"email"}),
        (["phone"], {"phone"}),
        (["tier"], set()),
        (["external_id", "braze_id"], set()),
    ],
)
def test_one_identifier_says_who(names: list[str], expected: set[str]) -> None:
    """A primary identifier wins over an address, email over phone; beside a primary an address is an attribute."""
    assert DESTINATION.actions["profile"].identifiers(names, settings()) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"external_id": "u1", "email": "a@b.ch"}, {"external_id": "u1", "email": "a@b.ch"}),
        ({"external_id": 41}, {"external_id": "41"}),
        ({"external_id": "0041"}, {"external_id": "0041"}),
        ({"external_id": "é" * 493}, {"external_id": "é" * 493}),
        ({"email": "a@b.ch", "phone": "+41441234567"}, {"email": "a@b.ch", "phone": "+41441234567"}),
        (
            {"alias_name": "n", "alias_label": "l"},
            {"user_alias": {"alias_name": "n", "alias_label": "l"}, "_update_existing_only": False},
        ),
        (
            {"user_alias": {"alias_name": "n", "alias_label": "l"}},
            {"user_alias": {"alias_name": "n", "alias_label": "l"}, "_update_existing_only": False},
        ),
    ],
)
def test_the_identifier_stands_in_the_object(fields: Fields, expected: dict[str, Any]) -> None:
    """As text, and with an alias the flag is always written: left out, Braze would drop unknown aliases."""
    assert payload("profile", fields) == expected


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"external_id": None, "email": "a@b.ch"}, "missing_identifier"),
        ({"external_id": "  "}, "missing_identifier"),
        ({"tier": "gold"}, "missing_identifier"),
        ({"external_id": 1.5}, "wrong_type"),
        ({"external_id": True}, "wrong_type"),
        ({"external_id": "é" * 494}, "identifier_too_long"),
        ({"external_id": "u1", "braze_id": "b1"}, "conflicting_identifiers"),
        ({"external_id": "u1", "alias_name": "n"}, "conflicting_identifiers"),
        ({"alias_name": "n"}, "missing_identifier"),
        ({"user_alias": {"alias_name": "n"}}, "wrong_type"),
        ({"user_alias": "n"}, "wrong_type"),
    ],
)
def test_a_row_of_nobody_or_of_two_is_rejected(fields: Fields, code: str) -> None:
    """An empty identifier is never replaced by the next best: the row would reach somebody else."""
    with pytest.raises(RowRejected) as caught:
        payload("profile", fields)
    assert caught.value.code == code


def test_existing_profiles_only_is_told_to_braze() -> None:
    """The setting stands in every object; events have it too."""
    assert payload("profile", {"external_id": "u1"}, update_existing_only=True)["_update_existing_only"] is True
    assert payload("event", {"external_id": "u1", "name": "n", "time": AT}, update_existing_only=True)["_update_existing_only"] is True
    assert "_update_existing_only" not in payload("profile", {"external_id": "u1"})


# ── Attributes ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("tier", "gold", "gold"),
        ("tier", "", ""),
        ("tier", None, None),
        ("tier", "🐘" * 255, "🐘" * 255),
        ("visits", 3, 3),
        ("vip", False, False),
        ("ltv", Decimal("19.90"), 19.9),
        ("seen_at", AT, "2026-03-01T12:30:00Z"),
        ("joined", date(2026, 3, 1), "2026-03-01"),
        ("opens", time(9, 30), "09:30:00"),
        ("likes", ["a", "b"], ["a", "b"]),
        ("days", [date(2026, 3, 1)], ["2026-03-01"]),
        ("address", {"city": "Bern", "since": date(2020, 1, 1)}, {"city": "Bern", "since": {"$time": "2020-01-01"}}),
        ("pets", [{"name": "Rex", "born": AT}], [{"name": "Rex", "born": {"$time": "2026-03-01T12:30:00Z"}}]),
        ("likes", {"add": ["c"]}, {"add": ["c"]}),
        ("first_name", "Ada", "Ada"),
        ("dob", date(1990, 12, 10), "1990-12-10"),
        ("dob", "1990-12-10", "1990-12-10"),
        ("gender", "F", "F"),
        ("country", "de", "DE"),
        ("time_zone", "Europe/Berlin", "Europe/Berlin"),
        ("image_url", "x" * 1024, "x" * 1024),
        ("email_subscribe", "opted_in", "opted_in"),
        ("email_open_tracking_disabled", True, True),
        ("date_of_first_session", AT, "2026-03-01T12:30:00Z"),
        ("current_location", {"longitude": Decimal("7.4"), "latitude": 46.9}, {"longitude": 7.4, "latitude": 46.9}),
        ("email", None, None),
        ("_merge_objects", True, True),
    ],
)
def test_an_attribute_leaves_as_braze_wants_it(name: str, value: Any, expected: Any) -> None:
    """Standard and custom attributes of every type; None unsets, empty text stays empty text."""
    assert payload("profile", {"external_id": "u1", name: value}) == {"external_id": "u1", name: expected}


@pytest.mark.parametrize(
    ("name", "value", "code", "limit"),
    [
        ("tier", "x" * 256, "text_too_long", "255"),
        ("first_name", "x" * 256, "text_too_long", "255"),
        ("image_url", "x" * 1025, "text_too_long", "1024"),
        ("phone", 41441234567, "wrong_type", "text"),
        ("likes", ["x"] * 501, "array_too_long", "500"),
        ("likes", ["x" * 250] * 450, "value_too_large", "100000"),
        ("likes", ["x", None], "null_inside", "null"),
        ("likes", ["x", {"a": 1}], "wrong_type", "mixture"),
        ("likes", [["x"]], "wrong_type", "no arrays"),
        ("likes", {"add": ["x"] * 501}, "array_too_long", "500"),
        ("count", {"inc": 1}, "not_repeatable", "inc"),
        ("pets", {"$add": [{"id": 1}]}, "not_repeatable", "$add"),
        ("address", {"city": None}, "null_inside", "null"),
        ("address", {"home city": "Bern"}, "bad_key", "blanks"),
        ("address", {"": "Bern"}, "bad_key", "255"),
        ("address", {"city": "x" * 256}, "text_too_long", "255"),
        ("address", {f"k{i}": "x" * 250 for i in range(200)}, "value_too_large", "50000"),
        ("until", date(9999, 12, 31), "time_out_of_range", "3000"),
        ("score", float("nan"), "not_a_number", "NaN"),
        ("score", 2**60, "number_too_large", "2^53"),
        ("raw", b"x", "wrong_type", "BYTES"),
        ("country", "Germany", "not_allowed", "ISO 3166"),
        ("country", "UK", "not_allowed", "GB"),
        ("gender", "female", "not_allowed", "M, F, O, N, P"),
        ("time_zone", "+02:00", "not_allowed", "IANA"),
        ("dob", "10.12.1990", "wrong_type", "YYYY-MM-DD"),
        ("dob", "1990-02-31", "wrong_type", "YYYY-MM-DD"),
        ("dob", AT, "wrong_type", "YYYY-MM-DD"),
        ("email_subscribe", "yes", "not_allowed", "opted_in"),
        ("email_open_tracking_disabled", "true", "wrong_type", "BOOL"),
        ("current_location", "7,46", "wrong_type", "object"),
        ("push_tokens", {"token": "x"}, "wrong_type", "array"),
        ("tier", "\ud800", "not_json", "JSON"),
        ("bio", "x", "bad_name", "reserved"),
        ("email_subscription_info", "x", "bad_name", "reserved"),
        (" tier", "x", "bad_name", "blanks"),
        ("x" * 256, "x", "bad_name", "255"),
    ],
)
def test_what_a_201_would_hide_is_rejected_with_the_limit(name: str, value: Any, code: str, limit: str) -> None:
    """Braze cuts, drops or misreads these without a word, so they never leave."""
    with pytest.raises(RowRejected) as caught:
        payload("profile", {"external_id": "u1", name: value})
    assert caught.value.code == code
    assert limit in caught.value.reason


def test_older_workspaces_keep_shorter_arrays() -> None:
    """`array_items` is a setting, since workspaces differ."""
    with pytest.raises(RowRejected, match="25"):
        payload("profile", {"external_id": "u1", "likes": ["x"] * 26}, array_items=25)


# ── Maps ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("birthday", "dob"),
        ("Birth_Date", "dob"),
        ("First Name", "first_name"),
        ("firstName", "first_name"),
        ("surname", "last_name"),
        ("City", "home_city"),
        ("e-mail", "email"),
        ("mobile", "phone"),
        ("timezone", "time_zone"),
        ("sex", "gender"),
        ("locale", "language"),
        ("ExternalId", "external_id"),
    ],
)
def test_near_duplicates_of_standard_names_are_problems(name: str, meant: str) -> None:
    """They would become custom attributes while the standard field stays as it was; a setting allows them."""
    [problem] = problems("profile", {"external_id": "STRING", name: "STRING"})
    assert f"did you mean {meant}?" in problem
    assert problems("profile", {"external_id": "STRING", name: "STRING"}, near_duplicates="allow") == []


@pytest.mark.parametrize(
    ("action", "names", "text"),
    [
        ("profile", {}, "needs external_id"),
        ("profile", {"tier": None}, "needs external_id"),
        ("profile", {"external_id": None, "braze_id": None}, "one identifier"),
        ("profile", {"alias_name": None}, "alias_label: is missing"),
        ("profile", {"external_id": None, "purchases": None}, "reserved"),
        ("profile", {"external_id": None, "phone": "INT64"}, "phone: is INT64, and Braze takes STRING"),
        ("profile", {"external_id": None, "dob": "TIMESTAMP"}, "DATE or STRING"),
        ("profile", {"external_id": None, "push_tokens": "STRUCT<a STRING>"}, "takes ARRAY"),
        ("profile", {"external_id": None, "place": "GEOGRAPHY"}, "no type for"),
        ("event", {"external_id": None, "name": None}, "time: is missing"),
        ("event", {"external_id": None, "name": None, "time": None, "event_name": None}, "reserved"),
        ("event", {"external_id": None, "name": None, "time": None, "$total": None}, "start with $"),
        ("purchase", {"external_id": None, "product_id": None, "currency": None, "price": None}, "time: is missing"),
        ("subscription", {"external_id": None, "subscription_state": None}, "subscription_group_id: is missing"),
        ("subscription", {"external_id": None, "email": None, "subscription_group_id": None, "subscription_state": None}, "exactly one"),
        ("subscription", {"email": None, "subscription_group_id": None, "subscription_state": None, "tier": None}, "not a field"),
        ("delete", {"email": None}, "external_id, braze_id or alias only"),
    ],
)
def test_a_map_that_can_not_work_is_a_problem(action: str, names: dict[str, str | None], text: str) -> None:
    """`check` says so before anything runs, and says what to do."""
    assert any(text in problem for problem in problems(action, names))


@pytest.mark.parametrize(
    "names",
    [
        {"external_id": "INT64", "dob": "DATE", "tier": "STRING", "ltv": "NUMERIC(10, 2)", "address": "STRUCT<city STRING>", "vip": "BOOL"},
        {"email": "STRING", "phone": "STRING", "current_location": "JSON", "subscription_groups": "ARRAY<STRUCT<a STRING>>"},
    ],
)
def test_a_good_map_has_no_problems(names: dict[str, str | None]) -> None:
    """Types of BigQuery with their parameters are understood."""
    assert problems("profile", names) == []


# ── Events, purchases, subscriptions, deletion ──────────────────────────────────────────────


def test_an_event_has_its_properties() -> None:
    """What is neither the event's own nor the identifier is a property; NULLs are left out."""
    fields: Fields = {
        "external_id": "u1", "name": "Order", "time": "2026-03-01T13:30:00+01:00", "app_id": "a1", "email": "a@b.ch",
        "total": Decimal("12.5"), "items": ["a", "b"], "when": AT, "cart": {"on": AT}, "note": None,
    }  # fmt: skip
    assert payload("event", fields) == {
        "external_id": "u1",
        "name": "Order",
        "time": "2026-03-01T12:30:00Z",
        "app_id": "a1",
        "properties": {
            "email": "a@b.ch",
            "total": 12.5,
            "items": ["a", "b"],
            "when": "2026-03-01T12:30:00Z",
            "cart": {"on": "2026-03-01T12:30:00Z"},
        },
    }


def test_a_purchase_has_price_and_quantity() -> None:
    """The currency in capitals, a number as product id as text."""
    fields: Fields = {
        "external_id": "u1", "product_id": 77, "currency": "eur", "price": Decimal("9.90"), "quantity": 2, "time": AT, "size": "L",
    }  # fmt: skip
    assert payload("purchase", fields) == {
        "external_id": "u1",
        "product_id": "77",
        "currency": "EUR",
        "price": 9.9,
        "quantity": 2,
        "time": "2026-03-01T12:30:00Z",
        "properties": {"size": "L"},
    }


EVENT: Fields = {"external_id": "u1", "name": "Order", "time": AT}
PURCHASE: Fields = {"external_id": "u1", "product_id": "p", "currency": "EUR", "price": 1, "time": AT}
SUBSCRIPTION: Fields = {"external_id": "u1", "subscription_group_id": "g", "subscription_state": "subscribed"}


@pytest.mark.parametrize(
    ("action", "row", "changes", "code"),
    [
        ("event", EVENT, {"name": None}, "missing_field"),
        ("event", EVENT, {"name": "x" * 256}, "text_too_long"),
        ("event", EVENT, {"time": None}, "missing_field"),
        ("event", EVENT, {"time": "soon"}, "wrong_type"),
        ("event", EVENT, {"time": 1767225600}, "wrong_type"),
        ("event", EVENT, {"event_name": "x"}, "bad_name"),
        ("event", EVENT, {"$x": "x"}, "bad_name"),
        ("event", EVENT, {"note": "x" * 256}, "text_too_long"),
        ("event", EVENT, {"days": [AT]}, "wrong_type"),
        ("event", EVENT, {"cart": {"on": None}}, "null_inside"),
        ("event", EVENT, {"cart": {f"k{i}": "x" * 250 for i in range(400)}}, "value_too_large"),
        ("event", EVENT, {"until": date(9999, 1, 1)}, "time_out_of_range"),
        ("event", EVENT, {"app_id": 7}, "wrong_type"),
        ("purchase", PURCHASE, {"currency": "Euro"}, "not_allowed"),
        ("purchase", PURCHASE, {"currency": None}, "missing_field"),
        ("purchase", PURCHASE, {"price": "9.90"}, "wrong_type"),
        ("purchase", PURCHASE, {"price": float("inf")}, "not_a_number"),
        ("purchase", PURCHASE, {"quantity": 101}, "not_allowed"),
        ("purchase", PURCHASE, {"quantity": 0}, "not_allowed"),
        ("purchase", PURCHASE, {"product_id": "x" * 256}, "text_too_long"),
        ("purchase", PURCHASE, {"event_name": "x"}, "bad_name"),
        ("subscription", SUBSCRIPTION, {"subscription_state": "opted_in"}, "not_allowed"),
        ("subscription", SUBSCRIPTION, {"subscription_group_id": ""}, "missing_field"),
        ("subscription", SUBSCRIPTION, {"email": "a@b.ch"}, "conflicting_identifiers"),
        ("subscription", SUBSCRIPTION, {"external_id": None}, "missing_identifier"),
        ("subscription", SUBSCRIPTION, {"use_double_opt_in_logic": "yes"}, "wrong_type"),
        ("delete", {"external_id": None}, {}, "missing_identifier"),
        ("delete", {"email": "a@b.ch"}, {}, "missing_identifier"),
    ],
)
def test_happenings_that_break_a_rule_are_rejected(action: str, row: Fields, changes: dict[str, Any], code: str) -> None:
    """Missing fields, reserved names, limits: each has its code."""
    with pytest.raises(RowRejected) as caught:
        payload(action, {**row, **changes})
    assert caught.value.code == code


# ── Requests ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("action", "rows", "path", "body"),
    [
        (
            "profile",
            [{"external_id": "u1", "tier": "gold"}, {"external_id": "u2", "tier": None}],
            "/users/track",
            {"attributes": [{"external_id": "u1", "tier": "gold"}, {"external_id": "u2", "tier": None}]},
        ),
        ("event", [EVENT], "/users/track", {"events": [{"external_id": "u1", "name": "Order", "time": "2026-03-01T12:30:00Z"}]}),
        (
            "subscription",
            [SUBSCRIPTION],
            "/v2/subscription/status/set",
            {"subscription_groups": [{"subscription_group_id": "g", "subscription_state": "subscribed", "external_ids": ["u1"]}]},
        ),
        ("delete", [{"external_id": "u1", "tier": "x"}, {"external_id": "u2"}], "/users/delete", {"external_ids": ["u1", "u2"]}),
        (
            "delete",
            [{"alias_name": "n", "alias_label": "l"}],
            "/users/delete",
            {"user_aliases": [{"alias_name": "n", "alias_label": "l"}]},
        ),
    ],
)
def test_the_request_is_exactly_this(action: str, rows: list[Fields], path: str, body: dict[str, Any]) -> None:
    """Method, path, key and body."""
    chosen = DESTINATION.actions[action]
    request = chosen.build([chosen.to_payload(row, settings()) for row in rows], settings())
    assert (request.method, request.url) == ("POST", f"https://rest.fra-01.braze.eu{path}")
    assert request.headers == {"authorization": "Bearer braze-key", "content-type": "application/json"}
    assert orjson.loads(request.body) == body


# ── Answers ─────────────────────────────────────────────────────────────────────────────────

OK = {"message": "success", "attributes_processed": 2}
NO_DATA = "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields."


def error(index: Any, kind: str = "attributes", text: str = "'quantity' is not valid") -> dict[str, Any]:
    return {"type": text, "input_array": kind, "index": index}


@pytest.mark.parametrize(("status", "body"), [(201, OK), (200, OK), (202, {"message": "queued"}), (201, {**OK, "errors": []})])
def test_success_delivers_all(status: int, body: Any) -> None:
    """201 is the usual one; 202 queued is what Braze answers during maintenance."""
    assert read(status, body) == Settled([DELIVERED] * 3)


@pytest.mark.parametrize("status", [200, 201])
def test_errors_inside_a_success_reject_the_rows_they_name(status: int) -> None:
    """The others were queued."""
    answer = read(status, {**OK, "errors": [error(1), error(1, text="once more")]})
    assert answer == Settled([DELIVERED, Rejected("refused_by_vendor", "Braze refused this row: 'quantity' is not valid"), DELIVERED])


def test_a_documented_code_becomes_ours() -> None:
    """Codes in capitals are kept in snake case; a sentence is never taken for a code."""
    assert read(201, {**OK, "errors": [error(0, text="EMAIL_BAD_FORMAT")]}) == Settled(
        [Rejected("email_bad_format", "Braze refused this row: EMAIL_BAD_FORMAT"), DELIVERED, DELIVERED]
    )


def test_a_400_that_names_every_row_rejects_them() -> None:
    """Nothing is sent again that can't succeed."""
    answer = read(400, {"message": NO_DATA, "errors": [error(0), error(1), error(2)]})
    assert isinstance(answer, Settled)
    assert all(isinstance(outcome, Rejected) for outcome in answer.outcomes)


def test_a_400_that_names_some_rows_sends_the_others_again() -> None:
    """A 400 took nothing, so the rows at fault go and the rest returns."""
    answer = read(400, {"message": NO_DATA, "errors": [error(1)]})
    assert isinstance(answer, Settled)
    assert [type(outcome) for outcome in answer.outcomes] == [Again, Rejected, Again]


@pytest.mark.parametrize(
    "errors",
    [
        ["a sentence"],
        [{"type": "no index"}],
        [error(3)],
        [error(-1)],
        [error("1")],
        [error(True)],
        [error(0, "events")],
        "text",
        {"a": 1},
        [error(0), 7],
    ],
)
@pytest.mark.parametrize("status", [201, 400])
def test_errors_that_name_no_row_split_the_batch(status: int, errors: Any) -> None:
    """Nobody is rejected on a guess: halves will tell which row it was."""
    answer = read(status, {"message": "success", "errors": errors})
    assert isinstance(answer, Split)
    assert not answer.too_large


def test_events_are_not_sent_again_after_a_half_success() -> None:
    """Halving would count the events that Braze took once more, so all are dead letters that say what happened."""
    answer = read(201, {"message": "success", "events_processed": 2, "errors": ["a sentence"]}, action="event")
    assert isinstance(answer, Settled)
    assert {outcome.code for outcome in answer.outcomes if isinstance(outcome, Rejected)} == {"unattributed"}
    assert isinstance(read(201, {"message": "success", "events_processed": 0, "errors": ["a sentence"]}, action="event"), Split)
    assert isinstance(read(400, {"message": NO_DATA, "errors": ["a sentence"]}, action="event"), Split)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (
            400,
            {"message": "Max Input Length Exceeded"},
            Split("too_large", 'Braze answered 400: {"message":"Max Input Length Exceeded"}', True),
        ),
        (400, b"<html>", Split("refused_by_vendor", "Braze answered 400: <html>")),
        (413, b"", Split("too_large", "Braze answered 413", True)),
        (201, b"<html>", TryAgain("Braze answered 201, and not as its documentation says: <html>")),
        (201, b'{"message": "succ', TryAgain('Braze answered 201, and not as its documentation says: {"message": "succ')),
        (201, {"message": "odd"}, TryAgain('Braze answered 201, and not as its documentation says: {"message":"odd"}')),
        (204, b"", TryAgain("Braze answered 204, and not as its documentation says: ")),
        (401, {"message": "bad key"}, Refused('Braze answered 401: {"message":"bad key"}')),
        (403, b"", Refused("Braze answered 403")),
        (404, {"message": "Invalid URL"}, Refused('Braze answered 404: {"message":"Invalid URL"}')),
        (415, b"", Refused("Braze answered 415")),
        (500, {"message": "success"}, TryAgain('Braze answered 500: {"message":"success"}')),
        (502, b"<html>bad gateway</html>", TryAgain("Braze answered 502: <html>bad gateway</html>")),
        (503, b"", TryAgain("Braze answered 503")),
        (504, b"", TryAgain("Braze answered 504")),
    ],
)
def test_what_each_answer_leads_to(status: int, body: Any, expected: Answer) -> None:
    """The table of answers: what is tried again, split, or stops the run."""
    assert read(status, body) == expected


DATE = "Sun, 01 Mar 2026 12:00:00 GMT"
EPOCH = int(datetime(2026, 3, 1, 12, 10, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("headers", "wait_seconds"),
    [
        ({"x-ratelimit-retry-after": "17"}, 17.0),
        ({"x-ratelimit-retry-after": "17", "retry-after": "3", "x-ratelimit-reset": "9"}, 17.0),
        ({"retry-after": "3", "x-ratelimit-reset": "9"}, 3.0),
        ({"x-ratelimit-reset": "1800"}, 1800.0),
        ({"x-ratelimit-reset": str(EPOCH), "date": DATE}, 600.0),
        ({"x-ratelimit-reset": str(EPOCH)}, None),
        ({"x-ratelimit-reset": "0", "date": DATE}, 0.0),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-reset": "99999999999999999999", "date": DATE}, None),
        ({"x-ratelimit-retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_429_waits_as_its_headers_say(headers: dict[str, str], wait_seconds: float | None) -> None:
    """All documented forms, the two meanings of X-RateLimit-Reset among them; nonsense counts as nothing said."""
    assert read(429, b"", headers=headers) == SlowDown("Braze answered 429", wait_seconds)


# ── The bulk endpoint ───────────────────────────────────────────────────────────────────────


def test_bulk_takes_a_thousand_rows(twin: BrazeTwin, client: httpx.Client) -> None:
    """Where the account has it: one request instead of fourteen."""
    twin.has_bulk = True
    bulk = sender("profile", twin, client, endpoint="bulk")
    assert bulk.deliver([{"external_id": f"u{i}", "tier": "gold"} for i in range(1000)]) == [DELIVERED] * 1000
    assert [call.path for call in twin.log] == ["/users/track/bulk"]


def test_bulk_falls_back_part_by_part(twin: BrazeTwin, client: httpx.Client) -> None:
    """Where the beta is closed: the same rows by /users/track, 75 a request, each rejection at its own row."""
    rows: list[Fields] = [{"external_id": f"u{i}", "email": "nobody" if i in (0, 74, 75, 199) else "a@b.ch"} for i in range(200)]
    outcomes = sender("profile", twin, client, endpoint="bulk").deliver(rows)
    assert [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)] == [0, 74, 75, 199]
    assert [call.path for call in twin.log] == ["/users/track/bulk"] + ["/users/track"] * 3
    assert len(twin.profiles) == 196


def test_a_fallback_survives_faults(twin: BrazeTwin, client: httpx.Client) -> None:
    """A passing fault repeats its part only; a part that names no row is halved down to the one at fault."""

    def holds_poison(call: Any) -> bool:
        return b"poison" in call.body and call.path == "/users/track"

    refused = Response(400, orjson.dumps({"message": "no idea"}))
    twin.faults.extend([Fault(response=refused, when=holds_poison)] * 40)
    twin.faults.append(Fault(response=Response(502, b"<html>"), when=lambda call: b"u150" in call.body and call.path == "/users/track"))
    rows: list[Fields] = [{"external_id": f"u{i}", "tier": "poison" if i == 100 else "gold"} for i in range(200)]
    outcomes = sender("profile", twin, client, endpoint="bulk").deliver(rows)
    assert [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)] == [100]
    assert len(twin.profiles) == 199


def test_a_fallback_sends_rows_again_that_a_400_did_not_name(twin: BrazeTwin, client: httpx.Client) -> None:
    """They were not taken, so they must not count as delivered: they come again, without the row at fault."""
    named = Response(400, orjson.dumps({"message": NO_DATA, "errors": [error(1)]}))
    twin.faults.append(Fault(response=named, when=lambda call: b"u90" in call.body and call.path == "/users/track"))
    rows: list[Fields] = [{"external_id": f"u{i}"} for i in range(200)]
    outcomes = sender("profile", twin, client, endpoint="bulk").deliver(rows)
    assert [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)] == [76]
    assert set(twin.profiles) == {f"u{i}" for i in range(200)} - {"u76"}


def test_a_fallback_with_a_bad_key_is_refused(client: httpx.Client) -> None:
    """A 401 at the bulk endpoint may be a missing permission; the second 401 is the key."""
    with BrazeTwin(api_key="another") as twin, pytest.raises(Stopped, match="401"):
        sender("profile", twin, client, endpoint="bulk").deliver([{"external_id": "u1"}])
    answer = DESTINATION.actions["profile"].read(Response(403), [b"{}"], settings(endpoint="bulk"), "")
    assert isinstance(answer, Follow)


# ── Against the twin ────────────────────────────────────────────────────────────────────────


def test_a_bad_row_costs_only_itself(twin: BrazeTwin, client: httpx.Client) -> None:
    """A 201 with an error inside: one rejected, the rest delivered, nothing sent twice."""
    rows: list[Fields] = [{"external_id": f"u{i}", "email": "nobody" if i == 2 else f"u{i}@b.ch"} for i in range(5)]
    outcomes = sender("profile", twin, client).deliver(rows)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered, Rejected, Delivered, Delivered]
    assert twin.requests == 1


def test_a_batch_of_bad_rows_is_rejected_in_one_request(twin: BrazeTwin, client: httpx.Client) -> None:
    """A 400 with all indices is final."""
    outcomes = sender("profile", twin, client).deliver([{"external_id": f"u{i}", "email": "nobody"} for i in range(3)])
    assert all(isinstance(outcome, Rejected) for outcome in outcomes)
    assert twin.requests == 1


def test_an_unattributable_400_is_halved_to_the_row_at_fault(twin: BrazeTwin, client: httpx.Client) -> None:
    """One poisoned row among 75: the others get through, it alone is rejected."""
    refused = Response(400, orjson.dumps({"message": "no idea"}))
    twin.faults.extend([Fault(response=refused, when=lambda call: b"poison" in call.body)] * 10)
    rows: list[Fields] = [{"external_id": f"u{i}", "tier": "poison" if i == 40 else "gold"} for i in range(75)]
    outcomes = sender("profile", twin, client).deliver(rows)
    assert [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)] == [40]
    assert len(twin.profiles) == 74


def test_the_byte_limit_is_kept_to_the_byte(twin: BrazeTwin, client: httpx.Client) -> None:
    """A body of exactly 4 MB goes in one request, one byte more in two."""
    action, limits = DESTINATION.actions["profile"], DESTINATION.actions["profile"].limits(settings())
    rows: list[dict[str, Any]] = [{"external_id": f"u{i:02}", "likes": ["x" * 200] * 480} for i in range(41)]
    free = limits.body_bytes - limits.envelope_bytes - sum(len(action.to_payload(row, settings())) + 1 for row in rows)
    rows.append({"external_id": "last"})
    free -= len(action.to_payload(rows[-1], settings())) + 1
    for index in range(1000):  # fill what is left with short texts: `,"k000":"…"` is 9 bytes and the text
        if free < 300:
            rows[-1][f"k{index:03}"] = "x" * (free - 10)
            break
        rows[-1][f"k{index:03}"] = "x" * 240
        free -= 250
    assert sender("profile", twin, client).deliver(rows) == [DELIVERED] * 42
    assert twin.requests == 1
    rows[-1]["k000"] += "x"
    assert sender("profile", twin, client).deliver(rows) == [DELIVERED] * 42
    assert twin.requests == 3
    assert twin.violations == []


@pytest.mark.parametrize("style", ["retry-after", "epoch", "delta"])
def test_a_rate_limit_is_waited_for(twin: BrazeTwin, client: httpx.Client, style: Any) -> None:
    """Each header form of a 429 tells the same wait, and the row arrives after it."""
    twin.clock = clock = ManualClock(datetime(2026, 3, 1, 12, 59, 30, tzinfo=UTC))
    twin.window_requests, twin.window_seconds, twin.limit_headers = 1, 3600, style
    one = sender("profile", twin, client)
    assert one.deliver([{"external_id": "u1"}]) == [DELIVERED]
    with pytest.raises(Stopped):
        one.deliver([{"external_id": "u2"}])
    assert set(one.waits) == {31.0}
    clock.sleep(31)
    assert one.deliver([{"external_id": "u2"}]) == [DELIVERED]


def test_a_deleted_profile_is_gone(twin: BrazeTwin, client: httpx.Client) -> None:
    """`on_remove: delete` removes whom the sync's identifiers name; deleting twice is as deleting once."""
    sender("profile", twin, client).deliver([{"external_id": "u1"}, {"external_id": "u2"}])
    assert sender("delete", twin, client).deliver([{"external_id": "u1"}]) == [DELIVERED]
    assert sender("delete", twin, client).deliver([{"external_id": "u1"}]) == [DELIVERED]
    assert list(twin.profiles) == ["u2"]


def test_the_account_has_a_pace() -> None:
    """Below Braze's 1,000 a second and bulk's 50, and as the settings say."""
    assert DESTINATION.pace(settings()).per_second == 800
    assert DESTINATION.pace(settings(endpoint="bulk")).per_second == 40
    assert DESTINATION.pace(settings(per_second=5, in_flight=64)) == DESTINATION.pace(settings(per_second=5, in_flight=64, endpoint="bulk"))
