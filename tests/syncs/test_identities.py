"""Who a row is about may change: the identifier beside the key, a NULL for it, the key's own type."""

from __future__ import annotations

import pytest

from rowferry.twins.amplitude import AmplitudeTwin
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.klaviyo import KlaviyoTwin
from support.runs import counts, letters, machine, sync
from support.shop import Shop


def test_somebody_else_gets_what_the_one_before_had(shop: Shop, twin: BrazeTwin) -> None:
    """A value that was empty when the row came to be about another person is sent when it is back, though the first one had it."""
    shop.execute("ALTER TABLE crm.customers ADD COLUMN person TEXT; UPDATE crm.customers SET person = id")
    shop.settings["syncs"]["customers"]["map"] = {"external_id": "person", "tier": "tier"}
    shop.save()
    sync(shop)
    shop.execute("UPDATE crm.customers SET person = 'another', tier = NULL WHERE id = 'u1'")
    assert counts(sync(shop)) == (3, 2, 1, 0)
    shop.execute("UPDATE crm.customers SET tier = 'gold' WHERE id = 'u1'")
    assert counts(sync(shop)) == (3, 2, 1, 0)
    assert twin.profiles["another"]["tier"] == "gold"


def test_an_identifier_that_becomes_null_is_news_once(shop: Shop) -> None:
    """A device that is known no more sends its user whole, and after that the row is as it was delivered."""
    with AmplitudeTwin() as amplitude:
        shop.settings["destinations"]["amplitude"] = {"vendor": "amplitude", "base_url": amplitude.url, "api_key": "env:ANY_KEY"}
        shop.settings["syncs"]["customers"] |= {"to": "amplitude", "map": {"user_id": "branch", "device_id": "email", "tier": "tier"}}
        shop.save()
        shop.execute("UPDATE crm.customers SET branch = 'user-' || id")
        sync(shop)
        shop.execute("UPDATE crm.customers SET email = NULL WHERE id = 'u1'")
        assert counts(sync(shop)) == (3, 2, 1, 0)
        assert sync(shop).requests == 0


def test_a_key_of_another_type_stops_no_run(shop: Shop, twin: BrazeTwin) -> None:
    """Keys were texts and are numbers now: the new rows leave; whom the old keys meant can't be said, so each is a dead letter."""
    shop.settings["syncs"]["customers"]["on_remove"] = "delete"
    shop.save()
    sync(shop)
    shop.execute(
        "CREATE OR REPLACE TABLE crm.customers AS SELECT i AS id, 'a@b.cc' AS email, 'x' AS tier, 'Bern' AS branch FROM range(2) t(i)"
    )
    assert counts(sync(shop)) == (5, 0, 2, 3)
    assert set(twin.profiles) == {"u0", "u1", "u2", "0", "1"}
    assert sync(shop).requests == 0
    shop.fill(3)
    assert sync(shop).delivered == 2
    assert letters(shop) == []
    with machine(shop) as found:
        assert found.replay("customers").read == 0


@pytest.mark.parametrize("mode", ["delete", "audience"])
def test_a_key_that_is_only_spelled_otherwise_has_not_left(shop: Shop, twin: BrazeTwin, mode: str) -> None:
    """The mapping takes both for one person: who was just sent is not removed for being missing under the old spelling."""
    shop.execute("UPDATE crm.customers SET id = 'Ann ' WHERE id = 'u1'")
    fields = {"external_id": {"column": "id", "transform": ["trim", "lower"]}, "tier": "tier"}
    more = {"on_remove": "delete"} if mode == "delete" else {"send": "audience", "audience": "vip"}
    shop.settings["syncs"]["customers"] |= {"map": fields, **more}
    shop.save()
    sync(shop)
    shop.execute("UPDATE crm.customers SET id = 'ann', tier = 'silver' WHERE id = 'Ann '")
    assert counts(sync(shop)) == (3, 2, 1, 0)
    assert twin.profiles["ann"] == ({"tier": "silver"} if mode == "delete" else {"tier": "silver", "vip": True})
    shop.execute("DELETE FROM crm.customers WHERE id = 'ann'")
    sync(shop)
    assert twin.profiles.get("ann", {}).get("vip", False) is False
    assert sync(shop).requests == 0


def test_a_field_that_was_out_of_the_map_knows_nothing_of_somebody_else(shop: Shop, twin: BrazeTwin) -> None:
    """While a field is not sent, its row comes to be about another person; back in the map, that person gets it."""
    shop.execute("ALTER TABLE crm.customers ADD COLUMN person TEXT; UPDATE crm.customers SET person = id")
    sent = shop.settings["syncs"]["customers"]["map"] = {"external_id": "person", "tier": "tier", "branch": "branch"}
    shop.save()
    sync(shop)
    del sent["branch"]
    shop.save()
    shop.execute("UPDATE crm.customers SET person = 'another' WHERE id = 'u1'")
    assert counts(sync(shop)) == (3, 2, 1, 0)
    sent["branch"] = "branch"
    shop.save()
    assert counts(sync(shop)) == (3, 2, 1, 0)
    assert twin.profiles["another"] == {"tier": "gold", "branch": "Bern"}


def test_a_key_of_more_columns_stops_no_run(shop: Shop, twin: BrazeTwin) -> None:
    """Whom the old keys meant can't be said by two columns, so each is a dead letter; with the old key back, nothing is wrong."""
    shop.settings["syncs"]["customers"]["on_remove"] = "delete"
    shop.save()
    sync(shop)
    shop.settings["syncs"]["customers"]["key"] = ["id", "branch"]
    shop.save()
    assert counts(sync(shop)) == (6, 0, 3, 3)
    shop.settings["syncs"]["customers"]["key"] = "id"
    shop.save()
    sync(shop)
    assert set(twin.profiles) == {"u0", "u1", "u2"}
    assert letters(shop) == []


def test_a_name_that_is_given_to_another_vendor_knows_nothing_of_the_first(shop: Shop) -> None:
    """What Braze has is not at Klaviyo: every row leaves, and nobody is removed there who never was."""
    shop.settings["syncs"]["customers"] |= {"map": {"external_id": "id", "tier": "tier"}, "on_remove": "unset"}
    shop.save()
    sync(shop)
    shop.execute("DELETE FROM crm.customers WHERE id = 'u2'")
    with KlaviyoTwin() as klaviyo:
        shop.settings["destinations"]["braze"] = {"vendor": "klaviyo", "base_url": klaviyo.url, "api_key": "env:ANY_KEY"}
        shop.save()
        assert counts(sync(shop)) == (2, 0, 2, 0)
        assert sync(shop).requests == 0


def test_a_state_of_an_earlier_version_holds(shop: Shop, twin: BrazeTwin) -> None:
    """It does not say which vendor took its rows: that is taken for the one that the settings name."""
    sync(shop)
    (table,) = [str(name) for (name,) in shop.execute("SELECT table_name FROM duckdb_tables()") if str(name).startswith("delivered_")]
    shop.execute(f'ALTER TABLE rowferry."{table}" DROP COLUMN vendor')
    shop.execute(f'ALTER TABLE rowferry."{table}" DROP COLUMN account')
    shop.execute("UPDATE crm.customers SET tier = 'silver' WHERE id = 'u1'")
    assert counts(sync(shop)) == (3, 2, 1, 0)
    assert sync(shop).requests == 0


def creates(shop: Shop, **destination: str) -> int:
    """How many rows would be new to Braze by these settings; nothing is sent."""
    shop.settings["destinations"]["braze"] = {"vendor": "braze", "api_key": "env:BRAZE_KEY", **destination}
    shop.save()
    return int(shop.rowferry("plan", "customers")["creates"])


def test_another_account_of_the_vendor_knows_nothing_of_the_first(shop: Shop, twin: BrazeTwin) -> None:
    """What one instance of Braze has is not at another; nobody is removed there who never was."""
    shop.settings["syncs"]["customers"]["on_remove"] = "unset"
    shop.save()
    sync(shop)
    (table,) = [str(name) for (name,) in shop.execute("SELECT table_name FROM duckdb_tables()") if str(name).startswith("delivered_")]
    shop.execute(f"UPDATE rowferry.\"{table}\" SET account = 'braze EU-01'")
    assert creates(shop, instance="EU-01") == 0
    assert creates(shop, instance="EU-01", base_url=twin.url) == 0  # a rehearsal goes by what the vendor has
    assert creates(shop, base_url="https://proxy.example.com") == 0
    shop.execute("DELETE FROM crm.customers WHERE id = 'u2'")
    assert creates(shop, instance="US-03") == 2
    assert shop.rowferry("plan", "customers")["removes"] == 0
    shop.execute(f'UPDATE rowferry."{table}" SET account = NULL')  # of an earlier version
    assert creates(shop, instance="US-03") == 0


def test_what_a_stand_in_was_sent_is_not_at_the_vendor(shop: Shop, twin: BrazeTwin) -> None:
    """A stand-in at any port is the same one; the account that follows it has nothing yet."""
    sync(shop)
    with BrazeTwin() as other:
        shop.settings["destinations"]["braze"]["base_url"] = other.url
        shop.save()
        assert counts(sync(shop)) == (3, 3, 0, 0)
    assert creates(shop, instance="EU-01") == 3
