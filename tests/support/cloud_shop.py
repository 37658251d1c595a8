"""A shop in a cloud: export files of customers, a sync of them to Braze's stand-in, notices to Slack's.

One settings file has a feed and a sync for each scenario, so that the functions start once for all of
them. The warehouse is a DuckDB file, which the functions' processes share as they would share BigQuery.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import duckdb
import yaml

from rowferry.delivery.outbox import URGENT, Outbox, waiting
from rowferry.delivery.runs import Head, Run, RunResult
from rowferry.stores.port import Store
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.slack import SlackTwin
from support import senders
from support.chunks import plan_of, put_chunk

# How the platform treats its events: each once; each twice; in another order; the first about each object never.
Mode = Literal["once", "twice", "shuffled", "lost"]
API_KEY = "braze-key-of-the-shop"  # and what the senders of its webhooks sign with
BURSTS_PER_SECOND = 6
Row = tuple[str, str | None, str]


class Cloud(Protocol):
    """A cloud with the shop's functions in it."""

    mode: Mode

    def start(self, shop: Shop) -> None:
        """Bring up buckets, events and functions, and write the settings file that the functions read."""

    @property
    def state(self) -> Store: ...

    @property
    def exports(self) -> Store: ...

    def fire(self, function: str, said: dict[str, Any]) -> str:
        """What a timer does; the function's answer. Raises `AssertionError` when it fails."""

    def settle(self) -> None:
        """Return when every event was handed over, or given up."""

    def age(self, minutes: float) -> None:
        """As if every object had been written so long ago."""

    def logs(self) -> str:
        """All that the functions have printed."""

    def stop(self) -> None: ...


class Shop:
    """The shop in a cloud; a context manager."""

    def __init__(self, cloud: Cloud, folder: Path, scenarios: Sequence[str]) -> None:
        self.cloud, self.folder, self.scenarios = cloud, folder, scenarios
        self.config = folder / "rowferry.yaml"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.braze = stack.enter_context(BrazeTwin(api_key=API_KEY))
            self.slack = stack.enter_context(SlackTwin())
            stack.callback(self.cloud.stop)
            self.cloud.start(self)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def write_settings(self, state: str, exports: str, secrets: Literal["env", "secret"]) -> None:
        """The settings file over these stores; secrets are `BRAZE_KEY` and `SLACK_OPS`."""
        settings = {
            "rowferry": 1,
            "warehouse": {"engine": "duckdb", "path": str(self.folder / "warehouse.duckdb")},
            "state": state,
            "exports": exports,
            "destinations": {
                "braze": {"vendor": "braze", "base_url": self.braze.url, "api_key": f"{secrets}:BRAZE_KEY", "in_flight": 4, "attempts": 2},
                # A channel each: one that is told too much is told together, ten minutes later.
                **{f"ops_{name}": {"vendor": "slack", "webhook_url": f"{secrets}:SLACK_OPS"} for name in self.scenarios},
                "bursts": {"vendor": "slack", "webhook_url": f"{secrets}:SLACK_OPS", "per_second": BURSTS_PER_SECOND, "instances": 2},
            },
            "feeds": {name: self._feed(name) for name in self.scenarios},
            "syncs": {name: self._sync(name) for name in self.scenarios},
            "webhooks": {
                "orders": {
                    "verify": {"scheme": "github", "secret": f"{secrets}:BRAZE_KEY"},
                    "routes": [{"notify": {"to": "bursts", "text": "order {{ number }}"}}],
                }
            },
        }
        self.config.write_text(yaml.safe_dump(settings))

    def _feed(self, name: str) -> dict[str, Any]:
        columns = {"id": "STRING", "email": "STRING", "tier": "STRING"}
        return {"path": f"{name}/*.csv.gz", "table": f"crm.{name}", "columns": columns, "write": "merge", "key": "id"}

    def _sync(self, name: str) -> dict[str, Any]:
        mapping = {"external_id": "id", "email": "email", "tier": "tier"}
        return {"model": {"table": f"crm.{name}"}, "key": "id", "send": "changed", "to": "braze", "map": mapping, "chunk_rows": 100,
                "notify": f"ops_{name}"}  # fmt: skip

    # ── What happens ────────────────────────────────────────────────────────────────────────

    def drop(self, key: str, rows: Iterable[Row]) -> None:
        """A vendor writes an export file."""
        self.cloud.exports.write(key, packed(rows))

    def sync(self, name: str) -> str:
        """The sync's timer rings."""
        return self.cloud.fire("start_sync", {"sync": name})

    def sweep(self) -> None:
        """A quarter of an hour passes, and the sweep's timer rings."""
        self.cloud.age(minutes=15)
        self.cloud.fire("sweep", {})
        self.cloud.settle()

    def backfill(self, name: str, rows: int) -> str:
        """A chunk of a backfill of the scenario's customers stands in the outbox; its key."""
        columns = [("external_id", "STRING"), ("tier", "STRING")]
        plan = replace(plan_of(columns, lane=3), sync=name, destination="braze")
        return put_chunk(self.cloud.state, plan, [[f"{name}-{row}", "gold"] for row in range(rows)])

    def hook(self, name: str) -> str:
        """A webhook's row for Braze stands in the outbox; its key."""
        rows = [{"external_id": f"hook-{name}", "tier": "gold"}]
        Outbox(self.cloud.state).relay(id=name, source="webhook.shop", destination="braze", action="profile", rows=rows)
        return next(waiting(self.cloud.state, "braze", URGENT))

    def order(self, number: int) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a webhook to `/hooks/orders`."""
        headers = {"x-github-delivery": f"order-{number}"}
        found = senders.call("github", "orders", {"number": number}, datetime.now(UTC), API_KEY, **headers)
        return found.body, dict(found.headers)

    # ── What is there afterwards ────────────────────────────────────────────────────────────

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def latest(self, name: str) -> RunResult:
        """How the sync's latest run stands."""
        return Run(self.cloud.state, name, Head(self.cloud.state, name).read() or "").result()

    def people(self, name: str) -> dict[str, dict[str, Any]]:
        """What Braze knows of the scenario's customers, by id."""
        return {who: found for who, found in self.braze.profiles.items() if who.startswith(f"{name}-")}

    def sent(self, name: str) -> list[dict[str, Any]]:
        """Every object about the scenario's customers that reached Braze, in order."""
        found = [item for call in self.braze.log for item in json.loads(call.body).get("attributes", [])]
        return [item for item in found if str(item.get("external_id")).startswith(f"{name}-")]

    def orders_told(self) -> list[int]:
        """The numbers of all orders that Slack was told of, each time that it was."""
        return [int(number) for message in self.slack.messages for number in re.findall(r"^order (\d+)$", message["text"], re.MULTILINE)]

    def told(self, name: str) -> list[str]:
        """What Slack was told about the scenario."""
        return [text for message in self.slack.messages if f" {name} " in (text := json.dumps(message, ensure_ascii=False))]


def customers(name: str, count: int, first: int = 0, tier: str = "gold") -> list[Row]:
    """Made-up customers of a scenario; the second of each hundred has an address that Braze refuses."""
    return [
        (f"{name}-{n:04d}", "no address" if n % 100 == 1 else f"{name}.{n}@shop.example", tier) for n in range(first, first + count)
    ]  # fmt: skip


def packed(rows: Iterable[Row]) -> bytes:
    """Rows as a CSV file, gzipped."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("id", "email", "tier"))
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode(), mtime=0)
