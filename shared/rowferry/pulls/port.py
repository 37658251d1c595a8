"""What can be pulled from a vendor: a value that knows its reports, never a program that runs.

A vendor's file builds a request for a step (`build`) and says what the answer to it means (`read`). It does
no I/O, has no clock and no loop over HTTP. The engine in `puller.py` does the rest for all vendors alike:
windows, pages, waiting, retry, resuming, export files.

One window's way through a vendor's file:

    first ──► Step ──build──► Request ──engine──► Response ──read──► Page ── next Step ─┐
               ▲                                                      │                 │
               └──────────────────────── stored, then asked on ───────┴─────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

from rowferry.destinations.port import Refused, SlowDown, TryAgain
from rowferry.errors import RowferryError
from rowferry.settings.base import DestinationSettings
from rowferry.settings.pull import Pull
from rowferry.wire import Request, Response

S = TypeVar("S", bound=DestinationSettings)
Row = Mapping[str, Any]
Unit = Literal["day", "hour"]


class PullFailed(RowferryError):
    """This window can't be pulled, however often it is tried; other windows may be. The text is for people."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one export file covers: from `begin` up to `end`, which is not in it; both in the account's zone.

    `name` is part of the file's name: the same stretch of time has the same file, so that pulling it again
    replaces its rows. A report that has no time has one window, `all`, whose begin and end are the same.
    """

    name: str
    begin: datetime
    end: datetime

    @property
    def first_day(self) -> date:
        """The first day, in the account's zone."""
        return self.begin.date()

    @property
    def last_day(self) -> date:
        """The last day that is at least partly in it."""
        return (self.end - timedelta(microseconds=1)).date() if self.end > self.begin else self.begin.date()


@dataclass(frozen=True, slots=True)
class Step:
    """Which request comes next: its kind, and what it needs to know (a cursor, an id). Stored, so never a secret."""

    kind: str
    token: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.token!r}" if self.token else self.kind


@dataclass(frozen=True, slots=True)
class Ask(Generic[S]):
    """All that a request may depend on besides its step. `ids` are what the pull's model gave, if it has one."""

    pull: Pull
    settings: S
    window: Window
    ids: Sequence[str] = ()


# ── What an answer means, named by what happens next (besides TryAgain, SlowDown and Refused) ──


@dataclass(frozen=True, slots=True)
class Page:
    """Rows to keep, and the step that follows; None when these were the last of the window."""

    rows: Sequence[Row]
    next: Step | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """The rows are in the body, which was put on disk: lines of JSON in a gzip or ZIP file, or a CSV with a header.
    What follows is as with `Page`."""

    next: Step | None = None
    format: Literal["jsonl", "csv"] = "jsonl"


@dataclass(frozen=True, slots=True)
class Pending:
    """Not ready yet: ask `step` after `wait_seconds`. The engine bounds the waiting."""

    step: Step
    reason: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Restart:
    """The vendor has forgotten where we are: the window begins anew, a few times at most."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The vendor will never answer this: the window is given up, with a sentence for people."""

    reason: str


Answer = Page | Archive | Pending | Restart | Failed | TryAgain | SlowDown | Refused


# ── The value itself ────────────────────────────────────────────────────────────────────────


def _query(_ask: Ask[Any]) -> Step:
    return Step("query")


@dataclass(frozen=True, slots=True)
class Report(Generic[S]):
    """One report of a vendor.

    `unit`: the smallest stretch of time it can be asked for; None when it has no time. `window`: how much time one
    file covers, where the pull does not say.
    `first(ask)`: the window's first step; `build(step, ask)`: its request; `read(response, step, ask)`: what
    the answer means.
    `columns`: the types of columns that are known, for the table; `preset`: the feed's preset instead, when the
    rows look like the vendor's own export. `file_name(pull, window)`: the export file's name, when a preset
    has to know it.
    `ready_after`: how long after its end a window may be asked for. `trailing`: how long rows may come late, where
    the pull does not say.
    `is_archive(step)`: the answer's body may be huge and goes to disk; `read` then sees an empty one.
    `timeout_seconds`: how long a request may take at least, where the vendor works while we wait.
    `needs_ids`: it asks for what the pull's model holds.
    `per_second`: how many requests may be sent; None: no rate but the vendor's 429.
    """

    unit: Unit | None
    build: Callable[[Step, Ask[S]], Request]
    read: Callable[[Response, Step, Ask[S]], Answer]
    first: Callable[[Ask[S]], Step] = _query
    columns: Mapping[str, str] = field(default_factory=dict)
    preset: str | None = None
    file_name: Callable[[Pull, Window], str] | None = None
    window: timedelta = timedelta(days=1)
    ready_after: timedelta = timedelta()
    trailing: timedelta = timedelta(days=2)
    is_archive: Callable[[Step], bool] = lambda _step: False
    timeout_seconds: float = 0.0
    needs_ids: bool = False
    per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Source(Generic[S]):
    """What can be pulled from one vendor. The file `pulls/<vendor>.py` holds it under the name `SOURCE`.

    `in_flight`: requests that may be open at once. `zone(settings)`: the zone of the account's days.
    """

    vendor: str
    reports: Mapping[str, Report[S]]
    in_flight: int
    zone: Callable[[S], str] = lambda _settings: "UTC"
