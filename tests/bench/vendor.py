"""A vendor's stand-in in a process of its own, so that its CPU is not ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT / 'tests'}", "BENCH_KEY": "a-made-up-key"}


@contextmanager
def stand_in(vendor: str, latency_seconds: float) -> Iterator[str]:
    """The address of a stand-in that takes so long to answer."""
    command = [sys.executable, "-m", "rowferry.twins", vendor, "--latency", str(latency_seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        process.terminate()
        process.communicate()


def braze(latency_seconds: float) -> AbstractContextManager[str]:
    """Braze's."""
    return stand_in("braze", latency_seconds)
