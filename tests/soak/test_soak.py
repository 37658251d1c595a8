"""Kill -9 at random moments over mixed modes, again and again. Short here; `make soak` runs it long.

KILLS says how many kills (6 when not set), SEED which dice.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.twins.braze import BrazeTwin
from support.shop import Shop, balances

KILLS = int(os.environ.get("KILLS", "6"))
IN_FLIGHT, BATCH, ROWS = 3, 75, 600


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    with BrazeTwin(latency_seconds=0.01) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    """A shop with a sync of each mode that keeps a memory."""
    shop = Shop(tmp_path, twin, in_flight=IN_FLIGHT, chunk_rows=200)
    shop.fill(ROWS)
    shop.execute("CREATE TABLE crm.sales (receipt INT, customer TEXT, sold_at TIMESTAMP, added_at TIMESTAMP)")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY, customer TEXT, sent_at TIMESTAMP)")
    shop.environment = {"SHOP_URL": f"sqlite:///{tmp_path}/shop.db"}
    shop.settings["databases"] = {"shop": {"url": "env:SHOP_URL"}}
    shop.settings["syncs"] |= {
        "sales": {
            "model": {"table": "crm.sales"}, "key": "receipt", "send": "new", "cursor": "added_at", "lag": "1h", "to": "braze",
            "map": {"external_id": "customer", "name": {"value": "Sale"}, "time": "sold_at", "receipt": "receipt"}, "chunk_rows": 100,
        },
        "queue": {
            "model": {"database": "shop", "table": "outbox"}, "key": "id", "send": "queue", "mark": "sent_at", "to": "braze",
            "action": "profile", "map": {"external_id": "customer", "queued": "id"}, "chunk_rows": 100,
        },
    }  # fmt: skip
    shop.save()
    return shop


def more_work(shop: Shop, turn: int) -> None:
    """Something new for every sync."""
    shop.execute(f"UPDATE crm.customers SET tier = 'turn {turn}'")
    shop.execute(
        f"INSERT INTO crm.sales SELECT {turn} * 1000 + i, 'u' || i, TIMESTAMP '2026-01-01', "
        f"TIMESTAMP '2026-01-02' + INTERVAL ({turn}) HOUR FROM range({ROWS // 2}) t(i)"
    )
    with sqlite3.connect(shop.folder / "shop.db") as connection:
        connection.executemany("INSERT INTO outbox VALUES (?, ?, NULL)", [(turn * 1000 + i, f"q{i}") for i in range(ROWS // 2)])


def test_kills_at_random_lose_nothing(shop: Shop, twin: BrazeTwin) -> None:
    """Rows lost: none. Rows sent again: at most what was in flight at each kill. Every balance closes."""
    dice = random.Random(int(os.environ.get("SEED", "1")))
    for turn in range(max(1, KILLS // 3)):
        more_work(shop, turn)
        kills = 0
        twin.log.clear()
        for _ in range(3):
            process = shop.process(["sync", dice.choice(["customers", "sales", "queue"])])
            time.sleep(dice.uniform(0.3, 2.5))
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
        for name in ("customers", "sales", "queue"):
            found = shop.rowferry("sync", name)
            assert (found["status"], found["pending"]) == ("closed", 0), (turn, name)
            assert balances(found), (turn, name)
        assert {profile["tier"] for name, profile in twin.profiles.items() if name[0] == "u"} == {f"turn {turn}"}
        assert {event["properties"]["receipt"] for event in twin.events} >= {turn * 1000 + i for i in range(ROWS // 2)}
        with sqlite3.connect(shop.folder / "shop.db") as connection:
            assert connection.execute("SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL").fetchone() == (0,)
        sent, shop.sent_before = twin.objects - shop.sent_before, twin.objects
        assert 0 <= sent - 2 * ROWS <= kills * IN_FLIGHT * BATCH, turn
