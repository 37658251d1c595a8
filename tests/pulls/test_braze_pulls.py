"""Pulls of Braze's stand-in: daily numbers of all there is, lists, and people asked for by id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.pulling import braze_bench

DAYS = ("2026-01-29", "2026-01-30")


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    """A running workspace."""
    with BrazeTwin(api_key="braze-key") as running:
        yield running


def test_numbers_of_all_campaigns_by_day(tmp_path: Path, twin: BrazeTwin) -> None:
    """More campaigns than a page of the list holds: each has a row for each day, and none of a neighbouring day."""
    twin.reads.campaigns = {f"c{number}": {"name": f"Campaign {number}"} for number in range(103)}
    bench = braze_bench(tmp_path, twin, report="campaign_series")
    assert [found.rows for found in bench.pull(*DAYS)] == [103, 103]
    assert bench.rows("SELECT DISTINCT day::VARCHAR, conversions FROM raw.braze ORDER BY 1") == [("2026-01-29", 29), ("2026-01-30", 30)]
    sql = "SELECT campaign_name, messages::VARCHAR FROM raw.braze WHERE campaign_id = 'c7' AND conversions = 30"
    [(name, messages)] = bench.rows(sql)
    assert (name, messages.replace(" ", "")) == ("Campaign 7", '{"email":[{"sent":30}]}')
    assert twin.violations == []


def test_one_canvas_over_a_week(tmp_path: Path, twin: BrazeTwin) -> None:
    """The pull names it, a file holds a week: one request, no list."""
    twin.reads.canvas = {"k1": {"name": "Welcome"}}
    bench = braze_bench(tmp_path, twin, report="canvas_series", id="k1", window="7d")
    [found] = bench.pull("2026-01-26", "2026-02-01")
    assert (found.rows, len(twin.log)) == (7, 1)
    assert bench.rows("SELECT SUM(entries), SUM(revenue)::VARCHAR FROM raw.braze")[0][0] == sum([26, 27, 28, 29, 30, 31, 1])


def test_a_window_that_is_too_long_says_so(tmp_path: Path, twin: BrazeTwin) -> None:
    """A canvas gives 14 days at once: nothing is cut off in silence."""
    twin.reads.canvas = {"k1": {"name": "Welcome"}}
    [failed] = braze_bench(tmp_path, twin, report="canvas_series", id="k1", window="21d").pull(*DAYS)
    assert "14d or less" in str(failed.reason)


def test_sizes_of_segments(tmp_path: Path, twin: BrazeTwin) -> None:
    """Days are told with an hour behind them here: they are dates all the same."""
    twin.reads.segments = {"s1": {"name": "All"}, "s2": {"name": "VIP"}}
    bench = braze_bench(tmp_path, twin, report="segment_series")
    bench.pull(*DAYS)
    assert bench.rows("SELECT segment_name, day::VARCHAR, size FROM raw.braze ORDER BY ALL")[0] == ("All", "2026-01-29", 29)
    assert bench.count("raw.braze") == 4


def test_the_list_of_segments_is_as_it_is_now(tmp_path: Path, twin: BrazeTwin) -> None:
    """A pull without time replaces all of its rows."""
    twin.reads.segments = {f"s{number}": {"name": "x", "tags": ["a"]} for number in range(150)}
    bench = braze_bench(tmp_path, twin, report="segments")
    bench.pull()
    assert bench.count("raw.braze") == 150
    twin.reads.segments = {"s1": {"name": "y"}}
    bench.pull()
    assert bench.rows("SELECT id, name FROM raw.braze") == [("s1", "y")]


def fill(folder: Path, people: int) -> None:
    """Make `crm.people` in the warehouse."""
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute(
            f"CREATE SCHEMA IF NOT EXISTS crm; CREATE OR REPLACE TABLE crm.people AS SELECT 'u' || i AS id FROM range({people}) t(i)"
        )


def test_people_of_a_model(tmp_path: Path, twin: BrazeTwin) -> None:
    """Fifty at a time; who is not known to Braze has a row that says so; a fault on the way costs nobody."""
    fill(tmp_path, 120)
    twin.profiles = {f"u{number}": {"email": f"u{number}@example.com", "tier": "gold"} for number in range(0, 120, 2)}
    bench = braze_bench(tmp_path, twin, report="users", model={"table": "crm.people"}, fields=["external_id", "email"])
    twin.faults.append(Fault(Response(500), when=lambda _call: twin.requests == 2))
    [found] = bench.pull()
    assert (found.status, found.rows) == ("loaded", 120)
    assert bench.rows("SELECT found, COUNT(*), COUNT(email) FROM raw.braze GROUP BY 1 ORDER BY 1") == [(False, 60, 0), (True, 60, 60)]
    assert bench.rows("SELECT COUNT(DISTINCT external_id) FROM raw.braze") == [(120,)]


def test_nobody_to_ask_for(tmp_path: Path, twin: BrazeTwin) -> None:
    """An empty model makes no request and no row."""
    fill(tmp_path, 0)
    [found] = braze_bench(tmp_path, twin, report="users", model={"table": "crm.people"}, fields=["email"]).pull()
    assert (found.status, found.rows, twin.requests) == ("loaded", 0, 0)


def test_a_model_that_grows_meanwhile_shifts_nobody(tmp_path: Path, twin: BrazeTwin) -> None:
    """The vendor goes down after the first fifty; a person is added in front: the rest is still everybody who was there."""
    fill(tmp_path, 100)
    twin.profiles = {f"u{number}": {"email": "x"} for number in range(100)}
    bench = braze_bench(tmp_path, twin, report="users", model={"table": "crm.people"}, fields=["external_id"])
    twin.faults.extend(Fault(Response(500), when=lambda _call: twin.requests > 1) for _ in range(3))
    [failed] = bench.pull()
    assert failed.status == "failed"
    bench.rows("INSERT INTO crm.people VALUES ('a-new-one')")
    [found] = bench.pull()
    assert found.rows == 100
    assert bench.rows("SELECT COUNT(DISTINCT external_id) FROM raw.braze") == [(100,)]
