"""The statement of a run that is too large for one sort of its rows, beside the usual one, both shown to Google's analyzer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from rowferry.app import App
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.syncs.outline import Outline
from rowferry.syncs.start import make_run_table
from rowferry.twins.braze import BrazeTwin
from rowferry.warehouse.port import TooLarge, Warehouse
from support.judged import JudgedWarehouse
from support.shop import ENVIRONMENT, Shop

ROWS = 3000
MODES: dict[str, dict[str, Any]] = {
    "changed": {"send": "changed", "on_remove": "delete"},
    "all": {"send": "all"},
    "new": {
        "send": "new", "cursor": "added_at",
        "map": {"external_id": "id", "name": {"value": "Seen"}, "time": {"value": "2024-01-01T00:00:00Z"}, "tier": "tier"},
    },
}  # fmt: skip
STAGES = {"create": 0, "update": 0, "remove": 1}


class OneWorker:
    """A warehouse that has not the memory to sort all rows of a run."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def create_as(self, table: str, sql: str, *given: Any, **named: Any) -> None:
        """Refuses a numbering over all rows."""
        if "ROW_NUMBER() OVER (ORDER BY" in sql:
            raise TooLarge("resourcesExceeded: Resources exceeded during query execution: The query could not be executed")
        self._warehouse.create_as(table, sql, *given, **named)


@pytest.fixture(params=MODES)
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    """An app with rows of every kind: to create, to update, unchanged, gone, without a key, with a key that others have."""
    with BrazeTwin() as twin:
        shop = Shop(tmp_path, twin, **MODES[request.param])
        shop.fill(200)
        shop.execute("ALTER TABLE crm.customers ADD COLUMN added_at TIMESTAMPTZ DEFAULT '2024-01-01'")
        with App(read_settings(shop.config, environment=ENVIRONMENT), environment=ENVIRONMENT) as first:
            Machine(first).sync("customers")
        shop.execute("DELETE FROM crm.customers WHERE id IN ('u3', 'u4', 'u5'); UPDATE crm.customers SET tier = 'b' WHERE id LIKE 'u1%'")
        shop.execute(
            "INSERT INTO crm.customers SELECT"
            " CASE WHEN i % 100 = 0 THEN NULL WHEN i % 100 < 3 THEN 'twice' ELSE 'v' || (i - (i % 10) // 9) END,"
            f" 'a@example.com', 'gold', 'Bern', TIMESTAMPTZ '2024-02-01' + INTERVAL (i % 50) HOUR FROM range({ROWS}) t(i)"
        )
        with App(read_settings(shop.config, environment=ENVIRONMENT), environment=ENVIRONMENT) as found:
            found.__dict__["warehouse"] = JudgedWarehouse(tmp_path / "warehouse.duckdb")
            yield found


def rows(warehouse: Warehouse, outline: Outline) -> list[dict[str, Any]]:
    """The run table's rows, by position."""
    table = warehouse.quote(outline.run_table)
    return list(warehouse.query(f"SELECT * FROM {table} WHERE rowferry_position > 0 ORDER BY rowferry_position"))


def test_a_run_too_large_for_one_sort_is_the_same_run(app: App) -> None:
    """Where the warehouse refuses the usual statement, the other one makes the same rows and counts, numbered without a gap."""
    usual = app.resolver("customers").outline("r1", app.clock.now())
    large = replace(usual, run_table="rowferry.run_large")
    ends = app.clock.now() + timedelta(days=1)
    counts = make_run_table(app.warehouse, usual, expires_at=ends)
    assert make_run_table(cast(Warehouse, OneWorker(app.warehouse)), large, expires_at=ends) == counts
    wanted, found = rows(app.warehouse, usual), rows(app.warehouse, large)
    assert counts.to_send > ROWS / 4
    assert counts.rejected > 0
    assert [row.pop("rowferry_position") for row in found] == [row.pop("rowferry_position") for row in wanted]
    assert [row["row_id"] for row in found] != [row["row_id"] for row in wanted]
    assert sorted(map(repr, found)) == sorted(map(repr, wanted))
    stages = [STAGES.get(row["op"], 2) for row in found]
    assert stages == sorted(stages)
    if "row_cursor" in found[0]:
        by_key: dict[str, list[Any]] = {}
        for row in found[: counts.to_send]:
            by_key.setdefault(row["row_key"], []).append(row["row_cursor"])
        assert all(cursors == sorted(cursors) for cursors in by_key.values())


def test_what_has_no_other_statement_says_what_was_refused(app: App) -> None:
    """A run that was outlined by a version before there was one ends with the engine's words."""
    outline = replace(app.resolver("customers").outline("r1", app.clock.now()), large_statement=None)
    with pytest.raises(TooLarge, match="resourcesExceeded"):
        make_run_table(cast(Warehouse, OneWorker(app.warehouse)), outline, expires_at=app.clock.now())
