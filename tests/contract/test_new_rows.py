"""`send: new` over both warehouses: whatever the cursor is, late rows and ties are neither lost nor sent twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rowferry.clock import ManualClock
from rowferry.twins.braze import BrazeTwin
from rowferry.warehouse.bigquery import BigQueryWarehouse
from rowferry.warehouse.duckdb import DuckDbWarehouse
from support.bigquery import PROJECT, bigquery_emulator
from support.runs import machine
from support.shop import Shop

# How many minutes ago the rows of each step were stamped, and how many they are; a step is a quarter of an hour.
STEPS = [(0, 3), (25, 2), (0, 2), (29, 1)]
STAMPS: dict[str, Callable[[datetime], datetime | date]] = {
    "DATETIME": lambda at: at.replace(tzinfo=None),
    "TIMESTAMP": lambda at: at,
    "DATE": lambda at: at.date(),
}


def events(twin: BrazeTwin) -> Counter[int]:
    """How often each row arrived."""
    return Counter(event["properties"]["number"] for call in twin.log for event in json.loads(call.body).get("events", []))


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
@pytest.mark.parametrize(("kind", "lag"), [("DATETIME", "30m"), ("TIMESTAMP", "30m"), ("DATE", "1d")])
def test_every_row_leaves_once(tmp_path: Path, engine: str, kind: str, lag: str) -> None:
    """A cursor with a time zone, without one, and a day, whose rows of one day are all ties."""
    warehouse: Any = DuckDbWarehouse(tmp_path / "w.duckdb")
    if engine == "bigquery":
        warehouse = BigQueryWarehouse(PROJECT, dataset="rowferry", client=bigquery_emulator().client())
    table, clock = f"new_{kind.lower()}.sales", ManualClock(datetime.now(UTC) - timedelta(hours=5))
    rows: list[dict[str, Any]] = []
    with BrazeTwin() as twin:
        shop = Shop(tmp_path, twin)
        shop.settings["syncs"] = {
            f"sales_{kind}": {
                "model": {"table": table}, "key": "id", "send": "new", "cursor": "added", "lag": lag, "to": "braze",
                "map": {"external_id": "id", "name": {"value": "Sale"}, "time": {"value": "2026-01-01T00:00:00Z"}, "number": "number"},
            }
        }  # fmt: skip
        shop.save()
        for late_minutes, new in STEPS:
            clock.sleep(900)
            added = STAMPS[kind](clock.now() - timedelta(minutes=late_minutes))
            rows += [{"id": f"u{place}", "number": len(rows) + place, "added": added} for place in range(new)]
            warehouse.load_rows(table, {"id": "STRING", "number": "INT64", "added": kind}, rows, job=f"{table}/{len(rows)}")
            with machine(shop, clock) as found:
                found.app.__dict__["warehouse"] = warehouse
                result = found.sync(f"sales_{kind}")
                assert (result.status, result.read, result.delivered) == ("closed", new, new)
        assert events(twin) == Counter(range(len(rows)))
