"""Dispatch: what one event of a destination's queue leads to, where all lanes share a worker.

event of a chunk ─► what waits in better lanes passes ─► the chunk, a webhook's with all that wait
                      ▲                                     │ better ones come into sight: it makes way
                      └─────────────────────────────────────┘
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rowferry.clock import Clock
from rowferry.delivery import claim as claims
from rowferry.delivery import rest
from rowferry.delivery.chunk import ChunkName
from rowferry.delivery.deliver import Delivery
from rowferry.delivery.lanes import Lookout
from rowferry.delivery.outbox import URGENT, is_alone, urgent
from rowferry.delivery.receipts import is_settled
from rowferry.errors import RowferryError
from rowferry.owner import Owner
from rowferry.stores.port import Store

Left = Callable[[], float]
log = logging.getLogger("rowferry")


class Deliver(Protocol):
    """Brings one chunk to its receipts; see `deliver.deliver_chunk`."""

    def __call__(self, key: str, left_seconds: Left, *, makes_way: Callable[[], bool]) -> Delivery: ...


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Does what events ask for, with `deliver` for one chunk and `gather` for many small ones."""

    store: Store
    clock: Clock
    owner: Owner
    deliver: Deliver
    gather: Callable[[Sequence[str], Left], Mapping[str, Delivery]]

    def run(self, key: str, left_seconds: Left) -> Delivery:
        """Deliver the chunk that an event tells of: what waits in better lanes passes it, before it and on its way. It
        is noted when nothing can be done for it in hours, for the sweep to announce it then.

        Raises `ValueError` when `key` names no chunk, `TryLater` when the store is out of reach.
        """
        name = ChunkName.of(key)
        lookout = Lookout(self.store, name, self.owner, self.clock)
        while True:
            for better in lookout.hand_out():
                lookout.take_back(self._let_pass(better, left_seconds))
            found = self._deliver(name, left_seconds, lookout.sees)
            if found.status == "open" and lookout.has_seen:
                continue
            if rest.is_wanted(found.wait_seconds):
                rest.begin(self.store, name.destination, self.clock.now(), found.wait_seconds or 0)
            return found

    def _deliver(self, name: ChunkName, left_seconds: Left, makes_way: Callable[[], bool]) -> Delivery:
        """A webhook's chunk leaves with those that wait, which may have come before it. One that has been gathered, or is
        just now, is no reason to try all of them: a burst has as many events as chunks."""
        if name.lane == URGENT and not is_alone(self.store, name.destination) and not is_settled(self.store, name):
            if claims.is_held(self.store, name.stem, self.owner, self.clock):
                return Delivery("held", f"{name.stem} is being worked on by somebody else")
            together = urgent(self.store, name.destination)
            if name.key in together:
                return self.gather(together, left_seconds)[name.key]
        return self.deliver(name.key, left_seconds, makes_way=makes_way)

    def _let_pass(self, keys: Sequence[str], left_seconds: Left) -> Mapping[str, Delivery]:
        """Deliver chunks that another one makes way for; how far they got. Their own events take up what becomes of them,
        good or bad."""
        try:
            together = ChunkName.of(keys[0]).lane == URGENT
            found = self.gather(keys, left_seconds) if together else {key: self.run(key, left_seconds) for key in keys}
        except RowferryError as error:
            log.warning("%s can't be delivered now: %s", keys[0], error)
            return {}
        for key, got in found.items():
            if got.status != "held":  # of thousands that wait, some hundred pass
                log.info("%s passes: %s %s", key, got.status, got.reason)
        return found
