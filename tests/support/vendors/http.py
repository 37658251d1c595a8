"""The generic HTTP destination for the contract suite: an in-house API as a user would describe it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from rowferry.destinations._http_settings import HttpSettings
from rowferry.destinations.http import DESTINATION
from rowferry.twins.http import HttpTwin

TWIN = HttpTwin
IN_HOUSE = {
    "vendor": "http",
    "url": "https://crm.example.com/v1/customers",
    "auth": {"scheme": "bearer", "token": "env:CRM_TOKEN"},
    "batch": "wrapped",
    "wrap": {"source": "warehouse", "customers": "{rows}"},
    "limits": {"rows": 50, "bytes": 100_000},
    "identifiers": ["id"],
    "required": ["id"],
    "body": {"id": "{{ id | string }}", "email": "{email}", "name": "{first_name} {last_name}"},
    "outcome": {"success": "ok", "errors": {"at": "errors", "index": "row", "first": 1, "message": "why"}},
}


def described(description: dict[str, Any], base_url: str) -> HttpSettings:
    """A description as settings, with its secrets resolved, pointing at a twin."""
    settings = HttpSettings.model_validate({**description, "base_url": base_url})
    return settings.resolved(lambda reference: f"value-of-{reference}")


def settings(base_url: str) -> HttpSettings:
    """The in-house API's settings."""
    return described(IN_HOUSE, base_url)


_ROW = {"id": "c1", "email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace", "ltv": Decimal("12.50"), "vip": True}
_MORE = {
    "id": 4711,
    "born": date(1990, 5, 17),
    "seen": datetime(2026, 1, 31, tzinfo=UTC),
    "tags": ["a"],
    "address": {"city": "Köln"},
    "old": None,
}
ROWS: dict[str, list[dict[str, Any]]] = {name: [_ROW, _MORE] for name in DESTINATION.actions}
