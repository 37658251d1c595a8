"""Kill -9 at random moments over mixed modes and vendors, again and again. Short here; `make soak` runs it long.

KILLS says how many kills (6 when not set), SEED which dice.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rowferry.twins.amplitude import AmplitudeTwin
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.klaviyo import KlaviyoTwin
from rowferry.twins.server import Twin
from support.shop import Shop, balances

KILLS = int(os.environ.get("KILLS", "6"))
KILLS_A_TURN = 3
IN_FLIGHT, ROWS = 3, 600
SYNCS = ("customers", "vips", "sales", "receipts", "queue")
_SALE = {"name": {"value": "Sale"}, "time": "sold_at", "receipt": "receipt"}


@dataclass
class Vendors:
    """The four stand-ins, and how many rows each had been brought when it was last counted."""

    braze: BrazeTwin = field(default_factory=lambda: BrazeTwin(latency_seconds=0.01))
    amplitude: AmplitudeTwin = field(default_factory=lambda: AmplitudeTwin(latency_seconds=0.01))
    klaviyo: KlaviyoTwin = field(default_factory=lambda: KlaviyoTwin(latency_seconds=0.01))
    clevertap: CleverTapTwin = field(default_factory=lambda: CleverTapTwin(latency_seconds=0.01))

    def all(self) -> dict[str, Twin]:
        """Each by the name of its destination."""
        return {"braze": self.braze, "amplitude": self.amplitude, "klaviyo": self.klaviyo, "clevertap": self.clevertap}

    def rows_since(self) -> Counter[str]:
        """How many rows came to each since the last call, repeats and all."""
        marks = {"braze": b'"external_id"', "amplitude": b'"insert_id"', "klaviyo": b'"unique_id"', "clevertap": b'"identity"'}
        found = Counter({name: sum(call.body.count(marks[name]) for call in twin.log) for name, twin in self.all().items()})
        for twin in self.all().values():
            twin.log.clear()
        return found


# How many rows of each destination's requests, at most.
BATCH_ROWS = {"braze": 75, "amplitude": 50, "klaviyo": 1000, "clevertap": 1000}


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with ExitStack() as running:
        found = Vendors()
        for twin in found.all().values():
            running.enter_context(twin)
        yield found


@pytest.fixture
def shop(tmp_path: Path, vendors: Vendors) -> Shop:
    """A shop with a sync of each mode, over all vendors."""
    shop = Shop(tmp_path, vendors.braze, in_flight=IN_FLIGHT, chunk_rows=200)
    shop.fill(ROWS)
    shop.execute("CREATE TABLE crm.sales (receipt INT, customer TEXT, sold_at TIMESTAMP, added_at TIMESTAMP)")
    shop.execute("CREATE TABLE crm.vips (id TEXT)")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY, customer TEXT, sent_at TIMESTAMP)")
    shop.environment = {"SHOP_URL": f"sqlite:///{tmp_path}/shop.db", "ANY_KEY": "a-key"}
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    keys = {"in_flight": IN_FLIGHT, "attempts": 2}
    shop.settings["destinations"] |= {
        "amplitude": {
            "vendor": "amplitude", "base_url": vendors.amplitude.url, "region": "EU", "api_key": "env:ANY_KEY", "batch_rows": 50, **keys,
        },
        "klaviyo": {"vendor": "klaviyo", "base_url": vendors.klaviyo.url, "api_key": "env:ANY_KEY", **keys},
        "clevertap": {
            "vendor": "clevertap", "base_url": vendors.clevertap.url, "region": "in1", "account_id": "A-1", "passcode": "env:ANY_KEY",
            **keys,
        },
    }  # fmt: skip
    new = {"model": {"table": "crm.sales"}, "key": "receipt", "send": "new", "cursor": "added_at", "lag": "1h", "chunk_rows": 100}
    shop.settings["syncs"] |= {
        "vips": {
            "model": {"table": "crm.vips"}, "key": "id", "send": "audience", "audience": "vip", "to": "braze", "action": "profile",
            "map": {"external_id": "id"}, "chunk_rows": 100,
        },
        "sales": {**new, "to": "amplitude", "action": "event", "map": {"user_id": "customer", **_SALE}},
        "receipts": {**new, "to": "klaviyo", "action": "event", "map": {"external_id": "customer", **_SALE}},
        "queue": {
            "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "clevertap",
            "action": "profile", "map": {"identity": "customer", "queued": "id"}, "chunk_rows": 100,
        },
    }  # fmt: skip
    shop.save()
    return shop


def more_work(shop: Shop, turn: int) -> None:
    """Something new for every sync."""
    shop.execute(f"UPDATE crm.customers SET tier = 'turn {turn}'")
    shop.execute(f"CREATE OR REPLACE TABLE crm.vips AS SELECT 'u' || i AS id FROM range({ROWS}) t(i) WHERE i % 3 = {turn % 3}")
    shop.execute(
        f"INSERT INTO crm.sales SELECT {turn} * 1000 + i, 'u' || i, TIMESTAMP '2026-01-01', "
        f"TIMESTAMP '2026-01-02' + INTERVAL ({turn}) HOUR FROM range({ROWS // 2}) t(i)"
    )
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.executemany("INSERT INTO outbox VALUES (?, ?, NULL)", [(turn * 1000 + i, f"q{i}") for i in range(ROWS // 2)])


def kill_at_random(shop: Shop, vendors: Vendors, dice: random.Random) -> Counter[str]:
    """Start syncs and kill them, at any moment or while requests are under way; how often each destination's was."""
    killed: Counter[str] = Counter()
    for _ in range(KILLS_A_TURN):
        name = dice.choice(SYNCS)
        process = shop.process(["sync", name])
        to = shop.settings["syncs"][name]["to"]
        if dice.random() < 0.5:
            time.sleep(dice.uniform(0.3, 2.5))
        else:
            await_requests(process, vendors.all()[to], dice.randint(1, 8))
        process.kill()
        process.communicate()
        killed[to] += 1
    return killed


def await_requests(process: subprocess.Popen[bytes], twin: Twin, more: int) -> None:
    """Wait until the vendor was asked so many times more; no longer than the command lives."""
    wanted = twin.requests + more
    while twin.requests < wanted and process.poll() is None:
        time.sleep(0.001)


def must_hold(shop: Shop, vendors: Vendors, turn: int) -> None:
    """Nothing is lost and nothing is there twice where the vendor dedupes; each vendor holds what the tables say."""
    people = {name: profile for name, profile in vendors.braze.profiles.items() if name[0] == "u"}
    assert {profile["tier"] for profile in people.values()} == {f"turn {turn}"}
    assert {name for name, profile in people.items() if profile.get("vip")} == {f"u{i}" for i in range(ROWS) if i % 3 == turn % 3}
    sold = Counter(made * 1000 + i for made in range(turn + 1) for i in range(ROWS // 2))
    assert Counter(event["event_properties"]["receipt"] for event in vendors.amplitude.events) == sold
    assert len(vendors.klaviyo.events) == len(sold)
    assert {profile["queued"] for name, profile in vendors.clevertap.profiles.items()} == {turn * 1000 + i for i in range(ROWS // 2)}
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL").fetchone() == (0,)
    assert [twin.violations for twin in vendors.all().values()] == [[], [], [], []]


def test_kills_at_random_lose_nothing(shop: Shop, vendors: Vendors) -> None:
    """Rows lost: none. Twice at a vendor that dedupes: none. Sent again: at most what was in flight. Every balance closes."""
    dice, again = random.Random(int(os.environ.get("SEED", "1"))), Counter[str]()
    for turn in range(max(1, KILLS // KILLS_A_TURN)):
        more_work(shop, turn)
        killed, runs = kill_at_random(shop, vendors, dice), {}
        for name in SYNCS:
            runs[name] = shop.rowferry("sync", name)
            assert (runs[name]["status"], runs[name]["pending"]) == ("closed", 0), (turn, name)
            assert balances(runs[name]), (turn, name)
        must_hold(shop, vendors, turn)
        in_vips = ROWS // 3 if turn == 0 else 2 * ROWS // 3  # who entered, and who left
        wanted = Counter({"braze": ROWS + in_vips, "amplitude": ROWS // 2, "klaviyo": ROWS // 2, "clevertap": ROWS // 2})
        for name, rows in vendors.rows_since().items():
            assert 0 <= rows - wanted[name] <= killed[name] * IN_FLIGHT * BATCH_ROWS[name], (turn, name)
            again[name] += rows - wanted[name]
        print(f"{KILLS_A_TURN * (turn + 1)} kills: no row lost, each balance closed; rows sent again so far: {dict(again)}", flush=True)
