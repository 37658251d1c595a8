"""From a verified event to rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rowferry.errors import SettingsError
from rowferry.webhooks.hook import hook_of, hooks_of
from rowferry.webhooks.port import Call
from rowferry.webhooks.routes import MAX_NOTICES, Rows
from support.senders import webhook

NOW = datetime(2026, 4, 14, 3, 50, 12, tzinfo=UTC)


def _rows(routes: list[dict[str, Any]], body: Any, scheme: str = "token") -> list[Rows]:
    return hook_of("any", webhook(scheme, routes)).rows(body, NOW)


def _send(fields: dict[str, str], to: str = "braze", action: str = "event", **more: str) -> dict[str, Any]:
    return {"send": {"to": to, "action": action, "map": fields, **more}}


def test_a_route_without_when_takes_everything() -> None:
    """`when` is a filter, not a need."""
    assert _rows([_send({"external_id": "user"})], {"user": "u1"}) == [Rows("braze", "event", ({"external_id": "u1"},))]


def test_only_routes_whose_when_holds_are_followed() -> None:
    """Each route decides for itself; where none holds, there is nothing to store."""
    routes = [{"when": "type == 'a'", **_send({"x": "n"})}, {"when": "type == 'b'", **_send({"y": "n"})}]
    assert _rows(routes, {"type": "b", "n": 1}) == [Rows("braze", "event", ({"y": 1},))]
    assert _rows(routes, {"type": "c", "n": 1}) == []


def test_rows_for_one_action_go_together() -> None:
    """Two routes to one destination and action are one object in the outbox, in the routes' order."""
    routes = [_send({"x": "'1'"}), _send({"x": "'2'"}, to="amplitude"), _send({"x": "'3'"}), _send({"x": "'4'"}, action="profile")]
    assert _rows(routes, {}) == [
        Rows("braze", "event", ({"x": "1"}, {"x": "3"})),
        Rows("amplitude", "event", ({"x": "2"},)),
        Rows("braze", "profile", ({"x": "4"},)),
    ]


def test_what_is_null_is_left_out() -> None:
    """A field that the sender did not fill in must not unset what the vendor knows."""
    assert _rows([_send({"a": "a", "b": "b", "c": "c.d.e"})], {"a": None, "b": False}) == [Rows("braze", "event", ({"b": False},))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1763712000, "2025-11-21T08:00:00+00:00"),
        (1763712000123, "2025-11-21T08:00:00.123000+00:00"),
        ("1763712000", "2025-11-21T08:00:00+00:00"),
        ("1763712000123", "2025-11-21T08:00:00.123000+00:00"),
        ("1763712000.5", "2025-11-21T08:00:00.500000+00:00"),
        ("20260101", "20260101"),
        ("", "2026-04-14T03:50:12+00:00"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        (None, "2026-04-14T03:50:12+00:00"),
        ("yesterday", "yesterday"),
        (True, True),
    ],
)
def test_the_time_of_an_event(value: Any, expected: Any) -> None:
    """Every vendor gets a time it understands; what is no time is left for the destination to reject."""
    assert _rows([_send({"time": "at"})], {"at": value}) == [Rows("braze", "event", ({"time": expected},))]


def test_each_makes_a_row_of_each_part() -> None:
    """A list is many rows, an object one, nothing none; a part is read before what is around it."""
    route = _send({"id": "sku", "order": "order", "name": "name"}, each="items")
    body = {"order": 7, "name": "outer", "items": [{"sku": "a"}, {"sku": "b", "name": "inner"}]}
    assert _rows([route], body)[0].rows == ({"id": "a", "order": 7, "name": "outer"}, {"id": "b", "order": 7, "name": "inner"})
    assert _rows([route], {**body, "items": {"sku": "c"}})[0].rows == ({"id": "c", "order": 7, "name": "outer"},)
    assert _rows([route], {**body, "items": None}) == []
    assert _rows([_send({"id": "@"}, each="tags")], {"tags": ["x", "y"]})[0].rows == ({"id": "x"}, {"id": "y"})
    assert _rows([_send({"id": "sku"}, each="@")], [{"sku": "x"}])[0].rows == ({"id": "x"},)


@pytest.mark.parametrize("profiles", [[{"Identity": "u1", "Email": "a@b.c"}], {"identity": "u1", "email": "a@b.c"}])
def test_a_clevertap_campaign_is_a_row_for_each_profile(profiles: Any) -> None:
    """Array or object, upper case or lower: the profile's fields are read by one name."""
    body = {"targetId": 1472124953, "key_values": {"event": "Won back"}, "profiles": profiles}
    fields = {"external_id": "identity", "mail": "profiles.email", "name": "key_values.event", "campaign": "targetId"}
    expected = {"external_id": "u1", "mail": "a@b.c", "name": "Won back", "campaign": 1472124953}
    assert _rows([_send(fields)], body)[0].rows == (expected,)


def test_a_clevertap_broadcast_is_many_rows() -> None:
    """Five profiles are five rows, by themselves and with `each`, and an odd body is one event as it is."""
    body = {"profiles": [{"identity": f"u{n}"} for n in range(5)]}
    assert [row["id"] for row in _rows([_send({"id": "identity"})], body)[0].rows] == ["u0", "u1", "u2", "u3", "u4"]
    assert len(_rows([_send({"id": "identity"}, each="profiles")], body)[0].rows) == 5
    assert _rows([_send({"id": "profiles[1]"})], {"profiles": [1, 2]})[0].rows == ({"id": 2},)
    assert _rows([_send({"id": "identity"})], {"profiles": []}) == []


def test_klaviyo_events_are_routed_one_by_one() -> None:
    """One delivery holds events of many topics; each finds its own route, and knows the delivery's `meta`."""
    body = {
        "data": [
            {"topic": "a", "payload": {"email": "1"}},
            {"topic": "b", "payload": {"email": "2"}},
            {"topic": "a", "payload": {"email": "3"}},
        ],
        "meta": {"klaviyo_account_id": "acc"},
    }
    route = {"when": "topic == 'a'", **_send({"email": "payload.email", "account": "meta.klaviyo_account_id", "topic": "data.topic"})}
    expected = ({"email": "1", "account": "acc", "topic": "a"}, {"email": "3", "account": "acc", "topic": "a"})
    assert _rows([route], body, "klaviyo")[0].rows == expected


def test_a_notice_is_filled_in_and_escaped() -> None:
    """What the sender's customers typed can't ring a channel."""
    route = {"notify": {"to": "ops", "text": ":warning: {{ data.object.customer }} cancelled"}}
    assert _rows([route], {"data": {"object": {"customer": "<!channel> & Co"}}}) == [
        Rows("ops", "notice", ({"text": ":warning: &lt;!channel&gt; &amp; Co cancelled"},))
    ]


def test_a_notice_that_can_not_be_filled_in_still_tells() -> None:
    """The event was verified and counted on: a gap or a mistake in the template must not lose it."""
    row = _rows([{"notify": {"to": "ops", "text": "{{ a + 1 }}"}}], {"a": "text"})[0].rows[0]
    assert row["text"] == "webhook any: something came in, but the template can't be filled in: TypeError"


def test_many_events_make_a_bounded_number_of_notices() -> None:
    """A broadcast of a thousand people is not a thousand messages."""
    body = {"profiles": [{"identity": f"u{n}"} for n in range(1000)]}
    rows = _rows([{"notify": {"to": "ops", "text": "{{ identity }}"}}], body)[0].rows
    assert len(rows) == MAX_NOTICES + 1
    assert rows[-1]["text"] == "… and 980 more events of webhook any in the same delivery"


def test_a_body_that_is_a_list_can_be_told_of() -> None:
    """Templates name fields; a list has none and is `body`."""
    assert _rows([{"notify": {"to": "ops", "text": "{{ body|length }}"}}], [1, 2, 3])[0].rows == ({"text": "3"},)


def test_an_empty_secret_is_a_mistake_in_the_settings() -> None:
    """Whoever finds a hook without a secret could sign for it: nothing starts."""
    hooks = {"good": webhook("stripe", [_send({"x": "y"})]), "blank": webhook("basic", [_send({"x": "y"})], {"one": "\n"})}
    with pytest.raises(SettingsError) as error:
        hooks_of(hooks)
    assert [problem.path for problem in error.value.problems] == ["webhooks.blank.verify"]


def test_a_line_end_is_not_part_of_a_secret() -> None:
    """Secrets stored with `echo` have one."""
    assert hook_of("any", webhook("github", [_send({"x": "y"})], {"one": "abc\n"})).proof.secrets == (b"abc",)


@pytest.mark.parametrize(
    "route",
    [
        {"when": "a[", **_send({"x": "y"})},
        _send({"x": "y y"}),
        _send({"x": "y"}, each="]["),
        {"notify": {"to": "ops", "text": "{{ open"}},
        {"notify": {"to": "ops", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "{{ x() }}"}}]}},
    ],
)
def test_a_wrong_expression_is_a_value_error(route: dict[str, Any]) -> None:
    """A hook is compiled whole before it takes its first call."""
    with pytest.raises(ValueError, match=r"JMESPath|template"):
        hook_of("any", webhook("stripe", [route]))


def test_the_id_as_the_settings_say() -> None:
    """A header or a place in the body names the event, for senders that we don't know."""
    call = Call("POST", "/hooks/any", {"x-id": "h1"}, b"")
    by_header = hook_of("any", webhook("token", [_send({"x": "y"})], verify={"id_header": "X-Id"}))
    by_path = hook_of("any", webhook("token", [_send({"x": "y"})], verify={"id_path": "event.id"}))
    assert by_header.event_id(call, {}) == "h1"
    assert by_path.event_id(call, {"event": {"id": 12}}) == "12"
    assert by_path.event_id(call, {"event": {"id": {}}}) is None
