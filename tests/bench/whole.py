"""The whole way, command by command: `rowferry load` and `rowferry sync`, from a CSV file to a run that is closed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.delivery import MOST_IN_FLIGHT, ROWS, SECONDS
from bench.measure import Result, alternating
from bench.people import write_csv
from bench.shop import Shop, run_seconds, to_braze
from bench.vendor import braze

_PLAIN = "import sys; from pathlib import Path; from bench.sending import plain_sender; plain_sender(sys.argv[1], Path(sys.argv[2]))"


def results() -> Iterator[Result]:
    """Both commands together and each alone, against the plain sender in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, braze(SECONDS) as url:
        file = write_csv(Path(folder) / "users.csv", ROWS)

        def ours() -> float:
            with tempfile.TemporaryDirectory() as place:
                shop = Shop(Path(place), to_braze(url, MOST_IN_FLIGHT))
                packed = write_csv(shop.exports / "users.csv.gz", ROWS)
                found["load"] = shop.seconds("load", str(packed))
                found["sync"] = shop.seconds("sync", "users")
                found["again"] = shop.seconds("sync", "users")
            return found["load"] + found["sync"]

        medians = alternating({"ours": ours, "plain": lambda: run_seconds([sys.executable, "-c", _PLAIN, url, str(file)])})
    yield Result(
        f"csv.gz → table → Braze, closed, {MOST_IN_FLIGHT} in flight",
        ROWS / medians["ours"],
        "plain sender",
        ROWS / medians["plain"],
        "rows/s",
    )
    yield Result("  of that: rowferry load (last round)", ROWS / found["load"], "plain sender", ROWS / medians["plain"], "rows/s")
    yield Result("  of that: rowferry sync (last round)", ROWS / found["sync"], "plain sender", ROWS / medians["plain"], "rows/s")
    yield Result("the same again, nothing changed: rowferry sync", ROWS / found["again"], "plain sender", ROWS / medians["plain"], "rows/s")
