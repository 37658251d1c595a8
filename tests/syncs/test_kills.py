"""SIGKILL at every step of `rowferry sync`, before and after it took effect, and at random; two at once."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Call
from rowferry.wire import Response
from support.kill_points import KillPoints
from support.shop import ENVIRONMENT, Shop, balances

IN_FLIGHT = 2
ROWS = 400
BATCH = 75


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    shop = Shop(tmp_path, twin, in_flight=IN_FLIGHT, chunk_rows=200)
    shop.fill(ROWS)
    return shop


@pytest.fixture(scope="module")
def kills() -> Iterator[KillPoints]:
    with KillPoints(ENVIRONMENT) as points:
        yield points


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_step(shop: Shop, twin: BrazeTwin, kills: KillPoints, after: bool) -> None:
    """Whatever step is the last, the same command delivers every row, re-sends at most what was in flight, and balances."""
    command = ["sync", "customers", "--json", "--config", str(shop.config)]
    assert kills.run(command)[0] == 0
    for step in range(1, 200):
        shop.execute(f"UPDATE crm.customers SET tier = 'step {step} {after}'")
        twin.log.clear()
        code, _ = kills.run(command, at=step, after=after)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        code, printed = kills.run(command)
        found = json.loads(printed)
        assert (code, found["status"], found["pending"], found["rejected"]) == (0, "closed", 0, 0), step
        assert balances(found), step
        assert {p["tier"] for p in twin.profiles.values()} == {f"step {step} {after}"}, step
        repeats = len(shop.sent()) - ROWS
        assert 0 <= repeats <= IN_FLIGHT * BATCH, (step, repeats)
    else:
        pytest.fail("the command has more steps than were tried")
    assert step > 20
    assert json.loads(kills.run(command)[1])["requests"] == 0


def test_killed_at_random(shop: Shop, twin: BrazeTwin) -> None:
    """A real process, killed at any moment of its life, again and again: nothing is lost, and the balance closes."""
    twin.latency_seconds = 0.01
    dice = random.Random(7)
    for _round in range(8):
        process = shop.process(["sync", "customers"])
        time.sleep(dice.uniform(0.2, 1.6))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    found = shop.sync()
    assert found["status"] == "closed"
    assert balances(found)
    assert len(twin.profiles) == ROWS


def test_two_at_once_send_no_row_twice(shop: Shop, twin: BrazeTwin) -> None:
    """A second `sync` of the name waits for the first, says so, and then finds nothing to send."""
    answer, inside, release = twin.answer, threading.Event(), threading.Event()

    def hold(call: Call) -> Response:
        inside.set()
        release.wait()
        return answer(call)

    twin.answer = hold  # type: ignore[method-assign]  # the test holds the first run inside the vendor
    first = shop.process(["sync", "customers"])
    assert inside.wait(timeout=300)
    second = shop.process(["sync", "customers"])
    assert second.stderr is not None
    waits = second.stderr.readline()
    release.set()
    said = [process.communicate(timeout=300)[1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert b"sync/customers is at work elsewhere; waiting" in waits, said
    assert sorted(item["external_id"] for item in shop.sent()) == sorted(f"u{i}" for i in range(ROWS))
