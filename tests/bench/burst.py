"""Ten thousand webhooks in a burst: taken in by the edge, then told to a channel that takes one message a second, and sent to
a vendor that answers in 50 ms. None may be lost. One by one is what each of them took before they were gathered.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import yaml

from bench.measure import Result
from bench.senders import SECRET
from bench.vendor import ENVIRONMENT, braze
from bench.webhooks import MEMORY, bare_server, calls_per_second, relay_server
from rowferry.app import App
from rowferry.clock import Clock, ManualClock, SystemClock
from rowferry.settings.file import read_settings
from rowferry.twins.slack import SlackTwin

CALLS = 10_000
ALONE = 200  # of them are delivered one by one as well: a rate needs no more
_SECONDS = 0.05


def results() -> Iterator[Result]:
    """The edge, the channel, the vendor."""
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name,
        SlackTwin(keep_log=False) as slack,
        braze(_SECONDS) as url,
    ):
        folder = Path(name)
        settings = _write_settings(folder, url)
        with bare_server(folder) as bare, relay_server(settings, {"SLACK": slack.webhook_url}) as edge:
            taken = calls_per_second(edge, count(), CALLS)
            other = calls_per_second(bare, count(), CALLS)
        yield Result(
            f"{CALLS:,} webhooks at once: verified, stored for two, answered", taken, 'a function that returns "ok"', other, "calls/s"
        )

        clock = ManualClock()
        slack.clock, slack.per_second = clock, 1
        seconds = -clock.monotonic()
        with _app(settings, slack, clock) as app:
            _deliver(app, "ops")
        seconds += clock.monotonic()
        lines = [line for message in slack.messages for line in message["text"].split("\n") if line.endswith("left")]
        assert len(set(lines)) == len(lines) == CALLS, f"{len(lines)} told, {len(set(lines))} of them different"
        yield Result(f"{CALLS:,} notices at one message a second, none lost", seconds, "one by one", float(CALLS), "s", "<= 0.1")

        with _app(settings, slack, SystemClock()) as app:
            alone = _rows_per_second(app, _waiting(app, "braze")[:ALONE], one_by_one=True)
            together = _rows_per_second(app, _waiting(app, "braze")[ALONE:], one_by_one=False)
            assert sum(found.key.startswith("receipts/webhook.stripe/") for found in app.state.list("receipts/")) == 2 * CALLS
        yield Result(f"{CALLS:,} webhooks' rows to Braze, 50 ms", together, "one by one", alone, "rows/s", ">= 20")


def _write_settings(folder: Path, url: str) -> Path:
    """Each call is a row for Braze and a notice."""
    send = {"to": "braze", "action": "event"}
    fields = {"external_id": "data.object.metadata.user_id", "name": "'subscription_ended'", "time": "created"}
    settings = {
        "rowferry": 1,
        "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
        "state": f"file://{folder}/state",
        "destinations": {
            "braze": {"vendor": "braze", "base_url": url, "api_key": "env:BENCH_KEY"},
            "ops": {"vendor": "slack", "webhook_url": "env:SLACK"},
        },
        "webhooks": {
            "stripe": {
                "verify": {"scheme": "stripe", "secret": "env:BENCH_SECRET"},
                "routes": [{"send": {**send, "map": fields}, "notify": {"to": "ops", "text": "{{ data.object.customer }} left"}}],
            }
        },
    }
    file = folder / "burst.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def _app(settings: Path, slack: SlackTwin, clock: Clock) -> App:
    environment = {**ENVIRONMENT, "SLACK": slack.webhook_url, "BENCH_SECRET": SECRET}
    return App(read_settings(settings, environment), environment=environment, clock=clock)


def _waiting(app: App, destination: str) -> list[str]:
    return [found.key for found in app.state.list(f"outbox/{destination}/")]


def _deliver(app: App, destination: str) -> None:
    """All that waits, as one machine does it."""
    from rowferry.machine import Machine

    assert Machine(app).deliver_relayed(destination) == CALLS


def _rows_per_second(app: App, keys: Sequence[str], *, one_by_one: bool) -> float:
    """Bring them to their receipts."""
    started_at, waiting = time.perf_counter(), list(keys)
    while waiting:
        found = app.deliver_gathered(waiting[:1] if one_by_one else waiting)
        waiting = [key for key in waiting if key not in found or found[key].status != "settled"]
    return len(keys) / (time.perf_counter() - started_at)
