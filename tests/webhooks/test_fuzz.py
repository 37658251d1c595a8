"""Whatever comes over the wire, the edge answers, and with a 5xx for its own store's trouble only."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry import webhooks
from rowferry.clock import ManualClock
from rowferry.delivery.outbox import Outbox
from rowferry.stores.folder import FolderStore
from rowferry.webhooks.hook import hooks_of
from rowferry.webhooks.port import Call
from rowferry.webhooks.relay import Relay
from support.senders import SECRET, SENDERS, webhook

CLOCK = ManualClock()
ROUTES: list[dict[str, Any]] = [
    {
        "when": "contains(type, 'a') || length(data) > `1`",
        "send": {"to": "braze", "action": "event", "map": {"time": "created", "name": "a.b", "x": "@"}},
    },
    {"send": {"to": "braze", "action": "profile", "map": {"x": "upper(type)", "y": "sum(data)"}, "each": "data"}},
    {"notify": {"to": "ops", "text": "{{ type }} {{ data[0].x + 1 }} {% for d in data %}{{ d|upper }}{% endfor %}"}},
    {"notify": {"to": "ops", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "{{ id|title }} {{ data|join(',') }}"}}]}},
]
SCHEMES = st.sampled_from(webhooks.schemes())
NAMES = st.sampled_from(
    ["id", "type", "data", "profiles", "external_id", "created", "messageId", "event_id", "challenge", "x", "a", "items"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["url_verification", "a"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner, max_size=5),
    max_leaves=20,
)
PATHS = st.sampled_from([f"/hooks/{scheme}" for scheme in webhooks.schemes()]) | st.text() | st.text().map(lambda text: f"/hooks/{text}")
HEADERS = st.sampled_from(
    ["content-type", "content-encoding", "authorization", "stripe-signature", "webhook-id", "webhook-timestamp", "webhook-signature",
     "svix-id", "x-sig", "x-sent", "klaviyo-signature", "klaviyo-timestamp", "recurly-signature", "x-slack-signature",
     "x-slack-request-timestamp"]
)  # fmt: skip
HEADER_TEXT = st.text() | st.from_regex(r"(t=|v1=|v1,|Basic |Bearer |[0-9]{1,14}|,|=|;)*", fullmatch=True)
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    store = FolderStore(tmp_path_factory.mktemp("state"))
    yield Relay(hooks_of({scheme: webhook(scheme, ROUTES) for scheme in webhooks.schemes()}), Outbox(store), store, CLOCK)
    store.close()


def _signed(scheme: str, body: bytes, kind: str = "application/json") -> Call:
    headers = (
        {"x-signature": hmac.new(SECRET.encode(), body, "sha1").hexdigest()}
        if scheme == "segment"
        else SENDERS[scheme](body, SECRET, CLOCK.now())
    )
    return Call("POST", f"/hooks/{scheme}", {"content-type": kind, **headers}, body)


@FUZZ
@given(
    method=st.sampled_from(["POST", "GET", "PUT", ""]) | st.text(),
    path=PATHS,
    headers=st.dictionaries(HEADERS | st.text(), HEADER_TEXT),
    body=st.binary(max_size=200),
)
def test_strangers_are_refused(relay: Relay, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    """No call without a secret is more than refused."""
    assert relay.answer(Call(method, path, headers, body)).status in (401, 404, 405, 415)


@FUZZ
@given(
    scheme=SCHEMES,
    body=st.binary(max_size=300),
    kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded", "", "text/plain"]),
)
def test_a_known_sender_may_send_any_bytes(relay: Relay, scheme: str, body: bytes, kind: str) -> None:
    """Signed nonsense is malformed, or something that can be stored."""
    assert relay.answer(_signed(scheme, body, kind)).status in (200, 400)


@FUZZ
@given(scheme=SCHEMES, document=VALUES)
def test_a_known_sender_may_send_any_document(relay: Relay, scheme: str, document: Any) -> None:
    """Any JSON at all goes through routes, templates and the outbox without an error of ours."""
    assert relay.answer(_signed(scheme, json.dumps(document).encode())).status in (200, 400)
