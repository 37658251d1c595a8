"""Quiet hours, due times and zones, over midnight and over the change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from rowferry.settings.hours import find_zone, read_expectation, read_quiet_hours


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        ("2026-01-10T21:59:59", 0),
        ("2026-01-10T22:00:00", 9),
        ("2026-01-11T00:00:00", 7),
        ("2026-01-11T06:00:00", 1),
        ("2026-01-11T07:00:00", 0),
        ("2026-01-11T12:00:00", 0),
    ],
)
def test_over_midnight(now: str, hours: float) -> None:
    """Quiet from 22 to 7: the wait ends at 7, on the next day before midnight and on the same day after it."""
    assert read_quiet_hours("22:00-07:00").wait_seconds(_at(now)) == hours * 3600


@pytest.mark.parametrize(("now", "hours"), [("2026-01-10T12:59:00", 0), ("2026-01-10T13:00:00", 1), ("2026-01-10T14:00:00", 0)])
def test_within_a_day(now: str, hours: float) -> None:
    """Quiet from 13 to 14 is quiet then only."""
    assert read_quiet_hours("13:00-14:00 UTC").wait_seconds(_at(now)) == hours * 3600


def test_in_a_zone_where_the_clocks_change() -> None:
    """In the night when summer time begins, 22:00 to 07:00 in Berlin is 8 hours long; when it ends, 10."""
    quiet = read_quiet_hours("22:00-07:00 Europe/Berlin")
    assert quiet.wait_seconds(_at("2026-03-28T21:00:00")) == 8 * 3600
    assert quiet.wait_seconds(_at("2026-10-24T20:00:00")) == 10 * 3600


@pytest.mark.parametrize("text", ["", "22-7", "25:00-07:00", "22:00-07:60", "22:00-22:00", "22:00-07:00 Mars", "22:00-07:00 UTC x"])
def test_what_are_no_quiet_hours(text: str) -> None:
    """Hours that don't exist, that never end, or in an unknown zone are refused."""
    with pytest.raises(ValueError, match=r"hours|zone"):
        read_quiet_hours(text)


def test_expectations() -> None:
    """A due time is a time on some days, or a longest silence."""
    assert read_expectation("daily by 03:00").by == time(3)
    assert read_expectation("weekdays by 9:30").days == frozenset(range(5))
    assert read_expectation("Monday by 09:00 Europe/Berlin").zone == find_zone("Europe/Berlin")
    assert read_expectation("monday by 09:00").days == {0}
    assert read_expectation("hourly").every_seconds == 3600
    assert read_expectation("every 6h").every_seconds == 21600


@pytest.mark.parametrize("text", ["", "daily", "by 03:00", "daily by 3", "someday by 03:00", "every 0h", "every 6", "daily by 03:00 Mars"])
def test_what_is_no_expectation(text: str) -> None:
    """Anything else is refused with what may stand there."""
    with pytest.raises(ValueError, match=r"daily by 03:00|zone"):
        read_expectation(text)


@pytest.mark.parametrize("name", ["", "Europe", "../etc/passwd", "/etc/passwd", "Mars/Base", "a" * 5000, "Europe/Berlin\0", "\ud800"])
def test_what_is_no_zone(name: str) -> None:
    """Unknown names, folders of zones and paths are refused."""
    with pytest.raises(ValueError, match="not a time zone"):
        find_zone(name)
