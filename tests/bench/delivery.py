"""CSV of 100,000 users × 5 attributes → Braze, which answers in 50 ms; and at 0 and 200 ms against what the client allows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Result, alternating
from bench.people import write_csv
from bench.sending import BATCH_ROWS, Delivery, FarStore, Prebuilt, braze_settings, plain_sender
from bench.vendor import braze

ROWS = 100_000
SECONDS = 0.05
IN_FLIGHT = 20
MOST_IN_FLIGHT = 40  # what the account's 800 requests a second are at 50 ms
_CEILING = IN_FLIGHT / SECONDS * BATCH_ROWS


def results() -> Iterator[Result]:
    """Our delivery against the ceiling, the plain sender and prebuilt bodies, all in one run."""
    with tempfile.TemporaryDirectory() as folder, braze(SECONDS) as url:
        file = write_csv(Path(folder) / "users.csv", ROWS)
        found = alternating(
            {
                "ours": Delivery(braze_settings(url, IN_FLIGHT), ROWS).rows_per_second,
                "plain": lambda: plain_sender(url, file),
                "far": Delivery(braze_settings(url, IN_FLIGHT), ROWS, FarStore).rows_per_second,
                "most": Delivery(braze_settings(url, MOST_IN_FLIGHT), ROWS).rows_per_second,
                "prebuilt": Prebuilt(url, ROWS, IN_FLIGHT).rows_per_second,
            }
        )
    yield Result("delivery, 50 ms, 20 in flight", found["ours"], "what 20 in flight allow", _CEILING, "rows/s", ">= 0.9")
    yield Result("delivery, 50 ms, 20 in flight", found["ours"], "prebuilt bodies, same client", found["prebuilt"], "rows/s")
    yield Result("delivery, 50 ms, 20 in flight", found["ours"], "plain sender, 20 threads, joins", found["plain"], "rows/s", ">= 1.8")
    work = f"the same, its state {1000 * FarStore.SECONDS:.0f} ms away"
    yield Result(work, found["far"], "state in a folder", found["ours"], "rows/s", ">= 0.5")
    yield Result(
        f"delivery, 50 ms, {MOST_IN_FLIGHT} in flight", found["most"], "plain sender, 20 threads, joins", found["plain"], "rows/s", ">= 3.0"
    )
    yield from _share(0.0, ROWS, ">= 0.7")
    yield from _share(0.2, ROWS // 3, "")


def _share(seconds: float, rows: int, wanted: str) -> Iterator[Result]:
    with braze(seconds) as url:
        found = alternating(
            {
                "ours": Delivery(braze_settings(url, IN_FLIGHT), rows).rows_per_second,
                "prebuilt": Prebuilt(url, rows, IN_FLIGHT).rows_per_second,
            }
        )
    work = f"delivery, {1000 * seconds:.0f} ms, {IN_FLIGHT} in flight"
    yield Result(work, found["ours"], "prebuilt bodies, same client", found["prebuilt"], "rows/s", wanted)
