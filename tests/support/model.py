"""A model of a vendor and a store that dies: for tests that let dice decide what breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

import orjson

from rowferry.errors import TryLater
from rowferry.http import NoAnswer
from rowferry.stores.folder import FolderStore
from rowferry.wire import Request, Response


class Crash(BaseException):
    """The process is gone at this moment."""


class ModelVendor:
    """Braze as far as the engine can see it, in a dozen lines, in the place of an HTTP client.

    `script` says what becomes of each request in turn; after its end all goes well. Rows in `poison`
    are refused whenever they come; a request with one of `breakers` ends in a 500 every time.
    """

    def __init__(self, script: list[str], poison: set[str], breakers: Collection[str] = ()) -> None:
        self._script, self._poison, self._breakers = list(script), poison, breakers
        self._lock = threading.Lock()
        self.known: set[str] = set()
        self.received: list[str] = []

    def send(self, request: Request, timeout_seconds: float) -> Response:
        with self._lock:
            fate = self._script.pop(0) if self._script else "ok"
            who = [item["external_id"] for item in orjson.loads(request.body)["attributes"]]
            if fate == "ok" and any(name in self._breakers for name in who):
                fate = "500"
            if fate in ("500", "429", "401", "400"):
                return Response({"500": 500, "429": 429, "401": 401, "400": 400}[fate], b"{}", {"retry-after": "1"})
            if fate == "lost before":
                raise NoAnswer("the connection broke", maybe_applied=True)
            self.received += who
            self.known |= set(who) - self._poison
            if fate == "lost after":
                raise NoAnswer("the connection broke", maybe_applied=True)
            bad = [{"type": "BAD", "input_array": "attributes", "index": i} for i, name in enumerate(who) if name in self._poison]
            if len(bad) == len(who):
                return Response(400, orjson.dumps({"message": "Valid data must be provided", "errors": bad}))
            return Response(201, orjson.dumps({"message": "success", **({"errors": bad} if bad else {})}))


class MortalFolder(FolderStore):
    """A store in which the process dies at its n-th write, before or after it took effect."""

    deaths: list[tuple[int, bool]]
    writes: int = 0

    def create(self, key: str, data: Any) -> str:
        return self._step(lambda: super(MortalFolder, self).create(key, data))

    def replace(self, key: str, data: bytes, version: str) -> str:
        return self._step(lambda: super(MortalFolder, self).replace(key, data, version))

    def _step(self, write: Callable[[], str]) -> str:
        self.writes += 1
        dies = next((after for at, after in self.deaths if at == self.writes), None)
        if dies is False:
            raise Crash
        version = write()
        if dies:
            raise Crash
        return version


class PassingFolder(FolderStore):
    """A store that is out of reach for its n-th creates: what was to be written is not."""

    outages: Collection[int]
    creates: int = 0

    def create(self, key: str, data: Any) -> str:
        self.creates += 1
        if self.creates in self.outages:
            raise TryLater("the store is out of reach")
        return super().create(key, data)
