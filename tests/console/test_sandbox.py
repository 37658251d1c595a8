"""`rowferry serve --sandbox`: a user's own settings rehearsed with stand-ins; nothing leaves, nothing of theirs changes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from rowferry.twins.braze import BrazeTwin
from support.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Its vendor is a stand-in of ours that has ended: whatever reached for it would fail."""
    with BrazeTwin() as twin:
        found = Shop(tmp_path, twin, every="1h")
    found.fill(3)
    return found


def state(address: str) -> dict[str, object]:
    with urlopen(address, timeout=300) as response:
        return dict(json.load(response))


def test_a_rehearsal_shows_what_would_be_sent(shop: Shop) -> None:
    """It says where to look at what each stand-in was sent; no secret is needed, and state and warehouse stay as they were."""
    before = {path: path.stat().st_mtime_ns for path in shop.folder.rglob("*")}
    command = [sys.executable, "-m", "rowferry.cli", "serve", "--sandbox", "--port", "0", "--config", str(shop.config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin"})
    assert process.stderr is not None
    try:
        found = re.search(
            r"braze is a stand-in for braze; what it was sent: (http://127\.0\.0\.1:\d+/_twin/state)", process.stderr.readline()
        )
        assert found, "it did not say where to look"
        until = time.monotonic() + 300
        while state(found[1])["profiles"] != 3:
            assert time.monotonic() < until, "the rows never came"
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert {path: path.stat().st_mtime_ns for path in shop.folder.rglob("*")} == before


def test_what_can_not_be_copied_is_not_rehearsed(shop: Shop) -> None:
    """BigQuery or a bucket would be written to: a sentence, before anything starts."""
    shop.settings["state"] = "gs://acme-state"
    shop.save()
    command = [sys.executable, "-m", "rowferry.cli", "serve", "--sandbox", "--port", "0", "--config", str(shop.config)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert found.returncode == 2
    assert "needs engine: duckdb and a folder as state" in found.stderr
