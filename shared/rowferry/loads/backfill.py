"""A past range of a feed's files, loaded on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from rowferry.feeds.pattern import parse_pattern
from rowferry.feeds.routing import Match, match
from rowferry.settings.feed import Feed
from rowferry.stores.port import Object, Store


def files_between(store: Store, name: str, feed: Feed, first: date, last: date) -> Iterator[Object]:
    """The feed's objects of the days `first` to `last`, both included, in the order of their names.

    An object's day is the one its name says; where names say none, the day it was written, in the feed's zone.
    """
    for found in store.list(parse_pattern(feed.path).prefix):
        matched = match(name, feed, found.key)
        if isinstance(matched, Match) and first <= _day(found, matched) <= last:
            yield found


def _day(found: Object, matched: Match) -> date:
    day = matched.parts.get("day", matched.parts.get("hour"))
    if day is None:
        day = next((part for part in matched.parts.values() if isinstance(part, date)), None)
    if isinstance(day, datetime):
        return day.date()
    if isinstance(day, date):
        return day
    return found.updated_at.astimezone(ZoneInfo(matched.feed.timezone)).date()
