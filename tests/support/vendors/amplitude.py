"""Amplitude for the contract suite: settings against a twin, rows for every action, the twin."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from rowferry.destinations._amplitude_settings import AmplitudeSettings
from rowferry.settings.base import Secret
from rowferry.twins._amplitude_cohorts import Cohorts
from rowferry.twins.amplitude import AmplitudeTwin


def settings(base_url: str, **more: Any) -> AmplitudeSettings:
    """A project's settings with its keys resolved."""
    known = {
        "vendor": "amplitude",
        "base_url": base_url,
        "api_key": Secret("env:AMPLITUDE_KEY", "amplitude-key"),
        "secret_key": Secret("env:AMPLITUDE_SECRET", "amplitude-secret"),
        "project_id": 1,
        "cohort_owner": "ops@example.com",
    }
    return AmplitudeSettings.model_validate({**known, **more})


@dataclass
class Project(AmplitudeTwin):
    """A project that has seen everybody, so that anybody can be in its cohort."""

    cohorts: Cohorts = field(default_factory=lambda: Cohorts(members={"c1": set()}, names={"c1": "vip"}, apps={"c1": 1}, knows_all=True))


TWIN = Project
SOLD_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

ROWS: dict[str, list[dict[str, Any]]] = {
    "event": [
        {"user_id": "u1", "name": "Order Placed", "time": SOLD_AT, "total": Decimal("12.50"), "items": ["a", "b"], "insert_id": "i1"},
        {
            "user_id": "u1",
            "device_id": "device-1",
            "name": "Bought",
            "time": "2026-03-01T12:30:00Z",
            "price": Decimal("9.90"),
            "quantity": 2,
            "productId": "sku-1",
            "currency": "EUR",
            "groups": {"company": ["Acme", "Zen"]},
        },
        {"device_id": "device-1", "name": "Viewed 🛒", "time": 1_772_368_200_000, "on": date(2026, 2, 1), "country": "CH", "note": None},
    ],
    "profile": [
        {"user_id": "u1", "name": "Zoë", "tier": "gold", "ltv": Decimal("19.90"), "visits": 3, "vip": True, "old": None},
        {"user_id": 4711, "points": {"$add": 5}, "$setOnce": {"source": "shop"}, "tags": {"$append": "new"}, "country": "CH"},
        {"device_id": "device-1", "likes": ["a", "b"], "address": {"city": "Bern", "since": date(2020, 1, 1)}, "paying": True},
    ],
    "group": [
        {"group_type": "company", "group_value": "Acme", "seats": 20, "plan": "gold", "old": None},
        {"group_type": "company", "group_value": 17, "seats": {"$add": 1}},
    ],
    "audience": [
        {"user_id": "u1", "audience": "vip", "member": True},
        {"user_id": "u2", "audience": "vip", "member": False},
    ],
}
