"""Klaviyo for the contract suite: settings against a twin, rows for every action, the twin."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from rowferry.destinations._klaviyo_settings import KlaviyoSettings
from rowferry.destinations.port import Fields
from rowferry.settings.base import Secret
from rowferry.twins.klaviyo import KlaviyoTwin

TWIN = KlaviyoTwin
SOLD_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def settings(base_url: str, **more: Any) -> KlaviyoSettings:
    """An account's settings with its key resolved."""
    known = {"vendor": "klaviyo", "base_url": base_url, "api_key": Secret("secret:klaviyo", "klaviyo-key-1"), "lists": {"vip": "VRgFBd"}}
    return KlaviyoSettings.model_validate({**known, **more})


ROWS: dict[str, list[Fields]] = {
    "event": [
        {
            "email": "zoe@shop.example", "name": "In-Store Purchase", "time": SOLD_AT, "unique_id": "r-1", "value": Decimal("12.50"),
            "value_currency": "EUR", "items": ["tea", "maps"], "discount": 0, "note": None,
        },
        {"external_id": "u1", "phone_number": "+14155551234", "name": "Viewed 🛒", "time": "2026-03-01T12:30:00+01:00", "unique_id": 7},
        {"profile_id": "01GDDKASAP8TKDDA2GRZDSVP4H", "name": "Visited", "time": date(2026, 3, 1), "unique_id": "v-1", "backfill": True},
        {"anonymous_id": "a-1", "name": "Visited", "time": SOLD_AT, "unique_id": "v-2", "shop": {"city": "Köln", "open": True}},
    ],
    "profile": [
        {"external_id": "u1", "email": "zoe@shop.example", "first_name": "Zoë", "phone_number": "+14155551234", "since": date(2020, 1, 1)},
        {"external_id": "u2", "tier": "gold", "ltv": Decimal("19.90"), "visits": 0, "vip": True, "seen_at": SOLD_AT, "old": None},
        {"email": "grace@shop.example", "location": {"city": "Bern", "zip": 3011, "latitude": 46.9}, "likes": ["a", "b"]},
        {"email": "ada@shop.example", "title": None, "organization": None},
    ],
    "subscription": [
        {"email": "zoe@shop.example", "status": True},
        {"email": "zoe@shop.example", "phone_number": "+14155551234", "channel": ["email", "sms"], "status": "subscribed", "list": "vip",
         "consented_at": SOLD_AT, "custom_source": "till"},
        {"phone_number": "+14155551234", "status": False},
    ],
    "audience": [
        {"email": "zoe@shop.example", "audience": "vip", "member": True},
        {"email": "zoe@shop.example", "audience": "VRgFBd", "member": False},
        {"external_id": "u1", "audience": "vip", "member": False},
    ],
    "delete": [{"email": "zoe@shop.example"}, {"external_id": "u1"}, {"profile_id": "01GDDKASAP8TKDDA2GRZDSVP4H"}],
}  # fmt: skip
