"""A folder with settings for one feed and one sync of users, and commands run in it as a person runs them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.people import COLUMNS
from bench.vendor import ENVIRONMENT

FEED = {"path": "crm/", "table": "crm.users", "columns": COLUMNS, "write": "merge", "key": "external_id"}


def to_braze(url: str, in_flight: int) -> dict[str, Any]:
    """Braze's settings, at its stand-in's address."""
    return {"vendor": "braze", "base_url": url, "api_key": "env:BENCH_KEY", "in_flight": in_flight}


class Shop:
    """The folder. `destination` are the settings of the vendor that the users go to."""

    def __init__(self, folder: Path, destination: Mapping[str, Any]) -> None:
        self.folder = folder
        settings = {
            "rowferry": 1,
            "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
            "state": "state",
            "exports": "exports",
            "destinations": {"vendor": dict(destination)},
            "feeds": {"users": FEED},
            "syncs": {
                "users": {
                    "model": {"table": "crm.users"},
                    "key": "external_id",
                    "send": "changed",
                    "to": "vendor",
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
