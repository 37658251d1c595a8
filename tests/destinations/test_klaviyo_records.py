"""Klaviyo's rows: what each becomes, and which are refused before they leave, with the limit that they break."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from rowferry.destinations._klaviyo_settings import KlaviyoSettings
from rowferry.destinations.klaviyo import DESTINATION
from rowferry.destinations.port import Fields
from rowferry.errors import RowRejected
from rowferry.settings.base import Secret

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def settings(**changes: Any) -> KlaviyoSettings:
    """An account at the real address."""
    return KlaviyoSettings.model_validate({"vendor": "klaviyo", "api_key": Secret("secret:klaviyo", "klaviyo-key-1"), **changes})


def payload(action: str, fields: Fields, **changes: Any) -> dict[str, Any]:
    """What one row becomes."""
    found: dict[str, Any] = orjson.loads(DESTINATION.actions[action].to_payload(fields, settings(**changes)))
    return found


def event_of(**fields: Any) -> dict[str, Any]:
    """The attributes of the event that one row becomes, when events go singly."""
    changes = fields.pop("settings", {})
    whole = {"email": "zoe@shop.example", "name": "Bought", "time": AT, "unique_id": "r-1", **fields}
    attributes: dict[str, Any] = payload("event", whole, events="single", **changes)["attributes"]
    return attributes


def code_of(action: str, fields: Fields, **changes: Any) -> str:
    """The code with which a row is refused before it leaves."""
    with pytest.raises(RowRejected) as refused:
        DESTINATION.actions[action].to_payload(fields, settings(**changes))
    return refused.value.code


# ── Events ──────────────────────────────────────────────────────────────────────────────────


def test_an_event_as_it_leaves() -> None:
    """Own fields in their places, everything else a property, NULL and empty text left out."""
    fields: dict[str, Any] = {
        "external_id": "u1", "email": " zoe@shop.example ", "phone_number": None, "name": " Bought ", "time": AT,
        "unique_id": 7, "value": Decimal("12.50"), "value_currency": "eur", "items": ["tea"], "on": date(2026, 3, 1), "note": None,
        "memo": "",
    }  # fmt: skip
    assert payload("event", fields, events="single") == {
        "type": "event",
        "attributes": {
            "metric": {"data": {"type": "metric", "attributes": {"name": "Bought"}}},
            "time": "2026-03-01T12:30:00Z",
            "unique_id": "7",
            "properties": {"items": ["tea"], "on": "2026-03-01"},
            "value": 12.5,
            "value_currency": "EUR",
            "profile": {"data": {"type": "profile", "attributes": {"external_id": "u1", "email": "zoe@shop.example"}}},
        },
    }


def test_a_profile_id_stands_beside_the_attributes() -> None:
    """Klaviyo's own id is `profile_id` in a map, so that a column `id` stays a property."""
    found = event_of(profile_id="01GDDK", id=4711)
    assert found["profile"]["data"] == {"type": "profile", "id": "01GDDK", "attributes": {"email": "zoe@shop.example"}}
    assert found["properties"] == {"id": 4711}


@pytest.mark.parametrize(
    ("fields", "changes", "expected"),
    [
        ({}, {}, None),
        ({}, {"backfill": True}, True),
        ({"backfill": True}, {}, True),
        ({"backfill": False}, {"backfill": True}, None),
        ({"backfill": None}, {"backfill": True}, True),
    ],
)
def test_backfill_by_setting_or_by_map(fields: dict[str, Any], changes: dict[str, Any], expected: bool | None) -> None:
    """History can be stored without starting flows, for an account's destination or for one sync."""
    assert event_of(settings=changes, **fields).get("backfill") is expected


@pytest.mark.parametrize(
    ("zeros", "expected"), [("text", {"a": "0", "b": "0", "c": False, "d": [0]}), ("leave_out", {"c": False, "d": [0]})]
)
def test_zeros_are_not_lost_unseen(zeros: str, expected: dict[str, Any]) -> None:
    """Klaviyo drops an event's property that is 0: it leaves as text, or not at all, as was chosen."""
    assert event_of(a=0, b=Decimal("0.00"), c=False, d=[0], settings={"zeros": zeros})["properties"] == expected


GOOD: Fields = {"email": "zoe@shop.example", "name": "Bought", "time": AT, "unique_id": "r-1"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"email": None}, "missing_identifier"),
        ({"email": "  "}, "missing_identifier"),
        ({"email": "zoe at shop"}, "email_invalid"),
        ({"email": "z" * 95 + "@s.ex"}, "email_invalid"),
        ({"email": "zoe@example.com"}, "test_address"),
        ({"phone_number": "0151 234"}, "phone_invalid"),
        ({"external_id": "x" * 256}, "identifier_too_long"),
        ({"name": " "}, "name_invalid"),
        ({"name": None}, "missing_field"),
        ({"name": "n" * 128}, "name_invalid"),
        ({"time": None}, "missing_field"),
        ({"time": 1_700_000_000}, "wrong_type"),
        ({"time": datetime(1989, 1, 1, tzinfo=UTC)}, "time_invalid"),
        ({"unique_id": None}, "missing_identifier"),
        ({"unique_id": "u" * 256}, "unique_id_too_long"),
        ({"value": "12.50"}, "wrong_type"),
        ({"value": Decimal("NaN")}, "not_a_number"),
        ({"value_currency": "Euro"}, "not_allowed"),
        ({"backfill": "yes"}, "wrong_type"),
        ({"memo": "x" * 100_001}, "value_too_long"),
        ({"memo": ["é" * 50_001]}, "value_too_long"),
        ({"items": list(range(4_001))}, "too_many_items"),
        ({f"p{index}": 1 for index in range(401)}, "too_many_properties"),
        ({f"p{index}": "x" * 90_000 for index in range(60)}, "too_large"),
    ],
)
def test_what_klaviyo_would_drop_or_refuse_is_rejected_with_its_limit(fields: dict[str, Any], code: str) -> None:
    """One row, one reason, before it could cost a batch or vanish."""
    assert code_of("event", {**GOOD, **fields}) == code


def test_the_limits_themselves_pass() -> None:
    """The last character, item, property and level that Klaviyo takes leave whole."""
    nested: Any = "leaf"
    for _ in range(9):
        nested = {"a": nested}
    found = event_of(
        email="z" * 90 + "@s.ex-am", name="n" * 127, unique_id="u" * 255, memo="é" * 50_000, items=list(range(1, 4_001)), nested=nested,
        **{f"p{index}": 1 for index in range(397)},
    )  # fmt: skip
    assert len(found["properties"]) == 400
    assert code_of("event", {**GOOD, "nested": {"a": nested}}) == "nested_too_deep"


@pytest.mark.parametrize(
    ("changes", "is_sent"),
    [({}, False), ({"test_addresses": "send"}, True), ({"base_url": "http://127.0.0.1:1"}, True),
     ({"base_url": "http://127.0.0.1:1", "test_addresses": "reject"}, False)],
)  # fmt: skip
def test_test_addresses_are_for_rehearsals(changes: dict[str, Any], is_sent: bool) -> None:
    """Klaviyo takes an event of @example.com and drops it; a stand-in's people may well live there."""
    fields = {**GOOD, "email": "Zoe@Example.com"}
    if is_sent:
        assert payload("event", fields, **changes)
    else:
        assert code_of("event", fields, **changes) == "test_address"


# ── Profiles ────────────────────────────────────────────────────────────────────────────────


def test_a_profile_as_it_leaves() -> None:
    """Klaviyo's own attributes in their places, zeros too; everything else a custom property; NULLs unset."""
    fields: dict[str, Any] = {
        "external_id": 4711, "email": "zoe@shop.example", "phone_number": "", "first_name": "Zoë", "title": None,
        "location": {"city": "Bern", "zip": 3011, "latitude": Decimal("46.9"), "region": None}, "visits": 0, "tier": None, "seen": AT,
    }  # fmt: skip
    assert payload("profile", fields) == {
        "type": "profile",
        "attributes": {
            "external_id": "4711",
            "email": "zoe@shop.example",
            "first_name": "Zoë",
            "title": None,
            "location": {"city": "Bern", "zip": "3011", "latitude": 46.9},
            "properties": {"visits": 0, "seen": "2026-03-01T12:30:00Z"},
        },
        "meta": {"patch_properties": {"unset": ["tier"]}},
    }


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "missing_identifier"),
        ({"external_id": None, "email": "zoe@shop.example"}, "missing_identifier"),
        ({"email": "no address"}, "email_invalid"),
        ({"email": "zoe@shop.example", "phone_number": "0151"}, "phone_invalid"),
        ({"email": "zoe@shop.example", "first_name": ["Z"]}, "wrong_type"),
        ({"email": "zoe@shop.example", "location": "Bern"}, "wrong_type"),
        ({"email": "zoe@shop.example", "location": {"town": "Bern"}}, "not_allowed"),
        ({"email": "zoe@shop.example", "a": "x" * 60_000, "b": "x" * 60_000}, "too_large"),
    ],
)
def test_a_profile_that_klaviyo_would_refuse_is_rejected(fields: Fields, code: str) -> None:
    """A wrong address would cost the whole job; a missing one is not replaced by the next best."""
    assert code_of("profile", fields) == code


def test_a_profile_of_exactly_100_kb_passes() -> None:
    """The byte limit of a profile, to the byte."""
    short = len(DESTINATION.actions["profile"].to_payload({"email": "zoe@shop.example", "a": ""}, settings()))
    fits = {"email": "zoe@shop.example", "a": "x" * (100_000 - short)}
    assert len(DESTINATION.actions["profile"].to_payload(fits, settings())) == 100_000
    assert code_of("profile", {**fits, "a": fits["a"] + "x"}) == "too_large"


# ── Consent, lists, deletion ────────────────────────────────────────────────────────────────


def test_a_consent_as_it_leaves() -> None:
    """Channels, their addresses, and consent given earlier, which skips the double opt-in."""
    fields: dict[str, Any] = {
        "email": "zoe@shop.example", "phone_number": "+14155551234", "channel": ["email", "sms"], "status": "Subscribed",
        "consented_at": AT,
        "list": "vip", "custom_source": "till", "age_gated_date_of_birth": date(1990, 5, 17),
    }  # fmt: skip
    consent = {"marketing": {"consent": "SUBSCRIBED", "consented_at": "2026-03-01T12:30:00Z"}}
    attributes = {
        "email": "zoe@shop.example", "phone_number": "+14155551234", "age_gated_date_of_birth": "1990-05-17",
        "subscriptions": {"email": consent, "sms": consent},
    }  # fmt: skip
    assert payload("subscription", fields, lists={"vip": "VRgFBd"}) == {
        "subscribe": True, "list": "VRgFBd", "historical": True, "source": "till", "profile": {"type": "profile", "attributes": attributes},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"email": "zoe@shop.example"}, "not_allowed"),
        ({"email": "zoe@shop.example", "status": "maybe"}, "not_allowed"),
        ({"email": "zoe@shop.example", "status": 1}, "not_allowed"),
        ({"email": "zoe@shop.example", "phone_number": "+14155551234", "status": True}, "missing_field"),
        ({"email": "zoe@shop.example", "status": True, "channel": "pigeon"}, "not_allowed"),
        ({"email": "zoe@shop.example", "status": True, "channel": "sms"}, "missing_identifier"),
        ({"email": "zoe@shop.example", "status": False, "list": "VRgFBd"}, "list_unsubscribe"),
        ({"email": "zoe@shop.example", "status": True, "list": "../x"}, "not_allowed"),
    ],
)
def test_a_consent_that_would_mean_something_else_is_rejected(fields: Fields, code: str) -> None:
    """No channel is guessed, and nobody is unsubscribed from everything by mistake."""
    assert code_of("subscription", fields) == code


def test_unsubscribing_with_a_list_can_be_wanted() -> None:
    """Who has checked that everybody is in the list may say so."""
    fields: Fields = {"email": "zoe@shop.example", "status": False, "list": "VRgFBd"}
    assert payload("subscription", fields, list_unsubscribe="send")["list"] == "VRgFBd"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"audience": "VRgFBd", "member": True}, "missing_identifier"),
        ({"email": "zoe@shop.example", "audience": "VIPs of May", "member": True}, "not_allowed"),
        ({"email": "zoe@shop.example", "audience": "VRgFBd", "member": "yes"}, "wrong_type"),
        ({"email": "zoe@shop.example", "audience": None, "member": True}, "missing_field"),
    ],
)
def test_a_membership_that_makes_no_sense_is_rejected(fields: Fields, code: str) -> None:
    """A list is an id or one of the names under `lists`: its text stands in a path."""
    assert code_of("audience", fields) == code
