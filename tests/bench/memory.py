"""Peak memory of sending ten times the rows, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from bench.measure import Result
from bench.vendor import ENVIRONMENT, braze

ROWS = 100_000
IN_FLIGHT = 20
_SEND = """
import json, re, resource, sys, tempfile
from pathlib import Path
from bench.people import write_chunks
from bench.sending import braze_settings, deliver_all
from rowferry.stores.folder import FolderStore

url, rows, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with tempfile.TemporaryDirectory() as folder:
    store = FolderStore(Path(folder))
    keys = write_chunks(store, rows)
    deliver_all(store, keys, braze_settings(url, in_flight))
status = Path("/proc/self/status")
if status.exists():  # Linux's ru_maxrss is at least that of whoever started the process
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) / 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)  # macOS counts bytes
"""


def results() -> Iterator[Result]:
    """A million rows against a hundred thousand."""
    with braze(0.0) as url:
        few, many = (_peak_megabytes(url, rows) for rows in (ROWS, 10 * ROWS))
    yield Result(f"peak memory, sending {10 * ROWS:,} rows", many, f"sending {ROWS:,} rows", few, "MB", "<= 1.1")


def _peak_megabytes(url: str, rows: int) -> float:
    command = [sys.executable, "-c", _SEND, url, str(rows), str(IN_FLIGHT)]
    return float(json.loads(subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True).stdout))
