"""A chunk's way from the outbox to its receipts. Safe to call at any time, by anybody, any number of times.

    claim ─► read the journal ─► rows without an outcome ─► payloads ─► batches ─► requests in flight
                                                                        (a thread each, sliding window)
      each finished request ─► journal (durable) ─► its thread takes the next batch
    all rows have an outcome ─► receipts ─► journal and claim removed

Killed anywhere, the next call goes on behind the last durable outcome: what goes out again is at
most what was in flight.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Literal

from rowferry.clock import Clock
from rowferry.delivery import claim as claims
from rowferry.delivery.account import Account
from rowferry.delivery.batch import Batch, batches
from rowferry.delivery.chunk import Chunk, ChunkName, Row
from rowferry.delivery.halt import Halt
from rowferry.delivery.journal import Journal, LostClaim, clear_away
from rowferry.delivery.plan import Plan
from rowferry.delivery.receipts import Receipts, RejectedRow, is_settled
from rowferry.delivery.sender import Sender, keep_in_flight
from rowferry.destinations.port import Action, Fields, Rejected
from rowferry.errors import RowferryError, RowRejected
from rowferry.mapping.mapping import CompiledMapping
from rowferry.owner import Owner
from rowferry.settings.hours import read_quiet_hours
from rowferry.stores.port import NotFound, Store

_MAPPED_AT_ONCE_ROWS = 500  # rows rejected before sending are journaled together, at the latest after this many


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a chunk got.

    `settled`: every row has its outcome and the receipts stand. `open`: work is left, `reason` says
    why, `wait_seconds` when it is worth coming back. `refused`: the vendor refuses us. `held`:
    somebody else is at it. `gone`: there is no such chunk any more.
    """

    status: Literal["settled", "open", "refused", "held", "gone"]
    reason: str = ""
    wait_seconds: float | None = None


def deliver_chunk(
    key: str,
    *,
    store: Store,
    account_of: Callable[[str], Account],
    clock: Clock,
    owner: Owner,
    left_seconds: Callable[[], float] = lambda: float("inf"),
    progress: Callable[[int], None] = lambda _rows: None,
    makes_way: Callable[[], bool] = lambda: False,
) -> Delivery:
    """Bring a chunk to its receipts, as far as vendor and time allow.

    `left_seconds` says how long the function may still run. `progress` is told rows as they settle.
    `makes_way` is asked before each batch, by many threads: once it says yes, what is in flight ends, and
    the chunk is left `open`. Raises `ValueError` when `key` names no chunk, `TryLater` when the store is out
    of reach.
    """
    name = ChunkName.of(key)
    account = account_of(name.destination)
    if (quiet := in_quiet_hours(account, clock)) is not None:
        return quiet
    if is_settled(store, name):
        return _clear_away(store, name)
    try:
        with claims.renewing(claims.take(store, name.stem, owner, clock)) as claim:
            if is_settled(store, name):  # its last holder ended between the first look and our claim
                return _clear_away(store, name)
            with Chunk(store, key) as chunk:
                other = of_another_vendor(account, chunk.plan)
                return other or _Worker(chunk, name, store, account, clock, left_seconds, progress, makes_way).run(claim)
    except NotFound:
        return Delivery("gone", f"there is no chunk {key!r}")
    except (claims.Held, LostClaim) as error:
        return Delivery("held", str(error))


def in_quiet_hours(account: Account, clock: Clock) -> Delivery | None:
    """What becomes of a chunk in the destination's `quiet_hours`; None outside of them."""
    if not account.settings.quiet_hours:
        return None
    seconds = read_quiet_hours(account.settings.quiet_hours).wait_seconds(clock.now())
    return Delivery("open", f"quiet hours of {account.name} go on for {seconds / 60:.0f} minutes", seconds) if seconds > 0 else None


def of_another_vendor(account: Account, plan: Plan) -> Delivery | None:
    """What becomes of a chunk whose destination was given to a vendor that has no such action since; None for any other."""
    vendor = account.destination
    if plan.action in vendor.actions:
        return None
    way_out = f", or give the run up: rowferry sync {plan.sync} --drop {plan.run}" if plan.kind == "sync" else ""
    return Delivery("refused", f"{account.name} is {vendor.title} now, which has no action {plan.action!r}: put it back as it was{way_out}")


def stop_when_quiet(account: Account, clock: Clock, halt: Halt) -> None:
    """Stop a chunk's senders when the quiet hours begin under way: what is in flight ends, no other batch is begun."""
    if (quiet := in_quiet_hours(account, clock)) is not None:
        halt.stop(quiet.reason, wait_seconds=quiet.wait_seconds)


def _clear_away(store: Store, name: ChunkName) -> Delivery:
    """The receipts stand: remove what a worker that was killed right after writing them left behind."""
    clear_away(store, name.stem)
    return Delivery("settled")


class _Worker:
    """One call's work on one chunk."""

    def __init__(
        self,
        chunk: Chunk,
        name: ChunkName,
        store: Store,
        account: Account,
        clock: Clock,
        left_seconds: Callable[[], float],
        progress: Callable[[int], None],
        makes_way: Callable[[], bool],
    ) -> None:
        self._chunk, self._name, self._store, self._account, self._clock = chunk, name, store, account, clock
        self._progress, self._makes_way = progress, makes_way
        self._made_way = False
        self._action: Action[Any] = account.destination.actions[chunk.plan.action]
        self._halt = Halt()
        self._sender = Sender(account, self._action, clock, self._halt, left_seconds)
        self._journal = Journal(store, name.stem)
        self._taking = threading.Lock()
        self._read_rows = 0
        self._unsent: dict[int, Rejected] = {}
        self._resend_limit = 0
        self._to_fields = FieldsOf(chunk.plan, self._action, account.settings)

    def run(self, claim: claims.Claim) -> Delivery:
        self._claim = claim
        try:
            found = self._run()
        except RowferryError:
            claim.is_in_doubt = True  # what was in flight may have arrived without a trace
            raise
        claim.is_unfinished = found.status == "open"
        return found

    def _run(self) -> Delivery:
        done = self._journal.tally.settled()
        self._progress(len(done))
        if self._claim.inherited:  # what its last holder had in flight may have arrived
            self._resend_limit = self._account.in_flight * self._account.batch_rows(self._action)
        self._send_all(done)
        if self._halt.reason is not None:
            status: Literal["open", "refused"] = "refused" if self._halt.is_refusal else "open"
            return Delivery(status, self._halt.reason, self._halt.wait_seconds)
        if self._made_way:
            return Delivery("open", "it made way for what is more urgent", 0)
        self._write_receipts()
        return Delivery("settled")

    def _send_all(self, done: set[int]) -> None:
        """Keep as many requests in flight as the account allows, until the rows end or we are to stop."""
        limits = self._action.limits(self._account.settings)
        self._batches = batches(self._payloads(done), limits, lambda: self._account.batch_rows(self._action))
        keep_in_flight(self._account, self._halt, self._work)
        if self._halt.reason is None:
            self._record_unsent()

    def _work(self) -> None:
        """A thread's part: a batch goes out once the outcomes of the one before are durable."""
        while (batch := self._next_batch()) is not None:
            sent = self._sender.send(batch)
            try:
                self._journal.record(sorted(sent.delivered), sent.rejected, sent.requests, sent.resent)
            except RowferryError:
                with self._taking:
                    self._claim.uncounted += sent.resent
                raise
            self._progress(len(sent.delivered) + len(sent.rejected))

    def _next_batch(self) -> Batch | None:
        """The next batch, mapped by the thread that sends it: a thread that only mapped would keep the
        interpreter from those that wait for answers. None when the rows have ended or we are to stop."""
        if self._makes_way():  # asked outside of the lock, for a look into the store takes a moment
            self._made_way = True
        with self._taking:
            if self._claim.lost:
                raise LostClaim("the claim on this chunk was taken over")
            stop_when_quiet(self._account, self._clock, self._halt)
            return next(self._batches, None) if self._sender.may_begin() and not self._made_way else None

    def _payloads(self, done: set[int]) -> Iterator[tuple[int, bytes]]:
        """What is still to be sent. What may go out a second time is counted before it does: we may be killed as well."""
        found = self._mapped(done)
        repeats = list(islice(found, self._resend_limit))
        if resent := len(repeats) + self._claim.uncounted:
            self._journal.record([], {}, resent=resent)
            self._claim.uncounted = 0
        yield from repeats
        yield from found

    def _mapped(self, done: set[int]) -> Iterator[tuple[int, bytes]]:
        """Rows without an outcome as payloads. Those that can't be sent are noted as rejected on the way."""
        for index, row in enumerate(self._chunk.rows()):
            self._read_rows = index + 1
            if index in done:
                continue
            try:
                payload = self._to_fields.payload(row)
            except RowRejected as rejected:
                self._unsent[index] = Rejected(rejected.code, rejected.reason)
                if len(self._unsent) >= _MAPPED_AT_ONCE_ROWS:
                    self._record_unsent()
                continue
            yield index, payload

    def _record_unsent(self) -> None:
        if self._unsent:
            rejected, self._unsent = self._unsent, {}
            self._journal.record([], rejected)
            self._progress(len(rejected))

    def _write_receipts(self) -> None:
        tally = self._journal.tally
        rejected = sorted(tally.rejected)
        rows = dict(zip(rejected, self._rows_at(rejected), strict=True)) if rejected else {}
        delivered, _ = tally.counts()
        Receipts(
            chunk=self._name.key,
            rows=self._read_rows,
            delivered=delivered,
            requests=tally.requests,
            resent=tally.resent,
            rejected=tuple(RejectedRow(rows[i].id, rows[i].key, tally.rejected[i].code, tally.rejected[i].reason) for i in rejected),
        ).write(self._store)
        self._journal.clear()

    def _rows_at(self, indexes: list[int]) -> Iterator[Row]:
        """The rows at these places, in one more pass over the chunk: only their ids and keys are wanted."""
        wanted = set(indexes)
        with Chunk(self._store, self._name.key) as chunk:
            for index, row in enumerate(islice(chunk.rows(), max(indexes) + 1)):
                if index in wanted:
                    yield row


class FieldsOf:
    """Rows of a plan into fields and payloads: only what is to be sent, and always who it is for."""

    def __init__(self, plan: Plan, action: Action[Any], settings: Any) -> None:
        self._plan, self._action, self._settings = plan, action, settings
        self._mapping = CompiledMapping(plan.fields, [name for name, _ in plan.columns])
        self._names = [field.name for field in plan.fields]
        identifiers = action.identifiers(self._names, settings)
        self._is_identifier = [name in identifiers for name in self._names]
        self._fills_idempotency = plan.idempotency is not None and plan.idempotency not in self._names
        self._layout = lru_cache(maxsize=1024)(self._laid_out)  # rows of a run have few different masks

    def payload(self, row: Row) -> bytes:
        """The row as the bytes that stand in a request. Raises `RowRejected`."""
        return self._action.to_payload(self.fields(row), self._settings)

    def fields(self, row: Row) -> Fields:
        """The fields to send, by name; None stands for "unset this". Raises `RowRejected`."""
        found = self._removal(row) if row.op == "remove" else self._upsert(row)
        if self._fills_idempotency and self._plan.idempotency is not None:
            found[self._plan.idempotency] = idempotency_key(self._plan.sync, row.id)
        return found

    def _upsert(self, row: Row) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value_of, keeps_null in self._layout(row.mask):
            value = value_of(row.values)
            if value is not None or keeps_null:
                found[name] = value
        return self._with_membership(found, member=True)

    def _laid_out(self, mask: str | None) -> list[tuple[str, Callable[[Sequence[Any]], Any], bool]]:
        """What rows with this mask send: each field's name, where its value comes from, and whether NULL is sent.

        A NULL identifier goes along, for the vendor's file to reject: without it, the row could be taken
        for somebody else's by the next identifier.
        """
        unsets = self._plan.nulls == "unset"
        return [
            (name, self._mapping.getter(place), is_identifier or unsets)
            for place, (name, is_identifier) in enumerate(zip(self._names, self._is_identifier, strict=True))
            if mask is None or mask[place] == "1" or is_identifier
        ]

    def _removal(self, row: Row) -> dict[str, Any]:
        found = {name: self._mapping.getter(place)(row.values) for place, name in enumerate(self._names) if self._is_identifier[place]}
        if self._plan.audience is not None:
            return self._with_membership(found, member=False)
        if self._plan.unsets_removed or self._plan.nulls == "unset":  # the latter said both in an earlier version's plans
            found |= {name: None for place, name in enumerate(self._names) if not self._is_identifier[place]}
        return found

    def _with_membership(self, found: dict[str, Any], member: bool) -> dict[str, Any]:
        if self._plan.audience is not None:
            if self._action.name == "audience":
                found |= {"audience": self._plan.audience, "member": member}
            else:
                found[self._plan.audience] = member
        return found


def idempotency_key(sync: str, row_id: str) -> str:
    """What makes a row the same row at the vendor, however often it is sent: 32 hex digits."""
    return hashlib.sha256(f"{sync}\n{row_id}".encode()).hexdigest()[:32]
