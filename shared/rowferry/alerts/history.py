"""The numbers an alert has seen: for its trend, and to compare with.

    notices/alerts/<alert>.json     {alert, points: [[time, {column: number}], …]}

The last points, which the trend shows, are kept all, older ones every quarter of an hour, none longer than nine days: enough
to find the same weekday a week ago, small enough to be read at each check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from rowferry.alerts.trend import LENGTH
from rowferry.notices.record import Records
from rowferry.stores.port import Store

Numbers = Mapping[str, float]
Compare = Literal["previous", "same_weekday"]
_WEEK = timedelta(days=7)
_KEPT = timedelta(days=9)
_APART = timedelta(minutes=15)
_NEAR = timedelta(hours=1)  # a timer that is late still finds its point of last week


class History:
    """One alert's points, oldest first. Raises `TryLater` when the store is out of reach."""

    def __init__(self, state: Store, alert: str) -> None:
        self._records, self._alert = Records(state, "notices/alerts/"), alert
        body, _ = self._records.read(alert)
        self._points = _points([] if body is None else body["points"])

    def before(self, compare: Compare | None, now: datetime, every_seconds: float | None = None) -> Numbers:
        """The numbers to compare with; empty when there are none. `now` bears the alert's time zone: a week
        ago is the same hour on the clock there, whether summer time came in between or not."""
        if compare == "previous" and self._points:
            return self._points[-1][1]
        if compare == "same_weekday":
            wanted = now - _WEEK
            near = [point for point in self._points if _is_near(point[0], wanted, every_seconds or 0)]
            return min(near, key=lambda point: abs(point[0] - wanted), default=(wanted, {}))[1]
        return {}

    def values(self, column: str) -> list[float | None]:
        """A column's values so far, None where a point has none."""
        return [numbers.get(column) for _, numbers in self._points]

    def last(self) -> tuple[datetime | None, Numbers]:
        """When the alert last saw something, and what; None and nothing when it never did."""
        return self._points[-1] if self._points else (None, {})

    def add(self, now: datetime, numbers: Numbers) -> None:
        """Remember what was seen now."""
        while True:
            body, version = self._records.read(self._alert)
            points = [*_points([] if body is None else body["points"]), (now, numbers)]
            kept = [[at.isoformat(), dict(found)] for at, found in _thinned(points, now)]
            if self._records.put(self._alert, {"alert": self._alert, "points": kept}, version):
                return


def _is_near(at: datetime, wanted: datetime, every_seconds: float) -> bool:
    """Whether a point may stand for the one that is wanted: half of the alert's time away at most, and on that day."""
    away = abs(at - wanted)
    return away <= _NEAR or (away.total_seconds() <= every_seconds / 2 and at.astimezone(wanted.tzinfo).date() == wanted.date())


def _points(found: Sequence[tuple[str, Numbers]]) -> list[tuple[datetime, Numbers]]:
    return [(datetime.fromisoformat(at), numbers) for at, numbers in found]


def _thinned(points: Sequence[tuple[datetime, Numbers]], now: datetime) -> list[tuple[datetime, Numbers]]:
    kept: list[tuple[datetime, Numbers]] = []
    for left, (at, numbers) in zip(range(len(points), 0, -1), points, strict=True):
        if now - at <= _KEPT and (left <= LENGTH or not kept or at - kept[-1][0] >= _APART):
            kept.append((at, numbers))
    return kept
