"""Where the rows of a pull go, what is expected of it, and who is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from rowferry.clock import ManualClock
from rowferry.machine import Machine
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.pulling import NOW, Bench

DAY = ("2026-01-30", "2026-01-30")


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1") as running:
        yield running


def test_without_a_table_or_feed_rows_go_to_the_pull_s_own(tmp_path: Path, twin: CleverTapTwin) -> None:
    """raw.<pull>, from files in <pull>/."""
    bench = Bench(tmp_path, twin, path=None, table=None)
    bench.charge("2026-01-30", 3)
    [found] = bench.pull(*DAY)
    assert (found.table, found.file.split("/")[0], found.feed) == ("raw.charged", "charged", "pulls.charged")
    assert bench.count("raw.charged") == 3


@pytest.mark.parametrize("preset", [None, "clevertap_events"])
def test_a_feed_on_the_path_takes_the_rows(tmp_path: Path, twin: CleverTapTwin, preset: str | None) -> None:
    """By its own contract; with CleverTap's preset the API's rows stand beside those of the export to a bucket."""
    feed = {"path": "clevertap-api/", "table": "raw.from_feed"} | ({"preset": preset} if preset else {})
    bench = Bench(tmp_path, twin, table=None, feeds={"api": feed})
    bench.charge("2026-01-30", 3)
    [found] = bench.pull(*DAY)
    assert (found.feed, found.table, found.rows) == ("api", "raw.from_feed", 3)
    bench.charge("2026-01-30", 1, start=10)
    bench.pull(*DAY)
    assert bench.count("raw.from_feed") == 4


def test_a_preset_s_table_is_named_after_the_event(tmp_path: Path, twin: CleverTapTwin) -> None:
    """`raw.clevertap_{event}`, as for files of the export itself."""
    feed = {"path": "clevertap-api/", "table": "raw.clevertap_{event}", "preset": "clevertap_events"}
    bench = Bench(tmp_path, twin, table=None, event="Order Placed", feeds={"api": feed})
    twin.reads.add("Order Placed", datetime(2026, 1, 30, 12, tzinfo=UTC), {"profile": {"identity": "u1"}})
    [found] = bench.pull(*DAY)
    assert (found.table, found.rows) == ("raw.clevertap_order_placed", 1)


def test_a_file_of_a_pull_loads_by_its_event_alone(tmp_path: Path, twin: CleverTapTwin) -> None:
    """In the clouds the file's own event brings it to `load_export`, which knows nothing of the pull's run."""
    bench = Bench(tmp_path, twin)
    bench.charge("2026-01-30", 3)
    with bench.app() as app:
        [found] = list(app.pull("charged", date(2026, 1, 30), date(2026, 1, 30)))
        assert app.load_export(found.key).rows == 3
        assert app.load_export(found.key).status == "skipped"
        assert app.load_missed() == []


def test_a_pull_that_brings_nothing_new_is_late(tmp_path: Path, twin: CleverTapTwin) -> None:
    """`expect` counts files with rows that were loaded, as for any feed."""
    bench = Bench(tmp_path, twin, expect="every 6h")
    bench.charge("2026-02-01", 3)
    with bench.app() as app:
        assert [due.feed for due in app.late_feeds()] == ["pulls.charged"]
        Machine(app).pull("charged")
        assert app.late_feeds() == []
        bench.clock.sleep(timedelta(hours=7).total_seconds())
        assert [due.feed for due in app.late_feeds()] == ["pulls.charged"]


def test_people_are_told_once_when_it_fails_and_when_it_works_again(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Two failures are one notice; the next good pull is another."""
    bench = Bench(tmp_path, twin, notify="ops")
    bench.data["destinations"]["ops"] = {"vendor": "slack", "webhook_url": "env:SLACK_OPS"}
    for _ in range(2):
        twin.faults.append(Fault(Response(400, b'{"status":"fail","error":"Invalid event","code":400}')))
        assert bench.pull(*DAY)[0].status == "failed"
    assert bench.pull(*DAY)[0].status == "loaded"
    with bench.app() as app:
        assert len([found.key for found in app.state.list("outbox/ops/")]) == 2


def test_a_pull_waits_for_nobody_who_is_gone(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Two pulls of one name, one after the other in two apps, both come to their end."""
    bench = Bench(tmp_path, twin)
    bench.charge("2026-01-30", 3)
    for _ in range(2):
        bench.pull(*DAY)
    assert bench.count() == 3


class _Ticking(ManualClock):
    """A clock that moves on by itself, a millisecond each time it is looked at."""

    def now(self) -> datetime:
        self._elapsed_seconds += 0.001
        return super().now()


def test_a_call_that_had_to_stop_goes_on_with_the_days_that_are_missing(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Seven of nine days are pulled when the vendor goes down: the same call asks for the others only, and a call after
    that for all of them, as a person who pulls days again wants them as they are now."""
    bench = Bench(tmp_path, twin)
    bench.clock = _Ticking(NOW)
    for day in range(20, 29):
        bench.charge(f"2026-01-{day}", 2)
    days = ("2026-01-20", "2026-01-28")
    twin.faults.extend(Fault(Response(500), when=lambda call: b"20260127" in call.body) for _ in range(3))
    assert "failed" in {found.status for found in bench.pull(*days)}
    twin.log.clear()
    found = bench.pull(*days)
    assert len(found) == 9
    assert len([call for call in twin.log if call.method == "POST"]) <= 4
    assert bench.count() == 18
    twin.log.clear()
    bench.pull(*days)
    assert len([call for call in twin.log if call.method == "POST"]) == 9
    assert bench.count() == 18
