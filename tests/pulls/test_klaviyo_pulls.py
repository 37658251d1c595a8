"""Pulls of Klaviyo's stand-in: events and profiles by time, numbers of campaigns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rowferry.twins.klaviyo import KlaviyoTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.pulling import klaviyo_bench

DAY = ("2026-01-30", "2026-01-30")
BEGIN = datetime(2026, 1, 30, tzinfo=UTC)


@pytest.fixture
def twin() -> Iterator[KlaviyoTwin]:
    """A running account."""
    with KlaviyoTwin(api_key="klaviyo-key") as running:
        yield running


def fill(twin: KlaviyoTwin, events: int) -> None:
    """Events of two metrics, an hour apart, from an hour before the day on."""
    twin.reads.metrics = {"M0": "Clicked Email", "M1": "Opened Email", "M2": "Placed Order"}
    for number in range(events):
        at = BEGIN + timedelta(hours=number - 1)
        twin.reads.events.append(
            {
                "id": f"e{number}",
                "datetime": f"{at:%Y-%m-%d %H:%M:%S}+00:00".replace(" ", "T"),
                "metric": f"M{1 + number % 2}",
                "profile": "p1",
                "properties": {"$value": 1.5},
            }
        )


def test_events_of_a_day(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """All pages, both edges right: the first moment of the day is in it, that of the next day is not."""
    fill(twin, 30)
    twin.reads.page_rows = 7
    bench = klaviyo_bench(tmp_path, twin, report="events")
    [found] = bench.pull(*DAY)
    assert found.rows == 24
    assert bench.rows("SELECT MIN(epoch(datetime))::BIGINT, COUNT(DISTINCT id), MIN(profile_id) FROM raw.klaviyo") == [
        (int(BEGIN.timestamp()), 24, "p1")
    ]


def test_events_of_one_metric_by_its_name(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """The name stands on the second page of metrics; only its events come."""
    fill(twin, 30)
    bench = klaviyo_bench(tmp_path, twin, report="events", event="Placed Order")
    bench.pull(*DAY)
    assert bench.rows("SELECT DISTINCT metric_id FROM raw.klaviyo") == [("M2",)]
    assert bench.count("raw.klaviyo") == 12


def test_an_unknown_event_is_no_empty_day(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """A name that is not there is said, not taken for a day without events."""
    fill(twin, 3)
    [failed] = klaviyo_bench(tmp_path, twin, report="events", event="placed order").pull(*DAY)
    assert failed.status == "failed"
    assert "no metric 'placed order'" in str(failed.reason)


def test_profiles_by_their_last_change(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """Klaviyo compares exclusively: who changed in the day's first second is in it all the same, a second earlier is not."""
    seconds = [-1, 0, 5, 86399, 86400]
    for number, second in enumerate(seconds):
        at = BEGIN + timedelta(seconds=second)
        twin.reads.profiles.append(
            {"id": f"p{number}", "email": f"p{number}@example.com", "updated": at.isoformat(), "properties": {"n": 10**17 + number}}
        )
    bench = klaviyo_bench(tmp_path, twin, report="profiles", page_rows=1)
    bench.pull(*DAY)
    assert bench.rows("SELECT id FROM raw.klaviyo ORDER BY id") == [("p1",), ("p2",), ("p3",)]
    assert "100000000000000001" in str(bench.rows("SELECT properties::VARCHAR FROM raw.klaviyo ORDER BY id")[0][0])


def test_numbers_of_campaigns(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """Groupings and statistics side by side, all pages."""
    twin.reads.campaigns = [
        {
            "groupings": {"campaign_id": f"c{n}", "campaign_message_id": f"m{n}", "send_channel": "email"},
            "statistics": {"opens": n, "open_rate": 0.25},
        }
        for n in range(5)
    ]
    twin.reads.page_rows = 2
    query = {"conversion_metric_id": "M2", "statistics": ["opens", "open_rate"]}
    bench = klaviyo_bench(tmp_path, twin, report="campaign_values", query=query, window="7d")
    bench.pull("2026-01-26", "2026-01-26")
    assert bench.rows("SELECT campaign_id, opens, open_rate, to_day::VARCHAR FROM raw.klaviyo ORDER BY 1 LIMIT 1") == [
        ("c0", "0", "0.25", "2026-02-01")
    ]
    assert bench.count("raw.klaviyo") == 5


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Response(429, b"{}", {"retry-after": "1"})),
        Fault(Response(503)),
        Fault(Response(403, b"<html>", {"content-type": "text/html"})),
        Fault(reset="before"),
    ],
    ids=["429", "503", "challenge", "reset"],
)
def test_a_passing_fault_costs_no_row(tmp_path: Path, twin: KlaviyoTwin, fault: Fault) -> None:
    """Also the gateway's own 403 with a web page, which is no word about our key."""
    fill(twin, 30)
    twin.reads.page_rows = 7
    twin.faults.append(Fault(fault.response, fault.reset, when=lambda call: "cursor" in call.path))
    bench = klaviyo_bench(tmp_path, twin, report="events")
    bench.pull(*DAY)
    assert bench.count("raw.klaviyo") == 24
    assert not twin.faults


def test_a_key_without_the_scope_stops_it(tmp_path: Path, twin: KlaviyoTwin) -> None:
    """403 in JSON is about our key."""
    twin.faults.append(Fault(Response(403, b'{"errors":[{"code":"permission_denied"}]}', {"content-type": "application/vnd.api+json"})))
    [failed] = klaviyo_bench(tmp_path, twin, report="events").pull(*DAY)
    assert "scope for reading" in str(failed.reason)
