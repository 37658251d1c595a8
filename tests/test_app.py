"""The sweep as the clouds run it: what takes its time, or the process with it, holds up nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rowferry.app import App
from rowferry.delivery.chunk import OUTBOX
from rowferry.loads.load import Loader
from rowferry.loads.result import LoadResult
from rowferry.stores.folder import FolderStore
from rowferry.twins.braze import BrazeTwin
from support.runs import machine
from support.shop import Shop


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """Two files that no event told of, and a run whose last receipts nobody has counted."""
    with ExitStack() as stack:
        shop = Shop(tmp_path, stack.enter_context(BrazeTwin()))
        shop.fill(3)
        shop.settings["feeds"] = {"visits": {"path": "visits/", "table": "crm.visits", "columns": {"id": "STRING"}}}
        shop.save()
        (tmp_path / "exports" / "visits").mkdir(parents=True)
        for name in ("a", "b"):
            file = tmp_path / "exports" / "visits" / f"{name}.csv"
            file.write_text("id\n1\n")
            os.utime(file, (1, 1))
        app = stack.enter_context(machine(shop)).app
        app.start_sync("customers")
        for key in [found.key for found in app.state.list(OUTBOX)]:
            assert app.deliver_chunk(key).status == "settled"
        yield app


def test_a_file_that_ends_the_process_holds_up_no_run(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file too large for the function is tried by every sweep: the runs are closed before it all the same."""

    def too_large(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(Loader, "load", too_large)
    with pytest.raises(MemoryError):
        app.sweep()
    assert [run["status"] for run in app.status()["runs"]] == ["closed"]


def test_a_sweep_begins_no_file_when_its_time_is_nearly_up(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has begun it loads to the end, the other files are left to the next sweep."""
    left_seconds = 600.0
    load = Loader.load

    def slow(*given: Any) -> LoadResult:
        nonlocal left_seconds
        left_seconds = 30.0
        return load(*given)

    monkeypatch.setattr(Loader, "load", slow)
    assert app.sweep(lambda: left_seconds)["files"] == 1
    assert app.sweep(lambda: left_seconds)["files"] == 0
    assert app.sweep()["files"] == 1


def test_no_receipts_are_read_of_a_run_that_goes_on(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the sweep nor by the timer that rings again: a run may have a hundred thousand, and each look would read them all."""
    (receipts,) = app.state.list("receipts/")
    body, _ = app.state.read(receipts.key)
    manifest = app.state.read(key := next(found.key for found in app.state.list("runs/") if found.key.endswith("manifest.json")))
    app.state.write(key, manifest[0].replace(b'"chunks":1', b'"chunks":2'))
    read = FolderStore.read

    def reads_no_receipts(store: FolderStore, key: str) -> tuple[bytes, str]:
        assert not key.startswith("receipts/")
        return read(store, key)

    with monkeypatch.context() as looking:
        looking.setattr(FolderStore, "read", reads_no_receipts)
        assert app.sweep()["runs"] == 1
        assert app.start_sync("customers").status == "open"
    app.state.write(receipts.key.replace("00000", "00001"), body)
    with pytest.raises(AssertionError, match="6 delivered"):  # both are read once it is due; these two are too many
        app.sweep()
