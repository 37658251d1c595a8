"""Files whose event never came, and feeds that have gone silent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rowferry.feeds.pattern import parse_pattern
from rowferry.feeds.routing import UPLOADS, Ambiguous, Match, Unrouted, explain, route
from rowferry.loads.ledger import Ledger, is_back
from rowferry.loads.load import contract_id
from rowferry.loads.plan import window_ends
from rowferry.loads.quarantine import corrects
from rowferry.settings.feed import Feed
from rowferry.settings.hours import Expectation, find_zone, read_expectation
from rowferry.stores.port import Object, Store


@dataclass(frozen=True, slots=True)
class Missed:
    """An object that some feed would take and the ledger does not know, or knows by settings that have changed since."""

    key: str
    feed: str
    size_bytes: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Stray:
    """An object in a feed's folder that no feed takes, or that two would: `problem` says it in a sentence."""

    key: str
    problem: str


def missed(
    store: Store, ledger: Ledger, feeds: Mapping[str, Feed], before: datetime | None = None, now: datetime | None = None
) -> Iterator[Missed | Stray]:
    """Hold the bucket's listing against the ledger, in bounded memory.

    `before` leaves out younger objects, whose event may still be under way; `now` leaves out those
    of feeds with a `window` that is still open.
    """
    for prefix in _prefixes(feeds):
        known = _Known(ledger, prefix)
        for found in store.list(prefix):
            if before is not None and found.updated_at >= before:
                continue
            routed = route(feeds, corrects(found.key) or found.key)
            if isinstance(routed, Match) and (_is_waiting(found, routed.feed, now) or known.has(found, routed)):
                continue
            if isinstance(routed, Match):
                yield Missed(found.key, routed.name, found.size_bytes, found.updated_at)
            elif isinstance(routed, Ambiguous) or (isinstance(routed, Unrouted) and routed.watching):
                yield Stray(found.key, explain(routed, found.key))


def _is_waiting(found: Object, feed: Feed, now: datetime | None) -> bool:
    return now is not None and feed.window is not None and window_ends(found.updated_at, feed.window) > now


class _Known:
    """The ledger's files from a prefix on, walked along with a listing: both are in the order of their names."""

    def __init__(self, ledger: Ledger, first: str) -> None:
        self._rows = ledger.files(first)
        self._next = next(self._rows, None)

    def has(self, object: Object, routed: Match) -> bool:
        """Whether this version is settled under today's settings."""
        rows = []
        while self._next is not None and self._next.file.encode() <= object.key.encode():
            if self._next.file == object.key:
                rows.append(self._next)
            self._next = next(self._rows, None)
        same = (row for row in rows if row.version == object.version)
        return any(row.status != "quarantined" or row.contract == contract_id(routed) for row in same) and not is_back(object, rows)


def _prefixes(feeds: Mapping[str, Feed]) -> list[str]:
    """The folders that feeds watch, none within another."""
    folders = sorted({parse_pattern(feed.path).folder for feed in feeds.values()} | ({UPLOADS} if feeds else set()))
    return [folder for folder in folders if not any(folder != other and folder.startswith(other) for other in folders)]


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a feed keeps its promise: `due_at` is the last time something should have come."""

    feed: str
    due_at: datetime
    last_at: datetime | None
    is_late: bool

    def to_dict(self) -> dict[str, str | None]:
        """As `rowferry status` shows it."""
        return {"feed": self.feed, "due_at": self.due_at.isoformat(), "last_at": self.last_at.isoformat() if self.last_at else None}


def due(feeds: Mapping[str, Feed], ledger: Ledger, now: datetime) -> list[Due]:
    """How every feed with an `expect` stands. Something counts as come when a file of it was loaded."""
    expecting = {name: feed for name, feed in feeds.items() if feed.expect}
    if not expecting:
        return []
    last: dict[str, datetime] = {}
    for row in ledger.freshness():
        if row["loaded_at"] is not None:
            last[row["feed"]] = max(row["loaded_at"], last.get(row["feed"], row["loaded_at"]))
    return [_due(name, feed, last.get(name), now) for name, feed in expecting.items()]


def _due(name: str, feed: Feed, last_at: datetime | None, now: datetime) -> Due:
    expectation = read_expectation(feed.expect or "")
    if expectation.every_seconds is not None:
        due_at = now - timedelta(seconds=expectation.every_seconds)
        return Due(name, due_at, last_at, last_at is None or last_at < due_at)
    due_at, since = _last_due(expectation, feed.timezone, now)
    return Due(name, due_at, last_at, last_at is None or last_at < since)


def _last_due(expectation: Expectation, timezone: str, now: datetime) -> tuple[datetime, datetime]:
    """The last time something was due, and since when it may have come to count for that: the time before it."""
    zone = expectation.zone or find_zone(timezone)
    assert expectation.by is not None
    local, found = now.astimezone(zone), []
    for back in range(15):
        day = local.date() - timedelta(days=back)
        moment = datetime.combine(day, expectation.by, zone).astimezone(UTC)
        if day.weekday() in expectation.days and moment <= now:
            found.append(moment)
        if len(found) == 2:
            break
    return found[0], found[1]
