"""A folder with a pull in it, over an embedded warehouse and a vendor's stand-in."""

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
from rowferry.loads.result import LoadResult
from rowferry.machine import Machine
from rowferry.settings.check import check
from rowferry.settings.file import parse_settings
from rowferry.twins.amplitude import AmplitudeTwin
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.klaviyo import KlaviyoTwin

ENVIRONMENT = {
    "CT_PASSCODE": "passcode-1",
    "AMPLITUDE_KEY": "key-1",
    "AMPLITUDE_SECRET": "secret-1",
    "BRAZE_KEY": "braze-key",
    "KLAVIYO_KEY": "klaviyo-key",
    "SLACK_OPS": "https://hooks.slack.com/services/T0/B0/x",
}
NOW = datetime(2026, 2, 2, 12, tzinfo=UTC)


class PullBench:
    """Settings with one destination and one pull of it, called `name`. `feeds` are the settings' feeds."""

    def __init__(
        self, folder: Path, account: Mapping[str, Any], name: str, pull: Mapping[str, Any], feeds: Mapping[str, Any] | None = None
    ) -> None:
        self.folder, self.name = folder, name
        self.set_clock(NOW)
        self.data: dict[str, Any] = {
            "rowferry": 1,
            "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
            "state": "state",
            "exports": "exports",
            "destinations": {"account": {"attempts": 3, **account}},
            "feeds": dict(feeds or {}),
            "pulls": {name: {"from": "account", **pull}},
        }

    def set_clock(self, now: datetime) -> None:
        """Another time of day."""
        self.clock = ManualClock(now)

    def app(self) -> App:
        """An app over the settings as they are now, checked."""
        settings = parse_settings(self.data, ENVIRONMENT, self.folder)
        assert check(settings, ENVIRONMENT) == []
        return App(settings, environment=ENVIRONMENT, clock=self.clock)

    def pull(self, first: str | None = None, last: str | None = None) -> list[LoadResult]:
        """Pull these days, or what is due; the results."""
        with self.app() as app:
            return Machine(app).pull(self.name, first, last)

    def save(self) -> Path:
        """The settings as a file for the command line."""
        path = self.folder / "rowferry.yaml"
        path.write_text(yaml.safe_dump({key: value for key, value in self.data.items() if value}))
        return path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What DuckDB answers on the warehouse."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def count(self, table: str) -> int:
        """The rows of a table."""
        return int(self.rows(f"SELECT COUNT(*) FROM {table}")[0][0])


class Bench(PullBench):
    """The pull `charged` of CleverTap's stand-in. `more` are keys of the pull."""

    def __init__(
        self, folder: Path, twin: CleverTapTwin, *, zone: str = "UTC", feeds: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        self.twin = twin
        twin.reads.zone = ZoneInfo(zone)
        account = {
            "vendor": "clevertap",
            "base_url": twin.url,
            "account_id": "ABC-123-4567",
            "passcode": "env:CT_PASSCODE",
            "timezone": zone,
        }
        pull = {"report": "events", "event": "Charged", "path": "clevertap-api/", "table": "raw.ct_charged"} | more
        super().__init__(folder, account, "charged", {key: value for key, value in pull.items() if value is not None}, feeds)

    def count(self, table: str = "raw.ct_charged") -> int:
        """The rows of a table."""
        return super().count(table)

    def charge(self, day: str, events: int, start: int = 0) -> None:
        """Events of one day, each of another person, ten seconds apart from noon UTC on."""
        noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
        for number in range(start, start + events):
            record = {"profile": {"identity": f"u{number}"}, "event_props": {"Amount": number + 0.5, "Order": 10**17 + number}}
            self.twin.reads.add("Charged", noon + timedelta(seconds=10 * number), record)


class AmplitudeBench(PullBench):
    """The pull `amplitude` of Amplitude's stand-in, into raw.amplitude. `more` are keys of the pull."""

    def __init__(self, folder: Path, twin: AmplitudeTwin, **more: Any) -> None:
        account = {"vendor": "amplitude", "base_url": twin.url, "api_key": "env:AMPLITUDE_KEY", "secret_key": "env:AMPLITUDE_SECRET"}
        super().__init__(folder, account, "amplitude", {"report": "export"} | more)


def braze_bench(folder: Path, twin: BrazeTwin, **pull: Any) -> PullBench:
    """The pull `braze` of Braze's stand-in, into raw.braze."""
    return PullBench(folder, {"vendor": "braze", "base_url": twin.url, "api_key": "env:BRAZE_KEY"}, "braze", pull)


def klaviyo_bench(folder: Path, twin: KlaviyoTwin, **pull: Any) -> PullBench:
    """The pull `klaviyo` of Klaviyo's stand-in, into raw.klaviyo."""
    return PullBench(folder, {"vendor": "klaviyo", "base_url": twin.url, "api_key": "env:KLAVIYO_KEY"}, "klaviyo", pull)
