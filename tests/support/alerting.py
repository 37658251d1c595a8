"""A shop whose orders an alert watches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rowferry.alerts.check import Alerts, Look
from rowferry.clock import ManualClock
from rowferry.delivery.outbox import Outbox
from rowferry.notices.notices import Notices
from rowferry.settings.alert import Alert
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Store
from rowferry.warehouse.duckdb import DuckDbWarehouse
from support.relayed import relayed

MONDAY = datetime(2026, 3, 23, 9, 0, tzinfo=UTC)


@dataclass
class Shop:
    """A warehouse with the orders of a shop, and a clock."""

    warehouse: DuckDbWarehouse
    store: FolderStore
    clock: ManualClock
    jobs: int = 0

    def sells(self, orders: Any, **more: Any) -> None:
        """From now on the alert's table holds this one row."""
        self.jobs += 1
        row = {"orders": orders, **more}
        types = {str: "STRING", Decimal: "NUMERIC", float: "FLOAT64"}
        columns = {name: types.get(type(value), "INT64") for name, value in row.items()}
        self.warehouse.load_rows("shop.orders", columns, [row], job=f"job{self.jobs}")

    def look(self, store: Store | None = None, after: timedelta = timedelta(0), **alert: Any) -> Look:
        """Look at the alert, some time after the last look."""
        self.clock.sleep(after.total_seconds())
        state = store or self.store
        found: dict[str, Any] = {"sql": "SELECT * FROM shop.orders", "fire_when": "orders < 100", "every": "1h", "notify": "ops", **alert}
        notices = Notices(state, Outbox(state), self.clock)
        return Alerts(self.warehouse, state, notices, self.clock).check("orders_dropped", Alert.model_validate(found))

    @property
    def told(self) -> list[str]:
        """Every notice so far, in the order of their topics."""
        return [row["text"] for _, _, rows in relayed(self.store) for row in rows]
