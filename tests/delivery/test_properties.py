"""The engine against a model of a vendor, under any schedule of crashes, faults, repeated events and clock jumps.

However the dice fall: every row has one outcome, what the receipts call delivered is at the vendor, what
they call rejected is not, and the balance closes.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.clock import ManualClock
from rowferry.delivery.account import Account
from rowferry.delivery.pace import Pacer
from rowferry.destinations.braze import DESTINATION
from rowferry.errors import RowferryError
from rowferry.http import NoAnswer
from rowferry.stores.folder import FolderStore
from rowferry.wire import Request, Response
from support.chunks import deliver, plan_of, put_chunk, receipts_of
from support.vendors import braze as example

ROWS = 60
BATCH = 7
IN_FLIGHT = 3


class Crash(BaseException):
    """The process is gone at this moment."""


class ModelVendor:
    """Braze as far as the engine can see it, in a dozen lines, in the place of an HTTP client.

    `script` says what becomes of each request in turn; after its end all goes well. Rows in `poison`
    are refused whenever they come.
    """

    def __init__(self, script: list[str], poison: set[str]) -> None:
        self._script, self._poison = list(script), poison
        self._lock = threading.Lock()
        self.known: set[str] = set()
        self.received: list[str] = []

    def send(self, request: Request, timeout_seconds: float) -> Response:
        with self._lock:
            fate = self._script.pop(0) if self._script else "ok"
            who = [item["external_id"] for item in orjson.loads(request.body)["attributes"]]
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


fates = st.lists(st.sampled_from(["ok", "ok", "ok", "500", "429", "401", "400", "lost before", "lost after"]), max_size=25)
deaths = st.lists(st.tuples(st.integers(3, 60), st.booleans()), max_size=4)
poisons = st.sets(st.integers(0, ROWS - 1).map(lambda number: f"u{number}"), max_size=5)
jumps = st.lists(st.floats(0, 200), min_size=1, max_size=8)


@given(script=fates, deaths=deaths, poison=poisons, jumps=jumps)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_balance_always_closes(script: list[str], deaths: list[tuple[int, bool]], poison: set[str], jumps: list[float]) -> None:
    """Whatever breaks, the same call repeated ends in receipts that say what is so at the vendor."""
    with tempfile.TemporaryDirectory() as folder:
        store, clock = MortalFolder(Path(folder)), ManualClock()
        store.deaths = []
        key = put_chunk(store, plan_of([("external_id", "STRING"), ("tier", "STRING")]), [[f"u{i}", "gold"] for i in range(ROWS)])
        store.deaths, store.writes = deaths, 0
        vendor = ModelVendor(script, poison)
        account = Account(
            "d1", DESTINATION, example.settings("http://127.0.0.1:1"), vendor, Pacer(None, clock), IN_FLIGHT, {"profile": BATCH}  # type: ignore[arg-type]  # the model stands in for the client
        )  # fmt: skip
        for attempt in range(60):
            clock.sleep(jumps[attempt % len(jumps)])
            try:
                found = deliver(store, key, account, clock).status
            except (Crash, RowferryError):
                continue
            if found == "settled":
                break
            if found == "held":
                clock.sleep(61)  # a dead worker's claim is over after a minute
        else:
            raise AssertionError("the chunk never settled")
        receipts = receipts_of(store)
        rejected = {f"u{row.id.removeprefix('row-')}" for row in receipts.rejected}
        everybody = {f"u{i}" for i in range(ROWS)}
        assert receipts.delivered + len(receipts.rejected) == receipts.rows == ROWS
        assert everybody - rejected <= vendor.known
        assert poison <= rejected
        assert vendor.known - poison == everybody - poison - (rejected - poison - vendor.known)
        assert deliver(store, key, account, clock).status == "settled"
