"""Lanes: what is urgent passes what is not, though both leave by the same worker.

    outbox/<destination>/1/    webhooks and notices
    outbox/<destination>/2/    runs
    outbox/<destination>/3/    backfills and large runs

A destination has one queue for all lanes, since its workers are its pace: others for the better lanes would
be as many more. So a worker that is at a chunk of a later lane looks every few seconds into the better ones.
When something waits there, it takes no new batch; what is in flight ends and is journaled; it delivers what
waits, and goes on behind its last outcome. Events of chunks that were delivered so find them settled.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from itertools import islice

from rowferry.clock import Clock
from rowferry.delivery import claim as claims
from rowferry.delivery.chunk import ChunkName
from rowferry.delivery.deliver import Delivery
from rowferry.delivery.outbox import URGENT, urgent, waiting
from rowferry.errors import TryLater
from rowferry.owner import Owner
from rowferry.stores.port import Store

LOOK_SECONDS = 5.0  # between two looks: one listing for each better lane
PASS_SECONDS = 30.0  # others may pass for so long; then our own is sent for `LOOK_SECONDS` again, whatever waits
_LOOKED_AT = 300  # chunks of a lane at most in one look: those that can't be delivered must not make it a long one
log = logging.getLogger("rowferry")


class Lookout:
    """Sees what waits in the lanes before a chunk's own. For one worker's call; safe for its threads.

    A chunk is handed out once: one that can't be delivered does not hold ours up again and again. Those of webhooks go
    along with later ones, which must not pass them.
    """

    def __init__(self, store: Store, name: ChunkName, owner: Owner, clock: Clock) -> None:
        self._store, self._name, self._owner, self._clock = store, name, owner, clock
        self._handed_out: set[str] = set()
        self._done: set[str] = set()
        self._looking = threading.Lock()
        self._look_at: float | None = None
        self.has_seen = False
        """Whether something has come into sight since chunks were handed out."""

    def hand_out(self) -> Iterator[list[str]]:
        """Chunks of better lanes that wait, the best first, for `PASS_SECONDS`: the urgent ones together, the oldest
        first, to be gathered; all others one by one. A store out of reach shows none."""
        self.has_seen, self._look_at = False, None
        until = self._clock.monotonic() + PASS_SECONDS
        for keys in self._waiting():
            if self._clock.monotonic() >= until:
                return
            self._handed_out.update(keys)
            yield keys

    def take_back(self, found: Mapping[str, Delivery]) -> None:
        """What became of chunks that were handed out: those that were not even tried may be handed out again."""
        self._handed_out.difference_update(key for key, got in found.items() if got.status == "held")
        self._done.update(key for key, got in found.items() if got.status in ("settled", "gone"))

    def sees(self) -> bool:
        """Whether something is to be handed out: looks every `LOOK_SECONDS`, first that long after the first question,
        so that our own chunk sends something in any case."""
        if self.has_seen or not self._looking.acquire(blocking=False):
            return self.has_seen  # one thread's look is enough
        try:
            now = self._clock.monotonic()
            is_due = self._look_at is not None and now >= self._look_at
            if is_due or self._look_at is None:
                self._look_at = now + LOOK_SECONDS
            self.has_seen = is_due and self._sees_any()
            return self.has_seen
        finally:
            self._looking.release()

    def _waiting(self) -> Iterator[list[str]]:
        try:
            if urgent := self._urgent():
                yield urgent
            for lane in range(URGENT + 1, self._name.lane):
                yield from ([key] for key in list(self._free(lane)))
        except TryLater as error:
            self._warn(error)

    def _urgent(self) -> list[str]:
        """Who gathers them sees by itself what is settled, or somebody else's."""
        if self._name.lane == URGENT:
            return []
        found = [key for key in urgent(self._store, self._name.destination) if key not in self._done]
        return found if any(key not in self._handed_out for key in found) else []

    def _free(self, lane: int) -> Iterator[str]:
        for key in islice(waiting(self._store, self._name.destination, lane), _LOOKED_AT):
            if key not in self._handed_out and not claims.is_held(self._store, ChunkName.of(key).stem, self._owner, self._clock):
                yield key

    def _sees_any(self) -> bool:
        try:
            return any(next(self._free(lane), None) for lane in range(URGENT, self._name.lane))
        except TryLater as error:
            self._warn(error)
            return False

    def _warn(self, error: TryLater) -> None:
        log.warning("what waits for %s can't be seen: %s", self._name.destination, error)
