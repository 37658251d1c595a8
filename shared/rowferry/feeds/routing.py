"""Which feed takes a file. Two feeds or none is a problem that is told, never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rowferry.feeds.pattern import Part, parse_pattern
from rowferry.feeds.preset import Ignored, Named, find_preset
from rowferry.settings.feed import Feed


@dataclass(frozen=True, slots=True)
class Match:
    """The one feed that takes the file, and what the file's name says."""

    name: str
    feed: Feed
    parts: Mapping[str, Part]
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of a feed's export that holds no rows, such as a marker."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unrouted:
    """No feed takes the file. `watching` are the feeds whose folder it lies in: there it is a problem. `wanted` says
    for people what these take."""

    watching: tuple[str, ...]
    wanted: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """More than one feed would take the file."""

    names: tuple[str, ...]


# Where a file from elsewhere is put that a person loads by a feed of their choice: `rowferry-uploads/<feed>/…`.
UPLOADS = "rowferry-uploads/"

Route = Match | Skipped | Unrouted | Ambiguous


def route(feeds: Mapping[str, Feed], key: str) -> Route:
    """Find the feed for an object of the exports store."""
    if key.endswith("/"):
        return Skipped("", "a folder's placeholder")
    if key.startswith(UPLOADS):
        name = key.split("/")[1]
        return upload(name, feeds[name], key) if name in feeds else Unrouted(())
    found = [taken for name, feed in feeds.items() if (taken := match(name, feed, key)) is not None]
    matches = [taken for taken in found if isinstance(taken, Match)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        return Ambiguous(tuple(taken.name for taken in matches))
    if found:
        return found[0]
    watching = {name: feed for name, feed in feeds.items() if key.startswith(parse_pattern(feed.path).folder)}
    takes = (f"{name} takes {feed.path}" + (f" as {feed.preset} names it" if feed.preset else "") for name, feed in watching.items())
    return Unrouted(tuple(watching), tuple(takes))


def upload(name: str, feed: Feed, key: str) -> Match:
    """A file that this feed takes whatever its own place is; its name may still say what the path reads from names."""
    own_place = parse_pattern(feed.path).folder + key.rpartition("/")[2]
    found = match(name, feed, own_place)
    return found if isinstance(found, Match) else Match(name, feed, {})


def match(name: str, feed: Feed, key: str) -> Match | Skipped | None:
    """Whether this feed takes the file: its path fits and, with a preset, the preset knows the name."""
    parts = parse_pattern(feed.path).match(key)
    if parts is None:
        return None
    if feed.preset is None:
        return Match(name, feed, parts)
    named = find_preset(feed.preset).read_name(key)
    match named:
        case Named():
            return Match(name, feed, {**named.parts, **parts}, named.variant)
        case Ignored():
            return Skipped(name, named.reason)
        case None:
            return None


def explain(found: Unrouted | Ambiguous, key: str) -> str:
    """The problem in a sentence, with what to do."""
    if isinstance(found, Ambiguous):
        return f"{key} fits the paths of {' and '.join(found.names)}; make the paths of these feeds tell their files apart"
    if found.watching:
        where = f"{key} lies in the folder of {' and '.join(found.watching)} but fits no feed's path or naming ({'; '.join(found.wanted)})"
        return f"{where}; rename it, move it, or add a feed for it"
    return f"{key} fits no feed's path"
