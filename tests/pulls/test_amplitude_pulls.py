"""Pulls of Amplitude's stand-in: archives by the hour, halved where they are too large, charts and cohorts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rowferry.twins.amplitude import AmplitudeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.pulling import AmplitudeBench

DAY = ("2026-01-30", "2026-01-30")
NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)


@pytest.fixture
def twin() -> Iterator[AmplitudeTwin]:
    """A running project."""
    with AmplitudeTwin(api_key="key-1", secret_key="secret-1") as running:
        yield running


def fill(twin: AmplitudeTwin, hour: int, rows: int) -> None:
    """Events that were uploaded in an hour of 2026-01-30."""
    at = NOON.replace(hour=hour)
    twin.reads.add(
        at,
        *(
            {"uuid": f"{hour}-{n}", "event_type": "Buy", "amplitude_id": 10**17 + n, "event_time": f"{at:%Y-%m-%d %H:%M:%S}.5"}
            for n in range(rows)
        ),
    )


def exports(twin: AmplitudeTwin) -> list[str]:
    """The ranges that were asked for."""
    return [call.path.partition("?")[2] for call in twin.log if call.path.startswith("/api/2/export")]


def test_a_day_is_an_hour_a_file(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """Twenty-four requests, an hour each; hours without events are empty files, and each event is a row of the usual columns."""
    bench = AmplitudeBench(tmp_path, twin)
    for hour, rows in {0: 4, 5: 1, 23: 7}.items():
        fill(twin, hour, rows)
    found = bench.pull(*DAY)
    assert sum(file.rows for file in found) == bench.count("raw.amplitude") == 12
    assert len(found) == 24
    assert {file.status for file in found} == {"loaded"}
    sql = "SELECT amplitude_id, epoch_ms(event_time) FROM raw.amplitude WHERE uuid = '5-0'"
    assert bench.rows(sql) == [(10**17, int(NOON.replace(hour=5).timestamp() * 1000) + 500)]


def test_an_hour_that_is_pulled_again_replaces_its_rows(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """What has grown, shrunk or gone since is as it is now."""
    bench = AmplitudeBench(tmp_path, twin)
    for hour in (1, 2, 3):
        fill(twin, hour, 5)
    bench.pull(*DAY)
    twin.reads.hours.clear()
    fill(twin, 1, 6)
    fill(twin, 2, 1)
    bench.pull(*DAY)
    assert bench.rows("SELECT hour(event_time), COUNT(*) FROM raw.amplitude GROUP BY 1 ORDER BY 1") == [(1, 6), (2, 1)]


@pytest.mark.parametrize("cap", [{"cap_rows": 10}, {"cap_hours": 4}])
def test_a_range_that_is_too_much_is_halved(tmp_path: Path, twin: AmplitudeTwin, cap: dict[str, int]) -> None:
    """A day at once, of which Amplitude gives so much or so long at a time: one file, every event once."""
    bench = AmplitudeBench(tmp_path, twin, window="1d")
    for hour in range(24):
        fill(twin, hour, 2)
    for name, value in cap.items():
        setattr(twin.reads, name, value)
    [found] = bench.pull(*DAY)
    assert (found.status, found.rows) == ("loaded", 48)
    assert bench.rows("SELECT COUNT(DISTINCT uuid) FROM raw.amplitude") == [(48,)]
    assert len(exports(twin)) == 15


def test_an_hour_above_the_cap_says_where_it_is_to_be_had(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """It can't be halved: that hour fails with the way out, all others are loaded."""
    bench = AmplitudeBench(tmp_path, twin)
    fill(twin, 4, 20)
    fill(twin, 5, 3)
    twin.reads.cap_rows = 10
    found = bench.pull(*DAY)
    [failed] = [file for file in found if file.status == "failed"]
    assert "preset: amplitude_export" in str(failed.reason)
    assert bench.count("raw.amplitude") == 3


ZIP_HEAD = b"PK\x03\x04 and then nothing more"
FAULTS: dict[str, Fault] = {
    "cut off": Fault(Response(200, ZIP_HEAD)),
    "HTML": Fault(Response(200, b"<html>maintenance</html>")),
    "empty": Fault(Response(200)),
    "429": Fault(Response(429)),
    "500": Fault(Response(500)),
    "504": Fault(Response(504)),
    "reset": Fault(reset="before"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_costs_no_event(tmp_path: Path, twin: AmplitudeTwin, fault: str) -> None:
    """A broken archive is asked for again, never taken for an hour without events."""
    bench = AmplitudeBench(tmp_path, twin, window="12h")
    fill(twin, 3, 5)
    chosen = FAULTS[fault]
    twin.faults.append(Fault(chosen.response, chosen.reset))
    bench.pull(*DAY)
    assert bench.count("raw.amplitude") == 5
    assert not twin.faults


def test_an_hour_is_left_alone_until_it_is_ready(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """By itself a pull takes hours that ended two hours ago, and asks again for those of the last six only."""
    bench = AmplitudeBench(tmp_path, twin, since=NOON.date())
    bench.set_clock(datetime(2026, 1, 30, 10, 30, tzinfo=UTC))
    assert [file.file[-12:] for file in bench.pull()][-1] == "0_7#1.json.gz"[-12:]
    assert len(exports(twin)) == 8
    twin.log.clear()
    bench.clock.sleep(3600)
    bench.pull()
    assert sorted(query[6:17] for query in exports(twin)) == [f"20260130T{hour:02d}" for hour in range(4, 9)]


def test_a_wrong_secret_key_stops_it(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """403 is one sentence, not twenty-four failures."""
    bench = AmplitudeBench(tmp_path, twin)
    twin.secret_key = "another"
    [failed] = bench.pull(*DAY)
    assert "secret_key or region is wrong" in str(failed.reason)


def test_a_chart_is_rows(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """Each value of each series, by day, as a row."""
    bench = AmplitudeBench(tmp_path, twin, report="segmentation", event="Buy", window="7d")
    fill(twin, 4, 20)
    bench.pull(*DAY)
    assert bench.rows("SELECT \"value\" FROM raw.amplitude WHERE period = '2026-01-30'") == [(20.0,)]
    assert bench.count("raw.amplitude") == 7


@pytest.mark.parametrize("elsewhere", [False, True])
def test_members_of_a_cohort(tmp_path: Path, twin: AmplitudeTwin, elsewhere: bool) -> None:
    """Asked for once, waited for, fetched; the storage that the file is in does not see our key."""
    bench = AmplitudeBench(tmp_path, twin, report="cohort", id="abc123", query={"props": 1})
    twin.reads.members["abc123"] = [{"amplitude_id": 10**17 + n, "user_id": f"u{n}", "tier": "gold" if n else ""} for n in range(5)]
    twin.reads.busy, twin.reads.elsewhere = 3, elsewhere
    [found] = bench.pull()
    assert (found.status, found.rows) == ("loaded", 5)
    assert bench.rows("SELECT amplitude_id, user_id, tier FROM raw.amplitude ORDER BY 1 LIMIT 2") == [
        (10**17, "u0", None),
        (10**17 + 1, "u1", "gold"),
    ]
    assert not twin.reads.shown
    assert len([call for call in twin.log if "/request/abc123" in call.path]) == 1
    twin.reads.members["abc123"] = twin.reads.members["abc123"][:2]
    bench.pull()
    assert bench.count("raw.amplitude") == 2


def test_a_snapshot_has_no_days(tmp_path: Path, twin: AmplitudeTwin) -> None:
    """--from and --to make no sense for how things stand now."""
    from rowferry.errors import UsageError

    bench = AmplitudeBench(tmp_path, twin, report="cohort", id="abc123")
    with pytest.raises(UsageError, match="leave out --from and --to"):
        bench.pull(*DAY)
