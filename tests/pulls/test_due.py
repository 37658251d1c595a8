"""Which windows are asked for: whole days of the account, what is not settled, everything that was missed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rowferry.errors import UsageError
from rowferry.pulls import find
from rowferry.pulls.due import Plan
from rowferry.pulls.windows import Calendar, calendar
from rowferry.settings.hours import find_zone
from rowferry.settings.pull import Pull
from rowferry.stores.folder import FolderStore

NOW = datetime(2026, 2, 2, 2, 15, tzinfo=UTC)
MakePlan = Callable[..., Plan]


@pytest.fixture
def plan(tmp_path: Path) -> MakePlan:
    """Plans over one store: of CleverTap's events, or another vendor's report."""

    def make(vendor: str = "clevertap", report: str = "events", zone: str = "UTC", **pull: Any) -> Plan:
        settings = Pull.model_validate({"from": "account", "report": report, "event": "x"} | pull)
        return Plan("charged", settings, find(vendor).reports[report], zone, FolderStore(tmp_path))

    return make


def names(plan: Plan, now: datetime) -> list[str]:
    """The windows due at a time, which are then pulled at once."""
    found = plan.due(now)
    for window in found:
        plan.settle(window, now)
    return [window.name for window in found]


def test_a_pull_that_never_ran_begins_yesterday(plan: MakePlan) -> None:
    """Yesterday and as much of today as there is."""
    assert names(plan(), NOW) == ["20260201", "20260202"]


def test_a_pull_with_since_begins_there(plan: MakePlan) -> None:
    """History comes by itself, the oldest first."""
    found = names(plan(since="2026-01-01"), NOW)
    assert (found[0], found[-1], len(found)) == ("20260101", "20260202", 33)


def test_days_are_asked_again_until_nothing_comes_late_any_more(plan: MakePlan) -> None:
    """Each day is pulled while it lasts, and daily until two days after its end; then it is settled."""
    asked = [names(plan(), NOW + timedelta(days=day)) for day in range(4)]
    assert asked == [
        ["20260201", "20260202"],
        ["20260201", "20260202", "20260203"],
        ["20260201", "20260202", "20260203", "20260204"],
        ["20260202", "20260203", "20260204", "20260205"],
    ]


def test_a_pull_that_was_away_catches_up(plan: MakePlan) -> None:
    """After ten days of silence every day is asked for, none is left out."""
    names(plan(trailing="0s"), NOW)
    found = names(plan(trailing="0s"), NOW + timedelta(days=10))
    assert found == [f"2026-02-{day:02d}".replace("-", "") for day in range(2, 13)]


def test_a_window_that_failed_stays_due_while_later_ones_are_settled(plan: MakePlan) -> None:
    """Nothing is forgotten behind a gap."""
    made = plan(since="2026-01-20", trailing="0s")
    for window in made.due(NOW):
        if window.name != "20260122":
            made.settle(window, NOW)
    assert [window.name for window in made.due(NOW)] == ["20260122", "20260202"]


def test_an_earlier_since_asks_for_what_is_missing_only(plan: MakePlan) -> None:
    """Days that are settled stay settled when history is asked for afterwards."""
    names(plan(since="2026-01-30", trailing="0s"), NOW)
    assert names(plan(since="2026-01-28", trailing="0s"), NOW) == ["20260128", "20260129", "20260202"]


def test_a_pull_of_something_else_has_nothing_settled(plan: MakePlan) -> None:
    """Another event under the same name begins anew."""
    names(plan(since="2026-01-30", trailing="0s"), NOW)
    assert len(names(plan(since="2026-01-30", trailing="0s", event="y"), NOW)) == 4


def test_windows_of_another_size_are_refused(plan: MakePlan) -> None:
    """Days and weeks side by side in one table would double rows; a new place is fine."""
    plan().check_cut()
    plan().check_cut()
    with pytest.raises(UsageError, match="another path and table"):
        plan(window="7d").check_cut()
    with pytest.raises(UsageError, match="another path and table"):
        plan(zone="Asia/Kolkata").check_cut()
    plan(window="7d", path="weeks/", table="raw.weeks").check_cut()


def test_days_that_are_named(plan: MakePlan) -> None:
    """Both ends included, the future left out; a range that lies in it is an error."""
    assert [window.name for window in plan().between(date(2026, 1, 31), date(2026, 2, 9), NOW)] == ["20260131", "20260201", "20260202"]
    with pytest.raises(UsageError, match="can be pulled yet"):
        plan().between(date(2026, 2, 3), date(2026, 2, 9), NOW)
    with pytest.raises(UsageError, match="is before"):
        plan().between(date(2026, 2, 3), date(2026, 2, 1), NOW)


def test_today_is_the_account_s_day(plan: MakePlan) -> None:
    """At 21:00 in UTC it is tomorrow in Kolkata already."""
    late = datetime(2026, 2, 1, 21, tzinfo=UTC)
    assert names(plan(zone="Asia/Kolkata"), late)[-1] == "20260202"


def test_weeks_are_whole_and_always_the_same(plan: MakePlan) -> None:
    """Any day of a week asks for that week, from Monday to Sunday."""
    for day in (26, 28):
        [window] = plan(window="7d").between(date(2026, 1, day), date(2026, 1, 29), NOW)
        assert (window.name, window.first_day, window.last_day) == ("20260126-20260201", date(2026, 1, 26), date(2026, 2, 1))


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)])
def test_a_day_has_the_hours_it_has(day: date, hours: int) -> None:
    """Where the clock changes: no hour is missing, none has a name twice, and they meet without a gap."""
    windows = list(Calendar(find_zone("Europe/Berlin"), hours=1).between(day, day))
    assert len({window.name for window in windows}) == len(windows) == hours
    ends = [window.end.astimezone(UTC) for window in windows]
    begins = [window.begin.astimezone(UTC) for window in windows]
    assert ends[:-1] == begins[1:]
    [whole] = Calendar(find_zone("Europe/Berlin")).between(day, day)
    assert (whole.begin.astimezone(UTC), whole.end.astimezone(UTC)) == (begins[0], ends[-1])


def test_midnight_that_does_not_exist(plan: MakePlan) -> None:
    """In Beirut the clock jumps over midnight: days still meet, and none is empty."""
    zone = find_zone("Asia/Beirut")
    days = list(Calendar(zone).between(date(2026, 3, 27), date(2026, 3, 31)))
    spans = [(window.end.astimezone(UTC) - window.begin.astimezone(UTC)) / timedelta(hours=1) for window in days]
    assert sorted(spans) == [23, 24, 24, 24, 24]
    assert [window.first_day for window in days] == [date(2026, 3, 27) + timedelta(days=shift) for shift in range(5)]


@pytest.mark.parametrize("window", [timedelta(minutes=30), timedelta(hours=5), timedelta(hours=36), timedelta(hours=1)])
def test_a_window_that_does_not_fit_is_refused(window: timedelta) -> None:
    """The sentence says what this report can be cut into."""
    with pytest.raises(UsageError, match="whole days"):
        calendar("day", find_zone("UTC"), window)


def test_hours_fit_where_the_vendor_has_hours() -> None:
    """Six hours are a window of Amplitude's."""
    assert len(list(calendar("hour", find_zone("UTC"), timedelta(hours=6)).between(date(2026, 1, 1), date(2026, 1, 1)))) == 4
