"""From the wire into the outbox: refused with the right code, or stored and then answered, once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.chunk import OUTBOX, Chunk
from rowferry.delivery.outbox import Outbox
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Store
from rowferry.webhooks.hook import hooks_of
from rowferry.webhooks.port import Answer, Call
from rowferry.webhooks.relay import Relay
from support.killing import DownStore, Killed, MortalStore
from support.relayed import relayed
from support.senders import call, webhook

CLOCK = ManualClock()
NOW = CLOCK.now()
SEND: dict[str, Any] = {"to": "braze", "action": "event", "map": {"external_id": "user", "name": "type"}}
NOTIFY: dict[str, Any] = {"to": "ops", "text": "{{ type }} of {{ user }}"}
EVENT = {"id": "evt_1", "type": "cancelled", "user": "u1"}
FAN_OUT = [{"send": SEND}, {"notify": NOTIFY}, {"send": {**SEND, "to": "amplitude"}}]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderStore]:
    found = FolderStore(tmp_path / "state")
    yield found
    found.close()


def _relay(
    store: Store, routes: list[dict[str, Any]] | None = None, scheme: str = "stripe", clock: ManualClock = CLOCK, **more: Any
) -> Relay:
    hooks = hooks_of({"shop": webhook(scheme, routes or [{"send": SEND}], **more)})
    return Relay(hooks, Outbox(store), store, clock)


def _call(event: Any = EVENT, scheme: str = "stripe", **headers: str) -> Call:
    return call(scheme, "shop", event, NOW, **headers)


def test_a_call_is_stored_and_then_answered(store: FolderStore) -> None:
    """A 200 means that the rows stand in the outbox."""
    assert _relay(store).answer(_call()).status == 200
    assert relayed(store) == [("braze", "event", [{"external_id": "u1", "name": "cancelled"}])]


def test_a_repeat_is_200_without_a_second_effect(store: FolderStore) -> None:
    """Senders repeat what was answered late; three days later it is still the same event."""
    relay = _relay(store, FAN_OUT)
    assert relay.answer(_call()).body == b'{"status":"accepted"}'
    before = relayed(store)
    assert relay.answer(_call({**EVENT, "attempt": 2})) == Answer(200, b'{"status":"repeated"}', {"content-type": "application/json"})
    assert relayed(store) == before


def test_two_events_are_two(store: FolderStore) -> None:
    """What differs in its id alone is relayed twice."""
    relay = _relay(store)
    for number in range(2):
        relay.answer(_call({**EVENT, "id": f"evt_{number}"}))
    assert len(relayed(store)) == 2


def test_an_event_about_many_things_is_many(store: FolderStore) -> None:
    """What a merchant does to many products at once: each of them is relayed, and each once."""
    relay = _relay(store, scheme="shopify")
    for number in (1, 2, 1):
        relay.answer(_call({**EVENT, "id": number}, "shopify"))
    assert len(relayed(store)) == 2


def test_the_same_id_at_two_hooks_is_two(store: FolderStore) -> None:
    """Ids are the sender's own; another sender may use the same."""
    hooks = hooks_of({name: webhook("stripe", [{"send": SEND}]) for name in ("one", "two")})
    relay = Relay(hooks, Outbox(store), store, CLOCK)
    for name in hooks:
        assert relay.answer(call("stripe", name, EVENT, NOW)).body == b'{"status":"accepted"}'
    assert len(relayed(store)) == 2


def test_an_id_without_end(store: FolderStore) -> None:
    """It tells events apart by all of its characters, and stands beside each of a thousand rows by some."""
    relay = _relay(store, [{"send": {**SEND, "each": "users"}}])
    event = {**EVENT, "users": [{"user": f"u{number}"} for number in range(1000)]}
    said = [relay.answer(_call({**event, "id": "i" * 500_000 + end})).body for end in "aba"]
    assert said == [b'{"status":"accepted"}', b'{"status":"accepted"}', b'{"status":"repeated"}']
    for found in store.list(OUTBOX):
        with Chunk(store, found.key) as chunk:
            assert max(len(row.key or "") for row in chunk.rows()) < 200


@pytest.mark.parametrize(
    ("scheme", "header", "verify"),
    [("shopify", "x-shopify-topic", {}), ("github", "x-github-event", {}), ("token", "x-kind", {"topic_header": "X-Kind"})],
)
def test_what_happened_stands_in_a_header(store: FolderStore, scheme: str, header: str, verify: dict[str, Any]) -> None:
    """Shopify and GitHub send the order, or the commit, and name the event beside it: a route is for some of these."""
    paid: dict[str, Any] = {"topic": ["orders/paid", "orders/edited"], "send": SEND}
    routes = [paid, {"topic": "orders/cancelled", "notify": NOTIFY}, {"notify": NOTIFY}]
    relay = _relay(store, routes, scheme, verify=verify)
    for number, topic in enumerate(("orders/paid", "orders/cancelled", "orders/PAID", "")):
        names = {"x-shopify-event-id": str(number), "x-github-delivery": str(number), header: topic}
        assert relay.answer(_call({**EVENT, "id": number}, scheme, **names)).status == 200
    assert sorted((to, len(rows)) for to, _, rows in relayed(store)) == [("braze", 1), ("ops", 1), ("ops", 1), ("ops", 1), ("ops", 2)]


def test_an_event_that_no_route_wants_is_200_and_leaves_nothing(store: FolderStore) -> None:
    """The sender stops sending it, and nothing piles up."""
    relay = _relay(store, [{"when": "type == 'renewed'", "send": SEND}])
    assert relay.answer(_call()).status == 200
    assert list(store.list()) == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(3))
def test_killed_between_two_writes_the_repeat_completes(store: FolderStore, at: int, after: bool) -> None:
    """One event for three destinations is three objects: wherever we are killed, the sender has no 200,
    asks again, and then each of the three is there once."""
    with pytest.raises(Killed):
        _relay(MortalStore(store, at, after=after), FAN_OUT).answer(_call())
    assert _relay(store, FAN_OUT).answer(_call()).status == 200
    assert sorted(destination for destination, _, _ in relayed(store)) == ["amplitude", "braze", "ops"]
    assert all(len(rows) == 1 for _, _, rows in relayed(store))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(2))
def test_killed_without_an_id_the_repeat_completes(store: FolderStore, at: int, after: bool) -> None:
    """The memory of a call without id is written before its rows and names them."""
    with pytest.raises(Killed):
        _relay(MortalStore(store, at, after=after), scheme="token").answer(_call(scheme="token"))
    assert _relay(store, scheme="token").answer(_call(scheme="token")).status == 200
    assert len(relayed(store)) == 1


def test_without_an_id_the_same_bytes_are_a_repeat_for_ten_minutes(store: FolderStore) -> None:
    """CleverTap asks again within seconds; a campaign that says the same tomorrow is another one."""
    clock = ManualClock(NOW)
    relay = _relay(store, scheme="basic", clock=clock)
    said = []
    for minutes in (0, 9, 2, 9, 60 * 24):
        clock.sleep(minutes * 60)
        said.append(orjson.loads(relay.answer(_call(scheme="basic")).body)["status"])
    assert said == ["accepted", "repeated", "accepted", "repeated", "accepted"]
    assert len(relayed(store)) == 3


def test_a_store_out_of_reach_is_503_and_the_next_try_works(store: FolderStore) -> None:
    """We can't keep it, so we don't say so; the sender comes back."""
    down = DownStore(store)
    relay = _relay(down)
    refused = relay.answer(_call())
    assert (refused.status, refused.headers["retry-after"]) == (503, "30")
    down.is_down = False
    assert relay.answer(_call()).status == 200
    assert len(relayed(store)) == 1


def test_unknown_hooks_look_like_any_unknown_page(store: FolderStore) -> None:
    """Whatever the method, body or path: nothing is told but that there is nothing."""
    relay = _relay(store)
    expected = relay.answer(Call("GET", "/", {}, b""))
    assert expected.status == 404
    for path in (
        "/hooks/nosuch",
        "/hooks/",
        "/hooks",
        "/hooks/shop/x",
        "/hooks/../hooks/shop",
        "/hooks/SHOP",
        "/hooks/sh%6fp",
        "//hooks/shop",
    ):
        for method in ("POST", "GET", "DELETE"):
            assert relay.answer(replace(_call(), path=path, method=method)) == expected


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "post", ""])
def test_other_methods_are_405(store: FolderStore, method: str) -> None:
    """Only POST brings events, even with a good signature."""
    answer = _relay(store).answer(replace(_call(), method=method))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_a_large_body_is_413_before_it_is_looked_at(store: FolderStore) -> None:
    """One byte more than allowed is too much; that many are taken, and the limit is the hook's."""
    relay = _relay(store)
    assert relay.answer(_call({**EVENT, "x": "y" * 1_000_000})).status == 413
    small = len(orjson.dumps(EVENT))
    assert _relay(store, max_body_bytes=small).answer(_call()).status == 200
    assert _relay(store, max_body_bytes=small - 1).answer(_call()).status == 413


def test_other_types_are_415(store: FolderStore) -> None:
    """What is not JSON or a form is told apart before the signature is computed."""
    assert _relay(store).answer(_call(**{"content-type": "application/xml"})).status == 415


@pytest.mark.parametrize("event", [b"{", b'{"id":"a","id":"b"}', b'{"id":NaN}', b"[" * 5000, '{"id":"é"}'.encode("latin-1"), b"5"])
def test_a_verified_body_that_is_not_sane_is_400(store: FolderStore, event: bytes) -> None:
    """A good signature does not make a bad document good; nothing of it is stored."""
    assert _relay(store).answer(_call(event)).status == 400
    assert list(store.list()) == []


@pytest.mark.parametrize(("levels", "status"), [(230, 200), (231, 400), (260, 400)])
def test_a_deep_body_that_a_route_puts_deeper(store: FolderStore, levels: int, status: int) -> None:
    """What is let in can be written down, whatever a route wraps it in."""
    relay = _relay(store, [{"send": {**SEND, "map": {"external_id": "id", "name": "'n'", "all": "{a: {b: {c: [{d: [[@]]}]}}}"}}}])
    body = b'{"id": ' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"
    assert relay.answer(_call(body)).status == status


@pytest.mark.parametrize("event", [b"{", b'{"id":"a","id":"b"}', b"[" * 5000])
def test_an_unverified_body_is_401_whatever_it_holds(store: FolderStore, event: bytes) -> None:
    """Nobody learns from us how we parse before we know who asks."""
    assert _relay(store).answer(replace(_call(), body=event)).status == 401


def test_a_refusal_gives_no_reason(store: FolderStore) -> None:
    """Forged, stale, unsigned: one and the same answer."""
    relay, true = _relay(store), _call()
    unsigned = {name: value for name, value in true.headers.items() if name != "stripe-signature"}
    forged = [
        replace(true, body=b"{}"), replace(true, headers=unsigned), call("stripe", "shop", EVENT, NOW - timedelta(hours=1)),
        call("stripe", "shop", EVENT, NOW + timedelta(hours=1)), call("stripe", "shop", EVENT, NOW, secret="other"),
    ]  # fmt: skip
    assert {(relay.answer(found).status, relay.answer(found).body) for found in forged} == {(401, b'{"status":"unauthorized"}')}
    assert list(store.list()) == []


def test_basic_says_what_to_send(store: FolderStore) -> None:
    """Clients that wait to be asked for credentials are asked."""
    answer = _relay(store, scheme="basic").answer(replace(_call(scheme="basic"), headers={"content-type": "application/json"}))
    assert (answer.status, answer.headers["www-authenticate"][:5]) == (401, "Basic")


def test_more_than_the_rate_is_429_until_time_has_passed(store: FolderStore) -> None:
    """The sender is told when to come back; a forger uses up nobody's turns."""
    clock = ManualClock(NOW)
    relay = _relay(store, per_second=2, clock=clock)
    forged = call("stripe", "shop", EVENT, NOW, secret="other")
    assert {relay.answer(forged).status for _ in range(10)} == {401}
    found = [relay.answer(_call({**EVENT, "id": f"evt_{number}"})) for number in range(4)]
    assert [answer.status for answer in found] == [200, 200, 429, 429]
    assert found[-1].headers["retry-after"] == "1"
    clock.sleep(1)
    assert relay.answer(_call({**EVENT, "id": "evt_9"})).status == 200


def test_slack_gets_its_challenge_and_no_chatter(store: FolderStore) -> None:
    """The handshake wants the challenge back; what answers a command is shown to whoever typed it."""
    relay = _relay(store, scheme="slack")
    answer = relay.answer(_call({"type": "url_verification", "challenge": "3eZbrw1a"}, "slack"))
    assert (answer.status, answer.body) == (200, b"3eZbrw1a")
    assert relay.answer(_call({"type": "event_callback", "event_id": "Ev1", "user": "u"}, "slack")) == Answer(200)
    assert len(relayed(store)) == 1


def test_rows_carry_the_field_that_makes_repeats_harmless(store: FolderStore) -> None:
    """Delivery fills it from the event's id, so that even a row sent twice counts once at the vendor."""
    hooks = hooks_of({"shop": webhook("stripe", FAN_OUT)})
    names = {("braze", "event"): None, ("amplitude", "event"): "insert_id", ("ops", "notice"): None}
    Relay(hooks, Outbox(store), store, CLOCK, idempotency=lambda *where: names[where]).answer(_call())
    with Chunk(store, next(store.list(f"{OUTBOX}amplitude/")).key) as chunk:
        assert (chunk.plan.idempotency, chunk.plan.sync) == ("insert_id", "webhook.shop")


def test_a_repeat_while_the_first_is_under_way_counts_once(store: FolderStore) -> None:
    """Senders with a short patience send twice at the same time."""
    relay = _relay(store, FAN_OUT)
    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(lambda _: relay.answer(_call()).status, range(32)))
    assert statuses == [200] * 32
    assert len(relayed(store)) == 3


def test_a_burst_is_stored_whole(store: FolderStore) -> None:
    """However slow the destination, each of two thousand events stands in the outbox once."""
    relay = _relay(store, [{"notify": NOTIFY}])
    calls = [_call({**EVENT, "id": f"evt_{number}", "user": number}) for number in range(2000)]
    with ThreadPoolExecutor(8) as threads:
        assert {answer.status for answer in threads.map(relay.answer, calls + calls[:500])} == {200}
    assert {rows[0]["text"] for _, _, rows in relayed(store)} == {f"cancelled of {number}" for number in range(2000)}


def test_the_log_says_why_a_call_was_refused(store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
    """The sender is not told; whoever sets the webhook up reads it in our log, without a value of the call."""
    relay = _relay(store, per_second=1, max_body_bytes=100)
    stale, forged = call("stripe", "shop", EVENT, NOW - timedelta(hours=1)), replace(_call(), body=b"{}")
    unsigned, large = replace(_call(), headers={"content-type": "application/json"}), _call({**EVENT, "x": "y" * 100})
    for found in (_call(), _call(), stale, forged, unsigned, large, replace(_call(), method="GET"), _call(**{"content-type": "a/b"})):
        relay.answer(found)
    assert [record.getMessage().partition(" with ")[2] for record in caplog.records] == [
        "429: more came than per_second",
        "401: the call is too old, or from the future",
        "401: the signature does not match",
        "401: a header that the scheme needs is missing",
        "413: its body has more than max_body_bytes (100)",
        "405: it is no POST",
        "415: its body is not said to be JSON or a form, in UTF-8 and not packed",
    ]


def test_nothing_of_a_call_is_logged_but_its_id(store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
    """Logs are read by many; bodies, signatures and addresses are not for them, and an id can't forge a line."""
    caplog.set_level(logging.DEBUG, logger="rowferry")
    relay = _relay(store)
    event = {"id": "evt_1\nINFO forged", "user": "anna@example.com", "type": "geheim"}
    for found in (_call(event), replace(_call(event), body=b"anna@example.com"), _call(b'{"a":"anna@example.com","a":1}')):
        relay.answer(found)
    assert "evt_1" in caplog.text
    signature = _call(event).headers["stripe-signature"]
    assert not any(value in caplog.text for value in ("anna", "geheim", signature, "\nINFO forged"))
