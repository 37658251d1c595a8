"""`rowferry serve` as a person meets it: a real process, a file dropped, a page looked at, a port in use."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from rowferry.clock import ManualClock
from rowferry.console.page import status_page
from rowferry.twins.braze import BrazeTwin
from support.shop import ENVIRONMENT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    with BrazeTwin() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, twin: BrazeTwin) -> Path:
    path = tmp_path / "rowferry.yaml"
    settings = {
        "rowferry": 1,
        "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
        "state": "state",
        "exports": "exports",
        "destinations": {"braze": {"vendor": "braze", "base_url": twin.url, "api_key": "env:BRAZE_KEY"}},
        "feeds": {"crm": {"path": "crm/", "table": "crm.customers", "columns": {"id": "STRING", "tier": "STRING"}, "write": "merge", "key": ["id"]}},  # noqa: E501 (one feed)
        "syncs": {
            "customers": {
                "model": {"table": "crm.customers"}, "key": "id", "send": "changed", "to": "braze",
                "map": {"external_id": "id", "tier": "tier"}, "after": ["crm"],
            }
        },
    }  # fmt: skip
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def address(config: Path) -> Iterator[str]:
    """A running server's address."""
    command = [sys.executable, "-m", "rowferry.cli", "serve", "--port", "0", "--config", str(config)]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
    assert process.stderr is not None
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert found, "the server did not say where it listens"
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=300) == 0
        process.communicate()


def get(address: str) -> str:
    with urlopen(address, timeout=300) as response:
        return str(response.read().decode())


def eventually(holds: Callable[[], bool]) -> None:
    """Look again, for a few minutes at most."""
    for _ in range(1500):
        if holds():
            return
        time.sleep(0.2)
    pytest.fail("it did not come true")


def drop(config: Path, name: str, content: str) -> None:
    folder = config.parent / "exports" / "crm"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f".{name}").write_text(content)
    (folder / f".{name}").rename(folder / name)


def test_a_dropped_file_reaches_table_page_and_vendor(address: str, config: Path, twin: BrazeTwin) -> None:
    """A file in the exports folder is loaded, its sync follows, and the page tells of both."""
    drop(config, "a.csv", "id,tier\nu1,gold\nu2,silver\n")
    eventually(lambda: twin.profiles.keys() == {"u1", "u2"})
    eventually(lambda: any(run["status"] == "closed" for run in json.loads(get(f"{address}/status.json"))["runs"]))
    page = get(address)
    assert "crm/a.csv" in page
    assert "customers" in page
    drop(config, "b.csv", "id,tier\nu2,gold\n")
    eventually(lambda: twin.profiles["u2"]["tier"] == "gold")


@pytest.mark.skipif(CHROMIUM is None, reason="no headless browser is installed (Debian: apt install chromium)")
def test_a_real_browser_shows_the_page(address: str, config: Path, twin: BrazeTwin) -> None:
    """The page renders in a browser, without a script and without anything loaded from elsewhere."""
    drop(config, "a.csv", "id,tier\nu1,gold\n")
    eventually(lambda: bool(twin.profiles))
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
        flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={profile}", "--dump-dom"]
        shown = subprocess.run([str(CHROMIUM), *flags, address], capture_output=True, text=True, timeout=300, check=True).stdout
    assert "<h2>Runs</h2>" in shown
    assert "<script" not in shown
    assert "http" not in shown.replace('http-equiv="refresh"', "")


def test_a_port_in_use_is_said(config: Path) -> None:
    """A taken port ends in a sentence and exit code 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "rowferry.cli", "serve", "--port", str(taken.getsockname()[1]), "--config", str(config)]
        found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT}, timeout=300, check=False)
    assert found.returncode == 2
    assert "--port" in found.stderr
    assert "Traceback" not in found.stderr


def test_the_page_escapes_what_it_shows() -> None:
    """A reason with markup in it is text on the page."""
    letter = {"sync": "s", "rows": 1, "code": "c", "reason": "<img src=x onerror=alert(1)>", "since": "2026-01-01T00:00:00"}
    page = status_page({"feeds": [], "loads": [], "runs": [], "dead_letters": [letter], "late": []}, ManualClock().now())
    assert "<img" not in page
    assert "&lt;img" in page
    assert "Alerts" not in page


def test_the_page_shows_how_alerts_stand() -> None:
    """What fires since when and what it saw; one that nobody looked at yet says never."""
    fires = {
        "alert": "orders", "state": "firing", "since": "2026-01-01T00:00:00", "seen_at": "2026-01-01T01:00:00", "numbers": {"n": 1042.5},
    }  # fmt: skip
    waits: dict[str, Any] = {"alert": "errors", "state": "waiting", "since": None, "seen_at": None, "numbers": {}}
    page = status_page(
        {"feeds": [], "loads": [], "runs": [], "dead_letters": [], "late": [], "alerts": [fires, waits]}, ManualClock().now()
    )
    assert "2026-01-01 01:00</td><td>n 1,042.5</td>" in page
    assert '<td class="s waiting">waiting</td><td class="t"></td><td class="t">never</td><td></td>' in page


@pytest.mark.parametrize(("command", "code"), [(["serve", "--port", "0"], 2), (["check", "--live"], 1)])
def test_a_webhook_without_its_secret_is_told_at_once(config: Path, command: list[str], code: int) -> None:
    """Not to the first sender, whose call can't be verified: a sentence that names the variable to set."""
    hook = {
        "verify": {"scheme": "github", "secret": "secret:shop-hook"},
        "routes": [{"send": {"to": "braze", "action": "profile", "map": {"external_id": "id"}}}],
    }
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "webhooks": {"shop": hook}}))
    whole = [sys.executable, "-m", "rowferry.cli", *command, "--config", str(config)]
    found = subprocess.run(whole, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT}, timeout=300, check=False)
    assert found.returncode == code
    assert "ROWFERRY_SECRET_SHOP_HOOK" in found.stderr + found.stdout
    assert "Traceback" not in found.stderr
