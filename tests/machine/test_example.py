"""The recipe `one_machine.yaml`, whole: files, a shop's database, a queue, a pull and alerts, against stand-ins."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rowferry.app import App
from rowferry.delivery.runs import RunResult
from rowferry.loads.result import LoadResult
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.klaviyo import KlaviyoTwin
from rowferry.twins.slack import SlackTwin

EXAMPLE = Path(__file__).parents[2] / "infra" / "pipelines" / "examples" / "one_machine.yaml"
CUSTOMERS = 1000
ORDERS = """order_id,email,total,ordered_at
o1,u1@shop.example,10.50,2026-01-30T10:00:00Z
o2,u2@shop.example,not known,2026-01-30T11:00:00Z
o3,,4.00,2026-01-30T12:00:00Z
"""
TABLES = """
CREATE TABLE customers (id TEXT, email TEXT, name TEXT, tier TEXT);
CREATE TABLE outbox (id INTEGER, customer_id TEXT, event TEXT, created_at TEXT, sent_at TEXT);
INSERT INTO outbox VALUES (1, 'u1', 'Refunded', '2026-01-30T10:00:00Z', NULL), (2, 'u2', 'Refunded', '2026-01-01T10:00:00Z', 'long ago');
"""


@pytest.fixture
def twins() -> Iterator[dict[str, KlaviyoTwin | CleverTapTwin | SlackTwin]]:
    with KlaviyoTwin() as klaviyo, CleverTapTwin() as clevertap, SlackTwin() as slack:
        yield {"klaviyo": klaviyo, "clevertap": clevertap, "ops": slack}


@pytest.fixture
def machine(tmp_path: Path, twins: dict[str, KlaviyoTwin | CleverTapTwin | SlackTwin]) -> Iterator[Machine]:
    """The file as it stands, with the stand-ins' addresses; its folder has the file and the database that it speaks of."""
    settings = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    for name, twin in twins.items():
        settings["destinations"][name]["base_url"] = twin.url
    (tmp_path / "rowferry.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "exports" / "shop").mkdir(parents=True)
    (tmp_path / "exports" / "shop" / "orders-20260131.csv").write_text(ORDERS)
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.executescript(TABLES)
        people = ((f"u{number}", f"u{number}@shop.example", f"N{number}", "gold") for number in range(CUSTOMERS))
        database.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", people)
    database.close()
    secrets = {"secret:shop-url": f"sqlite:///{tmp_path}/shop.db", "secret:slack-ops": "https://hooks.slack.com/services/T0/B0/twin"}
    with App(read_settings(tmp_path), resolve_secret=lambda name: secrets.get(name, "a-made-up-key")) as app:
        yield Machine(app)


def test_the_whole_of_it_works(machine: Machine, twins: dict[str, KlaviyoTwin | CleverTapTwin | SlackTwin], tmp_path: Path) -> None:
    """A file is loaded and its orders follow; customers and the queue leave, the queue is marked; few orders are told in Slack."""
    klaviyo, clevertap, slack = twins["klaviyo"], twins["clevertap"], twins["ops"]
    assert isinstance(klaviyo, KlaviyoTwin)
    assert isinstance(clevertap, CleverTapTwin)
    assert isinstance(slack, SlackTwin)
    loaded, followed = machine.load_new_and_follow()
    assert isinstance(loaded, LoadResult)
    assert isinstance(followed, RunResult)
    assert (loaded.status, loaded.rows, loaded.rejected_cells) == ("loaded", 3, 1)
    assert (followed.sync, followed.status, followed.delivered, len(klaviyo.events)) == ("orders_to_klaviyo", "closed", 2, 2)
    assert (machine.sync("customers_to_klaviyo").delivered, machine.sync("customers_to_klaviyo").unchanged) == (CUSTOMERS, CUSTOMERS)
    assert machine.sync("outbox_to_clevertap").delivered == 1
    assert [event["identity"] for event in clevertap.events] == ["u1"]
    with sqlite3.connect(tmp_path / "shop.db") as database:
        assert database.execute("SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL").fetchone() == (0,)
    database.close()
    assert {result.status for result in machine.pull("ct_charged")} <= {"loaded"}
    assert machine.app.check_alert("few_orders").state == "firing"
    assert machine.app.check_alert("revenue_fell").state == "ok"
    machine.deliver_relayed()
    assert "few_orders" in str(slack.messages)
    assert [klaviyo.violations, clevertap.violations, slack.violations] == [[], [], []]


def test_a_file_that_no_feed_takes_is_told_and_not_asked_for_each_second(machine: Machine, tmp_path: Path) -> None:
    """It lies in a feed's folder under a name that is not the feed's: a person has to see that; the others are loaded."""
    (tmp_path / "exports" / "shop" / "my orders.csv").write_text(ORDERS)
    stray, loaded = machine.load_new()
    assert (stray.file, stray.feed, stray.status, loaded.status) == ("shop/my orders.csv", None, "failed", "loaded")
    assert "fits no feed's path or naming (orders takes shop/orders-{day:%Y%m%d}*.csv)" in str(stray.reason)
    assert machine.load_new() == []
