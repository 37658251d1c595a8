"""The feed that loads a pull's files: one of the settings whose path takes them, else one made from the pull."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from rowferry import pulls
from rowferry.feeds.routing import Unrouted, route
from rowferry.pulls.port import Window
from rowferry.pulls.puller import export_key
from rowferry.settings.feed import Feed
from rowferry.settings.model import Settings

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_SAMPLE = Window("20260101", _BEGIN, _BEGIN + timedelta(days=1))  # some window: its file shows where the pull's files go


def all_feeds(settings: Settings) -> Mapping[str, Feed]:
    """The feeds of the settings and those of pulls; a pull's own is called `pulls.<pull>`."""
    feeds = dict(settings.feeds)
    for name in settings.pulls:
        if feed_name(settings, name) == own_name(name):
            feeds[own_name(name)] = own_feed(settings, name)
    return feeds


def feed_name(settings: Settings, name: str) -> str:
    """The name of the feed that takes a pull's files: the pull's own one, when its table is named or no other feed takes them."""
    pull = settings.pulls[name]
    if pull.table is not None:
        return own_name(name)
    source = pulls.find(settings.destinations[pull.from_].vendor)
    found = route(settings.feeds, export_key(name, pull, source.reports[pull.report], _SAMPLE))
    return own_name(name) if isinstance(found, Unrouted) else getattr(found, "name", own_name(name))


def own_name(name: str) -> str:
    """What a pull's own feed is called: no feed of the settings can have a dot in its name."""
    return f"pulls.{name}"


def own_feed(settings: Settings, name: str) -> Feed:
    """A feed for exactly the pull's files: a window's file that comes again replaces its rows."""
    pull = settings.pulls[name]
    account = settings.destinations[pull.from_]
    source = pulls.find(account.vendor)
    report = source.reports[pull.report]
    wanted = {
        "path": pull.path or f"{name}/",
        "table": pull.table or f"raw.{name}",
        "columns": dict(report.columns),
        "preset": report.preset,
        "timezone": source.zone(account),
        "expect": pull.expect,
        "notify": pull.notify,
    }
    return Feed.model_validate({key: value for key, value in wanted.items() if value})
