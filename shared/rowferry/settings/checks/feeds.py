"""Feeds and pulls: tables and paths that meet, and what they name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from rowferry.errors import Problem
from rowferry.settings.checks.scope import Scope, check_cron
from rowferry.settings.pattern import overlaps


def check_feeds(scope: Scope) -> Iterator[Problem]:
    """Each feed has its own table and its own files, and a store to take them from."""
    feeds = scope.settings.feeds
    if scope.settings.exports is None:
        for section in ("feeds", "pulls"):
            if getattr(scope.settings, section):
                yield Problem(
                    "exports", "is missing", f"{section} need the bucket or folder their files are in, e.g. exports: gs://acme-exports"
                )
                break
    for name, feed in feeds.items():
        yield from scope.notify(feed.notify, f"feeds.{name}.notify")
    for (one, first), (two, second) in combinations(feeds.items(), 2):
        if first.table.lower() == second.table.lower():
            yield Problem(f"feeds.{two}.table", f"feeds.{one} has the same table", "each feed needs a table of its own")
        # Files of different exports may lie in one folder: their presets tell them apart by name.
        if first.preset == second.preset and overlaps(first.path, second.path):
            yield Problem(f"feeds.{two}.path", f"a file could fit feeds.{one} as well", "make the two paths tell their files apart")


def check_pulls(scope: Scope) -> Iterator[Problem]:
    """Each pull asks for a report that its vendor has, and writes where nobody else does."""
    for name, pull in scope.settings.pulls.items():
        path = f"pulls.{name}"
        yield from scope.missing("destinations", pull.from_, f"{path}.from")
        found = scope.destination(pull.from_)
        for problem in pull.check_report(found[0].vendor) if found else ():
            yield Problem(f"{path}.{problem.path}", problem.problem, problem.hint)
        if pull.model and pull.model.database:
            yield from scope.missing("databases", pull.model.database, f"{path}.model.database")
        yield from check_cron(pull.cron, f"{path}.cron")
        yield from scope.notify(pull.notify, f"{path}.notify")
        yield from _other_owners(scope, name)


def _other_owners(scope: Scope, name: str) -> Iterator[Problem]:
    """Files of a pull that has a table of its own must not load by a feed as well, nor mix with another pull's."""
    folder = scope.settings.pulls[name].path or f"{name}/"
    if scope.settings.pulls[name].table:
        for feed, settings in scope.settings.feeds.items():
            if overlaps(folder, settings.path):
                hint = "take `table` out to load them by the feed, or write another path"
                yield Problem(f"pulls.{name}.path", f"its files would load by feeds.{feed} as well", hint)
    for other, earlier in scope.settings.pulls.items():
        if other == name:
            break
        if overlaps(folder, earlier.path or f"{other}/"):
            yield Problem(f"pulls.{name}.path", f"pulls.{other} writes there as well", "each pull needs a folder of its own")
