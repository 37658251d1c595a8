"""`rowferry status` for people: what needs them, in lines that can be read."""

from __future__ import annotations

from typing import Any

from rowferry.console.status import status_lines

RUN: dict[str, Any] = {
    "run": "r1", "sync": "customers", "status": "closed", "read": 1200, "unchanged": 1000, "delivered": 199, "rejected": 1, "pending": 0,
    "requests": 3, "resent": 0, "rejections": (), "started_at": "2026-11-22T05:13:15.122184+00:00",
}  # fmt: skip
LOADED: dict[str, Any] = {
    "file": "crm/a.csv", "feed": "crm", "status": "loaded", "table": "raw.crm", "rows": 1, "rejected_rows": 0, "rejected_cells": 2,
    "reason": None, "loaded_at": "2026-11-22T05:20:50+00:00",
}  # fmt: skip
NOTHING: dict[str, list[dict[str, Any]]] = {"feeds": [], "loads": [], "runs": [], "dead_letters": [], "late": []}


def test_nothing_yet() -> None:
    """A newcomer reads what to do, and of no section that says nothing."""
    assert list(status_lines(NOTHING)) == [
        "Runs", "  no sync has run yet: rowferry sync NAME",
        "Dead letters", "  none: every row that was sent has arrived",
        "Feeds", "  no file has been loaded yet",
    ]  # fmt: skip


def test_what_there_is_in_lines() -> None:
    """Late feeds first, a run with its balance and why it failed, a file with why it was put aside; one row is one row."""
    failed = {**RUN, "run": "r2", "status": "failed", "reason": "the key was refused"}
    aside = {**LOADED, "file": "crm/b.csv", "status": "quarantined", "rows": 0, "rejected_cells": 0, "reason": "line 4: expected 4 columns"}
    letters = {
        "sync": "customers",
        "destination": "braze",
        "code": "email_invalid",
        "reason": "no address",
        "rows": 1,
        "since": "2026-11-22T05:14",
    }
    feed = {"feed": "crm", "table": "raw.crm", "files": 1, "rows": 1, "last_loaded_at": "2026-11-22T05:20:50+00:00"}
    late = {"feed": "crm", "due_at": "2026-11-22T03:00:00+00:00", "last_at": None}
    alert = {
        "alert": "orders", "state": "firing", "since": "2026-11-22T04:00", "seen_at": "2026-11-22T05:00", "numbers": {"orders": 1042.0},
    }  # fmt: skip
    new: dict[str, Any] = {"alert": "errors", "state": "waiting", "since": None, "seen_at": None, "numbers": {}}
    found: dict[str, list[dict[str, Any]]] = {
        "feeds": [feed], "loads": [LOADED, aside], "runs": [failed, RUN], "dead_letters": [letters], "late": [late], "alerts": [alert, new],
    }  # fmt: skip
    assert list(status_lines(found)) == [
        "Late",
        "  crm: was due 2026-11-22 03:00, last file never",
        "Alerts",
        "  orders: firing since 2026-11-22 04:00, last seen 2026-11-22 05:00: orders 1,042",
        "  errors: waiting, nothing seen yet",
        "Runs",
        "  2026-11-22 05:13  failed   customers: read 1,200 = unchanged 1,000 + delivered 199 + rejected 1 + pending 0, run r2",
        "                    the key was refused",
        "  2026-11-22 05:13  closed   customers: read 1,200 = unchanged 1,000 + delivered 199 + rejected 1 + pending 0, run r1",
        "Dead letters",
        "  customers → braze: 1 row since 2026-11-22 05:14: email_invalid: no address",
        "Feeds",
        "  crm → raw.crm: 1 file, 1 row, last 2026-11-22 05:20",
        "Files",
        "  2026-11-22 05:20  loaded      crm/a.csv → raw.crm, 1 row, 2 rejected cells",
        "  2026-11-22 05:20  quarantined crm/b.csv",
        "                    line 4: expected 4 columns",
    ]


def test_a_long_section_says_how_much_more_there_is() -> None:
    """Twenty lines, and where the others are."""
    lines = list(status_lines({**NOTHING, "runs": [RUN] * 25}))
    assert "  … and 5 more: rowferry status --json" in lines
    assert sum("run r1" in line for line in lines) == 20
