"""Which windows a pull asks for: the days a person names, or by itself all that is due.

A window is settled once it was asked for `trailing` after its end, when no late rows are to be expected any more. By
itself a pull asks for every window that is not settled, from its first day up to now, the oldest first: so it
catches up by itself after it was away, window by window.

    pulls/<pull>/begin.json                  the day before which everything is settled
    pulls/<pull>/settled/<asked>/<window>    a window that is not asked for any more
    pulls/<pull>/cut.json                    how time was cut into windows, and where to

A pull that asks for something else than before (`asked`, a mark of its settings) has nothing settled yet. Windows of
another size or zone would overlap with those that are in the table, and double rows: a pull that is cut anew needs a
new place to write to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import orjson

from rowferry.errors import UsageError
from rowferry.pulls.port import Report, Window
from rowferry.pulls.windows import Calendar, calendar, instant, whole
from rowferry.settings.hours import find_zone
from rowferry.settings.pull import Pull
from rowferry.stores.port import NotFound, Store

_ASKED = {"from_", "report", "event", "id", "model", "fields", "query", "groups", "path", "table", "window"}


@dataclass(frozen=True, slots=True)
class Plan:
    """The windows of one pull. `zone` is the account's."""

    name: str
    pull: Pull
    report: Report[Any]
    zone: str
    state: Store

    def between(self, first: date, last: date, now: datetime) -> list[Window]:
        """The windows of these days, both included, as far as they can be asked for by now.

        Raises `UsageError` for days that lie in the future, and for a report that has no days.
        """
        cut = self._calendar()
        if cut is None:
            raise UsageError(f"the report {self.pull.report} tells how things stand now and has no days: leave out --from and --to")
        if last < first:
            raise UsageError(f"--to {last} is before --from {first}")
        found = [window for window in cut.between(first, last) if self._can_be_asked(window, now)]
        if not found:
            raise UsageError(f"nothing of {first} to {last} can be pulled yet; in {self.zone} it is {cut.day_of(now)}")
        return found

    def today(self, now: datetime) -> date:
        """The day it is for the account."""
        return now.astimezone(find_zone(self.zone)).date()

    def due(self, now: datetime) -> list[Window]:
        """Every window that is not settled yet, the oldest first."""
        cut = self._calendar()
        if cut is None:
            return [whole(now)]
        begin = self._begin(cut, now)
        settled = {found.key.rpartition("/")[2] for found in self.state.list(self._settled_key(""))}
        windows = [window for window in cut.between(begin, cut.day_of(now)) if self._can_be_asked(window, now)]
        due = [window for window in windows if window.name not in settled]
        self._move_begin(begin, due[0].first_day if due else begin)
        return due

    def check_cut(self) -> None:
        """Raise `UsageError` when time was cut into other windows for the same files or table before."""
        cut = self._calendar()
        if cut is None:
            return
        now = {"zone": self.zone, "days": cut.days, "hours": cut.hours}
        place = {"path": self.pull.path, "table": self.pull.table}
        before = self._noted(self._cut_key)
        if before is not None and before["cut"] != now and before["place"] == place:
            told = ", ".join(f"{name} {value}" for name, value in before["cut"].items() if value)
            raise UsageError(
                f"pulls.{self.name} was cut into other windows before ({told}), and rows of both would stand side by side: "
                "write another path and table, or put `window` and the account's timezone back"
            )
        if before != (note := {"cut": now, "place": place}):
            self.state.write(self._cut_key, orjson.dumps(note))

    def settle(self, window: Window, asked_at: datetime) -> None:
        """Note what may be noted of a window that was asked for from this time on."""
        trailing = timedelta(seconds=self.pull.trailing) if "trailing" in self.pull.model_fields_set else self.report.trailing
        if self.report.unit is not None and instant(asked_at) >= instant(window.end) + trailing:
            self.state.write(self._settled_key(window.name), b"")

    def _calendar(self) -> Calendar | None:
        window = timedelta(seconds=self.pull.window) if self.pull.window else self.report.window
        return calendar(self.report.unit, find_zone(self.zone), window) if self.report.unit else None

    def _can_be_asked(self, window: Window, now: datetime) -> bool:
        """Days may be asked for while they last; where the vendor has a delay, windows have to be over for that long."""
        if self.report.ready_after:
            return instant(window.end) + self.report.ready_after <= instant(now)
        return instant(window.begin) <= instant(now)

    def _begin(self, cut: Calendar, now: datetime) -> date:
        """The first day that may not be settled. `since`, once changed, counts anew."""
        found = self._noted(self._begin_key)
        since = self.pull.since
        is_news = found is None or found["asked"] != self.asked or (since is not None and found["since"] != since.isoformat())
        if found is None or is_news:
            return since or cut.day_of(now) - timedelta(days=1)
        return date.fromisoformat(found["day"])

    def _move_begin(self, begin: date, day: date) -> None:
        """Remember where all that is not settled begins, so that years of settled windows are not looked at each time."""
        since = self.pull.since.isoformat() if self.pull.since else None
        note = {"day": max(begin, day).isoformat(), "since": since, "asked": self.asked}
        if note != self._noted(self._begin_key):
            self.state.write(self._begin_key, orjson.dumps(note))

    def _noted(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = orjson.loads(self.state.read(key)[0])
        except NotFound:
            return None
        return found

    @property
    def _begin_key(self) -> str:
        return f"pulls/{self.name}/begin.json"

    @property
    def _cut_key(self) -> str:
        return f"pulls/{self.name}/cut.json"

    def _settled_key(self, window: str) -> str:
        return f"pulls/{self.name}/settled/{self.asked}/{window}"

    @property
    def asked(self) -> str:
        """What is asked for and where it goes, in short."""
        asked = [self.pull.model_dump(mode="json", include=_ASKED), self.zone]
        return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]
