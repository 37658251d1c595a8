"""How alerts stand, on the status page and for `rowferry status`."""

from __future__ import annotations

from datetime import timedelta

from rowferry.alerts.standing import standing
from rowferry.delivery.outbox import Outbox
from rowferry.notices.notices import Notices
from support.alerting import Shop


def stands(shop: Shop) -> list[tuple[str, str, str | None, str | None, dict[str, float]]]:
    """Alert, state, since when, last look and numbers."""
    found = standing(["new", "orders_dropped"], shop.store, Notices(shop.store, Outbox(shop.store), shop.clock))
    return [(row["alert"], row["state"], row["since"], row["seen_at"], row["numbers"]) for row in found]


def test_each_state_of_an_alert_is_seen_with_its_last_numbers(shop: Shop) -> None:
    """What needs somebody comes first; an alert that was never looked at says so."""
    assert stands(shop) == [("new", "waiting", None, None, {}), ("orders_dropped", "waiting", None, None, {})]
    shop.sells(500)
    shop.look()
    nine, ten, eleven = (f"2026-03-23T{hour}:00:00+00:00" for hour in ("09", "10", "11"))
    assert stands(shop)[1] == ("orders_dropped", "ok", None, nine, {"orders": 500.0})
    shop.sells(42)
    shop.look(after=timedelta(hours=1))
    assert stands(shop)[0] == ("orders_dropped", "firing", ten, ten, {"orders": 42.0})
    shop.look(after=timedelta(hours=1), sql="SELECT * FROM shop.nothing")
    assert stands(shop)[0] == ("orders_dropped", "blind", eleven, ten, {"orders": 42.0})
