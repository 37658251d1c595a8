"""What an event missed or a crash left behind: runs without an end, chunks without receipts, old relays.

Found by looking at what is there, not by remembering what should happen: the outbox against the
receipts, each sync's latest run against its close.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rowferry.clock import Clock
from rowferry.delivery import rest
from rowferry.delivery.chunk import OUTBOX, ChunkName
from rowferry.delivery.outbox import RELAYED, URGENT
from rowferry.delivery.receipts import PREFIX
from rowferry.delivery.runs import Head, Run
from rowferry.stores.port import Conflict, NotFound, Store

CLAIMS = "claims/"
LEFT_ALONE = timedelta(minutes=10)  # what is younger is most likely under way
RELAYS_KEPT = timedelta(days=8)  # senders repeat a webhook for up to a week (Chargebee: 3 d 7 h, manual resends later)


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks through the state store."""

    store: Store
    clock: Clock

    def stuck_chunks(self, older_than: timedelta = LEFT_ALONE) -> Iterator[str]:
        """Chunks that nobody will bring to their receipts by themselves, the urgent lane first.

        A chunk has stood there for so long, nothing of its run was settled, worked on or tried for so long either
        (it waits for its turn in the queue, and one message is enough), and its destination does not rest.
        """
        before = self.clock.now() - older_than
        receipts = {found.key: found.updated_at for found in self.store.list(PREFIX)}
        claims = {found.key: found.updated_at for found in self.store.list(CLAIMS)}
        moving = {_unit(key) for key, moved_at in (*receipts.items(), *claims.items()) if moved_at > before}
        waiting: list[ChunkName] = []
        settled_at: dict[str, datetime] = {}
        for found in self.store.list(OUTBOX):
            name = _name(found.key)
            if name is None:
                continue
            settled = receipts.get(f"{PREFIX}{name.stem}.json")
            if settled is not None:
                settled_at[name.destination] = max(settled, settled_at.get(name.destination, settled))
            elif found.updated_at <= before and _unit(f"{PREFIX}{name.stem}.json") not in moving:
                waiting.append(name)
        rests = {to for to in {name.destination for name in waiting} if rest.is_on(self.store, to, self.clock.now(), settled_at.get(to))}
        return (name.key for name in sorted(waiting, key=_by_lane) if name.destination not in rests)

    def unfinished_relays(self, older_than: timedelta = LEFT_ALONE) -> Iterator[str]:
        """Receipts of webhooks and notices whose chunks stand in the outbox yet, though they were settled so long
        ago: nobody has finished them, or the webhook came again."""
        before = self.clock.now() - older_than
        for found in self.store.list(OUTBOX):
            name = _name(found.key)
            if name is not None and name.lane == URGENT and found.updated_at <= before:
                receipts = self.store.head(f"{PREFIX}{name.stem}.json")
                if receipts is not None and receipts.updated_at <= before:
                    yield receipts.key

    def open_runs(self, syncs: Iterable[str]) -> Iterator[Run]:
        """The latest runs that have no end yet; refused ones wait for a person and are left out."""
        for sync in syncs:
            latest = Head(self.store, sync).read()
            if latest is None:
                continue
            run = Run(self.store, sync, latest)
            if not run.has("closed") and not (run.has("refused") and not run.has("accepted")):
                yield run

    def announce(self, key: str) -> bool:
        """Write an object over with what it holds, so that the platform tells of it once more."""
        try:
            body, version = self.store.read(key)
            self.store.replace(key, body, version)
        except (NotFound, Conflict):
            return False
        return True

    def forget_relays(self) -> int:
        """Remove the receipts of webhooks and notices that no sender repeats any more; how many."""
        before = self.clock.now() - RELAYS_KEPT
        old = [found.key for found in self.store.list(PREFIX) if found.key.split("/")[2] == RELAYED and found.updated_at <= before]
        for key in old:
            self.store.delete(key)
        return len(old)


def _by_lane(name: ChunkName) -> tuple[int, str]:
    return name.lane, name.key


def _unit(key: str) -> str:
    """What moves as one, of the key of receipts or of a claim: a run, or a relayed chunk."""
    _, *parts = key.split("/")
    return "/".join(parts) if RELAYED in parts else "/".join(parts[:2])


def _name(key: str) -> ChunkName | None:
    try:
        return ChunkName.of(key)
    except ValueError:
        return None  # something else that lies in the folder is not ours to touch
