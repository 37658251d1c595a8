"""The webhook recipes of `infra/pipelines/examples`, as they are shipped: made-up events in, vendors' payloads out."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from rowferry import destinations
from rowferry.clock import ManualClock
from rowferry.delivery.outbox import Outbox
from rowferry.errors import RowRejected
from rowferry.settings.check import check
from rowferry.settings.file import read_settings
from rowferry.stores.folder import FolderStore
from rowferry.webhooks.hook import hooks_of
from rowferry.webhooks.relay import Relay
from support.relayed import relayed
from support.senders import SECRET, call

EXAMPLES = Path(__file__).parents[2] / "infra/pipelines/examples"
NOW = datetime(2026, 4, 14, 3, 50, 12, tzinfo=UTC)
APRIL = int(NOW.timestamp())


class Recipe:
    """One recipe, running over a folder."""

    def __init__(self, name: str, hook: str, folder: Path) -> None:
        settings = read_settings(EXAMPLES / f"{name}.yaml", {})
        assert check(settings) == []
        self._settings = settings.resolved(lambda reference: "https://hooks.slack.com/services/T/B/x" if "slack" in reference else SECRET)
        self._store = FolderStore(folder)
        self._scheme = self._settings.webhooks[hook].verify.scheme
        self._hook = hook
        self._hooks = hooks_of(self._settings.webhooks)
        self._relay = Relay(self._hooks, Outbox(self._store), self._store, ManualClock(NOW))

    def takes(self, event: dict[str, Any]) -> dict[str, list[Any]]:
        """What an event leads to: for each destination and action, the payloads as the vendor gets them."""
        found = call(self._scheme, self._hook, event, NOW)
        if self._scheme == "basic":
            username = str(self._settings.webhooks[self._hook].verify.username)
            credentials = base64.b64encode(f"{username}:{SECRET}".encode()).decode()
            found = replace(found, headers={**found.headers, "authorization": f"Basic {credentials}"})
        assert self._relay.answer(found).status == 200
        return {f"{to}.{action}": [self._payload(to, action, row) for row in rows] for to, action, rows in relayed(self._store)}

    def makes_of(self, body: Any) -> list[Any]:
        """The payloads that a body leads to, without those that the vendor's file rejects; nothing is stored."""
        made = []
        for rows in self._hooks[self._hook].rows(body, NOW):
            for row in rows.rows:
                with suppress(RowRejected):
                    made.append(self._payload(rows.destination, rows.action, row))
        return made

    def _payload(self, to: str, action: str, row: dict[str, Any]) -> Any:
        settings = self._settings.destinations[to]
        return orjson.loads(destinations.find(settings.vendor).actions[action].to_payload(row, settings))

    def close(self) -> None:
        self._store.close()


@pytest.fixture
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Recipe]:
    name, hook = request.param
    found = Recipe(name, hook, tmp_path / "state")
    yield found
    found.close()


def _of(name: str, hook: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("recipe", [(name, hook)], indirect=True, ids=[name])


ITEM = {"price": {"id": "price_1", "lookup_key": "gold", "nickname": "Gold", "unit_amount": 1999}}
SUBSCRIPTION = {
    "id": "sub_1", "customer": "cus_1", "currency": "eur", "metadata": {"user_id": "u1"}, "items": {"data": [ITEM]},
    "cancellation_details": {"reason": "cancellation_requested", "feedback": "too_expensive", "comment": "<!channel> bye"},
}  # fmt: skip


def _stripe(kind: str, thing: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": "evt_1", "type": kind, "created": APRIL, "livemode": True, "data": {"object": thing, **data}}


@_of("stripe", "stripe")
@pytest.mark.parametrize("is_new_shape", [True, False])
def test_stripe_renewal(recipe: Recipe, is_new_shape: bool) -> None:
    """A paid invoice of a subscription's cycle, in the API's new shape and its old one."""
    details = {"subscription": "sub_1", "metadata": {"user_id": "u1"}}
    invoice = {
        "billing_reason": "subscription_cycle", "customer": "cus_1", "amount_paid": 1999, "currency": "eur",
        "lines": {"data": [{"period": {"end": APRIL}}, {"period": {"end": APRIL + 2_592_000}}]},  # a proration comes first
        **({"parent": {"subscription_details": details}} if is_new_shape else {"subscription": "sub_1", "subscription_details": details}),
    }  # fmt: skip
    assert recipe.takes(_stripe("invoice.paid", invoice)) == {
        "clevertap.event": [
            {
                "type": "event", "identity": "u1", "evtName": "Subscription Renewed", "ts": APRIL,
                "evtData": {"subscription": "sub_1", "amount": 19.99, "currency": "EUR", "paid_until": f"$D_{APRIL + 2_592_000}"},
            }
        ]
    }  # fmt: skip


@_of("stripe", "stripe")
def test_stripe_cancellation(recipe: Recipe) -> None:
    """The end of a subscription: an event for the person, and a notice with what they said, harmless."""
    found = recipe.takes(_stripe("customer.subscription.deleted", {**SUBSCRIPTION, "ended_at": APRIL - 60}))
    assert found["clevertap.event"][0] == {
        "type": "event", "identity": "u1", "evtName": "Subscription Ended", "ts": APRIL - 60,
        "evtData": {"subscription": "sub_1", "plan": "gold", "reason": "cancellation_requested"},
    }  # fmt: skip
    assert found["ops.notice"][0]["text"] == (
        ':warning: *cus_1* cancelled Gold (19.99 EUR, cancellation_requested: "&lt;!channel&gt; bye")'
    )


@_of("stripe", "stripe")
@pytest.mark.parametrize(
    ("previous", "is_told"), [({"cancel_at": None, "cancel_at_period_end": False}, True), ({"items": {}}, False), (None, False)]
)
def test_stripe_scheduled_cancellation(recipe: Recipe, previous: Any, is_told: bool) -> None:
    """Only the update that set the end is the cancellation; later ones change something else."""
    found = recipe.takes(_stripe("customer.subscription.updated", {**SUBSCRIPTION, "cancel_at": APRIL + 60}, previous_attributes=previous))
    assert [row["evtName"] for row in found.get("clevertap.event", [])] == (["Subscription Cancel Scheduled"] if is_told else [])


@_of("stripe", "stripe")
def test_stripe_payment_failed(recipe: Recipe) -> None:
    """The channel hears of it in money and time that people read."""
    invoice = {
        "attempt_count": 1,
        "amount_due": 500,
        "currency": "jpy",
        "customer": "cus_1",
        "customer_email": None,
        "next_payment_attempt": APRIL,
    }
    text = recipe.takes(_stripe("invoice.payment_failed", invoice))["ops.notice"][0]["text"]
    assert text == ":credit_card: Payment 1 of 500 JPY failed for *cus_1*; next try 2026-04-14T03:50:12+00:00"


@_of("stripe", "stripe")
@pytest.mark.parametrize("change", [{"livemode": False}, {"type": "charge.captured"}, {"data": {"object": {"billing_reason": "manual"}}}])
def test_stripe_ignores_the_rest(recipe: Recipe, change: dict[str, Any]) -> None:
    """Test mode, other events and first payments go nowhere."""
    assert recipe.takes({**_stripe("invoice.paid", {"billing_reason": "subscription_cycle"}), **change}) == {}


def _chargebee(kind: str, **subscription: Any) -> dict[str, Any]:
    content = {
        "subscription": {"id": "sub_1", "customer_id": "u1", "currency_code": "EUR", **subscription},
        "customer": {"id": "u1", "email": "anna@example.com", "first_name": "Anna", "last_name": "<b>"},
        "invoice": {"total": 1999, "currency_code": "EUR"},
    }
    return {"id": "ev_1", "occurred_at": APRIL, "event_type": kind, "content": content}


@_of("chargebee", "chargebee")
@pytest.mark.parametrize(
    "plan",
    [
        {"plan_id": "gold"},
        {"subscription_items": [{"item_type": "addon", "item_price_id": "x"}, {"item_type": "plan", "item_price_id": "gold"}]},
    ],
)
def test_chargebee_renewal(recipe: Recipe, plan: dict[str, Any]) -> None:
    """Both of Chargebee's catalogs name the plan."""
    assert recipe.takes(_chargebee("subscription_renewed", current_term_end=APRIL + 60, **plan)) == {
        "clevertap.event": [
            {
                "type": "event", "identity": "u1", "evtName": "Subscription Renewed", "ts": APRIL,
                "evtData": {"subscription": "sub_1", "plan": "gold", "amount": 19.99, "currency": "EUR", "paid_until": f"$D_{APRIL + 60}"},
            }
        ]
    }  # fmt: skip


@_of("chargebee", "chargebee")
@pytest.mark.parametrize(("more", "ends"), [({}, 60), ({"cancelled_at": APRIL + 90}, 90)])
def test_chargebee_scheduled_cancellation(recipe: Recipe, more: dict[str, Any], ends: int) -> None:
    """It ends when it was scheduled for, which need not be the end of the term."""
    found = recipe.takes(_chargebee("subscription_cancellation_scheduled", current_term_end=APRIL + 60, **more))
    assert found["clevertap.event"][0]["evtData"] == {"subscription": "sub_1", "ends": f"$D_{APRIL + ends}"}


@_of("chargebee", "chargebee")
@pytest.mark.parametrize("kind", ["subscription_cancelled", "subscription_canceled_with_backdating"])
def test_chargebee_cancellation(recipe: Recipe, kind: str) -> None:
    """Under both spellings: an event, no more mail, and a notice."""
    found = recipe.takes(_chargebee(kind, cancelled_at=APRIL - 5, cancel_reason_code="Price", plan_id="gold"))
    assert found["clevertap.subscription"] == [{"type": "email", "value": "anna@example.com", "status": "Unsubscribe"}]
    assert found["clevertap.event"][0]["evtData"] == {"subscription": "sub_1", "reason": "Price"}
    assert found["ops.notice"][0]["text"] == ":warning: *Anna &lt;b&gt;* (u1) cancelled gold: Price"


RECURLY = {"id": "n1", "uuid": "sub_1", "object_type": "subscription", "event_type": "renewed", "event_time": "2026-04-14T03:50:12Z"}


@_of("recurly", "recurly")
def test_recurly_renewal(recipe: Recipe) -> None:
    """The fuller body names account, plan and amount in major units."""
    event = {**RECURLY, "account": {"code": "u1"}, "plan": {"code": "gold"}, "unit_amount": 19.99, "currency": "EUR"}
    assert recipe.takes(event) == {
        "clevertap.event": [
            {
                "type": "event", "identity": "u1", "evtName": "Subscription Renewed", "ts": APRIL,
                "evtData": {"subscription": "sub_1", "plan": "gold", "amount": 19.99, "currency": "EUR"},
            }
        ]
    }  # fmt: skip


@_of("recurly", "recurly")
@pytest.mark.parametrize("kind", ["canceled", "subscription.canceled"])
def test_recurly_thin_cancellation(recipe: Recipe, kind: str) -> None:
    """The thin body names nobody: no event for a person that is not there, but the channel hears of it."""
    found = recipe.takes({**RECURLY, "event_type": kind})
    assert list(found) == ["ops.notice"]
    assert "sub_1" in found["ops.notice"][0]["text"]


@_of("clevertap_webhooks", "clevertap")
def test_clevertap_broadcast(recipe: Recipe) -> None:
    """Each profile of the list is an event at Braze, whatever the case of its keys; who has no identity is left out."""
    profiles = [{"Identity": "u1"}, {"identity": "u2", "email": "x"}, {"email": "nobody@example.com"}]
    found = recipe.takes({"targetId": 1472124953, "key_values": {"event": "Won Back", "PromoCode": "MT50"}, "profiles": profiles})
    assert [row["external_id"] for row in found["braze_main.event"]] == ["u1", "u2"]
    assert found["braze_main.event"][0]["name"] == "Won Back"
    assert found["braze_main.event"][0]["properties"] == {"campaign_id": "1472124953", "promo_code": "MT50"}
    assert found["braze_main.event"][0]["time"].startswith("2026-04-14T03:50:12")
    assert len(found["ops.notice"]) == 2


@_of("clevertap_webhooks", "clevertap")
def test_clevertap_test_call(recipe: Recipe) -> None:
    """CleverTap saves the webhook when its test call is answered 200; nobody hears of it."""
    assert recipe.takes({"is_test": True, "targetId": 1, "profiles": [{"identity": "u1"}]}) == {}


def _klaviyo(topic: str, **properties: Any) -> dict[str, Any]:
    attributes = {"datetime": "2026-04-14T03:50:12+00:00", "event_properties": properties}
    person = {"type": "profile", "attributes": {"email": "anna@example.com", "external_id": "u1"}}
    payload = {"data": {"attributes": attributes}, "included": [{"type": "metric"}, person]}
    return {"topic": f"event:klaviyo.{topic}", "external_id": topic, "payload": payload}


@_of("klaviyo_webhooks", "klaviyo")
def test_klaviyo_delivery(recipe: Recipe) -> None:
    """One delivery with four topics: an unsubscribe, an event, a notice, and one that nobody wants."""
    events = [
        _klaviyo("unsubscribed_from_email_marketing"), _klaviyo("opened_email", **{"Campaign Name": "Spring", "Subject": "Hi"}),
        _klaviyo("marked_email_as_spam", **{"Campaign Name": "Spring"}), _klaviyo("submitted_review"),
    ]  # fmt: skip
    found = recipe.takes({"data": events, "meta": {"klaviyo_webhook_id": "wh_1"}})
    assert found["clevertap.subscription"] == [{"type": "email", "value": "anna@example.com", "status": "Unsubscribe"}]
    assert found["clevertap.event"] == [
        {
            "type": "event", "identity": "u1", "evtName": "Klaviyo Email Opened", "ts": APRIL,
            "evtData": {"campaign": "Spring", "subject": "Hi"},
        }
    ]  # fmt: skip
    assert found["ops.notice"][0]["text"] == ":no_entry: Somebody marked Spring as spam"


def _with_holes(node: Any, hole: Any) -> Iterator[Any]:
    """The document as often as it has parts, each time with another one missing, or something else in its place."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield {other: kept for other, kept in node.items() if other != name}
            yield from ({**node, name: holed} for holed in _with_holes(value, hole))
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from ([*node[:place], holed, *node[place + 1 :]] for holed in _with_holes(value, hole))
    yield hole


WHOLE: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("stripe", "stripe"): [
        _stripe("invoice.paid", {"billing_reason": "subscription_cycle", "customer": {"id": "cus_1"}, "amount_paid": 1, "currency": "eur",
                                 "lines": {"data": [{"period": {"end": APRIL}}]}, "parent": {"subscription_details": {"metadata": {}}}}),
        _stripe("customer.subscription.updated", {**SUBSCRIPTION, "cancel_at": APRIL}, previous_attributes={"cancel_at": None}),
        _stripe("customer.subscription.deleted", {**SUBSCRIPTION, "ended_at": APRIL}),
        _stripe("invoice.payment_failed", {"amount_due": 5, "currency": "eur", "attempt_count": 1, "next_payment_attempt": APRIL}),
    ],
    ("chargebee", "chargebee"): [
        _chargebee(kind, current_term_end=APRIL, cancelled_at=APRIL, subscription_items=[{"item_type": "plan", "item_price_id": "gold"}])
        for kind in ("subscription_renewed", "subscription_cancellation_scheduled", "subscription_cancelled")
    ],
    ("recurly", "recurly"): [
        {**RECURLY, "event_type": kind, "account": {"code": "u1"}, "plan": {"code": "gold"}, "unit_amount": 1, "total": 2}
        for kind in ("renewed", "canceled", "expired")
    ],
    ("clevertap_webhooks", "clevertap"): [
        {"targetId": 1, "key_values": {"PromoCode": "X", "event": "E", "sent_at": APRIL}, "profiles": [{"Identity": "u1"}]}
    ],
    ("klaviyo_webhooks", "klaviyo"): [
        {"data": [_klaviyo(topic, Subject="Hi")]} for topic in ("unsubscribed_from_email_marketing", "opened_email", "marked_email_as_spam")
    ],
}  # fmt: skip


@pytest.mark.parametrize("hole", [None, [], {}, "", 0, -1.5, False, "text", [1], {"id": "x"}], ids=str)
@pytest.mark.parametrize(("name", "hook"), WHOLE, ids=[name for name, _ in WHOLE])
def test_any_part_of_an_event_may_be_missing(tmp_path: Path, name: str, hook: str, hole: Any) -> None:
    """Or null, or something else: each row is one that the vendor's file takes or rejects, and none says `null`."""
    found = Recipe(name, hook, tmp_path)
    for event in WHOLE[name, hook]:
        for holed in _with_holes(event, hole):
            assert "null" not in str(found.makes_of(holed))
    found.close()
