"""What is made of secrets, for as long as these are what they were.

An instance may live for days. A secret that was replaced, because it was mended or because it is known to
others, has to count there as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from rowferry.clock import Clock
from rowferry.errors import CredentialsError, RowferryError, TryLater
from rowferry.secrets import Resolve

KEPT_SECONDS = 300.0
T = TypeVar("T")


class Fresh(Generic[T]):
    """One thing, made by `make` when it is first wanted. Safe for threads.

    Its secrets are read again after five minutes, and it is made anew when one of them has another value. While they
    can't be read it stays as it is.
    """

    def __init__(self, make: Callable[[Resolve], T], resolve: Resolve, clock: Clock) -> None:
        self._make, self._resolve, self._clock = make, resolve, clock
        self._secrets: list[str] = []
        self._made: T | None = None
        self._read_at = 0.0
        self._lock = threading.Lock()

    def get(self) -> T:
        """The thing. Raises what `make` and the reading of its secrets raise."""
        made = self._made
        return made if made is not None and not self._is_due() else self._look()

    @property
    def made(self) -> T | None:
        """The thing as it is, where it was wanted before."""
        return self._made

    def _is_due(self) -> bool:
        """Whether it is for the caller to look at the secrets; all others go on with what there is meanwhile."""
        now = self._clock.monotonic()
        if now - self._read_at < KEPT_SECONDS:
            return False
        with self._lock:
            is_due = now - self._read_at >= KEPT_SECONDS
            self._read_at = now
        return is_due

    def _look(self) -> T:
        secrets: list[str] = []

        def resolve(reference: str) -> str:
            secrets.append(self._resolve(reference))
            return secrets[-1]

        try:
            made = self._make(resolve)
        except (TryLater, CredentialsError):
            if self._made is None:
                raise
            return self._made
        except RowferryError:
            self._made = None  # the secret was taken away, on purpose
            raise
        with self._lock:
            if self._made is None or secrets != self._secrets:
                self._made, self._secrets, self._read_at = made, secrets, self._clock.monotonic()
            return self._made
