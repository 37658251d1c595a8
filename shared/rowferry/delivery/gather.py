"""Gathering: many small chunks that wait for one destination, sent in few requests.

A burst of webhooks is a chunk for each, and a vendor takes 75 rows in a request, or one message a second:

    claim each ─► their rows, the oldest first ─► batches over all of them ─► requests in flight
      each finished request ─► receipts of the chunks it completed, a journal entry for each other
    no more rows, or we are to stop ─► claims given back

Each chunk keeps its own claim, journal and receipts, so that whoever finds one half done goes on with it
alone. Killed anywhere, what goes out again is at most what was in flight.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from rowferry.clock import Clock
from rowferry.delivery import claim as claims
from rowferry.delivery.account import Account
from rowferry.delivery.batch import Batch, batches
from rowferry.delivery.chunk import Chunk, ChunkName, Row
from rowferry.delivery.deliver import Delivery, FieldsOf, in_quiet_hours, of_another_vendor, stop_when_quiet
from rowferry.delivery.halt import Halt
from rowferry.delivery.journal import Journal, LostClaim, clear_away
from rowferry.delivery.plan import Plan
from rowferry.delivery.receipts import Receipts, RejectedRow, entry_of, is_settled
from rowferry.delivery.sender import Sender, Sent, keep_in_flight
from rowferry.delivery.turns import Turns
from rowferry.destinations.port import Action, Fields, Rejected
from rowferry.errors import RowferryError, RowRejected
from rowferry.owner import Owner
from rowferry.stores.port import NotFound, Store

MOST = 300  # chunks at once: what a worker can claim, and bring to receipts, in a small part of its life
_MOST_ROWS = 5_000  # a webhook may bring a thousand events
_HANDS = 16  # chunks that are claimed, or brought to receipts, at the same moment: each is some round trips to the store
_HELD = Delivery("held", "it waits for those before it")


def deliver_gathered(
    keys: Sequence[str],
    *,
    store: Store,
    account: Account,
    clock: Clock,
    owner: Owner,
    left_seconds: Callable[[], float] = lambda: float("inf"),
) -> dict[str, Delivery]:
    """Bring these chunks of one destination to their receipts together, as far as vendor and time allow; how far each got.

    At most the first `MOST` that are free are taken, fewer when they have many rows, and they leave in the order in which
    they came in. Of those on one person that are to be said in turn (see `turns`) only the first leaves, and none while
    it is somebody else's: the others are `held` for another time.
    Raises `ValueError` when a key names no chunk, `TryLater` when the store is out of reach.
    """
    if (quiet := in_quiet_hours(account, clock)) is not None:
        return dict.fromkeys(keys, quiet)
    with ThreadPoolExecutor(_HANDS, thread_name_prefix="gather") as hands:
        first = _by_arrival(keys, store, account, hands) if len(keys) > MOST else keys
        taken = _take_many(first, lambda key: _take(key, store, owner, clock), hands)
        shares = sorted((share for share in taken.values() if isinstance(share, _Share)), key=_arrived_at)
        found = dict.fromkeys(keys, _HELD) | {key: got for key, got in taken.items() if isinstance(got, Delivery)}
        with claims.renewing_all([share.claim for share in shares], hands):
            _take_turns([*shares, *(other for other in taken.values() if isinstance(other, _Elsewhere))], account)
            for action in dict.fromkeys(share.plan.action for share in shares):
                alike = [share for share in shares if share.plan.action == action]
                if (other := of_another_vendor(account, alike[0].plan)) is not None:
                    found |= dict.fromkeys([share.name.key for share in alike], other)
                    continue
                try:
                    found |= _Gathering(alike, action, account, clock, left_seconds, hands).run()
                except RowferryError:
                    for share in alike:  # what was in flight may have arrived without a trace
                        share.claim.is_in_doubt = not share.is_settled
                    raise
    return found


def _by_arrival(keys: Sequence[str], store: Store, account: Account, hands: ThreadPoolExecutor) -> list[str]:
    """Those that came in first before the others: their objects tell only when each was announced last. Each is looked
    into once, for there may be thousands, and as many rounds."""
    known = account.arrivals
    unknown = [key for key in keys if key not in known]
    looked = dict(zip(unknown, hands.map(lambda key: _look_into(key, store), unknown), strict=True))
    arrivals = account.arrivals = {key: known[key] if key in known else looked[key] for key in keys}
    return sorted(keys, key=arrivals.__getitem__)


def _look_into(key: str, store: Store) -> str:
    """When the chunk came in; as one of an earlier version, first, where it can't be read: whoever takes it says why."""
    try:
        with Chunk(store, key) as chunk:
            return chunk.arrived_at
    except RowferryError:
        return ""


def _take_many(keys: Sequence[str], take: Callable[[str], _Taken], hands: ThreadPoolExecutor) -> dict[str, _Taken]:
    """Take chunks, some at a time, until we have enough of them, or as many rows as are held in memory."""
    taken: dict[str, _Taken] = {}
    chunks = rows = 0
    while chunks < MOST and rows < _MOST_ROWS and (some := keys[len(taken) : len(taken) + min(_HANDS, MOST - chunks)]):
        for key, found in zip(some, hands.map(take, some), strict=True):
            taken[key] = found
            if not isinstance(found, Delivery):
                chunks, rows = chunks + isinstance(found, _Share), rows + len(found.rows)
    return taken


def _take(key: str, store: Store, owner: Owner, clock: Clock) -> _Taken:
    """Claim and read a chunk; or why it is not to be sent now. One in trouble must not hold up the others."""
    name = ChunkName.of(key)
    try:
        claim = claims.take(store, name.stem, owner, clock)
    except claims.Held:
        return _look(name, store)
    except RowferryError as error:
        return Delivery("open", str(error))
    try:
        found = _read(name, claim, store)
    except NotFound:
        found = Delivery("gone", f"there is no chunk {key!r}")
    except RowferryError as error:
        found = Delivery("open", str(error))
    if isinstance(found, Delivery):
        claim.give_back()
    return found


def _look(name: ChunkName, store: Store) -> _Elsewhere | Delivery:
    """A chunk that somebody else is at, for whom it is about."""
    try:
        with Chunk(store, name.key) as chunk:
            return _Elsewhere(chunk.plan, list(chunk.rows()), chunk.arrived_at)
    except RowferryError:
        return _HELD


def _read(name: ChunkName, claim: claims.Claim, store: Store) -> _Share | Delivery:
    if is_settled(store, name):
        clear_away(store, name.stem)
        return Delivery("settled")
    with Chunk(store, name.key) as chunk:
        return _Share(name, claim, chunk.plan, list(chunk.rows()), store, Journal(store, name.stem), chunk.arrived_at)


def _take_turns(chunks: Sequence[_Share | _Elsewhere], account: Account) -> None:
    """Map the rows that are still to be sent, and have those wait that come after another one."""
    turns = Turns(account.destination, account.settings)
    for chunk in sorted(chunks, key=_arrived_at):
        if chunk.plan.action in account.destination.actions:
            action = account.destination.actions[chunk.plan.action]
            fields, rejected = _fields_of(chunk, action, account.settings)
            waits = turns.waits(action, fields.values())
            if isinstance(chunk, _Share):
                chunk.fields, chunk.unsent, chunk.waits = fields, rejected, waits


def _fields_of(chunk: _Share | _Elsewhere, action: Action[Any], settings: Any) -> tuple[dict[int, Fields], dict[int, Rejected]]:
    """The fields of the chunk's rows without an outcome; those that have none are rejected."""
    done = chunk.journal.tally.settled() if isinstance(chunk, _Share) else set[int]()
    fields_of = FieldsOf(chunk.plan, action, settings)
    fields: dict[int, Fields] = {}
    rejected: dict[int, Rejected] = {}
    for place, row in enumerate(chunk.rows):
        if place not in done:
            try:
                fields[place] = fields_of.fields(row)
            except RowRejected as error:
                rejected[place] = Rejected(error.code, error.reason)
    return fields, rejected


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """A chunk that another worker is at, or was when it was killed: what is about the same persons waits for it."""

    plan: Plan
    rows: Sequence[Row]
    arrived_at: str


@dataclass(slots=True)
class _Share:
    """One chunk of a gathering: what it brings, and what became of it. Safe for threads."""

    name: ChunkName
    claim: claims.Claim
    plan: Plan
    rows: Sequence[Row]
    store: Store
    journal: Journal
    arrived_at: str
    fields: Mapping[int, Fields] = field(default_factory=dict)
    """Of the rows that are still to be sent, by their places."""
    unsent: Mapping[int, Rejected] = field(default_factory=dict)
    """Those that can't be sent, and have no outcome yet."""
    waits: bool = False
    is_settled: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, delivered: Sequence[int], rejected: Mapping[int, Rejected], requests: int = 0, resent: int = 0) -> None:
        """Make outcomes of its rows durable; when they were the last, by its receipts. Returns when they are.

        A chunk whose claim was lost is left to the new holder. Raises `TryLater`.
        """
        with self._lock:
            if self.claim.lost or self.is_settled:
                return
            if len(self.journal.tally.settled()) + len(delivered) + len(rejected) == len(self.rows):
                self.journal.tally.add(entry_of(delivered, rejected, requests, resent))
                self._write_receipts()
            elif delivered or rejected or requests or resent:
                try:
                    self.journal.record(delivered, rejected, requests, resent)
                except LostClaim:
                    self.claim.lost = True

    def _write_receipts(self) -> None:
        tally, rows = self.journal.tally, self.rows
        rejected = [RejectedRow(rows[place].id, rows[place].key, why.code, why.reason) for place, why in sorted(tally.rejected.items())]
        Receipts(self.name.key, len(rows), len(rows) - len(rejected), tally.requests, tally.resent, tuple(rejected)).write(self.store)
        self.is_settled = True
        if not self.journal.is_new:
            self.journal.clear()


class _Gathering:
    """The chunks of one action on their way."""

    def __init__(
        self,
        shares: Sequence[_Share],
        action: str,
        account: Account,
        clock: Clock,
        left_seconds: Callable[[], float],
        hands: ThreadPoolExecutor,
    ) -> None:
        self._shares, self._account, self._clock, self._hands = shares, account, clock, hands
        self._action: Action[Any] = account.destination.actions[action]
        self._halt = Halt()
        self._sender = Sender(account, self._action, clock, self._halt, left_seconds)
        self._places: list[tuple[_Share, int]] = []
        self._taking = threading.Lock()
        self._limits = (self._action.gathered or self._action.limits)(account.settings)
        self._resend_limit = account.in_flight * self._batch_rows()

    def run(self) -> dict[str, Delivery]:
        """Send what the chunks hold; how far each got."""
        self._batches = batches(self._payloads(), self._limits, self._batch_rows)
        keep_in_flight(self._account, self._halt, self._work)
        return {share.name.key: self._delivery(share) for share in self._shares}

    def _batch_rows(self) -> int:
        return min(self._limits.batch_rows, self._account.row_caps.get(self._action.name, self._limits.batch_rows))

    def _work(self) -> None:
        """A thread's part: a batch goes out once the outcomes of the one before are durable."""
        while (batch := self._next_batch()) is not None:
            self._record(batch, self._sender.send(batch))

    def _next_batch(self) -> Batch | None:
        with self._taking:
            stop_when_quiet(self._account, self._clock, self._halt)
            return next(self._batches, None) if self._sender.may_begin() else None

    def _payloads(self) -> Iterator[tuple[int, bytes]]:
        """What is still to be sent, by its place among the rows of all. What can't be is recorded on the way."""
        for share in self._shares:
            if share.waits:
                continue
            payloads, rejected = dict[int, bytes](), dict(share.unsent)
            for place, found in share.fields.items():
                try:
                    payloads[place] = self._action.to_payload(found, self._account.settings)
                except RowRejected as error:
                    rejected[place] = Rejected(error.code, error.reason)
            share.record([], rejected, resent=self._resent(share, len(payloads)) + share.claim.uncounted)
            share.claim.uncounted = 0
            for place, payload in payloads.items():
                self._places.append((share, place))
                yield len(self._places) - 1, payload

    def _resent(self, share: _Share, rows: int) -> int:
        """How many of the rows may arrive twice: what a holder who was killed had in flight, of all its chunks."""
        found = min(rows, self._resend_limit) if share.claim.inherited else 0
        self._resend_limit -= found
        return found

    def _record(self, batch: Batch, sent: Sent) -> None:
        """Give each chunk its rows' outcomes. The requests count with the chunk of the batch's first row."""
        delivered_rows = set(sent.delivered)
        outcomes: dict[int, tuple[_Share, list[int], dict[int, Rejected]]] = {}
        for number in batch.rows:
            share, place = self._places[number]
            _, delivered, rejected = outcomes.setdefault(id(share), (share, [], {}))
            if number in delivered_rows:
                delivered.append(place)
            elif number in sent.rejected:
                rejected[place] = sent.rejected[number]
        (first, delivered, rejected), *others = outcomes.values()
        try:
            first.record(delivered, rejected, sent.requests, sent.resent)
        except RowferryError:
            with self._taking:
                first.claim.uncounted += sent.resent
            raise
        for recorded in [self._hands.submit(share.record, delivered, rejected) for share, delivered, rejected in others]:
            recorded.result()

    def _delivery(self, share: _Share) -> Delivery:
        if share.is_settled:
            return Delivery("settled")
        share.claim.is_unfinished = True
        if share.claim.lost:
            return Delivery("held", "the claim on this chunk was taken over")
        if self._halt.reason is None:
            return Delivery("held", "it waits for an earlier word on the same person")
        return Delivery("refused" if self._halt.is_refusal else "open", self._halt.reason, self._halt.wait_seconds)


_Taken = _Share | _Elsewhere | Delivery


def _arrived_at(chunk: _Share | _Elsewhere) -> str:
    return chunk.arrived_at
