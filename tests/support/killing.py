"""A store whose owner dies: at a chosen write, before or after it took effect."""

from __future__ import annotations

from typing import IO, Any

from rowferry.errors import TryLater
from rowferry.stores.port import Store


class Killed(BaseException):
    """The process is gone. Not an `Exception`: nothing may catch it and carry on."""


class MortalStore:
    """Hands everything on to `store`; the write number `at` (from 0) kills, `after` it took effect or before."""

    def __init__(self, store: Store, at: int | None = None, *, after: bool = False) -> None:
        self._store, self._at, self._after = store, at, after
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        return self._write(lambda: self._store.create(key, data))

    def replace(self, key: str, data: bytes, version: str) -> str:
        return self._write(lambda: self._store.replace(key, data, version))

    def write(self, key: str, data: bytes | IO[bytes]) -> str:
        return self._write(lambda: self._store.write(key, data))

    def _write(self, write: Any) -> str:
        number, self.writes = self.writes, self.writes + 1
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
