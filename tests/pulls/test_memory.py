"""Memory of a pull does not grow with its rows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowferry.clock import ManualClock
from rowferry.http import HttpClient
from rowferry.pulls.clevertap import SOURCE
from rowferry.pulls.due import Plan
from rowferry.pulls.puller import Puller
from rowferry.settings.pull import Pull
from rowferry.stores.folder import FolderStore
from rowferry.twins.clevertap import CleverTapTwin
from support.pulling import NOW, Bench
from support.vendors import clevertap as example

PAGE_ROWS = 1000


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project that remembers no calls."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1", keep_log=False) as running:
        yield running


def peak_bytes(folder: Path, twin: CleverTapTwin, pages: int) -> int:
    """The most memory that a pull of so many pages takes."""
    told = 0

    def endless(_start: int, page: dict[str, Any]) -> dict[str, Any]:
        nonlocal told
        told += 1
        records = [{"ts": 20260130120000, "event_props": {"page": told, "row": row, "text": "x" * 100}} for row in range(PAGE_ROWS)]
        return {"records": records, **({"next_cursor": twin.reads.cursor(0, told)} if told < pages else {})}

    Bench(folder, twin).charge("2026-01-30", 1)
    twin.reads.spoil = endless
    pull = Pull.model_validate({"from": "ct", "report": "events", "event": "Charged"})
    state = FolderStore(folder / "state")
    puller = Puller(
        "charged", pull, SOURCE, example.settings(twin.url), state, FolderStore(folder / "exports"), HttpClient(3), ManualClock(NOW)
    )
    [window, *_] = Plan("charged", pull, SOURCE.reports["events"], "UTC", state).due(NOW)
    tracemalloc.start()
    [found] = puller.run([window])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.rows == pages * PAGE_ROWS
    return peak


def test_eight_times_the_rows_need_no_more_memory(tmp_path: Path, twin: CleverTapTwin) -> None:
    """A page at a time is held, and of earlier ones a cursor and a digest."""
    small = peak_bytes(tmp_path / "small", twin, 5)
    twin.reads.events.clear()
    twin.reads._exports.clear()
    large = peak_bytes(tmp_path / "large", twin, 40)
    assert large < 2 * small  # what is held at once differs by who runs first, us or the vendor; held whole it would be eight times
