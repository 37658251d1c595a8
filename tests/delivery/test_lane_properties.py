"""Lanes under any schedule of crashes, faults, repeated events, clock jumps and webhooks that come in between.

However the dice fall: each chunk of each lane gets its receipts, every row is at the vendor, and no more rows go
twice than were in flight at a crash or a broken connection.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.delivery.account import Account
from rowferry.delivery.chunk import OUTBOX, ChunkName
from rowferry.delivery.outbox import Outbox
from rowferry.delivery.pace import Pacer
from rowferry.delivery.receipts import Receipts
from rowferry.destinations.braze import DESTINATION
from rowferry.errors import RowferryError
from rowferry.settings.file import read_settings
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Store
from rowferry.wire import Request, Response
from support.chunks import plan_of, put_chunk
from support.model import Crash, ModelVendor, MortalFolder
from support.vendors import braze as example

BATCH, IN_FLIGHT, LIFE_SECONDS = 7, 2, 60.0
ROWS = {"backfill": (3, 60), "small": (2, 30)}
SETTINGS = """
rowferry: 1
warehouse: {engine: duckdb, path: warehouse.duckdb}
state: state
destinations: {d1: {vendor: braze, instance: EU-01, api_key: "env:KEY"}}
"""


class Office(ModelVendor):
    """The model of the vendor, which takes seconds for a request, while others bring webhooks."""

    def __init__(self, script: list[str], seconds: float, hooks: set[int], clock: ManualClock, store: FolderStore) -> None:
        super().__init__(script, set())
        self._seconds, self._hooks, self._clock, self._store = seconds, hooks, clock, store
        self.requests = 0
        self.brought: list[str] = []

    def send(self, request: Request, timeout_seconds: float) -> Response:
        self._clock.sleep(self._seconds)
        self.requests += 1
        if self.requests in self._hooks:
            who = f"hook{self.requests}"
            Outbox(self._store).relay(id=who, source="webhook.x", destination="d1", action="profile", rows=[{"external_id": who}])
            self.brought.append(who)
        return super().send(request, timeout_seconds)


class World:
    """Folders, a clock, the vendor, and functions that are called with events."""

    def __init__(self, folder: Path, script: list[str], seconds: float, hooks: set[int]) -> None:
        self.folder, self.clock = folder, ManualClock()
        (folder / "rowferry.yaml").write_text(SETTINGS)
        self.settings = read_settings(folder / "rowferry.yaml", environment={"KEY": "x"})
        self.plain = FolderStore(folder / "state")
        self.store = MortalFolder(folder / "state")
        self.store.deaths = []
        self.vendor = Office(script, seconds, hooks, self.clock, self.plain)

    def call(self, key: str) -> str:
        """A call of the function, in a process of its own."""
        ends_at = self.clock.monotonic() + LIFE_SECONDS
        return WorldsApp(self).deliver_announced(key, lambda: ends_at - self.clock.monotonic()).status


class WorldsApp(App):
    """The app, with the model in the place of the vendor."""

    def __init__(self, world: World) -> None:
        super().__init__(world.settings, environment={}, clock=world.clock)
        self._world = world

    @property
    def state(self) -> Store:
        return self._world.store

    def account(self, name: str) -> Account:
        vendor: Any = self._world.vendor
        settings = example.settings("http://127.0.0.1:1")
        return Account(name, DESTINATION, settings, vendor, Pacer(None, self.clock), IN_FLIGHT, {"profile": BATCH})


fates = st.lists(st.sampled_from(["ok", "ok", "ok", "ok", "500", "429", "401", "lost before", "lost after"]), max_size=20)
deaths = st.lists(st.tuples(st.integers(1, 80), st.booleans()), max_size=4)
hooks = st.sets(st.integers(1, 30), max_size=6)


@given(script=fates, deaths=deaths, hooks=hooks, seconds=st.floats(0, 8), jump=st.floats(0, 200), repeats=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_lane_closes(
    script: list[str], deaths: list[tuple[int, bool]], hooks: set[int], seconds: float, jump: float, repeats: bool
) -> None:
    """Whatever breaks while something passes, every chunk ends in receipts, and nobody is lost."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), script, seconds, hooks)
        plan = plan_of([("external_id", "STRING")])
        queue = [
            put_chunk(world.plain, replace(plan, sync=name, lane=lane), [[f"{name}{row}"] for row in range(rows)])
            for name, (lane, rows) in ROWS.items()
        ]
        world.store.deaths = deaths
        deliver_all(world, queue * 2 if repeats else queue, jump)
        everybody = {f"{name}{row}" for name, (_, rows) in ROWS.items() for row in range(rows)} | set(world.vendor.brought)
        assert world.vendor.known == everybody
        for found in world.plain.list("receipts/"):
            receipts = Receipts.read(world.plain.read(found.key)[0], found.key)
            assert (receipts.delivered, receipts.rejected) == (receipts.rows, ())
        broken = sum(fate == "lost after" for fate in script)
        assert len(world.vendor.received) - len(everybody) <= (len(deaths) * IN_FLIGHT + broken) * BATCH


def deliver_all(world: World, queue: list[str], jump: float) -> None:
    """Hand every event over until it is settled, those of webhooks too."""
    announced = 0
    for _ in range(200):
        if not queue:
            return
        key = queue.pop(0)
        world.clock.sleep(jump)
        try:
            status = world.call(key)
        except (Crash, RowferryError):
            status = "failed"
        if status not in ("settled", "gone"):
            queue.append(key)
            world.clock.sleep(61)  # a dead worker's claim is over after a minute
        relayed = [found.key for found in world.plain.list(f"{OUTBOX}d1/1/")]
        queue += [key for key in relayed if ChunkName.of(key).part.split("-")[0] in world.vendor.brought[announced:]]
        announced = len(world.vendor.brought)
    raise AssertionError("not every chunk was settled")
