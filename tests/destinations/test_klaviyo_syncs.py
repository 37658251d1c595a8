"""Whole syncs to Klaviyo's stand-in, through the real engine: what is stored there, and that the balance holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rowferry.app import App
from rowferry.delivery.runs import RunResult
from rowferry.machine import Machine
from rowferry.settings.check import check
from rowferry.settings.file import parse_settings
from rowferry.twins.klaviyo import KlaviyoTwin

ENVIRONMENT = {"KLAVIYO_KEY": "klaviyo-key-1"}
PEOPLE = "SELECT 'u' || i AS id, 'u' || i || '@shop.example' AS mail, 'gold' AS tier, 'Dr' AS title FROM range(1, 5) t(i)"
SALES = """SELECT 'u' || i || '@shop.example' AS mail, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS sold_at, i AS added, i * 1.5 AS total,
i % 2 AS items, NULL AS note FROM range(1, 5) t(i)"""


@pytest.fixture
def twin() -> Iterator[KlaviyoTwin]:
    """A running account."""
    with KlaviyoTwin(api_key="klaviyo-key-1") as running:
        yield running


def run(folder: Path, twin: KlaviyoTwin, rows: str, **sync: Any) -> RunResult:
    """One run of a sync over these rows (as SQL), which stand in `crm.rows`."""
    account = {"vendor": "klaviyo", "base_url": twin.url, "api_key": "env:KLAVIYO_KEY", "lists": {"vip": "VRgFBd"}, "poll_every": "0.01s"}
    data: dict[str, Any] = {
        "rowferry": 1,
        "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
        "state": "state",
        "destinations": {"klaviyo": {**account, "per_second": 1000}},
        "syncs": {"rows": {"model": {"table": "crm.rows"}, "to": "klaviyo", **sync}},
    }
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS crm; CREATE OR REPLACE TABLE crm.rows AS {rows}")
    settings = parse_settings(data, ENVIRONMENT, folder)
    assert check(settings, ENVIRONMENT) == []
    with App(settings, environment=ENVIRONMENT) as app:
        result = Machine(app).sync("rows")
    assert result.read == result.unchanged + result.delivered + result.rejected + result.pending
    assert twin.violations == []
    return result


def shown(twin: KlaviyoTwin, external_id: str) -> dict[str, Any]:
    """A profile without what makes it that one."""
    [found] = [profile for profile in twin.profiles.values() if profile.get("external_id") == external_id]
    return {name: value for name, value in found.items() if name not in ("id", "external_id")}


def test_changed_profiles_leave_as_what_changed(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """A changed address, an own attribute and a custom property emptied, somebody gone: each reaches its profile alone."""
    sync: dict[str, Any] = {
        "key": "id",
        "send": "changed",
        "action": "profile",
        "nulls": "unset",
        "on_remove": "delete",
        "map": {"external_id": "id", "email": "mail", "title": "title", "tier": "tier"},
    }
    assert run(tmp_path, twin, PEOPLE, **sync).delivered == 4
    assert shown(twin, "u1") == {"email": "u1@shop.example", "title": "Dr", "properties": {"tier": "gold"}}
    changed = """SELECT 'u' || i AS id, CASE i WHEN 1 THEN 'new@shop.example' ELSE 'u' || i || '@shop.example' END AS mail,
    CASE i WHEN 2 THEN NULL ELSE 'gold' END AS tier, CASE i WHEN 3 THEN NULL ELSE 'Dr' END AS title FROM range(1, 4) t(i)"""
    result = run(tmp_path, twin, changed, **sync)
    assert (result.status, result.delivered, result.rejected) == ("closed", 4, 0)
    assert shown(twin, "u1") == {"email": "new@shop.example", "title": "Dr", "properties": {"tier": "gold"}}
    assert shown(twin, "u2") == {"email": "u2@shop.example", "title": "Dr", "properties": {}}
    assert shown(twin, "u3") == {"email": "u3@shop.example", "properties": {"tier": "gold"}}
    assert (len(twin.profiles), len(twin.deleted)) == (3, 1)


def test_an_audience_is_a_list(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """Who is in the model is in the list; who leaves it leaves the list, and stays a profile."""
    sync: dict[str, Any] = {"key": "id", "send": "audience", "audience": "vip", "map": {"external_id": "id"}}
    assert run(tmp_path, twin, PEOPLE, **sync).delivered == 4
    assert twin.lists["VRgFBd"] == set(twin.profiles)
    fewer = PEOPLE.replace("range(1, 5)", "range(2, 5)")
    result = run(tmp_path, twin, fewer, **sync)
    assert (result.delivered, result.unchanged) == (1, 3)
    assert (len(twin.lists["VRgFBd"]), len(twin.profiles)) == (3, 4)


def test_a_list_follows_a_column(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """With `action: audience` only the membership has changed: the list is named all the same, and nobody is rejected."""
    columns = {"external_id": "id", "audience": {"value": "vip"}, "member": "is_vip"}
    sync: dict[str, Any] = {"key": "id", "send": "changed", "action": "audience", "map": columns}
    rows = "SELECT 'u' || i AS id, i > {least} AS is_vip FROM range(1, 5) t(i)"
    assert run(tmp_path, twin, rows.format(least=0), **sync).delivered == 4
    result = run(tmp_path, twin, rows.format(least=1), **sync)
    assert (result.delivered, result.rejected, len(twin.lists["VRgFBd"])) == (1, 0, 3)


def test_new_events_leave_once(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """A unique_id is made where none is mapped; zeros arrive as text, NULLs not at all; the next run sends nothing."""
    sync: dict[str, Any] = {
        "send": "new",
        "cursor": "added",
        "action": "event",
        "map": {"name": {"value": "Bought"}, "time": "sold_at", "email": "mail", "value": "total", "backfill": {"value": True}},
        "rest": "properties",
    }
    assert run(tmp_path, twin, SALES, **sync).delivered == 4
    assert run(tmp_path, twin, SALES, **sync).delivered == 0
    found = sorted(twin.events.values(), key=lambda event: float(event["value"]))
    assert [event["properties"] for event in found] == [{"items": 1}, {"items": "0"}, {"items": 1}, {"items": "0"}]
    assert {len(event["unique_id"]) for event in found} == {32}
    assert all(event["backfill"] for event in found)


def test_consents_follow_a_column(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """Only the status has changed: the next run unsubscribes, on the same channel, though nothing else has."""
    sync: dict[str, Any] = {
        "key": "id",
        "send": "changed",
        "action": "subscription",
        "map": {"email": "mail", "status": "consented", "channel": {"value": "email"}},
    }
    rows = "SELECT 'u' || i AS id, 'u' || i || '@shop.example' AS mail, i > {least} AS consented FROM range(1, 5) t(i)"
    assert run(tmp_path, twin, rows.format(least=0), **sync).delivered == 4
    assert run(tmp_path, twin, rows.format(least=1), **sync).delivered == 1
    assert [address for (address, _), state in twin.consent.items() if state == "UNSUBSCRIBED"] == ["u1@shop.example"]
