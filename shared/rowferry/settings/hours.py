"""Times of day: quiet hours (`22:00-07:00 Europe/Berlin`), when a file is due (`daily by 03:00`), time zones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = r"([01]?\d|2[0-3]):([0-5]\d)"


def find_zone(name: str) -> ZoneInfo:
    """The time zone of this name. Raises `ValueError` when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the zone files, such as `Europe`
        raise ValueError("this is not a time zone; expected a name such as UTC, Europe/Berlin or Asia/Kolkata") from None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A stretch of each day in which nothing is sent; it may go over midnight."""

    begin: time
    end: time
    zone: ZoneInfo

    def wait_seconds(self, now: datetime) -> float:
        """Seconds from `now` (aware) until sending may go on; 0 outside of the quiet hours."""
        local = now.astimezone(self.zone)
        clock = local.time().replace(fold=0)
        over_midnight = self.end <= self.begin
        quiet = (clock >= self.begin or clock < self.end) if over_midnight else (self.begin <= clock < self.end)
        if not quiet:
            return 0.0
        day = local.date() + timedelta(days=1) if over_midnight and clock >= self.begin else local.date()
        end = datetime.combine(day, self.end, self.zone)
        return max(0.0, (end.astimezone(UTC) - now.astimezone(UTC)).total_seconds())


def read_quiet_hours(text: str) -> QuietHours:
    """`22:00-07:00 Europe/Berlin`; the zone may be left out and is UTC then. Raises `ValueError`."""
    match = re.fullmatch(rf"\s*{_CLOCK}\s*-\s*{_CLOCK}(?:\s+(\S+))?\s*", text)
    if match is None:
        raise ValueError("expected quiet hours such as 22:00-07:00 Europe/Berlin")
    begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if begin == end:
        raise ValueError("quiet hours that begin and end at the same time would never let anything out")
    return QuietHours(begin, end, find_zone(match[5] or "UTC"))


@dataclass(frozen=True, slots=True)
class Expectation:
    """When something new is due: on `days` (0 is Monday) by the time `by`, or at least each `every_seconds`."""

    days: frozenset[int] = frozenset()
    by: time | None = None
    every_seconds: float | None = None
    zone: ZoneInfo | None = None


def read_expectation(text: str) -> Expectation:
    """`daily by 03:00`, `weekdays by 09:00`, `monday by 09:00 Europe/Berlin`, `hourly`, `every 6h`. Raises `ValueError`."""
    words = text.strip().lower()
    if words == "hourly":
        return Expectation(every_seconds=3600.0)
    if match := re.fullmatch(r"every\s+([1-9]\d{0,4})\s*([mhd])", words):
        return Expectation(every_seconds=int(match[1]) * {"m": 60.0, "h": 3600.0, "d": 86400.0}[match[2]])
    match = re.fullmatch(rf"\s*(\w+)\s+by\s+{_CLOCK}(?:\s+(\S+))?\s*", text)
    days = {"daily": frozenset(range(7)), "weekdays": frozenset(range(5))} | {day: frozenset({i}) for i, day in enumerate(DAYS)}
    if match is None or match[1].lower() not in days:
        raise ValueError("expected `daily by 03:00`, `weekdays by 09:00`, `monday by 09:00`, `hourly` or `every 6h`")
    return Expectation(days[match[1].lower()], time(int(match[2]), int(match[3])), zone=find_zone(match[4]) if match[4] else None)


def _hours(text: str) -> str:
    read_quiet_hours(text)
    return text


def _expected(text: str) -> str:
    read_expectation(text)
    return text


def _zone(name: str) -> str:
    find_zone(name)
    return name


HoursText = Annotated[str, AfterValidator(_hours), Field(examples=["22:00-07:00 Europe/Berlin"])]
ExpectText = Annotated[str, AfterValidator(_expected), Field(examples=["daily by 03:00", "hourly", "every 6h"])]
Zone = Annotated[str, AfterValidator(_zone), Field(examples=["UTC", "Europe/Berlin"])]
