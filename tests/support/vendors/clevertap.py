"""CleverTap for the contract suite: settings against a twin, rows for every action, the twin."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from rowferry.destinations._clevertap_settings import CleverTapSettings
from rowferry.settings.base import Secret
from rowferry.twins.clevertap import CleverTapTwin


def settings(base_url: str, **more: Any) -> CleverTapSettings:
    """A project's settings with its passcode resolved."""
    known = {"vendor": "clevertap", "base_url": base_url, "account_id": "ABC-123-4567", "passcode": Secret("secret:ct", "passcode-1")}
    return CleverTapSettings.model_validate({**known, **more})


ROWS: dict[str, list[dict[str, Any]]] = {
    "profile": [
        {"identity": "u1", "Name": "Zoë Ärger", "Email": "zoe@example.com", "Phone": "+14155551234", "DOB": date(1990, 5, 17)},
        {"identity": "u2", "tier": "gold", "ltv": Decimal("1234.50"), "visits": 7, "active": True, "MSG-email": False},
        {"identity": 4711, "seen": datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), "interests": ["tea", "maps"], "old": None},
        {"objectId": "device-1", "points": {"$incr": 5}, "address": {"city": "Köln", "zip": "50667"}},
    ],
    "event": [
        {"identity": "u1", "name": "Order Placed", "time": datetime(2026, 1, 31, 12, tzinfo=UTC), "Amount": Decimal("12.50"), "note": None},
        {
            "identity": "u1",
            "name": "Charged",
            "time": 1_700_000_000,
            "Amount": 30,
            "Currency": "EUR",
            "Items": [{"Category": "Books", "Quantity": 2}, {"Category": "東京", "Quantity": 1}],
        },
        {"identity": "u3", "name": "Viewed 🛒", "time": "2026-01-31T12:00:00Z", "tags": ["a", "b"], "on": date(2026, 2, 1)},
    ],
    "subscription": [
        {"email": "zoe@example.com", "status": False},
        {"phone": "+14155551234", "status": "Resubscribe"},
    ],
    "delete": [{"identity": "u1"}, {"objectId": "device-1"}],
}
TWIN = CleverTapTwin
