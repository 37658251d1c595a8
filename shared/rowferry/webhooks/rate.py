"""How many calls a webhook takes: a bucket of turns that refills as time goes by."""

from __future__ import annotations

import threading

from rowferry.clock import Clock


class Rate:
    """At most `per_second` calls, with one second's worth (one at least) at once. Safe for threads.

    Each instance counts for itself: the platform's instance limit times this is what gets through.
    """

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._per_second, self._clock = per_second, clock
        self._most = max(1.0, per_second)
        self._left = self._most
        self._at = clock.monotonic()
        self._lock = threading.Lock()

    def wait_seconds(self) -> float:
        """0 when the call may go on, and it is counted; else the seconds after which to try again."""
        with self._lock:
            now = self._clock.monotonic()
            self._left = min(self._most, self._left + (now - self._at) * self._per_second)
            self._at = now
            if self._left < 1:
                return (1 - self._left) / self._per_second
            self._left -= 1
            return 0.0
