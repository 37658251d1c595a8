"""The worked examples of `infra/pipelines/examples`, run as they are shipped against strict stand-ins.

Only warehouse, state and secrets are this test's own, and `base_url` points at the stand-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
import yaml

from rowferry.app import App
from rowferry.delivery.runs import RunResult
from rowferry.machine import Machine
from rowferry.settings.check import check
from rowferry.settings.file import parse_settings, read_settings
from rowferry.twins.http import HttpTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response

EXAMPLES = Path(__file__).parents[2] / "infra/pipelines/examples"
KEY = "key-1"
SECRETS = ("APPSFLYER_S2S_KEY", "ADJUST_S2S_TOKEN", "AMPERITY_JWT")
ENVIRONMENT = {f"ROWFERRY_SECRET_{name}": KEY for name in SECRETS}


@pytest.fixture
def twin() -> Iterator[HttpTwin]:
    """The stand-in, which knows one key."""
    with HttpTwin(key=KEY) as running:
        yield running


def run(example: str, folder: Path, twin: HttpTwin, table: str, rows: str) -> RunResult:
    """The example's only sync, over rows (as SQL) in an embedded warehouse."""
    data: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{example}.yaml").read_text())
    data |= {"warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"}, "state": "state"}
    for destination in data["destinations"].values():
        destination |= {"base_url": twin.url, "per_second": 10_000, "in_flight": 2}
    with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}; CREATE OR REPLACE TABLE {table} AS {rows}")
    settings = parse_settings(data, ENVIRONMENT, folder)
    with App(settings, environment=ENVIRONMENT) as app:
        [name] = settings.syncs
        return Machine(app).sync(name)


@pytest.mark.parametrize("example", ["appsflyer", "adjust", "amperity_streaming"])
def test_examples_have_no_problems(example: str) -> None:
    """Each example passes `rowferry check` as it is shipped."""
    assert check(read_settings(EXAMPLES / f"{example}.yaml", {})) == []


APPSFLYER = """
    SELECT 'p1' AS purchase_id, 'id123456789' AS app_id, 'af-1' AS appsflyer_id, 'c1' AS customer_id, 12.5 AS amount, 'EUR' AS currency,
           TIMESTAMPTZ '2026-01-31 12:00:00.123+00' AS purchased_at, TIMESTAMPTZ '2026-02-01 00:00:00+00' AS added_at
    UNION ALL
    SELECT 'p2', '123456789', 'af-2', 'c2', 1, 'EUR', TIMESTAMPTZ '2026-01-31 12:00:00+00', TIMESTAMPTZ '2026-02-01 00:00:01+00'
    UNION ALL
    SELECT 'p3', 'com.acme.shop', NULL, 'c3', 1, 'EUR', TIMESTAMPTZ '2026-01-31 12:00:00+00', TIMESTAMPTZ '2026-02-01 00:00:02+00'
"""


def test_appsflyer(tmp_path: Path, twin: HttpTwin) -> None:
    """An event arrives in AppsFlyer's form; an iOS app id that it would lose silently, and a row without its id, do not leave."""
    result = run("appsflyer", tmp_path, twin, "app.purchases", APPSFLYER)
    assert (result.status, result.delivered, result.rejected) == ("closed", 1, 2)
    assert sorted(found["code"] for found in result.rejections) == ["missing_field", "not_as_described"]
    assert [(call.method, call.path) for call in twin.log] == [("POST", "/inappevent/id123456789")]
    [event] = twin.stored["appsflyer"]
    assert orjson.loads(event.pop("eventValue")) == {"af_revenue": 12.5, "af_order_id": "p1"}
    assert event == {
        "eventName": "af_purchase",
        "eventTime": "2026-01-31 12:00:00.123",
        "eventCurrency": "EUR",
        "appsflyer_id": "af-1",
        "customer_user_id": "c1",
    }
    assert twin.violations == []


def test_appsflyer_refuses_a_wrong_key_with_a_400(tmp_path: Path, twin: HttpTwin) -> None:
    """AppsFlyer says 400 where others say 401: the run stops, and no row is called rejected for it."""
    twin.key = "another"
    result = run("appsflyer", tmp_path, twin, "app.purchases", APPSFLYER)
    assert (result.status, result.delivered, result.rejected, result.pending) == ("failed", 0, 0, 3)


ADJUST = """
    SELECT 'e' || i AS event_id, CASE i WHEN 2 THEN 'renewed' ELSE 'started' END AS kind, 'gps-' || least(i, 3) AS gps_adid,
           NULL::VARCHAR AS idfa, 9.5 AS amount, 'EUR' AS currency, TIMESTAMPTZ '2026-01-31 12:00:00+00' AS happened_at,
           TIMESTAMPTZ '2026-02-01 00:00:00+00' + to_seconds(i) AS added_at
    FROM range(1, 5) t(i)
"""


def test_adjust(tmp_path: Path, twin: HttpTwin) -> None:
    """Events arrive as forms; a repeated unique event counts as delivered, an unknown device is rejected."""
    twin.unique_events.add("f0ob4r")
    twin.unknown_devices.add("gps-2")
    result = run("adjust", tmp_path, twin, "app.subscription_events", ADJUST)
    assert (result.status, result.delivered, result.rejected, result.requests) == ("closed", 3, 1, 4)
    assert result.rejections[0]["reason"] == 'the API answered 404: {"error":"Event request failed (Device not found)"}'
    assert len(twin.stored["adjust"]) == 2
    [first] = [event for event in twin.stored["adjust"] if event["gps_adid"] == "gps-1"]
    assert first == {
        "s2s": "1",
        "app_token": "abc123def456",
        "environment": "production",
        "event_token": "f0ob4r",
        "created_at_unix": "1769860800",
        "gps_adid": "gps-1",
        "revenue": "9.5",
        "currency": "EUR",
        "callback_params": '{"event_id":"e1"}',
    }
    assert twin.violations == []


def test_adjust_stops_at_a_wrong_app_token(tmp_path: Path, twin: HttpTwin) -> None:
    """A token that Adjust does not know is a fault of the settings, not of the rows."""
    refusal = Response(404, b'{"error":"Event request failed (App token not found)"}')
    twin.faults.extend([Fault(response=refusal)] * 4)
    result = run("adjust", tmp_path, twin, "app.subscription_events", ADJUST)
    assert (result.status, result.delivered, result.rejected) == ("failed", 0, 0)


AMPERITY = """
    SELECT 'o' || i AS order_id, TIMESTAMPTZ '2026-01-31 12:00:00+00' AS ordered_at, 12.5 AS total,
           CASE i WHEN 1 THEN 'Zoë' END AS note, TIMESTAMPTZ '2026-02-01 00:00:00+00' + to_seconds(i) AS added_at
    FROM range(1, 4) t(i)
"""


def test_amperity(tmp_path: Path, twin: HttpTwin) -> None:
    """Rows arrive one object a request, and 202 means accepted; a 429 is waited out."""
    twin.faults.append(Fault(response=Response(429, b"", {"retry-after": "0"})))
    result = run("amperity_streaming", tmp_path, twin, "shop.orders", AMPERITY)
    assert (result.status, result.delivered, result.rejected) == ("closed", 3, 0)
    assert {call.path for call in twin.log} == {"/stream/v0/data/is-1a2b3c4d"}
    stored = {row["order_id"]: row for row in twin.stored["amperity"]}
    assert stored.keys() == {"o1", "o2", "o3"}
    assert (stored["o1"]["total"], stored["o1"]["note"], stored["o1"]["time"]) == (12.5, "Zoë", "2026-01-31T12:00:00Z")
    assert "note" not in stored["o2"]
    assert twin.violations == []
