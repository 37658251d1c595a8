"""Every report that the settings allow, as a pull of an account, and one window to ask for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from rowferry import pulls
from rowferry.pulls.port import Ask
from rowferry.pulls.windows import Calendar, whole
from rowferry.settings.file import parse_settings
from rowferry.settings.hours import find_zone
from rowferry.settings.model import Settings
from rowferry.settings.pull import REPORTS
from support.pulling import ENVIRONMENT, NOW

ALL = [(vendor, report) for vendor, reports in REPORTS.items() for report in reports]
KEYS: dict[str, Any] = {
    "event": "Charged / special: ä\t%",
    "id": "abc",
    "model": {"table": "crm.people"},
    "fields": ["email"],
    "query": {"a": 1},
    "groups": {"by": {"name": "x"}},
}
ACCOUNTS = {
    "clevertap": {"vendor": "clevertap", "region": "in1", "account_id": "A", "passcode": "env:CT_PASSCODE"},
    "amplitude": {"vendor": "amplitude", "api_key": "env:AMPLITUDE_KEY", "secret_key": "env:AMPLITUDE_SECRET"},
    "braze": {"vendor": "braze", "instance": "EU-01", "api_key": "env:BRAZE_KEY"},
    "klaviyo": {"vendor": "klaviyo", "api_key": "env:KLAVIYO_KEY"},
}


def settings_of(vendor: str, report: str) -> Settings:
    """Settings with the pull `my-pull` of this report, with the keys it needs and no others."""
    data = {
        "rowferry": 1,
        "warehouse": {"engine": "duckdb", "path": "w.duckdb"},
        "state": "state",
        "exports": "exports",
        "destinations": {"account": ACCOUNTS[vendor]},
        "pulls": {"my-pull": {"from": "account", "report": report, **{key: KEYS[key] for key in REPORTS[vendor][report].needs}}},
    }
    return parse_settings(data, ENVIRONMENT, Path())


@cache
def ask_of(vendor: str, report: str) -> Ask[Any]:
    """What this report's requests are built from, for one day."""
    settings = settings_of(vendor, report)
    account = settings.destinations["account"].resolved(lambda reference: ENVIRONMENT[reference.removeprefix("env:")])
    day = NOW.date()
    [window] = [whole(NOW)] if pulls.find(vendor).reports[report].unit is None else Calendar(find_zone("UTC")).between(day, day)
    return Ask(settings.pulls["my-pull"], account, window, ids=[f"u{number}" for number in range(60)])
