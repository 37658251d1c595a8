"""Whole pulls of CleverTap's stand-in, through the real engine, into a real table: exact, whatever the vendor answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.server import Call, Fault
from rowferry.wire import Response
from support.pulling import Bench

DAY = ("2026-01-30", "2026-01-30")


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1") as running:
        yield running


def is_page(call: Call) -> bool:
    """Whether a request asks for a page."""
    return call.method == "GET"


def pages(twin: CleverTapTwin) -> list[str]:
    """The cursors that were asked for, in order."""
    return [call.path.partition("cursor=")[2] for call in twin.log if is_page(call)]


def test_two_days_of_events_are_in_the_table(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Each day is a file, each event a row, with its name, its time and all digits of its numbers."""
    bench = Bench(tmp_path, twin, page_rows=7)
    bench.charge("2026-01-30", 20)
    bench.charge("2026-01-31", 3, start=20)
    bench.charge("2026-02-01", 4, start=30)
    assert [(found.status, found.rows, found.table) for found in bench.pull("2026-01-30", "2026-01-31")] == [
        ("loaded", 20, "raw.ct_charged"),
        ("loaded", 3, "raw.ct_charged"),
    ]
    assert bench.count() == 23
    sql = "SELECT event_name, profile_identity, epoch(ts)::BIGINT, event_props_order FROM raw.ct_charged ORDER BY profile_identity LIMIT 1"
    assert bench.rows(sql) == [("Charged", "u0", 1769774400, "100000000000000000")]


@pytest.mark.parametrize("events", [5, 12, 0])
def test_a_day_that_is_pulled_again_replaces_its_rows(tmp_path: Path, twin: CleverTapTwin, events: int) -> None:
    """Fewer, more or no rows than before: the table has the day as it is now, and the other day as it was."""
    bench = Bench(tmp_path, twin)
    bench.charge("2026-01-30", 9)
    bench.charge("2026-01-31", 2, start=50)
    bench.pull("2026-01-30", "2026-01-31")
    twin.reads.events.clear()
    bench.charge("2026-01-30", events, start=100)
    bench.pull(*DAY)
    assert bench.count() == events + 2


def test_nothing_is_left_in_the_state_but_what_was_done(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Pages go once their window is done."""
    bench = Bench(tmp_path, twin, page_rows=2)
    bench.charge("2026-01-30", 9)
    bench.pull(*DAY)
    with bench.app() as app:
        assert [found.key for found in app.state.list("pulls/charged/pages/")] == []
        assert orjson.loads(app.state.read("pulls/charged/done/20260130.json")[0])["rows"] == 9


def test_a_page_that_is_not_ready_is_asked_for_again_by_the_same_cursor(tmp_path: Path, twin: CleverTapTwin) -> None:
    """ "Still in progress" is no failure, and the cursor goes back exactly as it came, not encoded twice."""
    bench = Bench(tmp_path, twin, page_rows=5)
    bench.charge("2026-01-30", 8)
    twin.reads.busy = 3
    bench.pull(*DAY)
    assert bench.count() == 8
    asked = pages(twin)
    assert len(asked) == 8
    assert len(set(asked)) == 2
    assert all("%2F" in cursor and "%25" not in cursor for cursor in asked)


HTML = Response(200, b"<html><body>Bad gateway</body></html>", {"content-type": "text/html"})
FAULTS = {
    "429": Fault(Response(429, b'{"status":"fail","error":"Too many concurrent requests","code":429}')),
    "429 inside 200": Fault(Response(200, b'{"status":"fail","error":"Too many concurrent requests","code":429}')),
    "500": Fault(Response(500, b"")),
    "503 HTML": Fault(Response(503, b"<html>")),
    "HTML": Fault(HTML),
    "empty 200": Fault(Response(200)),
    "cut off": Fault(Response(200, b'{"status":"success","records":[{"ts":20260130')),
    "202": Fault(Response(202)),
    "reset": Fault(reset="before"),
    "answer lost": Fault(reset="after"),
}


@pytest.mark.parametrize("step", ["query", "page"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_costs_no_row_and_doubles_none(tmp_path: Path, twin: CleverTapTwin, fault: str, step: str) -> None:
    """Whatever goes wrong once, at the query or at a page, the table has each event once."""
    bench = Bench(tmp_path, twin, page_rows=4)
    bench.charge("2026-01-30", 11)
    chosen = FAULTS[fault]
    twin.faults.append(Fault(chosen.response, chosen.reset, when=lambda call: is_page(call) == (step == "page")))
    [found] = bench.pull(*DAY)
    assert (found.status, found.rows, bench.count()) == ("loaded", 11, 11)
    assert not twin.faults


def test_a_vendor_that_stays_down_ends_the_pull_and_the_next_one_goes_on(tmp_path: Path, twin: CleverTapTwin) -> None:
    """After the attempts it is over, nothing is loaded; the same call asks for the missing pages only."""
    bench = Bench(tmp_path, twin, page_rows=4)
    bench.charge("2026-01-30", 11)
    third = 3
    twin.faults.extend(Fault(Response(500), when=lambda call: is_page(call) and len(set(pages(twin))) >= third) for _ in range(3))
    [failed] = bench.pull(*DAY)
    assert (failed.status, failed.reason) == ("failed", "CleverTap answered 500, 3 times")
    asked = len(twin.log)
    [found] = bench.pull(*DAY)
    assert (found.status, bench.count()) == ("loaded", 11)
    assert len(twin.log) == asked + 1


def test_waiting_for_a_page_that_never_comes_has_an_end(tmp_path: Path, twin: CleverTapTwin) -> None:
    """An export that is for ever in progress ends the pull, after the time the settings give it."""
    bench = Bench(tmp_path, twin)
    bench.charge("2026-01-30", 1)
    twin.reads.busy = 10**9
    [failed] = bench.pull(*DAY)
    assert failed.status == "failed"
    assert "still at work" in str(failed.reason)
    assert bench.clock.monotonic() <= 600


def test_a_rate_limit_without_end_has_an_end(tmp_path: Path, twin: CleverTapTwin) -> None:
    """429 is no attempt, but not for ever either."""
    bench = Bench(tmp_path, twin)
    twin.faults.extend(FAULTS["429"] for _ in range(300))
    [failed] = bench.pull(*DAY)
    assert failed.status == "failed"
    assert "Too many concurrent requests" in str(failed.reason)


def test_a_cursor_that_comes_again_is_an_error_with_both(tmp_path: Path, twin: CleverTapTwin) -> None:
    """A vendor that sends us in circles is stopped at once; no row of that day is loaded, the other day is."""
    bench = Bench(tmp_path, twin, page_rows=4)
    bench.charge("2026-01-30", 11)
    bench.charge("2026-01-31", 2)
    twin.reads.spoil = lambda start, page: page | {"next_cursor": pages(twin)[-1]} if start == 4 else page
    failed, loaded = bench.pull("2026-01-30", "2026-01-31")
    assert (failed.status, loaded.status) == ("failed", "loaded")
    assert str(failed.reason).count(pages(twin)[-1][:8]) == 2
    assert bench.count() == 2
    assert len(twin.log) <= 6


def test_a_longer_circle_is_found_as_well(tmp_path: Path, twin: CleverTapTwin) -> None:
    """The cursor of the first page after the third one: known too, though it is not the last one."""
    bench = Bench(tmp_path, twin, page_rows=4)
    bench.charge("2026-01-30", 30)
    twin.reads.spoil = lambda start, page: page | {"next_cursor": pages(twin)[0]} if start == 8 else page
    [failed] = bench.pull(*DAY)
    assert failed.status == "failed"
    assert "circles" in str(failed.reason)


def test_a_page_that_comes_twice_counts_once(tmp_path: Path, twin: CleverTapTwin) -> None:
    """The vendor gives the rows of one page again under the next cursor: they stand in the table once."""
    bench = Bench(tmp_path, twin, page_rows=4)
    bench.charge("2026-01-30", 12)
    first: list[Any] = []

    def repeat(start: int, page: dict[str, Any]) -> dict[str, Any]:
        if start == 0:
            first.append(page["records"])
        if start == 4 and len(first) == 1:
            first.append(None)
            return page | {"records": first[0], "next_cursor": twin.reads.cursor(0, 4)}
        return page

    twin.reads.spoil = repeat
    [found] = bench.pull(*DAY)
    assert (found.status, bench.count()) == ("loaded", 12)
    assert len(pages(twin)) == 4


def test_an_expired_cursor_begins_the_day_anew(tmp_path: Path, twin: CleverTapTwin) -> None:
    """The pages so far are dropped and the query is asked again: nothing is missing, nothing there twice."""
    bench = Bench(tmp_path, twin, page_rows=4)
    bench.charge("2026-01-30", 11)
    expired = Response(400, b'{"status":"fail","error":"Cursor has expired","code":400}')
    twin.faults.append(Fault(expired, when=lambda call: is_page(call) and len(pages(twin)) == 3))
    [found] = bench.pull(*DAY)
    assert (found.status, bench.count()) == ("loaded", 11)
    assert len([call for call in twin.log if not is_page(call)]) == 2


def test_cursors_that_always_expire_end_the_day(tmp_path: Path, twin: CleverTapTwin) -> None:
    """After two new beginnings the day is given up, with CleverTap's own words."""
    bench = Bench(tmp_path, twin, page_rows=4)
    bench.charge("2026-01-30", 11)
    expired = Response(400, b'{"status":"fail","error":"Cursor has expired","code":400}')
    twin.faults.extend(Fault(expired, when=is_page) for _ in range(9))
    [failed] = bench.pull(*DAY)
    assert failed.status == "failed"
    assert "Cursor has expired" in str(failed.reason)
    assert len([call for call in twin.log if not is_page(call)]) == 3


def test_events_of_notifications_are_refused_with_the_way_to_them(tmp_path: Path, twin: CleverTapTwin) -> None:
    """CleverTap does not export them by API; the reason says how they are had."""
    bench = Bench(tmp_path, twin, event="Notification Sent")
    [failed] = bench.pull(*DAY)
    assert failed.status == "failed"
    assert "Export not allowed for this event" in str(failed.reason)
    assert "preset: clevertap_events" in str(failed.reason)
    assert len(twin.log) == 1


def test_a_wrong_passcode_stops_everything(tmp_path: Path, twin: CleverTapTwin) -> None:
    """One sentence, and no request for each of thirty days."""
    bench = Bench(tmp_path, twin)
    twin.passcode = "another"
    [failed] = bench.pull("2026-01-01", "2026-01-30")
    assert failed.status == "failed"
    assert "passcode or region is wrong" in str(failed.reason)
    assert "passcode-1" not in str(failed.reason)
    assert len(twin.log) <= 3


def test_no_more_than_three_requests_are_open_at_once(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Days are pulled side by side, as many as CleverTap takes, so that none is turned away."""
    bench = Bench(tmp_path, twin, page_rows=5)
    for day in range(10, 20):
        bench.charge(f"2026-01-{day}", 7)
    twin.latency_seconds = 0.01
    assert len(bench.pull("2026-01-10", "2026-01-19")) == 10
    assert bench.count() == 70
    assert twin.most_open <= 3


def test_days_are_those_of_the_project(tmp_path: Path, twin: CleverTapTwin) -> None:
    """An event just before midnight in Kolkata belongs to that day there, and its time comes out as the moment it was."""
    bench = Bench(tmp_path, twin, zone="Asia/Kolkata")
    late, early = datetime(2026, 1, 30, 18, 29, 59, tzinfo=UTC), datetime(2026, 1, 30, 18, 30, tzinfo=UTC)
    twin.reads.add("Charged", late)
    twin.reads.add("Charged", early)
    bench.pull(*DAY)
    assert bench.rows("SELECT epoch(ts)::BIGINT FROM raw.ct_charged") == [(int(late.timestamp()),)]
    bench.pull("2026-01-31", "2026-01-31")
    assert bench.count() == 2


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_day_with_a_change_of_the_clock_is_whole(tmp_path: Path, twin: CleverTapTwin, day: str) -> None:
    """The days of 23 and of 25 hours in Berlin: each event of an hourly series is there once, over three days."""
    bench = Bench(tmp_path, twin, zone="Europe/Berlin")
    bench.clock = ManualClock(datetime(2026, 12, 1, tzinfo=UTC))
    middle = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    begin, hours = middle - timedelta(days=2), 24 * 5
    for hour in range(hours):
        twin.reads.add("Charged", begin + timedelta(hours=hour), {"event_props": {"n": hour}})
    first, last = (f"{middle + timedelta(days=shift):%Y-%m-%d}" for shift in (-3, 3))
    bench.pull(first, last)
    assert bench.rows("SELECT COUNT(*), COUNT(DISTINCT event_props_n) FROM raw.ct_charged") == [(hours, hours)]


def test_numbers_keep_all_their_digits(tmp_path: Path, twin: CleverTapTwin) -> None:
    """Identifiers of 18, 20 and 40 digits, and decimals beyond a float, are in the table as CleverTap wrote them."""
    wide = [10**17 + 1, 2**64 + 3, 10**39 + 7]
    numbers = f'{{"a":{wide[0]},"b":{wide[1]},"c":{wide[2]},"d":0.12345678901234567890}}'
    body = f'{{"status":"success","records":[{{"ts":20260130120000,"event_props":{numbers}}}]}}'
    twin.faults.append(Fault(Response(200, body.encode()), when=is_page))
    bench = Bench(tmp_path, twin)
    bench.pull(*DAY)
    sql = "SELECT event_props_a, event_props_b, event_props_c, event_props_d FROM raw.ct_charged"
    assert bench.rows(sql) == [(*(str(number) for number in wide), "0.12345678901234567890")]


def test_properties_that_differ_from_page_to_page_are_all_there(tmp_path: Path, twin: CleverTapTwin) -> None:
    """An event may have any properties: each is a column, NULL where an event has it not."""
    bench = Bench(tmp_path, twin, page_rows=1)
    at = datetime(2026, 1, 30, 12, tzinfo=UTC)
    twin.reads.add("Charged", at, {"event_props": {"CT Source": "a"}, "profile": {"identity": "u1", "profileData": {"Tier": "gold"}}})
    twin.reads.add("Charged", at, {"event_props": {"Amount": 2}, "session_props": {"utm_source": "x"}})
    bench.pull(*DAY)
    found = bench.rows("SELECT event_props_ct_source, event_props_amount, session_props_utm_source FROM raw.ct_charged ORDER BY 1")
    assert sorted(found, key=repr) == [("a", None, None), (None, "2", "x")]
