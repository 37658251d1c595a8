"""Alerts on a real warehouse: told on each change of state, with the numbers, and never twice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from rowferry.alerts.check import try_out
from rowferry.alerts.history import History
from rowferry.errors import TryLater
from rowferry.notices.record import Records
from rowferry.settings.alert import Alert
from rowferry.warehouse.port import WarehouseError
from support.alerting import MONDAY, Shop
from support.killing import DownStore, Killed, MortalStore


def test_it_tells_when_it_fires_and_when_it_is_over(shop: Shop) -> None:
    """Two notices for a bad morning of five looks."""
    looks = []
    for orders in (500, 42, 30, 20, 300, 400):
        shop.sells(orders)
        looks.append((found := shop.look(after=timedelta(hours=1))).state + ("!" if found.is_news else ""))
    assert looks == ["ok", "firing!", "firing", "firing", "ok!", "ok"]
    assert [text.splitlines()[0] for text in shop.told] == [
        ":rotating_light: *Alert orders_dropped: firing*",
        ":white_check_mark: *Alert orders_dropped: recovered*",
    ]


def test_what_it_says(shop: Shop) -> None:
    """The values, a small trend, and the condition, escaped."""
    for orders in (500, 400, 42):
        shop.sells(orders, revenue=Decimal("1234.50"), shop="R&D <x>")
        shop.look(after=timedelta(hours=1))
    assert [text.splitlines() for text in shop.told] == [
        [
            ":rotating_light: *Alert orders_dropped: firing*",
            "orders 42 · revenue 1234.5 · shop R&amp;D &lt;x&gt; · trend █▆▁",
            "It fires when orders &lt; 100",
        ]
    ]


def test_a_text_of_ones_own(shop: Shop) -> None:
    """The row's columns and the state go into the template, sums of money included."""
    shop.sells(42, revenue=Decimal("10.00"))
    shop.look(text="{{ state }}: {{ orders }} orders, {{ (revenue * 1.19)|round(2) }} gross", trend=False)
    assert shop.told[0].splitlines()[1:] == ["orders 42 · revenue 10", "firing: 42 orders, 11.9 gross", "It fires when orders &lt; 100"]


def test_it_recovers_when_recover_when_says_so(shop: Shop) -> None:
    """Between the two conditions nothing changes, so that a value at the edge does not ring each hour."""
    states = []
    for orders in (50, 120, 90, 150, 220, 120):
        shop.sells(orders)
        states.append(shop.look(recover_when="orders > 200").state)
    assert states == ["firing", "firing", "firing", "firing", "ok", "ok"]
    assert len(shop.told) == 2


def test_a_value_that_swings_about_its_limit_says_what_helps(shop: Shop) -> None:
    """Each swing is told; the one that comes soon after the last names the setting that tells fewer."""
    alert: dict[str, Any] = {"every": "5m", "after": timedelta(minutes=5)}
    for orders in (50, 120, 90):
        shop.sells(orders)
        shop.look(**alert)
    assert [text.splitlines()[-1] for text in shop.told] == [
        "It fires when orders &lt; 100",
        "It fires when orders &lt; 100",
        "It fires when orders &lt; 100. It was over for 5 minutes only: a recover_when further from the limit tells fewer swings",
    ]
    shop.sells(500)
    shop.look(**alert)
    shop.sells(50)
    shop.look(**{**alert, "after": timedelta(hours=2)})
    assert shop.told[-1].splitlines()[-1] == "It fires when orders &lt; 100"


def test_while_it_fires_it_is_not_over(shop: Shop) -> None:
    """Conditions that overlap, as those with two reasons to fire do: no alternation of firing and recovered, look by look."""
    alert: dict[str, Any] = {"fire_when": "orders < 100 or errors > 5", "recover_when": "errors < 3"}
    looks = []
    for orders, errors in ((50, 0), (50, 0), (50, 9), (500, 4), (500, 0)):
        shop.sells(orders, errors=errors)
        looks.append(shop.look(**alert).state)
    assert looks == ["firing"] * 4 + ["ok"]
    assert len(shop.told) == 2


def test_what_is_not_known_is_no_recovery(shop: Shop) -> None:
    """The table went empty while it fired, so that its sums are NULL: nobody is told that all is well."""
    looks = []
    for orders in (50, None, None, 500):
        shop.sells(orders)
        looks.append(shop.look().state)
    assert looks == ["firing", "firing", "firing", "ok"]
    assert len(shop.told) == 2


def test_a_share_of_nothing_is_no_recovery(shop: Shop) -> None:
    """0 / 0 in floating point is not NULL but NaN, which is less than nothing and equal to nothing: it is not known either."""
    looks = [shop.look(sql=f"SELECT CAST('{share}' AS FLOAT64) AS orders").state for share in ("nan", "50", "nan", "500")]
    assert looks == ["ok", "firing", "firing", "ok"]
    assert len(shop.told) == 2


@pytest.mark.parametrize("fire_when", ["orders > 100", "orders * 1.5 > 100 or orders > 100"])
def test_a_number_without_bounds(shop: Shop, fire_when: str) -> None:
    """JSON holds integers of any length: one that is no float can be held against a limit, and stops nothing."""
    sizes = [f"JSON '1{'0' * 400}'"] * 2 + ["500"]
    looks = [shop.look(sql=f"SELECT {size} AS orders", compare="previous", fire_when=fire_when).state for size in sizes]
    assert looks[0] == looks[1] != "blind"
    assert looks[2] == "firing"


def test_against_the_look_before(shop: Shop) -> None:
    """A fall by half since the last look, and no fall where nothing is known yet."""
    states = []
    for orders in (1000, 900, 400, 390):
        shop.sells(orders)
        states.append(shop.look(after=timedelta(hours=1), compare="previous", fire_when="orders_change_percent < -50").state)
    assert states == ["ok", "ok", "firing", "ok"]
    assert "orders 400 (-56 %)" in shop.told[0]


def test_against_the_same_weekday(shop: Shop) -> None:
    """A quiet Sunday is no alarm when the last one was as quiet; a quiet Monday is."""
    alert: dict[str, Any] = {"compare": "same_weekday", "fire_when": "orders_change_percent < -30", "every": "1d"}
    week = [1000, 1000, 1000, 1000, 1000, 300, 200]
    states = []
    for orders in [*week, 990, 1010, 1000, 995, 1000, 310, 190, 500]:
        shop.sells(orders)
        states.append(shop.look(**alert).state)
        shop.clock.sleep(86400)
    assert states == ["ok"] * 14 + ["firing"]
    assert "orders 500 (-49 %)" in shop.told[0]


def test_another_weekday_is_not_held_against(shop: Shop) -> None:
    """A daily look that came late, for the server was down: of last week it takes the same day's, not the nearest in hours."""
    alert: dict[str, Any] = {"compare": "same_weekday", "fire_when": "orders_before == 2", "every": "1d"}
    for day in (1, 2, 3):  # Monday, Tuesday and Wednesday at nine
        shop.sells(day)
        assert shop.look(**alert).state == "ok"
        shop.clock.sleep(86400)
    shop.clock.sleep((timedelta(days=4) + timedelta(hours=14)).total_seconds())
    shop.sells(4)
    assert shop.look(**alert).state == "ok"  # Monday at 23:00 is nearer to Tuesday at nine
    assert shop.look(**{**alert, "every": "7d", "fire_when": "orders_before == 1"}).state == "firing"


def test_a_week_ago_is_the_same_hour_on_the_clock(shop: Shop) -> None:
    """Over the change to summer time, nine o'clock in Berlin is still held against nine o'clock."""
    alert: dict[str, Any] = {"compare": "same_weekday", "fire_when": "orders_before == 1", "every": "1h", "timezone": "Europe/Berlin"}
    for hour in range(3):
        shop.sells(hour)
        shop.look(**alert)  # 10:00, 11:00 and 12:00 in Berlin, winter time
        shop.clock.sleep(3600)
    shop.clock.sleep((timedelta(days=7, hours=-2) - timedelta(hours=1)).total_seconds())
    shop.sells(500)
    assert shop.look(**alert).state == "firing"  # 09:00 UTC is 11:00 there now, where 1 was seen at 11:00


def test_a_null_fires_nothing(shop: Shop) -> None:
    """An empty sum is not a small one."""
    shop.warehouse.load_rows("shop.orders", {"orders": "INT64"}, [{"orders": None}], job="null")
    assert shop.look().state == "ok"
    assert shop.look(compare="previous", fire_when="orders_change_percent < 0").state == "ok"


@pytest.mark.parametrize(
    ("alert", "reason"),
    [
        ({"sql": "SELECT nothing FROM shop.orders"}, ""),
        ({"sql": "SELECT * FROM shop.nosuch"}, ""),
        ({"sql": "SELECT * FROM shop.orders WHERE FALSE"}, "no row"),
        ({"sql": "SELECT 1 AS orders UNION ALL SELECT 2"}, "more than one row"),
        ({"fire_when": "sales < 100"}, "sales"),
        ({"fire_when": "shop < 100"}, "order"),
    ],
)
def test_an_alert_that_can_not_see_says_so_once(shop: Shop, alert: dict[str, Any], reason: str) -> None:
    """A renamed column must not look like peace; and it is told when it sees again."""
    shop.sells(500, shop="x")
    looks = [shop.look(**alert), shop.look(**alert), shop.look()]
    assert [(look.state, look.is_news) for look in looks] == [("blind", True), ("blind", False), ("ok", False)]
    assert reason in looks[0].reason
    assert [text.splitlines()[0].partition("*")[2] for text in shop.told] == [
        "Alert orders_dropped can't see: its statement does not work*",
        "Alert orders_dropped sees again*",
    ]


@pytest.mark.parametrize(
    ("alert", "reason"),
    [
        ({}, None),
        ({"fire_when": "orders_change_percent < -50", "recover_when": "orders_before > 5 and shop == 'x'", "compare": "previous"}, None),
        ({"sql": "SELECT nothing FROM shop.orders"}, "nothing"),
        ({"sql": "SELECT * FROM shop.nosuch"}, "nosuch"),
        ({"fire_when": "sales < 100"}, "looks at sales, and its sql gives orders, shop"),
        ({"recover_when": "sales > 100"}, "looks at sales"),
    ],
)
def test_an_alert_is_tried_out(shop: Shop, alert: dict[str, Any], reason: str | None) -> None:
    """What would make it blind is found before its timer rings, as far as the statement's columns tell."""
    shop.sells(500, shop="x")
    found = Alert.model_validate({"sql": "SELECT * FROM shop.orders", "fire_when": "orders < 1", "every": "1h", "notify": "ops", **alert})
    if reason is None:
        try_out(found, shop.warehouse)
    else:
        with pytest.raises((WarehouseError, ValueError), match=reason):
            try_out(found, shop.warehouse)


def test_blind_while_firing_it_stays_firing(shop: Shop) -> None:
    """A broken statement is no recovery; when it sees again and all is well, that is."""
    shop.sells(50)
    shop.look()
    shop.look(sql="SELECT broken")
    shop.sells(500)
    assert shop.look().is_news
    assert sum("recovered" in text for text in shop.told) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(6))
def test_killed_anywhere_it_is_told_once(shop: Shop, at: int, after: bool) -> None:
    """The next look goes on where the killed one was, and compares with what was before both."""
    alert: dict[str, Any] = {"compare": "previous", "fire_when": "orders_change_percent < -50"}
    shop.sells(1000)
    shop.look(**alert)
    shop.sells(100)
    try:
        shop.look(MortalStore(shop.store, at, after=after), **alert)
    except Killed:
        shop.look(**alert)
    assert sum("firing" in text for text in shop.told) == 1


def test_a_store_out_of_reach_loses_nothing(shop: Shop) -> None:
    """The timer comes again; until it could be told it is news."""
    shop.sells(50)
    down = DownStore(shop.store)
    with pytest.raises(TryLater):
        shop.look(down)
    assert shop.look().is_news


def test_an_alert_of_every_second_finds_last_week(shop: Shop) -> None:
    """Days of looks in quick succession do not push out what a week ago is compared with."""
    points = [[(MONDAY - timedelta(minutes=minutes)).isoformat(), {"orders": 1.0}] for minutes in range(8 * 1440, 1440, -15)]
    points += [[(MONDAY - timedelta(seconds=seconds)).isoformat(), {"orders": 2.0}] for seconds in range(2_000, 0, -1)]
    Records(shop.store, "notices/alerts/").put("quick", {"alert": "quick", "points": points}, None)
    for second in range(2):
        History(shop.store, "quick").add(MONDAY + timedelta(seconds=second), {"orders": 3.0})
    history = History(shop.store, "quick")
    assert history.before("same_weekday", MONDAY) == {"orders": 1.0}
    assert history.values("orders")[-24:] == [2.0] * 22 + [3.0] * 2
    assert len(history.values("orders")) < 800


def test_the_history_stays_small(shop: Shop) -> None:
    """An alert of every minute for a month: nine days are kept, the old ones at every quarter of an hour."""
    history = History(shop.store, "minutely")
    for minute in range(0, 60 * 24 * 10, 37):
        history.add(MONDAY + timedelta(minutes=minute), {"orders": float(minute)})
    found = History(shop.store, "minutely")
    assert 300 < len(found.values("orders")) < 400
    assert len(next(iter(shop.store.list("notices/alerts/"))).key) < 100
