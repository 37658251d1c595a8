"""Loads that are killed with SIGKILL, each in a process of its own. Run as a program by `test_kills`.

    python killed_loads.py FOLDER steps       kill between any two calls to the stores and the warehouse
    python killed_loads.py FOLDER window      the same for a file of a feed with a window
    python killed_loads.py FOLDER moments N   kill at N moments spread over a load

For each kill it loads again in a new process and prints what is in the table then, as a line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from support.loading import Bench

FEEDS: dict[str, dict[str, Any]] = {"crm": {"path": "crm/*.csv", "table": "crm.customers", "columns": {"id": "INT64", "ltv": "NUMERIC"}}}
KEY = "crm/a.csv"
CALLS = ("head", "open", "write", "create", "columns", "add_columns", "drop", "load_csv", "query", "apply")


class Counted:
    """Hands calls on to `inner`, and dies before the call number `at`."""

    calls = 0

    def __init__(self, inner: Any, at: int | None) -> None:
        self._inner, self._at = inner, at

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in CALLS:
            return found

        def call(*given: Any, **named: Any) -> Any:
            number, Counted.calls = Counted.calls, Counted.calls + 1
            if number == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
            return found(*given, **named)

        return call


def bench(folder: Path, at: int | None = None) -> Bench:
    """The same places again, with calls counted."""
    found = Bench(folder, FEEDS)
    for name in ("exports", "state", "warehouse"):
        setattr(found, name, Counted(getattr(found, name), at))
    found.loader = found.new_loader()
    return found


def child(work: Any) -> int:
    """Run `work` in a process of its own; what `os.waitpid` says of its end."""
    process = os.fork()
    if process == 0:
        work()
        os._exit(0)
    return os.waitpid(process, 0)[1]


def report(folder: Path, step: object) -> None:
    """Load once more, twice, and print what is there."""

    def again() -> None:
        found = bench(folder)
        first, second = found.loader.load(KEY), found.loader.load(KEY)
        rows = found.count("crm.customers")
        cells = found.count("rowferry.rejected_cells")
        ledger = found.count("rowferry.loads")
        left = [name for name in found.tables("rowferry") if name.startswith("staging")]
        line = {"step": step, "first": first.status, "second": second.status, "rows": rows, "cells": cells, "ledger": ledger, "left": left}
        print(json.dumps(line), flush=True)

    child(again)


def main(folder: Path, mode: str, count: int = 0) -> None:
    """Kill and repeat until a load comes through alive, or `count` times."""
    if mode == "window":
        FEEDS["crm"]["window"] = "5m"
    count_of_rows = 5000 if mode == "moments" else 1000
    lines = ["id,ltv\n", *(f"{number},{'oops' if number % 500 == 7 else number}\n" for number in range(count_of_rows))]
    for number in range(count or 10_000):
        place = folder / str(number)
        place.mkdir()
        Bench(place, FEEDS).put(KEY, "".join(lines))
        if mode == "moments":
            killed_after(place, 0.04 * number)
            report(place, number)
            continue
        ended = child(lambda place=place, number=number: bench(place, number).loader.load(KEY))
        report(place, number)
        if ended == 0:
            return


def killed_after(place: Path, seconds: float) -> None:
    """Load in a child, and kill that after a while."""
    process = os.fork()
    if process == 0:
        bench(place).loader.load(KEY)
        os._exit(0)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
