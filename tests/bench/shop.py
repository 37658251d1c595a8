"""A folder with settings for one feed and one sync of users, and commands run in it as a person runs them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from bench.people import COLUMNS
from bench.vendor import ENVIRONMENT

FEED = {"path": "crm/", "table": "crm.users", "columns": COLUMNS, "write": "merge", "key": "external_id"}


class Shop:
    """The folder. `url` is the vendor's."""

    def __init__(self, folder: Path, url: str, in_flight: int) -> None:
        self.folder = folder
        settings = {
            "rowferry": 1,
            "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
            "state": "state",
            "exports": "exports",
            "destinations": {"braze": {"vendor": "braze", "base_url": url, "api_key": "env:BENCH_KEY", "in_flight": in_flight}},
            "feeds": {"users": FEED},
            "syncs": {
                "users": {
                    "model": {"table": "crm.users"},
                    "key": "external_id",
                    "send": "changed",
                    "to": "braze",
                    "map": {name: name for name in COLUMNS},
                }
            },
        }
        (folder / "rowferry.yaml").write_text(yaml.safe_dump(settings))

    @property
    def exports(self) -> Path:
        """Where the feed's files lie."""
        found = self.folder / "exports" / "crm"
        found.mkdir(parents=True, exist_ok=True)
        return found

    def seconds(self, *arguments: str) -> float:
        """How long a command takes, from its start to its end."""
        return run_seconds([sys.executable, "-m", "rowferry.cli", *arguments, "--config", str(self.folder)])


def run_seconds(command: Sequence[str]) -> float:
    """How long a process takes. Raises `CalledProcessError` when it fails."""
    started_at = time.perf_counter()
    subprocess.run(command, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - started_at
