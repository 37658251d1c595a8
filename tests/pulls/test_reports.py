"""CleverTap's other reports: counts that are polled, top values, trends, profiles, messages, campaigns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.pulling import Bench

DAY = ("2026-01-30", "2026-01-30")
NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project: three people, five events."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1") as running:
        for number in range(5):
            who = {"identity": f"u{number % 3}", "name": f"Name {number % 3}", "profileData": {"Tier": "gold", "score": 10**17 + number}}
            running.reads.add("Charged", NOON, {"profile": who, "event_props": {"Plan": "Gold" if number else "Free"}})
        yield running


@pytest.mark.parametrize("busy", [0, 3])
@pytest.mark.parametrize(("report", "count"), [("event_count", 5), ("profile_count", 3)])
def test_a_count_is_one_row(tmp_path: Path, twin: CleverTapTwin, report: str, count: int, busy: int) -> None:
    """Also when CleverTap counts for a while and gives a number to ask on with."""
    bench = Bench(tmp_path, twin, report=report)
    twin.reads.busy = busy
    bench.pull(*DAY)
    assert bench.rows('SELECT from_day::VARCHAR, event, "count" FROM raw.ct_charged') == [("2026-01-30", "Charged", count)]
    assert len(twin.log) == 1 + busy


def test_a_count_that_does_not_end_ends_the_pull(tmp_path: Path, twin: CleverTapTwin) -> None:
    """`partial` for ever is bounded by the time that the settings give a request."""
    bench = Bench(tmp_path, twin, report="event_count")
    twin.reads.busy = 10**9
    [failed] = bench.pull(*DAY)
    assert "still counting" in str(failed.reason)


def test_an_unknown_event_inside_a_200_fails(tmp_path: Path, twin: CleverTapTwin) -> None:
    """CleverTap says `fail` with status 200: no row of zero is made of that."""
    twin.faults.append(Fault(Response(200, b'{"status":"fail","error":"Invalid event","code":400}')))
    [failed] = Bench(tmp_path, twin, report="event_count").pull(*DAY)
    assert failed.status == "failed"
    assert "Invalid event" in str(failed.reason)


def test_top_values_are_rows(tmp_path: Path, twin: CleverTapTwin) -> None:
    """A row for each group and value."""
    groups = {"plans": {"property_type": "event_properties", "name": "Plan"}}
    bench = Bench(tmp_path, twin, report="top_counts", groups=groups)
    bench.pull(*DAY)
    found = bench.rows('SELECT group_name, type, "value", "count" FROM raw.ct_charged ORDER BY 4')
    assert found == [("plans", "STR", "Free", 1), ("plans", "STR", "Gold", 4)]
    assert orjson.loads(twin.log[0].body)["groups"] == groups


def test_trends_are_rows(tmp_path: Path, twin: CleverTapTwin) -> None:
    """A row for each period, over a window of a week."""
    bench = Bench(tmp_path, twin, report="trends", groups={"daily": {"trend_type": "daily"}}, query={"unique": False}, window="7d")
    bench.pull(*DAY)
    assert bench.rows('SELECT group_name, period, "count", to_day::VARCHAR FROM raw.ct_charged') == [("daily", "20260130", 5, "2026-02-01")]
    assert orjson.loads(twin.log[0].body) == {
        "event_name": "Charged", "groups": {"daily": {"trend_type": "daily"}}, "unique": False, "from": 20260126, "to": 20260201,
    }  # fmt: skip


def test_people_who_did_something(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Each person once, with their own properties as columns."""
    bench = Bench(tmp_path, twin, report="profiles", page_rows=2)
    bench.pull(*DAY)
    found = bench.rows("SELECT identity, name, profile_Tier, profile_score FROM raw.ct_charged ORDER BY 1")
    assert found == [(f"u{n}", f"Name {n}", "gold", str(10**17 + n + (3 if n < 2 else 0))) for n in range(3)]


def test_message_reports(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Whatever CleverTap reports of a message is a column, the key with a blank in it too; filters go out as they are."""
    twin.reads.messages[20260130] = [{"message id": 1457432766, "message_name": "Hi", "sent": 10, "labels": ["a"]}]
    twin.reads.messages[20260131] = [{"message id": 2}]
    bench = Bench(tmp_path, twin, report="message_report", event=None, query={"channel": ["push"]})
    bench.pull("2026-01-30", "2026-01-31")
    assert bench.rows("SELECT message_id, message_name, sent FROM raw.ct_charged ORDER BY 1") == [
        ("1457432766", "Hi", "10"),
        ("2", None, None),
    ]
    assert orjson.loads(twin.log[0].body)["channel"] == ["push"]


def test_campaign_reports(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Each campaign of the list with its result; one without a result yet, in any of the three ways in which CleverTap
    says so, is a row without numbers, and not tried for ever."""
    twin.reads.targets[20260130] = [{"id": n, "name": f"C{n}", "status": "completed"} for n in range(4)]
    twin.reads.results = {0: {"sent": 82, "clicked": 28}, 1: None, 2: {"sent": 1}, 3: {"sent": 2}}
    conflict = Fault(Response(409, b"{}"), when=lambda call: call.body == b'{"id":2}')
    unfinished = b'{"status":"success","error":"This target hasn\'t been completed"}'
    twin.faults.extend([conflict, Fault(Response(200, unfinished), when=lambda call: call.body == b'{"id":3}')])
    bench = Bench(tmp_path, twin, report="campaign_report", event=None)
    bench.pull(*DAY)
    assert bench.rows("SELECT name, has_result, sent FROM raw.ct_charged ORDER BY 1") == [
        ("C0", True, "82"), ("C1", False, None), ("C2", False, None), ("C3", False, None),
    ]  # fmt: skip
    assert len(twin.log) == 5


def test_a_server_error_at_a_result_is_still_tried_again(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Another 500 is a fault like any other."""
    twin.reads.targets[20260130] = [{"id": 0, "name": "C0"}]
    twin.reads.results = {0: {"sent": 82}}
    twin.faults.append(Fault(Response(500, b"oops"), when=lambda call: "result" in call.path))
    bench = Bench(tmp_path, twin, report="campaign_report", event=None)
    bench.pull(*DAY)
    assert bench.rows("SELECT sent FROM raw.ct_charged") == [("82",)]
