"""The pace of one worker towards one limit of an account: a rate, lowered when the vendor says so, raised again slowly."""

from __future__ import annotations

import threading

from rowferry.clock import Clock

_SLOWER = 0.5  # a rate limit halves the rate
_FASTER = 1.02  # each request that went well raises it by 2 % until it is back
_LOWEST = 0.05  # of the wanted rate
_NEVER = threading.Event()


class Pacer:
    """Hands out turns. Safe for threads; a thread waits in `turn` until it is its time, and calls `end` when
    its request is over. `in_flight` bounds the turns that have not ended; None: as many as there are threads."""

    def __init__(self, per_second: float | None, clock: Clock, in_flight: int | None = None) -> None:
        self._wanted = per_second
        self._rate = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(in_flight) if in_flight is not None else None
        self._next_at = 0.0
        self._paused_until = 0.0

    def wait_seconds(self) -> float:
        """How long it is from now to the next turn: what the vendor has asked for, or those who wait for theirs at the rate."""
        until = self._paused_until if self._rate is None else max(self._paused_until, self._next_at)
        return max(0.0, until - self._clock.monotonic())

    def turn(self, stopped: threading.Event = _NEVER) -> bool:
        """Wait for this thread's turn. False, and no turn, when `stopped` is set before it comes."""
        if self._slots is not None:
            self._slots.acquire()
        while (pause := self._reserve()) > 0:
            if self._clock.wait(stopped, pause):
                self.end()
                return False
            if self._clock.monotonic() >= self._paused_until:
                break
        return True

    def end(self) -> None:
        """The turn is over: an answer came, or none will."""
        if self._slots is not None:
            self._slots.release()

    def _reserve(self) -> float:
        """Take the next free moment; how far off it is."""
        now = self._clock.monotonic()
        if self._rate is None:
            return self._paused_until - now
        with self._lock:
            # A late thread may catch up by a tenth of a second's worth of turns, no more.
            moment = max(self._next_at, now - 0.1, self._paused_until)
            self._next_at = moment + 1 / self._rate
            return moment - now

    def went_well(self) -> None:
        """The vendor took a request: the rate creeps back to what is wanted."""
        if self._rate is not None and self._wanted is not None and self._rate < self._wanted:
            with self._lock:
                self._rate = min(self._wanted, self._rate * _FASTER)

    def slow_down(self, wait_seconds: float) -> None:
        """The vendor asked for a pause: nobody sends before it is over, and then at half the rate."""
        with self._lock:
            now = self._clock.monotonic()
            if now >= self._paused_until and self._rate is not None and self._wanted is not None:
                self._rate = max(self._wanted * _LOWEST, self._rate * _SLOWER)  # once a pause, not once a request
            self._paused_until = max(self._paused_until, now + wait_seconds)
