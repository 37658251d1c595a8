"""What a destination is: a value that knows one vendor, never a program that runs.

A vendor's file says how its settings look, what it can do (actions), how many rows and bytes
a request may hold, how a batch becomes a request (`build`) and what an answer means (`read`).
It does no I/O, has no clock, no loop over HTTP, no environment. The engine in `delivery/` does
the rest for all vendors alike: batching, pace, retry, splitting, checkpoints.

One row's way through a vendor's file:

    fields ──to_payload──► payload (bytes)  ──build──► Request ──engine──► Response ──read──► Answer
       └── RowRejected: this row breaks a limit that the vendor would cut or drop silently
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from rowferry.errors import Problem
from rowferry.settings.base import DestinationSettings
from rowferry.settings.url import is_loopback
from rowferry.wire import Request, Response

# A value as it comes out of the mapping, by BigQuery type: STRING str, INT64 int, FLOAT64 float,
# NUMERIC Decimal, BOOL bool, TIMESTAMP aware datetime (UTC), DATETIME naive datetime, DATE date,
# TIME time, BYTES bytes, ARRAY list, STRUCT and JSON dict (or list, or scalar).
Value = str | int | float | bool | None | Decimal | datetime | date | time | bytes | list[Any] | dict[str, Any]
Fields = Mapping[str, Value]
S = TypeVar("S", bound=DestinationSettings)

# Actions that tell of what happened: two of one person are two. All others set a state, but for a notice.
HAPPENINGS = frozenset({"event", "purchase"})
STAND_IN = "a stand-in"  # the account of all that listens on this machine


# ── What happened to one row ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Delivered:
    """The vendor's answer says it has the row."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The vendor will never take this row as it is. `code` is ours (snake_case); `reason` is a
    sentence with the vendor's own text in it and never the row's value."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Again:
    """The vendor could not take this row now, though it took others: send it once more."""

    reason: str
    wait_seconds: float | None = None


RowOutcome = Delivered | Rejected | Again
DELIVERED = Delivered()


# ── What an answer means for the whole request, named by what happens next ──────────────────


@dataclass(frozen=True, slots=True)
class Settled:
    """Every row has its outcome: as many as the batch has payloads, in the batch's order."""

    outcomes: Sequence[RowOutcome]

    @classmethod
    def all_delivered(cls, batch: Sequence[bytes]) -> Settled:
        """The simple case: the vendor took the whole batch."""
        return cls([DELIVERED] * len(batch))


@dataclass(frozen=True, slots=True)
class TryAgain:
    """A passing fault (5xx, a broken answer). The same request again; attempts are bounded."""

    reason: str
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SlowDown:
    """Rate-limited. Not an attempt: wait (as told, else with growing pauses) and send again."""

    reason: str
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """The request was refused and nothing says which row was at fault: halve it, bounded.

    A single row that still earns this answer is rejected with `code` and `reason`. With
    `too_large` the batch was over a size limit: later batches are made smaller too.
    """

    code: str
    reason: str
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The key, permission, address or account is wrong: stop the run, a person must act."""

    reason: str


@dataclass(frozen=True, slots=True)
class Follow:
    """Not settled yet: send `request` after `wait_seconds` and read its answer with `note`.

    For bulk jobs that are polled and for errors that come in pages. The engine bounds the chain. `is_next`: the
    request is about something else, for what went out so far has arrived and is not in doubt.
    """

    request: Request
    note: str
    wait_seconds: float = 0.0
    is_next: bool = False


Answer = Settled | TryAgain | SlowDown | Split | Refused | Follow


# ── The value itself ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold. `body_bytes` bounds the whole body: payloads, a comma
    each, and `envelope_bytes` around them. `row_bytes` bounds a single payload."""

    batch_rows: int
    body_bytes: int
    row_bytes: int | None = None
    envelope_bytes: int = 64


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one account, or one action of it, may be called: requests a second over all instances
    (None: no rate, only concurrency), and how many requests of one instance may be in flight at once."""

    per_second: float | None
    in_flight: int


@dataclass(frozen=True, slots=True)
class Action(Generic[S]):
    """One thing a destination can do with a row.

    `identifiers(names, settings)`: which of the mapped field names say who or what the row is:
    they travel with every payload and do not count as attributes.
    `check(names, settings)`: problems of a sync's map, before anything runs: unknown or missing
    identifiers, near-misses of reserved names. `names` maps each field name to its column's
    BigQuery type, or None where that is not known. A problem's path is the field's name or "".
    `to_payload(fields, settings)`: one row as the bytes that stand in the request. `fields` holds
    what is to be sent: None means "unset this". Raises `RowRejected` for what the vendor would
    drop, cut or misread without saying so.
    `build(batch, settings)`: the request for these payloads, within `limits(settings)`.
    `read(response, batch, settings, note)`: what the answer means. `note` is "" for the answer to
    a built request, and what `Follow` carried for the answers after it.
    `idempotency`: the field that makes a repeat of the row a no-op at the vendor (`insert_id`);
    the engine fills it from sync, key and cursor when the map does not.
    `repeats_safely`: whether sending a row twice leaves the vendor as sending it once.
    `pace(settings)`: where the vendor counts the action's requests apart from the account's others.
    `gathered(settings)`: what a request may hold of rows that came one by one and wait together, where
    that is more than of a run's.
    `requests(batch, settings)`: how many requests these payloads take where nothing goes wrong and no bulk job
    has to be asked after twice.
    """

    name: str
    limits: Callable[[S], Limits]
    identifiers: Callable[[Iterable[str], S], frozenset[str]]
    check: Callable[[Mapping[str, str | None], S], Iterable[Problem]]
    to_payload: Callable[[Fields, S], bytes]
    build: Callable[[Sequence[bytes], S], Request]
    read: Callable[[Response, Sequence[bytes], S, str], Answer]
    idempotency: str | None = None
    repeats_safely: bool = True
    pace: Callable[[S], Pace] | None = None
    gathered: Callable[[S], Limits] | None = None
    requests: Callable[[Sequence[bytes], S], int] = lambda _batch, _settings: 1


@dataclass(frozen=True, slots=True)
class Destination(Generic[S]):
    """One vendor. The file `destinations/<vendor>.py` holds it under the name `DESTINATION`.

    `audience` says how `send: audience` leaves: "attribute" (a boolean profile attribute of the
    audience's name, by the `profile` action) or "action" (an action named `audience`, whose rows
    have the identifiers, `audience` = its name and `member` = whether the person is in it).
    `probe(settings)` is a request that changes nothing and shows whether the key works, with
    `read_probe(response)` giving None when it does and a sentence when it does not.
    `account(settings)`: what tells the account from others at the vendor and is no key, for those are replaced.
    """

    vendor: str
    title: str
    settings: type[S]
    actions: Mapping[str, Action[S]]
    pace: Callable[[S], Pace]
    probe: Callable[[S], Request]
    read_probe: Callable[[Response], str | None]
    audience: str | None = None
    remove_action: str | None = None  # the action that `on_remove: delete` uses, where there is one
    notes: Mapping[str, str] = field(default_factory=dict)
    account: Callable[[S], str | None] = lambda _settings: None

    def account_of(self, settings: S) -> str | None:
        """Who has what is delivered by these settings: the vendor's account, as far as they tell it, or a stand-in on this
        machine. None where they name another host, for whoever is behind that."""
        if settings.base_url is None:
            return f"{self.vendor} {self.account(settings) or ''}".strip()
        return STAND_IN if is_loopback(urlsplit(settings.base_url).hostname or "") else None

    def pace_of(self, action: Action[S], settings: S) -> Pace:
        """How fast the action may be called: by its own limit where it has one, else by the account's. Never
        faster than the settings say for the account as a whole."""
        if action.pace is None:
            return self.pace(settings)
        own = action.pace(settings)
        return replace(own, per_second=min((rate for rate in (own.per_second, settings.per_second) if rate), default=None))
