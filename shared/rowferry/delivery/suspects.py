"""Rows that a vendor fails on when they are sent alone, remembered over calls and workers.

    claims/suspects/<destination>.json     {"<digest of a row>": [failed first at, last at, in how many calls]}

Whoever has nothing else to send can't tell such a row from a vendor that is down: both answer 5xx. What
tells is time: the vendor is up again, and the row still fails. Whatever gets its outcome is forgotten, in
whichever call: what failed in an outage is no suspect after it. One small object for a destination; what is old
is left out when it is written, so that it stays small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from rowferry.clock import Clock
from rowferry.errors import TryLater
from rowferry.stores.port import Conflict, Exists, NotFound, Store

_KEPT = timedelta(days=8)  # a sync that runs once a week still adds up
_MOST_KEPT = 200
_TRIES = 5  # when other workers write it at the same moment

_NOT_OURS = (orjson.JSONDecodeError, AttributeError, TypeError, ValueError)

Times = dict[str, tuple[str, str, int]]  # as in the object


@dataclass(frozen=True, slots=True)
class Failing:
    """How a row has failed so far: in how many calls, since when, and how many rows of the destination do so."""

    calls: int = 1
    seconds: float = 0.0
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Suspects:
    """The suspects of one destination. A hint, no more: with the store out of reach, a row fails as for the first time.
    `store` opens the state store, when there is something to remember."""

    store: Callable[[], Store]
    destination: str
    clock: Clock

    def digests(self) -> frozenset[str]:
        """All of them, as `digest_of` names them."""
        try:
            return frozenset(self._read()[0])
        except TryLater:
            return frozenset()

    def note(self, action: str, payload: bytes) -> Failing:
        """The row has failed alone, in one more call."""
        digest, now = digest_of(action, payload), self.clock.now()

        def note(times: Times) -> Times:
            first, _, calls = times.get(digest, (now.isoformat(), "", 0))
            return {**times, digest: (first, now.isoformat(), calls + 1)}

        try:
            times = self._change(note)
        except TryLater:
            return Failing()
        first, _, calls = times.get(digest, (now.isoformat(), "", 1))
        return Failing(calls, (now - datetime.fromisoformat(first)).total_seconds(), len(times))

    def forget(self, action: str, payload: bytes) -> None:
        """The row has its outcome."""
        digest = digest_of(action, payload)
        try:
            if digest in self._read()[0]:
                self._change(lambda times: {name: found for name, found in times.items() if name != digest})
        except TryLater:
            return

    def _change(self, change: Callable[[Times], Times]) -> Times:
        times: Times = {}
        for _ in range(_TRIES):
            found, version = self._read()
            times = _newest(change(_newest(found, self.clock.now())), self.clock.now())
            try:
                if version is None:
                    self.store().create(self._key, orjson.dumps(times))
                else:
                    self.store().replace(self._key, orjson.dumps(times), version)
            except (Exists, Conflict):
                continue
            break
        return times

    def _read(self) -> tuple[Times, str | None]:
        try:
            body, version = self.store().read(self._key)
        except NotFound:
            return {}, None
        try:
            return {digest: (first, last, calls) for digest, (first, last, calls) in orjson.loads(body).items()}, version
        except _NOT_OURS:
            return {}, version  # a hint that can't be read holds nobody up; the next note writes it over

    @property
    def _key(self) -> str:
        return f"claims/suspects/{self.destination}.json"


def digest_of(action: str, payload: bytes) -> str:
    """What a row of this action goes by: it tells nothing of its values."""
    return hashlib.sha256(action.encode() + b"\n" + payload).hexdigest()[:32]


def _newest(times: Times, now: datetime) -> Times:
    kept = [(last, digest) for digest, (_, last, _) in times.items() if now - datetime.fromisoformat(last) <= _KEPT]
    return {digest: times[digest] for _, digest in sorted(kept)[-_MOST_KEPT:]}
