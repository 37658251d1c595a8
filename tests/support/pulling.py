"""A folder with a pull of CleverTap's stand-in in it, and a day or two of events there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import yaml

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.machine import Machine
from rowferry.settings.check import check
from rowferry.settings.file import parse_settings
from rowferry.twins.clevertap import CleverTapTwin

ENVIRONMENT = {"CT_PASSCODE": "passcode-1"}
NOW = datetime(2026, 2, 2, 12, tzinfo=UTC)


class Bench:
    """Settings with the pull `charged`, over folders and an embedded warehouse. `more` are keys of the pull."""

    def __init__(
        self, folder: Path, twin: CleverTapTwin, *, zone: str = "UTC", feeds: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        self.folder, self.twin = folder, twin
        self.clock = ManualClock(NOW)
        twin.reads.zone = ZoneInfo(zone)
        self.data: dict[str, Any] = {
            "rowferry": 1,
            "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
            "state": "state",
            "exports": "exports",
            "destinations": {"ct": self._account(zone)},
            "feeds": dict(feeds or {}),
            "pulls": {
                "charged": {"from": "ct", "report": "events", "event": "Charged", "path": "clevertap-api/", "table": "raw.ct_charged"}
                | more
            },
        }

    def _account(self, zone: str) -> dict[str, Any]:
        return {
            "vendor": "clevertap",
            "base_url": self.twin.url,
            "account_id": "ABC-123-4567",
            "passcode": "env:CT_PASSCODE",
            "timezone": zone,
            "attempts": 3,
        }

    def app(self) -> App:
        """An app over the settings as they are now, checked."""
        settings = parse_settings(self.data, ENVIRONMENT, self.folder)
        assert check(settings, ENVIRONMENT) == []
        return App(settings, base=self.folder, environment=ENVIRONMENT, clock=self.clock)

    def pull(self, first: str | None = None, last: str | None = None, name: str = "charged") -> list[Any]:
        """Pull these days, or what is due; the results."""
        with self.app() as app:
            return Machine(app).pull(name, first, last)

    def save(self) -> Path:
        """The settings as a file for the command line."""
        path = self.folder / "rowferry.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in self.data.items() if value}))
        return path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What DuckDB answers on the warehouse."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as connection:
            return connection.execute(sql).fetchall()

    def count(self, table: str = "raw.ct_charged") -> int:
        """The rows of a table."""
        return int(self.rows(f"SELECT COUNT(*) FROM {table}")[0][0])

    def charge(self, day: str, events: int, start: int = 0) -> None:
        """Events of one day, each of another person, ten seconds apart from noon UTC on."""
        noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
        for number in range(start, start + events):
            record = {"profile": {"identity": f"u{number}"}, "event_props": {"Amount": number + 0.5, "Order": 10**17 + number}}
            self.twin.reads.add("Charged", noon + timedelta(seconds=10 * number), record)
