"""Whole syncs to CleverTap's stand-in, through the real engine: what is stored there, and that the balance holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from rowferry.app import App
from rowferry.delivery.runs import RunResult
from rowferry.machine import Machine
from rowferry.settings.check import check
from rowferry.settings.file import parse_settings
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response

ENVIRONMENT = {"CT_PASSCODE": "passcode-1"}
PEOPLE = "SELECT 'u' || i AS id, 'u' || i || '@example.com' AS mail, 'gold' AS tier, DATE '1990-05-17' AS born FROM range(1, 5) t(i)"


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1") as running:
        yield running


def run(folder: Path, twin: CleverTapTwin, rows: str, **sync: Any) -> RunResult:
    """One run of a sync over these rows (as SQL), which stand in `crm.people`."""
    data: dict[str, Any] = {
        "rowferry": 1,
        "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
        "state": "state",
        "destinations": {
            "ct": {"vendor": "clevertap", "base_url": twin.url, "account_id": "ABC-123-4567", "passcode": "env:CT_PASSCODE", "attempts": 2}
        },
        "syncs": {"people": {"model": {"table": "crm.people"}, "key": "id", "to": "ct", **sync}},
    }
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS crm; CREATE OR REPLACE TABLE crm.people AS {rows}")
    settings = parse_settings(data, ENVIRONMENT, folder)
    assert check(settings, ENVIRONMENT) == []
    with App(settings, environment=ENVIRONMENT) as app:
        result = Machine(app).sync("people")
    assert result.read == result.unchanged + result.delivered + result.rejected + result.pending
    return result


def test_changed_profiles_leave_as_what_changed(tmp_path: Path, twin: CleverTapTwin) -> None:
    """The first run sends everybody, the next one only the one attribute that changed, and a NULL removes."""
    sync = {
        "send": "changed",
        "action": "profile",
        "nulls": "unset",
        "map": {"identity": "id", "Email": "mail", "tier": "tier", "DOB": "born"},
    }
    assert run(tmp_path, twin, PEOPLE, **sync).delivered == 4
    assert twin.profiles["u1"] == {"Email": "u1@example.com", "tier": "gold", "DOB": "$D_642902400"}
    changed = PEOPLE.replace("'gold'", "CASE i WHEN 1 THEN NULL WHEN 2 THEN 'blue' ELSE 'gold' END")
    result = run(tmp_path, twin, changed, **sync)
    assert (result.delivered, result.unchanged, result.requests) == (2, 2, 1)
    assert sorted(orjson.loads(twin.log[-1].body)["d"], key=lambda record: str(record["identity"])) == [
        {"type": "profile", "identity": "u1", "profileData": {"tier": {"$delete": True}}},
        {"type": "profile", "identity": "u2", "profileData": {"tier": "blue"}},
    ]
    assert "tier" not in twin.profiles["u1"]
    assert twin.violations == []


def test_a_bad_row_among_good_ones_is_the_only_one_rejected(tmp_path: Path, twin: CleverTapTwin) -> None:
    """CleverTap names the record it refused; the others are delivered once, and the reason tells no address."""
    rows = PEOPLE.replace("'u' || i || '@example.com'", "CASE i WHEN 3 THEN 'nobody' ELSE 'u' || i || '@example.com' END")
    result = run(tmp_path, twin, rows, send="changed", action="profile", map={"identity": "id", "Email": "mail"})
    assert (result.status, result.delivered, result.rejected, result.requests) == ("closed", 3, 1, 1)
    [rejection] = result.rejections
    assert (rejection["key"], rejection["code"], rejection["reason"]) == ("u3", "email_invalid", "CleverTap 515: Email … is not valid")


def test_a_passing_fault_of_one_record_costs_nothing(tmp_path: Path, twin: CleverTapTwin) -> None:
    """555 for one record sends that record once more, not its neighbours."""
    refused = {"status": "fail", "code": 555, "error": "Server error. Skipped record number : 1", "record": {}}
    body = orjson.dumps({"status": "fail", "processed": 0, "unprocessed": [refused]})
    twin.faults.append(Fault(response=Response(200, body)))
    rows = PEOPLE + " WHERE i = 1"
    result = run(tmp_path, twin, rows, send="changed", action="profile", map={"identity": "id", "tier": "tier"})
    assert (result.delivered, result.requests) == (1, 2)


def test_events_leave_once(tmp_path: Path, twin: CleverTapTwin) -> None:
    """New rows become events; a second run over the same rows sends none of them."""
    rows = f"SELECT *, TIMESTAMPTZ '2026-01-31 12:00:00+00' AS at, TIMESTAMPTZ '2026-02-01 00:00:00+00' AS added_at FROM ({PEOPLE})"
    sync = {
        "send": "new",
        "cursor": "added_at",
        "action": "event",
        "map": {"identity": "id", "name": {"value": "Upgraded"}, "time": "at", "Tier": "tier"},
    }
    assert run(tmp_path, twin, rows, **sync).delivered == 4
    assert run(tmp_path, twin, rows, **sync).delivered == 0
    assert len(twin.events) == 4
    assert twin.events[0]["evtData"] == {"Tier": "gold"}
    assert twin.events[0]["ts"] == 1769860800


def test_an_audience_is_an_attribute(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Who is in it has `vip: true`, who leaves gets `vip: false`."""
    sync = {"send": "audience", "audience": "vip", "map": {"identity": "id"}}
    run(tmp_path, twin, PEOPLE, **sync)
    result = run(tmp_path, twin, PEOPLE + " WHERE i > 1", **sync)
    assert result.delivered == 1
    assert {name: found["vip"] for name, found in twin.profiles.items()} == {"u1": False, "u2": True, "u3": True, "u4": True}


def test_who_is_removed_is_deleted_when_the_sync_says_so(tmp_path: Path, twin: CleverTapTwin) -> None:
    """`on_remove: delete` removes the person at CleverTap."""
    sync = {"send": "changed", "action": "profile", "on_remove": "delete", "map": {"identity": "id", "tier": "tier"}}
    run(tmp_path, twin, PEOPLE, **sync)
    result = run(tmp_path, twin, PEOPLE + " WHERE i > 1", **sync)
    assert result.status == "closed"
    assert set(twin.profiles) == {"u2", "u3", "u4"}


def test_a_wrong_passcode_fails_the_run_and_the_next_one_resumes_it(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Nobody is rejected for our key; once it is mended the same run delivers everybody."""
    twin.passcode = "another"
    sync = {"send": "changed", "action": "profile", "map": {"identity": "id", "tier": "tier"}}
    failed = run(tmp_path, twin, PEOPLE, **sync)
    assert (failed.status, failed.pending, failed.rejected) == ("failed", 4, 0)
    twin.passcode = "passcode-1"
    resumed = run(tmp_path, twin, PEOPLE, **sync)
    assert (resumed.run, resumed.status, resumed.delivered) == (failed.run, "closed", 4)
