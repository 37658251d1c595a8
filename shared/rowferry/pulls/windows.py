"""Which stretches of time a pull asks for: days and hours of the account's zone, each with a name of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rowferry.errors import UsageError
from rowferry.pulls.port import Unit, Window

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
ALL = "all"


@dataclass(frozen=True, slots=True)
class Calendar:
    """Cuts time into windows of `days` whole days, or of `hours` that divide a day, by the clock of `zone`.

    A day of the zone has 23 or 25 hours when its clock changes. Windows of several days begin at multiples
    counted from a Monday, so that the same days always fall together.
    """

    zone: ZoneInfo
    days: int = 1
    hours: int | None = None

    def between(self, first: date, last: date) -> Iterator[Window]:
        """The windows that hold the days `first` to `last`, both included, the oldest first."""
        day = first - timedelta(days=(first.toordinal() - 1) % self.days)
        while day <= last:
            following = day + timedelta(days=self.days)
            if self.hours is None:
                yield self._days(day, following)
            else:
                yield from self._hours(day, following)
            day = following

    def day_of(self, moment: datetime) -> date:
        """The day of the zone that a moment falls on."""
        return moment.astimezone(self.zone).date()

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)

    def _days(self, day: date, following: date) -> Window:
        name = f"{day:%Y%m%d}" if self.days == 1 else f"{day:%Y%m%d}-{following - timedelta(days=1):%Y%m%d}"
        return Window(name, self._midnight(day), self._midnight(following))

    def _hours(self, day: date, following: date) -> Iterator[Window]:
        """Named by the hour in UTC, since a zone's own clock shows one hour twice a year."""
        assert self.hours is not None
        begin, end = self._midnight(day).astimezone(UTC), self._midnight(following).astimezone(UTC)
        while begin < end:
            until = min(begin + timedelta(hours=self.hours), end)
            yield Window(f"{begin:%Y%m%dT%H%M}Z", begin.astimezone(self.zone), until.astimezone(self.zone))
            begin = until


def calendar(unit: Unit, zone: ZoneInfo, window: timedelta) -> Calendar:
    """The calendar of a report with this unit. Raises `UsageError` for a `window` that it can't be cut into."""
    if window % _DAY == timedelta():
        return Calendar(zone, days=window // _DAY)
    if unit == "hour" and window % _HOUR == timedelta() and _DAY % window == timedelta():
        return Calendar(zone, hours=window // _HOUR)
    hours = "hours that divide a day (1h, 2h, 3h, 4h, 6h, 8h, 12h), or " if unit == "hour" else ""
    raise UsageError(f"the pull's window can't be {window.total_seconds():g} s; this report takes {hours}whole days (1d, 7d)")


def whole(now: datetime) -> Window:
    """The one window of a report that has no time: how things stand now."""
    return Window(ALL, now, now)


def instant(moment: datetime) -> datetime:
    """The moment in UTC: two moments of one zone compare by the clock on the wall, which goes back once a year."""
    return moment.astimezone(UTC)
