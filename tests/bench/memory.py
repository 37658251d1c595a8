"""Memory: sending ten times the rows takes no more."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Line
from bench.sending import twin


def measure() -> Iterator[Line]:
    """The peak of a whole `rowferry sync` of 1,000,000 rows against one of 100,000, and of the delivery alone."""
    small, large = peak_bytes(100_000), peak_bytes(1_000_000)
    yield Line("memory of delivery, 10× the rows", f"{large / 1e6:.0f} MB", f"100,000 rows {small / 1e6:.0f} MB", large / small, "≤ 1.1")


def peak_bytes(rows: int) -> float:
    """What a process takes at most that delivers so many rows, chunk by chunk."""
    with tempfile.TemporaryDirectory() as folder, twin(0) as url:
        command = [sys.executable, __file__, folder, str(rows), url]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(found.stdout)


def _deliver(folder: Path, rows: int, url: str) -> None:
    from bench.sending import COLUMNS
    from rowferry.clock import SystemClock
    from rowferry.destinations.braze import DESTINATION, BrazeSettings
    from rowferry.settings.base import Secret
    from rowferry.stores.folder import FolderStore
    from rowferry.syncs.resolve import CHUNK_ROWS
    from support.chunks import account_of, deliver, plan_of, put_chunk

    store, clock = FolderStore(folder), SystemClock()
    account = account_of(DESTINATION, BrazeSettings(vendor="braze", base_url=url, api_key=Secret("env:K", "k")), clock, 20)
    for number, first in enumerate(range(0, rows, CHUNK_ROWS)):
        values = ([f"u{i}", "Ada", "gold", "shop 1", "s1", "web"] for i in range(first, min(rows, first + CHUNK_ROWS)))
        assert deliver(store, put_chunk(store, plan_of(COLUMNS), values, number), account, clock).status == "settled"
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


if __name__ == "__main__":
    _deliver(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
