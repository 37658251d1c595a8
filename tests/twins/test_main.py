"""`python -m rowferry.twins`: a twin in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys

import httpx
import pytest

from rowferry import twins
from rowferry.twins.server import Twin


@pytest.mark.parametrize("vendor", twins.vendors())
def test_every_file_holds_a_twin(vendor: str) -> None:
    """Found by listing the folder; nobody keeps a list."""
    assert issubclass(twins.find(vendor), Twin)


def test_an_unknown_twin_is_a_key_error() -> None:
    """The same error as for an unknown destination."""
    with pytest.raises(KeyError):
        twins.find("server")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_twin_runs_until_it_is_told_to_end(number: int) -> None:
    """It prints its address first, answers, and ends with 0."""
    command = [sys.executable, "-m", "rowferry.twins", "braze", "--latency", "0.001"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        assert httpx.get(f"{address}/_twin/state", timeout=300).json()["profiles"] == 0
        process.send_signal(number)
        assert process.wait(300) == 0


def test_an_unknown_vendor_is_a_usage_error() -> None:
    """With the known ones in the text."""
    done = subprocess.run([sys.executable, "-m", "rowferry.twins", "nobody"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert "braze" in done.stderr
