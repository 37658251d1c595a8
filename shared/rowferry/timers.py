"""Timers of the settings: when an entry with `every` or `cron` is due next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from croniter import croniter

from rowferry.settings.hours import find_zone


@dataclass(frozen=True, slots=True)
class Timer:
    """One entry's timer: each `every_seconds`, or by `cron` in `zone`; neither: never by itself."""

    every_seconds: float | None = None
    cron: str | None = None
    zone: str = "UTC"

    def next_at(self, after: datetime) -> datetime | None:
        """The first moment after `after` (aware) at which it is due; None for never."""
        if self.every_seconds is not None:
            return after + timedelta(seconds=self.every_seconds)
        if self.cron is not None:
            local = after.astimezone(find_zone(self.zone))
            found: datetime = croniter(self.cron, local).get_next(datetime)
            return found.astimezone(UTC)
        return None
