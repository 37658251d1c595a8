"""The log of `rowferry serve`: what was done, once; what a person has to look at, as a warning and not each second."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from rowferry.alerts.check import Look
from rowferry.app import App
from rowferry.console.serving import Worker
from rowferry.console.telling import told
from rowferry.delivery.runs import RunResult
from rowferry.loads.result import LoadResult
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.twins.braze import BrazeTwin
from support.shop import ENVIRONMENT, Shop


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (None, []),
        (0, []),
        ([], []),
        (2, ["INFO outbox ops: 2 chunks of webhooks and notices delivered"]),
        (RunResult("r1", "people", "closed", read=3, unchanged=3), []),
        (
            RunResult("r1", "people", "closed", read=3, delivered=3),
            ["INFO people is closed: read 3 = unchanged 0 + delivered 3 + rejected 0 + pending 0, run r1"],
        ),
        (
            [RunResult("r1", "people", "open", read=1, pending=1, reason="no answer")],
            ["WARNING people is open: read 1 = unchanged 0 + delivered 0 + rejected 0 + pending 1: no answer, run r1"],
        ),
        (LoadResult("crm/a.csv", "crm", "skipped"), []),
        (LoadResult("crm/a.csv", "crm", "loaded", "raw.crm", 1), ["INFO crm/a.csv is loaded → raw.crm, 1 row"]),
        (
            LoadResult("crm/a.csv", "crm", "loaded", "raw.crm", 2, rejected_cells=1),
            ["WARNING crm/a.csv is loaded → raw.crm, 2 rows, 1 cell rejected"],
        ),
        (
            LoadResult("crm/a.csv", "crm", "quarantined", reason="line 4: expected 4 columns"),
            ["WARNING crm/a.csv is quarantined: line 4: expected 4 columns"],
        ),
        (Look("firing", is_news=False), []),
        (Look("firing", is_news=True), ["WARNING outbox ops is firing"]),
        (Look("ok", is_news=True), ["INFO outbox ops is ok"]),
    ],
)
def test_what_a_piece_of_work_did(found: Any, lines: list[str]) -> None:
    """A line where something happened; what needs a person is a warning."""
    assert [f"{logging.getLevelName(level)} {text}" for level, text in told("outbox ops", found)] == lines


def test_a_warning_is_said_once_until_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """There is a look each second, and what was wrong is wrong still; what was done is said each time."""
    with BrazeTwin() as twin:
        shop = Shop(tmp_path, twin)
        with App(read_settings(shop.config), environment=ENVIRONMENT) as app, caplog.at_level(logging.INFO, logger="rowferry"):
            worker = Worker(Machine(app))
            broken = LoadResult("crm/a.csv", "crm", "quarantined", reason="line 4")
            for found in (broken, broken, None, broken, 1, 1):
                worker._do("files", lambda found=found: found)  # type: ignore[misc]  # a lambda has no types
    assert [record.message for record in caplog.records] == [
        *["crm/a.csv is quarantined: line 4"] * 2,
        *["files: 1 chunk of webhooks and notices delivered"] * 2,
    ]
