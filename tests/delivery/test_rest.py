"""Chunks that nothing can be done for in hours: they leave the queue, rest, and come again when it is worth it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.delivery.chunk import OUTBOX
from rowferry.delivery.deliver import Delivery
from rowferry.delivery.rest import QUEUE_SECONDS
from rowferry.edge import after_delivery
from rowferry.errors import TryLater
from rowferry.settings.file import read_settings
from rowferry.syncs.sweep import CLAIMS
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.shop import ENVIRONMENT, Shop

HOUR = 3600.0
SWEEP_SECONDS = 600.0  # infra/needs.yaml
LIFE_SECONDS = 530.0


class Night:
    """A shop whose run of three chunks is to be delivered; the functions are called as their platforms would."""

    def __init__(self, shop: Shop, clock: ManualClock) -> None:
        self.shop, self.clock = shop, clock
        settings = read_settings(shop.config, environment=ENVIRONMENT)
        self.app = App(settings, environment=ENVIRONMENT, clock=clock)
        self.queue: list[str] = []
        self.calls = 0

    def announce_all(self) -> None:
        self.queue += [found.key for found in self.app.state.list(OUTBOX)]

    def work_off(self) -> None:
        """Every message once; one that is to come again stays."""
        messages, self.queue = self.queue, []
        ends_at = self.clock.monotonic() + LIFE_SECONDS
        for key in messages:
            self.calls += 1
            found: Delivery = self.app.deliver_announced(key, lambda: ends_at - self.clock.monotonic())
            try:
                after_delivery(key, found)
            except TryLater:
                self.queue.append(key)
        now = self.clock.now().timestamp()
        for claim in self.app.state.list(CLAIMS):  # a folder's objects bear the machine's time, not the clock's
            path = self.app.state.path(claim.key)
            assert path is not None
            os.utime(path, (now, now))

    def sweep(self) -> int:
        """The sweep's timer rings; how many chunks it announced. Their messages are in the queue then."""
        self.clock.sleep(SWEEP_SECONDS)
        keys = self.app.sweeper.stuck_chunks()
        self.queue += keys
        return len(keys)

    @property
    def delivered(self) -> int:
        return len(self.shop.twin.profiles)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))  # objects of a folder bear the machine's time


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    shop = Shop(tmp_path, twin, in_flight=1, chunk_rows=100)
    shop.fill(300)
    return shop


@pytest.fixture
def night(shop: Shop, clock: ManualClock) -> Iterator[Night]:
    now = clock.now()
    shop.settings["destinations"]["braze"]["quiet_hours"] = f"{now:%H:%M}-{now + timedelta(hours=8):%H:%M}"
    shop.save()
    night = Night(shop, clock)
    with night.app:
        yield night


@pytest.fixture
def day(shop: Shop, clock: ManualClock) -> Iterator[Night]:
    day = Night(shop, clock)
    with day.app:
        yield day


def test_a_run_that_is_planned_in_quiet_hours_leaves_after_them(night: Night) -> None:
    """Eight hours: one call for each chunk and nothing more until they are over; then all of it, ten minutes later at most."""
    assert night.app.start_sync("customers").status == "open"
    night.announce_all()
    night.work_off()
    assert (night.queue, night.calls, night.delivered) == ([], 3, 0)
    for _ in range(60):
        if night.sweep():
            break
    assert 8 * HOUR - 120 <= night.clock.monotonic() <= 8 * HOUR + SWEEP_SECONDS
    night.work_off()
    assert (night.queue, night.calls, night.delivered) == ([], 6, 300)


def test_an_hourly_window_costs_one_request_however_many_chunks_wait(day: Night, twin: BrazeTwin) -> None:
    """The first chunk hears of it, the others are told by it; all come again when the window is open."""
    day.app.start_sync("customers")
    twin.faults.append(Fault(response=Response(429, b"{}", {"x-ratelimit-retry-after": "3000"})))
    day.announce_all()
    day.work_off()
    assert (day.queue, twin.requests) == ([], 1)
    sweeps = 1
    while day.sweep() == 0:
        sweeps += 1
    assert sweeps == 5
    day.work_off()
    assert (day.queue, day.delivered, twin.requests) == ([], 300, 1 + 6)


def test_a_vendor_that_is_down_is_asked_by_the_queue_alone(day: Night, twin: BrazeTwin) -> None:
    """What failed stays in its queue; the sweep adds no second message for as long as the first comes again. Once it
    does so no more, for it was given up, the sweep announces it."""
    day.app.start_sync("customers")
    twin.faults.extend([Fault(response=Response(503, b"down"))] * 1000)
    day.announce_all()
    for _ in range(8):
        day.work_off()
        assert len(day.queue) == 3
        day.clock.sleep(QUEUE_SECONDS / 2)
        assert day.app.sweeper.stuck_chunks() == []
    twin.faults.clear()
    day.queue.clear()
    assert day.sweep() == 3
    day.work_off()
    assert (day.queue, day.delivered) == ([], 300)
    assert [found.key for found in day.app.state.list(CLAIMS)] == ["claims/suspects/braze.json"]  # nobody is at any chunk


def test_a_revoked_key_is_asked_for_once_a_sweep(day: Night, twin: BrazeTwin) -> None:
    """Each chunk hears it once; after that one of them asks, until the key is mended and all go on."""
    day.app.start_sync("customers")
    twin.faults.extend([Fault(response=Response(401, b'{"message":"Invalid API key"}'))] * 5)
    day.announce_all()
    day.work_off()
    assert (day.queue, twin.requests) == ([], 3)
    announced = []
    for _ in range(6):
        announced.append(day.sweep())
        day.work_off()
    assert announced == [0, 1, 1, 1, 2, 0]  # the first comes too early; the third that asks gets through
    assert (day.queue, day.delivered, twin.requests) == ([], 300, 5 + 6)


def test_a_call_whose_time_was_up_stays_in_its_queue(day: Night) -> None:
    """It is worth coming back at once, which no sweep could do."""
    day.app.start_sync("customers")
    key = next(found.key for found in day.app.state.list(OUTBOX))
    found = day.app.deliver_announced(key, lambda: 5.0)
    assert (found.status, found.wait_seconds) == ("open", 0)
    with pytest.raises(TryLater):
        after_delivery(key, found)


def test_killed_between_the_answer_and_the_note(day: Night, twin: BrazeTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message was not acknowledged, so it comes again by itself; nothing is lost or sent twice."""
    day.app.start_sync("customers")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    twin.faults.append(Fault(response=Response(429, b"{}", {"x-ratelimit-retry-after": "3000"})))
    key = next(found.key for found in day.app.state.list(OUTBOX))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("rowferry.delivery.rest.begin", killed)
        day.app.deliver_announced(key, lambda: LIFE_SECONDS)
    day.clock.sleep(3600)
    assert day.app.deliver_announced(key, lambda: LIFE_SECONDS).status == "settled"
    assert day.delivered == 100
