"""A real SIGKILL of a real `rowferry serve`, at the moment in which the sender has read its 200."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rowferry.twins.server import Fault
from rowferry.twins.slack import SlackTwin
from rowferry.wire import Response
from support.senders import SECRET, call

SETTINGS = """
rowferry: 1
warehouse: {engine: duckdb, path: warehouse.duckdb}
state: ./state
destinations: {ops: {vendor: slack, webhook_url: "env:SLACK", per_second: 100}}
webhooks: {shop: {verify: {scheme: github, secret: "env:SECRET"}, routes: [{notify: {to: ops, text: "order {{ number }}"}}]}}
"""
LONG_SECONDS = 600  # far above what a slow machine takes


def wait_until(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + LONG_SECONDS
    while not happens():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


@contextmanager
def serve(folder: Path, slack: SlackTwin) -> Iterator[str]:
    """The address of a server in a process of its own, which ends by SIGKILL."""
    command = [sys.executable, "-m", "rowferry.cli", "serve", "--port", "0", "--config", str(folder / "rowferry.yaml")]
    environment = {"PATH": "/usr/bin:/bin", "SLACK": slack.webhook_url, "SECRET": SECRET}
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log, env=environment) as process:
        try:
            wait_until(lambda: b"Rowferry serves" in (folder / "log").read_bytes())
            found = re.search(r"http://127\.0\.0\.1:\d+", (folder / "log").read_text())
            assert found is not None
            yield found[0]
        finally:
            process.kill()


def _send(address: str, number: int) -> bytes:
    found = call("github", "shop", {"number": number}, datetime.now(UTC), **{"x-github-delivery": f"order-{number}"})
    with urllib.request.urlopen(urllib.request.Request(address + found.path, found.body, dict(found.headers))) as response:
        return bytes(response.read())


def test_killed_right_after_the_answer(tmp_path: Path) -> None:
    """Ten events were answered while the channel was down, and the server is gone: the next one tells each once, and knows a repeat."""
    (tmp_path / "rowferry.yaml").write_text(SETTINGS)
    with SlackTwin() as slack:
        slack.faults.extend([Fault(response=Response(503, b""))] * 1000)
        with serve(tmp_path, slack) as address:
            assert {_send(address, number) for number in range(10)} == {b'{"status":"accepted"}'}
        slack.faults.clear()
        with serve(tmp_path, slack) as address:
            assert _send(address, 0) == b'{"status":"repeated"}'
            wait_until(lambda: not any(files for _, _, files in os.walk(tmp_path / "state" / "outbox")))
        told = [line for message in slack.messages for line in message["text"].split("\n") if line.startswith("order")]
    assert sorted(told) == [f"order {number}" for number in range(10)]
