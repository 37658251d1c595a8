"""Who is in an audience by an attribute: in, out, and in again."""

from __future__ import annotations

import pytest

from rowferry.twins.braze import BrazeTwin
from support.runs import counts, sync
from support.shop import Shop


@pytest.fixture
def vips(shop: Shop) -> Shop:
    """The shop's customers as an audience, whose NULLs take values away."""
    shop.settings["syncs"]["customers"] |= {"send": "audience", "audience": "vip", "nulls": "unset"}
    shop.save()
    return shop


def test_who_comes_back_is_sent_what_differs(vips: Shop, twin: BrazeTwin) -> None:
    """A value that became NULL while somebody was out is taken away; what the vendor has already is not sent again."""
    sync(vips)
    vips.execute("CREATE TABLE crm.away AS SELECT * FROM crm.customers WHERE id = 'u1'; DELETE FROM crm.customers WHERE id = 'u1'")
    assert counts(sync(vips)) == (3, 2, 1, 0)
    assert twin.profiles["u1"]["vip"] is False
    assert sync(vips).requests == 0
    vips.execute("INSERT INTO crm.customers SELECT * REPLACE (NULL AS tier) FROM crm.away")
    assert counts(sync(vips)) == (3, 2, 1, 0)
    assert vips.sent()[-1] == {"external_id": "u1", "vip": True, "tier": None}
    assert sync(vips).requests == 0


def test_who_left_counts_no_more(vips: Shop) -> None:
    """Once everybody has left and a person has seen it, an audience without anybody is no empty source."""
    sync(vips)
    vips.execute("DELETE FROM crm.customers")
    refused = sync(vips)
    assert refused.status == "refused"
    assert sync(vips, accept=refused.run).delivered == 3
    assert counts(sync(vips)) == (0, 0, 0, 0)
    vips.settings["syncs"]["customers"]["guards"] = {"max_changed_percent": 50}
    vips.save()
    vips.fill(3)
    assert sync(vips).delivered == 3
