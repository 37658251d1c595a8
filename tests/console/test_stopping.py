"""Ctrl-C and SIGTERM while the vendor has us wait: the command hands back at once, and the same command resumes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.shop import ENVIRONMENT, Shop

NUMBERS = [signal.SIGINT, signal.SIGTERM]
ENDS_SECONDS = 300  # far below the pause that the vendor asks for, far above what a slow machine takes


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    """A vendor that asks for a long pause after the first request."""
    with BrazeTwin() as running:
        running.faults.append(Fault(response=Response(429, b"{}", {"retry-after": "500"})))
        yield running


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    found = Shop(tmp_path, twin, every="1h")
    found.fill(3)
    return found


def wait_until(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + ENDS_SECONDS
    while not happens():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.05)


def resumes(shop: Shop, twin: BrazeTwin) -> None:
    """The command once more sends what was left, and nothing is in its way."""
    claims = [json.loads(path.read_text()) for path in (shop.folder / "state").glob("claims/**/*.json")]
    assert all(claim.get("is_free") for claim in claims)
    found = shop.sync()
    assert (found["status"], found["delivered"], len(twin.profiles)) == ("closed", 3, 3)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_sync_that_is_stopped_hands_back(shop: Shop, twin: BrazeTwin, number: int) -> None:
    """Exit code 1, one document that says so, no traceback; the pause is not waited for."""
    process = shop.process(["sync", "customers"])
    wait_until(lambda: twin.requests > 0)
    process.send_signal(number)
    printed, said = process.communicate(timeout=ENDS_SECONDS)
    assert (process.returncode, json.loads(printed)["problems"][0]["problem"]) == (1, "stopped; the same command resumes")
    assert b"Traceback" not in said
    resumes(shop, twin)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_server_that_is_stopped_hands_back(shop: Shop, twin: BrazeTwin, number: int) -> None:
    """What is under way is handed back, not seen to its end: exit code 0, and a word on what becomes of it."""
    command = [sys.executable, "-m", "rowferry.cli", "serve", "--port", "0", "--config", str(shop.config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", **ENVIRONMENT})
    wait_until(lambda: twin.requests > 0)
    process.send_signal(number)
    _, said = process.communicate(timeout=ENDS_SECONDS)
    assert process.returncode == 0
    assert b"what is open goes on with the next start" in said
    assert b"Traceback" not in said
    resumes(shop, twin)
