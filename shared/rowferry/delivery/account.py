"""An account at a vendor, ready to send to: the vendor's value, its resolved settings, pace and client."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from rowferry.delivery.pace import Pacer
from rowferry.destinations.port import Action, Destination
from rowferry.http import HttpClient


@dataclass(slots=True)
class Account:
    """Shared by all workers of one process that send to the account, so that they share its pace."""

    name: str
    destination: Destination[Any]
    settings: Any
    client: HttpClient
    pacer: Pacer
    in_flight: int
    row_caps: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def batch_rows(self, action: Action[Any]) -> int:
        """Rows a request may have: the vendor's limit, or less once it has said a batch was too large."""
        return min(action.limits(self.settings).batch_rows, self.row_caps.get(action.name, 1 << 30))

    def shrink(self, action: Action[Any], rows: int) -> None:
        """The vendor called a batch of this many rows too large: make later ones half that."""
        with self._lock:
            self.row_caps[action.name] = max(1, min(self.batch_rows(action), rows // 2))
