"""A small shop for tests: customers in a DuckDB file, a sync of them to Braze's stand-in, all in one folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import yaml

from rowferry.twins.braze import BrazeTwin

KEY = "braze-key"
ENVIRONMENT = {"BRAZE_KEY": KEY}


class Shop:
    """`customers` (id, email, tier, branch) in `crm.customers`, and the sync `customers` that sends them."""

    def __init__(self, folder: Path, twin: BrazeTwin, *, in_flight: int = 4, **sync: Any) -> None:
        self.folder, self.twin = folder, twin
        self.environment: dict[str, str] = {}
        self.sent_before = 0
        self.config = folder / "rowferry.yaml"
        self.settings: dict[str, Any] = {
            "rowferry": 1,
            "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
            "state": "state",
            "exports": "exports",
            "destinations": {
                "braze": {"vendor": "braze", "base_url": twin.url, "api_key": "env:BRAZE_KEY", "in_flight": in_flight, "attempts": 2}
            },
            "syncs": {
                "customers": {
                    "model": {"table": "crm.customers"},
                    "key": "id",
                    "send": "changed",
                    "to": "braze",
                    "map": {"external_id": "id", "email": "email", "tier": "tier", "branch": "branch"},
                    **sync,
                }
            },
        }
        self.save()

    def save(self) -> None:
        """Write the settings file as `settings` are now."""
        self.config.write_text(yaml.safe_dump(self.settings))

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run DuckDB's SQL on the warehouse; the file is free again afterwards."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as connection:
            return connection.execute(sql).fetchall()

    def fill(self, rows: int) -> None:
        """Make the customers 0 … rows - 1."""
        self.execute(
            "CREATE SCHEMA IF NOT EXISTS crm; CREATE OR REPLACE TABLE crm.customers AS "
            f"SELECT 'u' || i AS id, 'u' || i || '@example.com' AS email, 'gold' AS tier, 'Bern' AS branch FROM range({rows}) t(i)"
        )

    def rowferry(self, *arguments: str, code: int | None = 0) -> Any:
        """Run a command with `--json`; what it printed. `code` is the exit code it must have (None: any)."""
        found = self.process(arguments).communicate(timeout=600)
        ended = self._last.returncode
        assert code is None or ended == code, f"exit code {ended}: {found[1].decode()[-2000:]}"
        assert b"Traceback" not in found[1], found[1].decode()[-3000:]
        return json.loads(found[0])

    def process(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """A command of its own process, started."""
        command = [sys.executable, "-m", "rowferry.cli", *arguments, "--json", "--config", str(self.config)]
        self._last = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", **ENVIRONMENT, **self.environment}
        )
        return self._last

    def sync(self, code: int | None = 0) -> Any:
        """Run the sync to its end."""
        return self.rowferry("sync", "customers", code=code)

    def sent(self) -> list[dict[str, Any]]:
        """Every attribute object that reached the vendor, in order."""
        return [item for call in self.twin.log for item in json.loads(call.body).get("attributes", [])]


def balances(run: dict[str, Any]) -> bool:
    """Whether the run's balance holds."""
    return bool(run["read"] == run["unchanged"] + run["delivered"] + run["rejected"] + run["pending"])
