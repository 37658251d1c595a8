"""Examples that the senders publish themselves, and the traps of each scheme."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from rowferry import webhooks
from rowferry.errors import SignatureError
from rowferry.webhooks.port import Call, Proof
from support import senders
from support.senders import SECRET, SENDERS

NOW = datetime(2026, 4, 14, 3, 50, 12, tzinfo=UTC)
BODY = b'{"id":"evt_1"}'


def _verify(scheme: str, headers: dict[str, str], body: bytes = BODY, now: datetime = NOW, secret: str = SECRET, **more: Any) -> None:
    call = Call("POST", "/hooks/any", headers, body)
    webhooks.find(scheme).verify(call, Proof(secrets=(secret.encode(),), **more), now)


def test_the_example_of_standard_webhooks() -> None:
    """The specification's own call verifies, under both families of header names."""
    signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    for sender in ("webhook", "svix"):
        headers = {f"{sender}-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", f"{sender}-timestamp": "1614265330", f"{sender}-signature": signature}
        _verify("standard", headers, b'{"test": 2432232314}', datetime.fromtimestamp(1614265330, UTC))


def test_the_example_of_github() -> None:
    """The call in GitHub's documentation verifies."""
    headers = {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    _verify("github", headers, b"Hello, World!", secret="It's a Secret to Everybody")


def test_the_example_of_slack() -> None:
    """The slash command in Slack's documentation verifies, byte for byte as it was sent."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
        b"803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    _verify("slack", headers, body, datetime.fromtimestamp(1531420618, UTC), "8f742231b10e8888abcd99yyyzzz85a5")


def test_stripe_takes_any_v1_and_no_v0() -> None:
    """Two signatures while a secret is rotated; the old test scheme v0 never counts."""
    header = senders.stripe(BODY, SECRET, NOW)["stripe-signature"]
    stamp, _, good = header.partition(",v1=")
    _verify("stripe", {"stripe-signature": f"{stamp},v1={'0' * 64},v1={good},v0=1"})
    with pytest.raises(SignatureError):
        _verify("stripe", {"stripe-signature": f"{stamp},v0={good}"})


def test_stripe_takes_one_time_stamp() -> None:
    """Of two stamps one could be signed and the other fresh."""
    old = senders.stripe(BODY, SECRET, NOW - timedelta(days=1))["stripe-signature"]
    for header in (f"t={int(NOW.timestamp())},{old}", f"{old},t={int(NOW.timestamp())}"):
        with pytest.raises(SignatureError):
            _verify("stripe", {"stripe-signature": header})


@pytest.mark.parametrize("stamp", ["", "abc", "-1", "+1", " 1776138612", "1_776_138_612", "1776138612.0", "1e9", "١٢٣", "9" * 16, "9" * 40])
def test_a_stamp_that_is_no_number_is_refused(stamp: str) -> None:
    """Signed or not, a time stamp that is not plain digits of a sensible time is a refusal, not a crash."""
    signed = senders._mac(SECRET, stamp.encode() + b"." + BODY)
    for scheme, header in (("stripe", f"t={stamp},v1={signed}"), ("recurly", f"{stamp},{signed}")):
        with pytest.raises(SignatureError):
            _verify(scheme, {"stripe-signature": header, "recurly-signature": header})


def test_recurly_stamps_in_seconds_and_milliseconds() -> None:
    """Its text says one and its sample shows the other."""
    for stamp in (str(int(NOW.timestamp())), str(int(NOW.timestamp() * 1000))):
        signed = senders._mac(SECRET, stamp.encode() + b"." + BODY)
        _verify("recurly", {"recurly-signature": f"{stamp},{'0' * 64},{signed}"})


@pytest.mark.parametrize(
    "stamp", ["Tue, 14 Apr 2026 03:50:12 GMT", "2026-04-14T03:50:12+00:00", "2026-04-14T03:50:12Z", "2026-04-14T03:50:12"]
)
def test_klaviyo_stamps_as_date_and_as_iso(stamp: str) -> None:
    """Accounts differ in how the time is written; the text as sent is what is signed."""
    headers = {"klaviyo-timestamp": stamp, "klaviyo-signature": senders._mac(SECRET, BODY + stamp.encode())}
    _verify("klaviyo", headers)
    with pytest.raises(SignatureError):
        _verify("klaviyo", headers, now=NOW + timedelta(hours=1))


def test_segment_signs_one_event_of_a_batch_only() -> None:
    """A batch of one is whole under its signature; of a batch of two the second could be anybody's."""
    one = orjson.dumps([{"messageId": "m1"}])
    _verify("segment", senders.segment(one, SECRET, NOW), one)
    two = orjson.dumps([{"messageId": "m1"}, {"messageId": "forged"}])
    with pytest.raises(SignatureError):
        _verify("segment", senders.segment(two, SECRET, NOW), two)


def test_standard_secret_that_is_not_base64_lets_nobody_in() -> None:
    """A Stripe secret in a Standard Webhooks hook is a refusal, not an error."""
    with pytest.raises(SignatureError):
        _verify("standard", senders.standard(BODY, SECRET, NOW), secret="whsec_!!")


def test_a_secret_that_is_not_base64_leaves_the_other_one_in_force() -> None:
    """While one is being replaced, a slip in the new one must not turn every call away."""
    call, wrong = Call("POST", "/", senders.standard(BODY, SECRET, NOW), BODY), Proof(secrets=(b"whsec_!!", b"whsec_", SECRET.encode()))
    webhooks.find("standard").verify(call, wrong, NOW)


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_hmac_as_the_settings_say(algorithm: str, encoding: str) -> None:
    """Algorithm, encoding, prefix and signed message are the sender's; upper-case hex is hex as well."""
    raw = hmac.new(SECRET.encode(), b"v2:" + BODY, getattr(hashlib, algorithm)).digest()
    sent = base64.b64encode(raw).decode() if encoding == "base64" else raw.hex().upper()
    more: dict[str, Any] = {"header": "x-sig", "prefix": "h=", "message": "v2:{body}", "algorithm": algorithm, "encoding": encoding}
    _verify("hmac", {"x-sig": f"h=old, h={sent}"}, **more)
    with pytest.raises(SignatureError):
        _verify("hmac", {"x-sig": sent}, **more)


def test_hmac_of_a_body_that_looks_like_a_template() -> None:
    """What stands in the body is signed as it is, and fills in nothing."""
    body = b"{timestamp}{body}"
    _verify("hmac", {"x-sig": senders._mac(SECRET, body)}, body, header="x-sig")


def test_a_token_in_the_query() -> None:
    """For senders that can't set a header; whatever else the query holds, the token has to be there."""
    scheme, proof = webhooks.find("token"), Proof(secrets=(b"s p",), parameter="key")
    scheme.verify(Call("POST", "/hooks/any?a=1&key=s%20p", {}, b""), proof, NOW)
    for query in ("", "?key=", "?key=no", "?kex=s%20p", "?[", "?key=%FF"):
        with pytest.raises(SignatureError):
            scheme.verify(Call("POST", f"/hooks/any{query}", {}, b""), proof, NOW)


def test_basic_needs_name_and_password() -> None:
    """The right password under another name is refused, as is the right pair under another kind."""
    true = senders.basic(BODY, SECRET, NOW)["authorization"]
    _verify("basic", {"authorization": true.replace("Basic", "basic")}, username=b"ferry")
    for header, name in ((true, b"other"), (true.replace("Basic", "Bearer"), b"ferry")):
        with pytest.raises(SignatureError):
            _verify("basic", {"authorization": header}, username=name)


@pytest.mark.parametrize(
    ("scheme", "headers", "body", "expected"),
    [
        ("stripe", {}, {"id": "evt_1"}, "evt_1"),
        ("stripe", {}, [], None),
        ("standard", {"svix-id": "msg_2"}, {}, "msg_2"),
        ("shopify", {"x-shopify-event-id": "e", "x-shopify-topic": "t"}, {}, "t e"),
        ("shopify", {"x-shopify-event-id": "e", "x-shopify-topic": "t"}, {"id": 7}, "t e 7"),
        ("shopify", {"x-shopify-event-id": "e"}, {"inventory_item_id": 1, "location_id": 2}, " e  1 2"),
        ("shopify", {"x-shopify-webhook-id": "w"}, {}, "w"),
        ("github", {"x-github-delivery": "d"}, {}, "d"),
        ("segment", {}, [{"messageId": "m"}], "m"),
        ("slack", {}, {"event_id": "Ev1"}, "Ev1"),
        ("slack", {}, {"trigger_id": "T1"}, "T1"),
        ("recurly", {"recurly-notification-id": "n"}, {}, "n"),
        (
            "recurly",
            {},
            {"object_type": "subscription", "id": "s1", "event_type": "renewed", "event_time": "t"},
            "subscription s1 renewed t",
        ),
        ("recurly", {}, {"id": "s1", "event_type": "renewed"}, None),
        ("basic", {}, {"id": "ev_1", "event_type": "x", "occurred_at": 1, "content": {}}, "ev_1"),
        ("token", {}, {"id": 5, "status": "paid"}, None),
        ("klaviyo", {}, {"data": [{"external_id": "a"}, {}]}, None),
    ],
)
def test_the_id_of_an_event(scheme: str, headers: dict[str, str], body: Any, expected: str | None) -> None:
    """What tells a repeat is the sender's own name for the event, never an `id` that may name an order."""
    assert webhooks.find(scheme).event_id(Call("POST", "/", headers, b""), body) == expected


def test_klaviyo_names_a_delivery_by_all_of_its_events() -> None:
    """The same events are the same delivery; one more makes another."""
    id_of = webhooks.find("klaviyo").event_id
    call = Call("POST", "/", {}, b"")
    one = id_of(call, {"data": [{"external_id": "a"}, {"external_id": "b"}], "meta": {"timestamp": "1"}})
    assert one == id_of(call, {"data": [{"external_id": "a"}, {"external_id": "b"}], "meta": {"timestamp": "2"}})
    assert one != id_of(call, {"data": [{"external_id": "a"}]})
    opened, clicked = ({"external_id": "a", "topic": topic, "payload": {"data": {"id": topic}}} for topic in ("opened", "clicked"))
    assert id_of(call, {"data": [opened]}) != id_of(call, {"data": [clicked]})


def test_every_sender_signs_what_it_sends() -> None:
    """The senders in these tests are not all the same: no call of one passes at another."""
    for scheme, sign in SENDERS.items():
        for other in SENDERS.keys() - {scheme}:
            headers = sign(BODY, SECRET, NOW)
            call = replace(senders.call(scheme, "any", BODY, NOW), headers=headers)
            with pytest.raises(SignatureError):
                proof = Proof(secrets=(SECRET.encode(),), username=b"ferry", header="x-sig" if other == "hmac" else "x-token")
                webhooks.find(other).verify(call, proof, NOW)
