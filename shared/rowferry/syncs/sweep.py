"""What an event missed or a crash left behind: runs without an end, chunks without receipts, old relays.

Found by looking at what is there, not by remembering what should happen: the outbox against the
receipts, each sync's latest run against its close.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice

from rowferry.clock import Clock
from rowferry.delivery import rest
from rowferry.delivery.chunk import OUTBOX, ChunkName
from rowferry.delivery.outbox import RELAYED
from rowferry.delivery.receipts import PREFIX
from rowferry.delivery.runs import Head, Run
from rowferry.stores.port import Conflict, NotFound, Object, Store

CLAIMS = "claims/"
FORGETTING_HOURS = (3, 9, 15, 21)  # looking through days of receipts costs a listing for each thousand
LEFT_ALONE = timedelta(minutes=10)  # what is younger is most likely under way
RELAYS_KEPT = timedelta(days=8)  # senders repeat a webhook for up to a week (Chargebee: 3 d 7 h, manual resends later)
_RELAYS_AT_ONCE = 500
_AT_ONCE = 8  # chunks that are announced at the same moment: after quiet hours it may be thousands


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks through the state store."""

    store: Store
    clock: Clock

    def stuck_chunks(self, older_than: timedelta = LEFT_ALONE) -> list[str]:
        """Chunks that nobody will bring to their receipts by themselves, the urgent lane first.

        A chunk has stood there for so long, nothing of its run was settled, worked on or tried for so long either
        (it waits for its turn in the queue, and one message is enough), and its destination does not rest. Of a run
        that the vendor refused one is enough to see whether the key is mended.
        """
        before = self.clock.now() - older_than
        tried = {_unit(found.key) for found in self.store.list(CLAIMS) if found.updated_at > before}
        stuck = [name for name, receipts in self._old_relays(before) if receipts is None and name.stem not in tried]
        settled_at: dict[str, datetime] = {}
        for (destination, run), chunks in self._runs():
            settled = {found.key: found.updated_at for found in self.store.list(f"{PREFIX}{run}/")}
            last_at = max(settled.values(), default=None)
            if last_at is not None:
                settled_at[destination] = max(last_at, settled_at.get(destination, last_at))
            if run not in tried and (last_at is None or last_at <= before):
                waiting = [name for name, at in chunks if at <= before and f"{PREFIX}{name.stem}.json" not in settled]
                stuck += waiting[:1] if self._is_refused(run, last_at) else waiting
        resting = {to for to in {name.destination for name in stuck} if rest.is_on(self.store, to, self.clock.now(), settled_at.get(to))}
        return [name.key for name in sorted(stuck, key=_by_lane) if name.destination not in resting]

    def unfinished_relays(self, older_than: timedelta = LEFT_ALONE) -> list[str]:
        """Receipts of webhooks and notices whose chunks stand in the outbox yet, though they were settled so long
        ago: nobody has finished them, or the webhook came again."""
        before = self.clock.now() - older_than
        return [receipts.key for _, receipts in self._old_relays(before) if receipts is not None and receipts.updated_at <= before]

    def _is_refused(self, run: str, settled_at: datetime | None) -> bool:
        failed = self.store.head(f"runs/{run}/failed.json")
        return failed is not None and (settled_at is None or settled_at < failed.updated_at)

    def _old_relays(self, before: datetime) -> Iterator[tuple[ChunkName, Object | None]]:
        """Relayed chunks that should be gone by now, with their receipts, where they have some; so many at once
        as a sweep can look at. Those that it takes care of are no longer old when the next one looks."""
        old = (name for name, at in self._outbox() if name.run == RELAYED and at <= before)
        return ((name, self.store.head(f"{PREFIX}{name.stem}.json")) for name in islice(old, _RELAYS_AT_ONCE))

    def _runs(self) -> Iterator[tuple[tuple[str, str], Iterator[tuple[ChunkName, datetime]]]]:
        """Destination and run, with the run's chunks, of all runs that have some in the outbox."""
        chunks = (found for found in self._outbox() if found[0].run != RELAYED)
        return groupby(chunks, lambda found: (found[0].destination, f"{found[0].sync}/{found[0].run}"))

    def _outbox(self) -> Iterator[tuple[ChunkName, datetime]]:
        """All chunks, and when each was announced last."""
        for found in self.store.list(OUTBOX):
            name = _name(found.key)
            if name is not None:
                yield name, found.updated_at

    def open_runs(self, syncs: Iterable[str]) -> Iterator[Run]:
        """The latest runs that have no end yet; refused ones wait for a person and are left out."""
        for sync in syncs:
            latest = Head(self.store, sync).read()
            if latest is None:
                continue
            run = Run(self.store, sync, latest)
            if not run.has("closed") and not (run.has("refused") and not run.has("accepted")):
                yield run

    def announce(self, keys: Sequence[str], left_seconds: Callable[[], float] = lambda: float("inf")) -> int:
        """Have the platform tell of these objects once more; of how many it was time to. The next sweep finds the others."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="announce") as threads:
            return sum(threads.map(lambda key: left_seconds() > 0 and self._write_over(key), keys))

    def _write_over(self, key: str) -> bool:
        """Write an object over with what it holds."""
        try:
            body, version = self.store.read(key)
            self.store.replace(key, body, version)
        except (NotFound, Conflict):
            return False
        return True

    def forget_relays(self) -> int:
        """Remove the receipts of webhooks and notices that no sender repeats any more; how many. Looks in some hours of
        the day only. Those whose chunk stands in the outbox yet stay: without them it would be sent again."""
        if self.clock.now().hour not in FORGETTING_HOURS:
            return 0
        before = self.clock.now() - RELAYS_KEPT
        old = {found.key for found in self.store.list(PREFIX) if found.key.split("/")[2] == RELAYED and found.updated_at <= before}
        if old:
            old.difference_update(f"{PREFIX}{name.stem}.json" for name, _ in self._outbox())
        for key in old:
            self.store.delete(key)
        return len(old)


def _by_lane(name: ChunkName) -> tuple[int, str]:
    return name.lane, name.key


def _unit(key: str) -> str:
    """What is tried as one, of a claim's key: a run, or a relayed chunk."""
    _, *parts = key.removesuffix(".json").split("/")
    return "/".join(parts) if RELAYED in parts else "/".join(parts[:2])


def _name(key: str) -> ChunkName | None:
    try:
        return ChunkName.of(key)
    except ValueError:
        return None  # something else that lies in the folder is not ours to touch
