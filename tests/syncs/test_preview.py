"""The plan of a sync: what it costs, and that it leaves nothing behind."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from rowferry.app import App
from rowferry.console.terminal import Terminal
from rowferry.errors import SourceError
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.syncs.preview import Preview, masked
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.klaviyo import KlaviyoTwin
from rowferry.twins.server import Fault
from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.wire import Response
from support.shop import ENVIRONMENT, Shop


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    return Shop(tmp_path, twin)


def plan(shop: Shop) -> Preview:
    """What the sync would do now."""
    with App(read_settings(shop.config), environment={**ENVIRONMENT, "SHOP_URL": f"sqlite:///{shop.folder}/shop.db"}) as app:
        return Machine(app).plan("customers")


def passing_tables(shop: Shop) -> list[str]:
    """The tables that a plan may need, and that nothing needs after it."""
    names = [str(name) for (name,) in shop.execute("SELECT table_name FROM duckdb_tables()")]
    return [name for name in names if name.startswith(("run_", "source_", "rejected_"))]


def from_database(shop: Shop, column: str) -> None:
    """Make the model a table of a database."""
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE people (id TEXT PRIMARY KEY, tier TEXT)")
        connection.executemany("INSERT INTO people VALUES (?, 'gold')", [(f"u{i}",) for i in range(50)])
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"]["customers"] |= {"model": {"database": "shop", "table": "people"}, "map": {"external_id": "id", "tier": column}}
    shop.save()


def test_a_plan_leaves_no_copy_of_a_database(shop: Shop) -> None:
    """The rows that were copied for it are dropped with it."""
    from_database(shop, "tier")
    assert plan(shop).creates == 50
    assert passing_tables(shop) == []


def test_a_plan_that_fails_leaves_no_copy_of_a_database(shop: Shop) -> None:
    """Nor does one whose map names a column that the table has not."""
    from_database(shop, "no_such_column")
    with pytest.raises(SourceError, match="no_such_column"):
        plan(shop)
    assert passing_tables(shop) == []


def test_deletions_take_their_own_time(shop: Shop) -> None:
    """Each action's requests are counted at its own limit: 3,000 profiles at 800 requests of 75 a second, 3,000 deletions at 266 of 50."""
    shop.settings["syncs"]["customers"] |= {"on_remove": "delete", "map": {"external_id": "id", "tier": "tier"}}
    shop.save()
    shop.fill(3000)
    assert plan(shop).seconds_at_limit == 0.1
    shop.sync()
    shop.execute("DELETE FROM crm.customers WHERE id != 'u1'; UPDATE crm.customers SET tier = 'silver'")
    found = plan(shop)
    assert (found.updates, found.removes, found.requests) == (1, 2999, 61)
    assert found.seconds_at_limit == pytest.approx(60 / 266 + 1 / 800, abs=0.1)


def test_who_is_deleted_has_no_values_that_leave(shop: Shop) -> None:
    """Also where NULLs unset: a deletion is somebody's identifier, and costs no data point."""
    shop.settings["syncs"]["customers"] |= {"on_remove": "delete", "nulls": "unset"}
    shop.save()
    shop.fill(30)
    shop.sync()
    shop.execute("DELETE FROM crm.customers WHERE id != 'u1'; UPDATE crm.customers SET tier = NULL")
    found = plan(shop)
    assert (found.updates, found.removes, found.attributes) == (1, 29, 1)
    assert [set(sample["fields"]) for sample in found.samples] == [{"external_id", "tier"}] + [{"external_id"}] * 4


@pytest.mark.parametrize("scanned", [None, 1_234_567_890])
def test_a_plan_tells_what_would_be_read(
    shop: Shop, scanned: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where reading is billed the plan says how much it is, in text and JSON; elsewhere it says nothing of it."""
    shop.fill(3)
    monkeypatch.setattr(DuckDbWarehouse, "bytes_read", lambda *_: scanned)
    found = plan(shop)
    Terminal(as_json=False).plan(found)
    assert ("1.235 GB of the warehouse read" in capsys.readouterr().out) is (scanned is not None)
    Terminal(as_json=True).plan(found)
    assert json.loads(capsys.readouterr().out).get("bytes_scanned") == scanned


def test_a_plan_says_why_rows_would_be_rejected(shop: Shop) -> None:
    """By code, those without a key as well as those that the vendor would not take; one row is one row."""
    shop.fill(4)
    shop.execute(
        "UPDATE crm.customers SET id = NULL WHERE id = 'u1'; UPDATE crm.customers SET email = 'no address' WHERE id IN ('u2', 'u3')"
    )
    shop.settings["syncs"]["customers"]["to"] = "klaviyo"
    shop.settings["destinations"]["klaviyo"] = {"vendor": "klaviyo", "api_key": "env:BRAZE_KEY"}
    shop.save()
    missing, invalid = plan(shop).notes
    assert missing.startswith("1 row would be rejected: missing_key: the row has no key")
    assert invalid.startswith("2 rows would be rejected: email_invalid: ")


@pytest.mark.parametrize(
    ("value", "shown"), [("M", "…(1)"), ("", ""), ("alice", "a…(5)"), (41, "#"), (None, None), (["M"], "[…]"), ({"a": 1}, "{…}")]
)
def test_no_sample_shows_a_value(value: object, shown: object) -> None:
    """Not even one of a single letter."""
    assert masked(value) == shown


UNAUTHORIZED = Response(401, b'{"message":"Invalid API key"}')


def test_a_plan_of_an_open_run_is_of_that_run(shop: Shop, twin: BrazeTwin) -> None:
    """`sync` goes on with it as it was planned, so that is the plan, though some rows are at the vendor and others have come since."""
    shop.fill(300)
    twin.faults.append(Fault(response=UNAUTHORIZED, when=lambda call: b'"u99"' in call.body))
    stuck = shop.sync(code=1)
    assert stuck["delivered"] < 300
    shop.fill(1000)
    tables = passing_tables(shop)
    found = plan(shop)
    assert [stuck["run"] in note for note in found.notes] == [True]
    assert passing_tables(shop) == tables != []  # the run has yet to be closed from its own
    ended = shop.sync()
    assert (ended["run"], ended["requests"] - 1) == (stuck["run"], found.requests)  # the refused one went out twice
    assert ended["read"] == ended["delivered"] == found.creates == 300
    found = plan(shop)
    assert (found.creates, found.unchanged, found.notes) == (700, 300, ())


def test_a_plan_is_of_the_next_run_where_the_open_one_is_none_of_a_sync(shop: Shop, twin: BrazeTwin) -> None:
    """A replay that is open is ended first, and then `sync` does what it was asked for."""
    shop.fill(3)
    shop.execute("UPDATE crm.customers SET email = 'no address' WHERE id = 'u1'")
    assert shop.sync(code=1)["rejected"] == 1
    twin.faults.append(Fault(response=UNAUTHORIZED))
    stuck = shop.rowferry("replay", "customers", code=1)
    shop.fill(5)
    found = plan(shop)
    assert [stuck["run"] in note for note in found.notes] == [True]
    assert (found.creates, found.unchanged) == (3, 2)


def test_a_plan_of_a_sync_to_elsewhere_is_not_of_the_run_that_is_open(shop: Shop, twin: BrazeTwin) -> None:
    """The settings say no more how the open run's destination takes rows, where the sync has left it."""
    shop.fill(3)
    twin.faults.append(Fault(response=UNAUTHORIZED))
    stuck = shop.sync(code=1)
    shop.settings["destinations"]["elsewhere"] = {"vendor": "http", "url": "https://crm.example.com/people", "identifiers": ["external_id"]}
    shop.settings["syncs"]["customers"]["to"] = "elsewhere"
    shop.save()
    shop.fill(5)
    found = plan(shop)
    assert [stuck["run"] in note for note in found.notes] == [True]
    assert (found.creates, found.requests) == (5, 5)


@pytest.mark.parametrize("mode", ["profile", "audience"])
def test_a_plan_counts_all_requests_of_a_batch(shop: Shop, mode: str) -> None:
    """Klaviyo is asked after each job, unsets its own attributes one by one, and looks people up before they leave a list."""
    with KlaviyoTwin() as klaviyo:
        shop.settings["destinations"]["klaviyo"] = {"vendor": "klaviyo", "base_url": klaviyo.url, "api_key": "env:BRAZE_KEY"}
        sync = shop.settings["syncs"]["customers"]
        sync |= {"to": "klaviyo", "key": "email", "map": {"email": "email"}}
        sync |= {"send": "audience", "audience": "vip"} if mode == "audience" else {"nulls": "unset"}
        if mode == "profile":
            sync["map"] |= {"first_name": "branch", "tier": "tier"}
        shop.save()
        shop.fill(700)
        assert (plan(shop).requests, shop.sync()["requests"]) == (2, 2)
        change = "UPDATE crm.customers SET branch = NULL, tier = NULL" if mode == "profile" else "DELETE FROM crm.customers"
        shop.execute(f"{change} WHERE id LIKE '%5%'")
        requests = plan(shop).requests
        found = shop.sync()
        assert requests == found["requests"] > 2
        assert found["resent"] == 0  # one request of a chain after the other is no repeat
