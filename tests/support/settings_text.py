"""Small settings that are right, to be made wrong in one place, and what is then said about them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rowferry.errors import Problem, SettingsError
from rowferry.settings.check import check
from rowferry.settings.file import parse_settings, read_settings
from rowferry.settings.model import Settings

BASE: dict[str, Any] = {
    "rowferry": 1,
    "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
    "state": "state",
    "exports": "exports",
    "destinations": {
        "braze_main": {"vendor": "braze", "instance": "EU-01", "api_key": "secret:braze-key"},
        "ct": {"vendor": "clevertap", "region": "in1", "account_id": "ABC-123-4567", "passcode": "secret:ct-passcode"},
        "ops": {"vendor": "slack", "webhook_url": "secret:slack-ops"},
    },
    "feeds": {"crm": {"path": "crm/*.csv", "table": "crm.customers", "columns": {"customer_id": "STRING", "email": "STRING"}}},
    "syncs": {
        "customers": {
            "model": {"table": "crm.customers"},
            "key": "customer_id",
            "send": "changed",
            "to": "braze_main",
            "map": {"external_id": "customer_id", "email": "email"},
        }
    },
    "pulls": {"charged": {"from": "ct", "report": "events", "event": "Charged"}},
    "databases": {"shop": {"url": "secret:shop-url"}},
    "webhooks": {
        "stripe": {
            "verify": {"scheme": "stripe", "secret": "secret:whsec"},
            "routes": [{"when": "type == 'x'", "notify": {"to": "ops", "text": "cancelled"}}],
        }
    },
    "alerts": {"orders": {"sql": "SELECT 1 AS orders", "fire_when": "orders < 100", "every": "1h", "notify": "ops"}},
}
# The shortest right entry of each section, for a second one beside the first.
ENTRIES: dict[str, Any] = {section: next(iter(entries.values())) for section, entries in BASE.items() if isinstance(entries, dict)}
_GONE = object()
GONE: Any = _GONE


def changed(path: str, value: Any) -> dict[str, Any]:
    """The base with another value at a path (`syncs.customers.to`); `GONE` takes the key out."""
    data = copy.deepcopy(BASE)
    *parents, last = path.split(".")
    place: Any = data
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return data


def problems(data: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> list[Problem]:
    """What reading and checking says about these values; empty when all is well."""
    try:
        settings = parse_settings(data, environment, Path("/srv/rowferry"))
    except SettingsError as error:
        return list(error.problems)
    return check(settings, environment)


def read(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Settings:
    """Write a settings file into the folder and read it."""
    file = folder / "pipelines.yaml"
    file.write_text(text, "utf-8")
    return read_settings(file, environment or {})


def read_problems(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> list[Problem]:
    """The same for a file that is wrong: every problem it has."""
    try:
        return check(read(folder, text, environment))
    except SettingsError as error:
        return list(error.problems)
