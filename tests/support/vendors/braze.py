"""Braze for the contract suite: settings, valid rows, twin."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from rowferry.destinations._braze_settings import BrazeSettings
from rowferry.destinations.port import Fields
from rowferry.settings.base import Secret
from rowferry.twins.braze import BrazeTwin

TWIN = BrazeTwin


def settings(base_url: str) -> BrazeSettings:
    """Resolved settings that point at a twin."""
    return BrazeSettings(vendor="braze", base_url=base_url, api_key=Secret("env:BRAZE_KEY", "braze-key"))


SOLD_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

# What each action takes gladly: the contract suite sends these as they are, and with values of every type put in.
ROWS: dict[str, list[Fields]] = {
    "profile": [
        {"external_id": "u1", "email": "ada@example.com", "first_name": "Ada", "dob": date(1990, 12, 10), "country": "GB"},
        {"external_id": "u2", "tier": "gold", "ltv": Decimal("19.90"), "visits": 3, "vip": True, "seen_at": SOLD_AT, "email": None},
        {"email": "grace@example.com", "likes": ["a", "b"], "address": {"city": "Bern", "since": date(2020, 1, 1)}},
        {"alias_name": "a1", "alias_label": "shop", "tier": "new"},
    ],
    "event": [
        {"external_id": "u1", "name": "Order Placed", "time": SOLD_AT, "total": Decimal("12.50"), "items": ["a", "b"]},
        {"email": "ada@example.com", "name": "Visited", "time": "2026-03-01T12:30:00Z", "page": None},
    ],
    "purchase": [
        {
            "external_id": "u1",
            "product_id": "sku-1",
            "currency": "EUR",
            "price": Decimal("9.90"),
            "quantity": 2,
            "time": SOLD_AT,
            "size": "L",
        },
    ],
    "subscription": [
        {"external_id": "u1", "subscription_group_id": "group-1", "subscription_state": "subscribed"},
        {"external_id": "u2", "subscription_group_id": "group-1", "subscription_state": "unsubscribed"},
    ],
    "delete": [{"external_id": "u1"}, {"external_id": "u2"}],
}
