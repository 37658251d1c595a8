"""Why a chunk's senders stop: the vendor is down, refuses us, or asks for more time than there is."""

from __future__ import annotations

import threading

from rowferry.delivery import policy


class Halt:
    """Why nothing more is to be sent; shared by all senders of a chunk. Safe for threads. Every wait ends
    when `stopped` is set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self.reason: str | None = None
        self.is_refusal = False
        self.wait_seconds: float | None = None
        self.delivered = 0
        self._failures = 0
        self._slowed_at: float | None = None

    def stop(self, reason: str, *, is_refusal: bool = False, wait_seconds: float | None = None) -> None:
        """The first reason counts, but a refusal always does."""
        with self._lock:
            if self.reason is None or (is_refusal and not self.is_refusal):
                self.reason, self.is_refusal, self.wait_seconds = reason, is_refusal, wait_seconds
        self.stopped.set()

    def went_well(self, rows: int) -> None:
        """The vendor took rows: it is up."""
        with self._lock:
            self.delivered += rows
            self._failures, self._slowed_at = 0, None

    def slowed_for(self, now: float) -> float:
        """The vendor asked for a pause at `now` (monotonic): for how many seconds it has taken nothing but asked for pauses."""
        with self._lock:
            self._slowed_at = now if self._slowed_at is None else self._slowed_at
            return now - self._slowed_at

    def failed(self, reason: str) -> None:
        """A suspect batch failed as well; after some in a row the vendor counts as down."""
        with self._lock:
            self._failures += 1
            hopeless = self._failures >= policy.HOPELESS
        if hopeless:
            self.stop(reason)
