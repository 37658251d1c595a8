"""An account at a vendor, ready to send to: the vendor's value, its resolved settings, paces and client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from weakref import WeakSet

from rowferry.clock import Clock
from rowferry.delivery.halt import Halt
from rowferry.delivery.pace import Pacer
from rowferry.delivery.suspects import Suspects
from rowferry.destinations.port import Action, Destination, Pace
from rowferry.http import HttpClient
from rowferry.stores.port import Store


@dataclass(slots=True)
class Account:
    """Shared by all workers of one process that send to the account, so that they share its paces.

    `pacer` keeps the account's limit; `own_pacers` those that the vendor counts apart, by action. `arrivals` is when
    relayed chunks came in that wait for it, as far as they have been looked into.
    """

    name: str
    destination: Destination[Any]
    settings: Any
    client: HttpClient
    pacer: Pacer
    in_flight: int
    row_caps: dict[str, int] = field(default_factory=dict)
    own_pacers: Mapping[str, Pacer] = field(default_factory=dict)
    suspects: Suspects | None = None
    arrivals: Mapping[str, str] = field(default_factory=dict)
    _halts: WeakSet[Halt] = field(default_factory=WeakSet)
    _handing_back: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, name: str, destination: Destination[Any], settings: Any, store: Callable[[], Store], clock: Clock) -> Self:
        """The account of resolved settings. What it has to remember over workers stands in the store that `store` opens."""
        pace = destination.pace(settings)
        own = {action.name: destination.pace_of(action, settings) for action in destination.actions.values() if action.pace is not None}
        return cls(
            name=name,
            destination=destination,
            settings=settings,
            client=HttpClient(pace.in_flight),
            pacer=_pacer(pace, settings, clock, pace.in_flight),
            in_flight=pace.in_flight,
            own_pacers={action: _pacer(found, settings, clock, pace.in_flight) for action, found in own.items()},
            suspects=Suspects(store, name, clock),
        )

    def pacer_of(self, action: Action[Any]) -> Pacer:
        """What keeps the limit that the action's requests count towards."""
        return self.own_pacers.get(action.name, self.pacer)

    def batch_rows(self, action: Action[Any]) -> int:
        """Rows a request may have: the vendor's limit, or less once it has said a batch was too large."""
        return min(action.limits(self.settings).batch_rows, self.row_caps.get(action.name, 1 << 30))

    def shrink(self, action: Action[Any], rows: int) -> None:
        """The vendor called a batch of this many rows too large: make later ones half that."""
        with self._lock:
            self.row_caps[action.name] = max(1, min(self.batch_rows(action), rows // 2))

    def watch(self, halt: Halt) -> None:
        """Work begins that is to stop when everything is handed back."""
        with self._lock:
            self._halts.add(halt)
        if self._handing_back:
            halt.stop(self._handing_back, wait_seconds=0)

    def hand_back(self, reason: str) -> None:
        """Stop all work on the account, now and from now on: what is in flight ends, nothing more is sent."""
        with self._lock:
            self._handing_back, halts = reason, list(self._halts)
        for halt in halts:
            halt.stop(reason, wait_seconds=0)


def _pacer(pace: Pace, settings: Any, clock: Clock, threads: int) -> Pacer:
    per_second = pace.per_second / settings.instances if pace.per_second is not None else None
    return Pacer(per_second, clock, pace.in_flight if pace.in_flight < threads else None)
