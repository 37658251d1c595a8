"""The claim: a lease on a chunk or on a sync's name, so that one worker at a time does the work.

    free ──create──► held ──delete──► free
                      │  renewed (compare-and-swap) every third of its life while work goes on
                      ├── expired, or its holder is gone ──compare-and-swap──► held by the next
                      ├── given back unfinished ──► free, and shows when the work was last tried
                      └── given back in doubt ──► expired at once

A claim only keeps work from being done twice at once. That nothing is lost or counted twice rests
on the create-only journal and receipts, so a claim that is lost by a stopped clock costs a few
repeats at most.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import orjson

from rowferry.clock import Clock
from rowferry.errors import RowferryError, TryLater
from rowferry.owner import Owner
from rowferry.stores.port import Conflict, Exists, NotFound, Store

LIFE_SECONDS = 60.0


class Held(RowferryError):
    """Somebody else is at it."""


class Claim:
    """A claim we hold. `lost` becomes true when somebody else has taken it over."""

    def __init__(self, store: Store, key: str, version: str, owner: Owner, clock: Clock, inherited: bool, uncounted: int = 0) -> None:
        self._store, self._key, self._version, self._owner, self._clock = store, key, version, owner, clock
        self._changing = threading.Lock()
        self.lost = False
        self.inherited = inherited
        """Whether an earlier holder ended without giving it back: its last requests may have gone out."""
        self.is_unfinished = False
        """Whether it is given back with work left, which whoever called us takes care of."""
        self.is_in_doubt = False
        """Whether requests went out whose outcome could not be written down: the next holder inherits it."""
        self.uncounted = uncounted
        """Rows that went out more than once in requests of which nothing could be written down, here or by an earlier holder."""

    def renew(self) -> None:
        """Put its end off. A store out of reach is no reason to stop: the claim may still be ours."""
        with self._changing:
            if self.lost:
                return
            try:
                body = _body(self._owner, self._clock.now(), uncounted=self.uncounted)
                self._version = self._store.replace(self._key, body, self._version)
            except Conflict:
                self.lost = True
            except TryLater:
                pass

    def give_back(self) -> None:
        """Free it. A claim that was lost is left to its new holder."""
        with self._changing:
            if not self.lost:
                try:
                    if self.is_in_doubt:
                        ended = self._clock.now() - timedelta(seconds=LIFE_SECONDS)
                        self._store.replace(self._key, _body(self._owner, ended, uncounted=self.uncounted), self._version)
                    elif self.is_unfinished:
                        self._store.replace(self._key, _body(self._owner, self._clock.now(), is_free=True), self._version)
                    else:
                        self._store.delete(self._key, self._version)
                except (Conflict, TryLater):
                    self.lost = True


def take(store: Store, name: str, owner: Owner, clock: Clock) -> Claim:
    """Take the claim `claims/<name>`. Raises `Held` when a living holder has it."""
    key = f"claims/{name}.json"
    body = _body(owner, clock.now())
    for _ in range(3):
        try:
            return Claim(store, key, store.create(key, body), owner, clock, inherited=False)
        except Exists:
            pass
        try:
            found, version = store.read(key)
        except NotFound:
            continue  # given back in this moment
        if _is_alive(found, owner, clock):
            break
        before = _read(found)
        uncounted = int(before.get("uncounted", 0))
        try:
            version = store.replace(key, _body(owner, clock.now(), uncounted=uncounted), version)
            return Claim(store, key, version, owner, clock, not before.get("is_free", False), uncounted)
        except Conflict:
            continue
    raise Held(f"{name} is being worked on by somebody else")


def is_held(store: Store, name: str, owner: Owner, clock: Clock) -> bool:
    """Whether a living holder has the claim just now."""
    try:
        return _is_alive(store.read(f"claims/{name}.json")[0], owner, clock)
    except NotFound:
        return False


def _is_alive(body: bytes, owner: Owner, clock: Clock) -> bool:
    holder = _read(body)
    if not holder or holder.get("is_free", False):
        return False
    return datetime.fromisoformat(holder["expires_at"]) > clock.now() and not owner.is_gone(holder["owner"])


def _read(body: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}  # a claim that can't be read holds nobody up
    return found


@contextmanager
def renewing(claim: Claim) -> Iterator[Claim]:
    """Keep a claim alive from a thread of its own, and give it back in the end."""
    with renewing_all([claim]):
        yield claim


@contextmanager
def renewing_all(held: Sequence[Claim], hands: ThreadPoolExecutor | None = None) -> Iterator[None]:
    """Keep claims alive from one thread, and give all of them back in the end: with `hands`, many at a time."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(LIFE_SECONDS / 3):
            for claim in held:
                claim.renew()

    thread = threading.Thread(target=keep, daemon=True, name="claim")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        list((hands.map if hands else map)(Claim.give_back, held))


def _body(owner: Owner, now: datetime, *, is_free: bool = False, uncounted: int = 0) -> bytes:
    said: dict[str, Any] = {"owner": owner.signature, "expires_at": (now + timedelta(seconds=LIFE_SECONDS)).isoformat()}
    return orjson.dumps(said | ({"is_free": True} if is_free else {}) | ({"uncounted": uncounted} if uncounted else {}))
