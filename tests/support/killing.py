"""A process that dies: at a chosen write of its store or another of its steps, before or after it took effect."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import IO, Any

from rowferry.errors import TryLater
from rowferry.stores.port import Store


class Killed(BaseException):
    """The process is gone. Not an `Exception`: nothing may catch it and carry on."""


class MortalStore:
    """Hands everything on to `store`; the write number `at` (from 0) kills, `after` it took effect or before."""

    def __init__(self, store: Store, at: int | None = None, *, after: bool = False) -> None:
        self._store, self._at, self._after = store, at, after
        self._numbers = itertools.count()  # safe for threads

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        return self._write(lambda: self._store.create(key, data))

    def replace(self, key: str, data: bytes, version: str) -> str:
        return self._write(lambda: self._store.replace(key, data, version))

    def write(self, key: str, data: bytes | IO[bytes]) -> str:
        return self._write(lambda: self._store.write(key, data))

    def _write(self, write: Any) -> str:
        number = next(self._numbers)
        if number == self._at and not self._after:
            raise Killed
        version: str = write()
        if number == self._at:
            raise Killed
        return version


class DownStore(MortalStore):
    """A store that can't be reached for writes while `is_down`."""

    is_down = True

    def _write(self, write: Any) -> str:
        if self.is_down:
            raise TryLater("the store is out of reach", wait_seconds=1)
        return super()._write(write)


class Steps:
    """Counts what leaves a trace outside the process; the step number `at` (from 1) is the last."""

    def __init__(self, at: int | None = None, *, after: bool = False) -> None:
        self.taken, self._at, self._after, self._is_dead = 0, at, after, False
        self._lock = threading.Lock()

    def take(self, step: Callable[[], Any]) -> Any:
        """Take a step, or die before it or after it. The dead take none."""
        with self._lock:
            if self._is_dead:
                raise Killed
            self.taken += 1
            is_last = self.taken == self._at
            if is_last and not self._after:
                self._is_dead = True
                raise Killed
        found = step()
        if is_last:
            self._is_dead = True
            raise Killed
        return found


class DyingStore:
    """A store whose writes are steps."""

    def __init__(self, store: Store, steps: Steps) -> None:
        self._store, self._steps = store, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("create", "replace", "write", "join", "delete"):
            return found
        return lambda *given, **named: self._steps.take(lambda: found(*given, **named))
