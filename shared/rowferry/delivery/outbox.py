"""Small things on their way out: a webhook's rows, a notice. Written once, delivered like any chunk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, islice
from typing import Any

from rowferry.clock import Clock, SystemClock
from rowferry.delivery.chunk import OUTBOX, ChunkName, Row, arrived, encode_row, packed, packed_head_of
from rowferry.delivery.plan import Plan
from rowferry.mapping.mapping import Field, Part
from rowferry.stores.port import Exists, Store

RELAYED = "relayed"  # stands where a chunk of a sync has its run
URGENT = 1  # the lane of webhooks and notices: ahead of every sync
_LISTED = 10_000  # ten calls of a listing (S3, Cloud Storage), a second or so before requests that take longer
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


class Outbox:
    """The outbox of a state store, for rows that come one by one."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store, self._clock = store, clock or SystemClock()

    def relay(
        self, *, id: str, source: str, destination: str, action: str, rows: Sequence[Mapping[str, Any]], idempotency: str | None = None
    ) -> bool:
        """Put `rows` (fields by name, JSON values) on their way, once for each `id` and destination.

        `source` names where they come from (`webhook.stripe`, `notice`), for people and for dead
        letters. Returns False when the same id waits already. One that has been delivered is taken, and
        settled by its receipts: nothing is sent a second time while they stand.
        Raises `TryLater` when the store can't take it; nothing is on its way then.
        """
        names = tuple(dict.fromkeys(name for row in rows for name in row))
        name = name_of(id, destination)
        lines = [
            encode_row(Row(f"{name}-{index}", f"{id}#{index}", "upsert", _mask(row, names), [row.get(name) for name in names]))
            for index, row in enumerate(rows)
        ]
        body = _head(source, destination, action, names, idempotency) + packed([arrived(self._clock.now()), *lines])
        try:
            self._store.create(ChunkName(destination, URGENT, source, RELAYED, name).key, body)
        except Exists:
            return False
        return True


def _mask(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return "".join(["1" if name in row else "0" for name in names])


@lru_cache(maxsize=1024)
def _head(source: str, destination: str, action: str, names: Sequence[str], idempotency: str | None) -> bytes:
    """What such a chunk begins with: the same for all events of a kind, so it is made once."""
    plan = Plan(
        run=RELAYED,
        sync=source,
        destination=destination,
        action=action,
        columns=tuple((name, "JSON") for name in names),
        fields=tuple(Field(name, (Part(column=name),)) for name in names),
        kind="relay",
        lane=URGENT,
        idempotency=idempotency,
    )
    return packed_head_of(plan)


def waiting(store: Store, destination: str, lane: int) -> Iterator[str]:
    """Keys of a destination's chunks in this lane that have no receipts yet, in the order of their names.

    Lists as it is read: whoever wants the first few pays for a page. Whether somebody is at work on one of
    them, its claim says.
    """
    from rowferry.delivery.receipts import PREFIX  # brings pydantic along, which taking a webhook in can do without

    names = (ChunkName.of(found.key) for found in store.list(f"{OUTBOX}{destination}/{lane}/"))
    for (sync, run), chunks in groupby(names, lambda name: (name.sync, name.run)):
        # Receipts of what is relayed are kept for days, those of a run go with it: only these are few.
        settled = None if run == RELAYED else {found.key for found in store.list(f"{PREFIX}{sync}/{run}/")}
        for name in chunks:
            receipts = f"{PREFIX}{name.stem}.json"
            if store.head(receipts) is None if settled is None else receipts not in settled:
                yield name.key


def is_alone(store: Store, destination: str) -> bool:
    """Whether at most one chunk of a webhook or notice waits for this destination."""
    return sum(1 for _ in islice(store.list(f"{OUTBOX}{destination}/{URGENT}/"), 2)) < 2


def urgent(store: Store, destination: str) -> list[str]:
    """Keys of what webhooks and notices have put into the outbox for this destination, the oldest first by when they were
    written last; of more than `_LISTED` some. A few may be settled by now."""
    found = islice(store.list(f"{OUTBOX}{destination}/{URGENT}/"), _LISTED)
    return [one.key for one in sorted(found, key=lambda one: one.updated_at)]


def name_of(id: str, destination: str) -> str:
    """A chunk's name for somebody else's id: readable where it can be, always fit for a key, and another one
    for each destination, for receipts are filed under it."""
    digest = hashlib.sha256(f"{destination}\n{id}".encode()).hexdigest()[:16]
    readable = _UNFIT.sub("", id)[:40]
    return f"{readable}-{digest}" if readable else digest
