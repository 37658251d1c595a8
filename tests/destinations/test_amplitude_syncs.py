"""Whole syncs to Amplitude's stand-in, through the real engine: what is stored there, and that the balance holds."""

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
from rowferry.twins.amplitude import AmplitudeTwin

ENVIRONMENT = {"AMPLITUDE_KEY": "amplitude-key", "AMPLITUDE_SECRET": "amplitude-secret"}
PEOPLE = "SELECT 'user-' || i AS id, 'gold' AS tier, i * 10 AS points, DATE '2026-01-05' AS born FROM range(1, 5) t(i)"


@pytest.fixture
def twin() -> Iterator[AmplitudeTwin]:
    """A running project."""
    with AmplitudeTwin(api_key="amplitude-key", secret_key="amplitude-secret") as running:
        yield running


def run(folder: Path, twin: AmplitudeTwin, rows: str, **sync: Any) -> RunResult:
    """One run of a sync over these rows (as SQL), which stand in `crm.people`."""
    account = {"vendor": "amplitude", "base_url": twin.url, "api_key": "env:AMPLITUDE_KEY", "secret_key": "env:AMPLITUDE_SECRET"}
    data: dict[str, Any] = {
        "rowferry": 1,
        "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
        "state": "state",
        "destinations": {"amplitude": {**account, "project_id": 1, "cohort_owner": "ops@example.com", "attempts": 2}},
        "syncs": {"people": {"model": {"table": "crm.people"}, "key": "id", "to": "amplitude", **sync}},
    }
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS crm; CREATE OR REPLACE TABLE crm.people AS {rows}")
    settings = parse_settings(data, ENVIRONMENT, folder)
    assert check(settings, ENVIRONMENT) == []
    with App(settings, environment=ENVIRONMENT) as app:
        result = Machine(app).sync("people")
    assert result.read == result.unchanged + result.delivered + result.rejected + result.pending
    assert twin.violations == []
    return result


def test_changed_profiles_leave_as_what_changed(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """The first run sends everybody, the next only the property that changed, and a NULL unsets."""
    sync = {"send": "changed", "action": "profile", "nulls": "unset", "map": {"user_id": "id", "tier": "tier", "born": "born"}}
    assert run(tmp_path, twin, PEOPLE, **sync).delivered == 4
    assert twin.users["user-1"] == {"tier": "gold", "born": "2026-01-05"}
    changed = PEOPLE.replace("'gold'", "CASE i WHEN 1 THEN NULL WHEN 2 THEN 'blue' ELSE 'gold' END")
    result = run(tmp_path, twin, changed, **sync)
    assert (result.delivered, result.unchanged, result.requests) == (2, 2, 1)
    assert twin.users["user-1"] == {"born": "2026-01-05"}
    assert twin.users["user-2"]["tier"] == "blue"


def test_operators_are_mapped_by_nesting(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """`points___$add` adds, `$setOnce___source` is set the first time only."""
    fields = {"user_id": "id", "points___$add": "points", "$setOnce___source": "tier"}
    run(tmp_path, twin, PEOPLE, send="changed", action="profile", map=fields)
    assert twin.users["user-3"] == {"points": 30, "source": "gold"}


def test_events_leave_once_and_a_repeat_is_known(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """New rows become events with an insert_id of ours; sent again they are no second event at Amplitude."""
    rows = f"SELECT *, TIMESTAMPTZ '2026-01-31 12:00:00+00' AS at, TIMESTAMPTZ '2026-02-01 00:00:00+00' AS added_at FROM ({PEOPLE})"
    sync = {
        "send": "new",
        "cursor": "added_at",
        "action": "event",
        "map": {"user_id": "id", "name": {"value": "Upgraded"}, "time": "at", "revenue": "points"},
        "rest": "properties",
    }
    assert run(tmp_path, twin, rows, **sync).delivered == 4
    assert run(tmp_path, twin, rows, **sync).delivered == 0
    first = min(twin.events, key=lambda event: str(event["user_id"]))
    assert len({event["insert_id"] for event in twin.events}) == 4
    assert (first["revenue"], first["time"]) == (10, 1_769_860_800_000)
    assert first["event_properties"]["tier"] == "gold"


def test_groups_have_properties(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """A group's row sets what it has."""
    fields = {"group_type": {"value": "company"}, "group_value": "id", "seats": "points"}
    assert run(tmp_path, twin, PEOPLE, send="changed", action="group", map=fields).delivered == 4
    assert twin.groups["company", "user-2"] == {"seats": 20}


def test_an_audience_is_a_cohort(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """The cohort is made of who is in, who leaves is taken out, and who is unknown to Amplitude is named."""
    run(tmp_path, twin, PEOPLE + " WHERE i < 4", send="changed", action="profile", map={"user_id": "id", "tier": "tier"})
    sync = {"send": "audience", "action": "audience", "audience": "vip", "map": {"user_id": "id"}}
    folder = tmp_path / "audience"
    folder.mkdir()
    first = run(folder, twin, PEOPLE, **sync)
    assert (first.delivered, [rejection["key"] for rejection in first.rejections]) == (3, ["user-4"])
    assert run(folder, twin, PEOPLE + " WHERE i > 1", **sync).delivered == 1
    [members] = twin.cohorts.members.values()
    assert members == {"user-2", "user-3"}


def test_a_wrong_key_fails_the_run_and_the_next_one_resumes_it(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """Nobody is rejected for our key; once it is mended the same run delivers everybody."""
    twin.api_key = "another"
    sync = {"send": "changed", "action": "profile", "map": {"user_id": "id", "tier": "tier"}}
    failed = run(tmp_path, twin, PEOPLE, **sync)
    assert (failed.status, failed.pending, failed.rejected) == ("failed", 4, 0)
    twin.api_key = "amplitude-key"
    resumed = run(tmp_path, twin, PEOPLE, **sync)
    assert (resumed.run, resumed.status, resumed.delivered) == (failed.run, "closed", 4)
