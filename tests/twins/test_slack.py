"""Slack's twin: one-word errors, one message a second, and what it cuts."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.twins.server import Call
from rowferry.twins.slack import SlackTwin
from rowferry.wire import Response

PATH = "/services/T0/B0/secret"


def post(twin: SlackTwin, body: Any, path: str = PATH, content_type: str = "application/json") -> Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return twin.answer(Call("POST", path, {"content-type": content_type}, content))


def test_a_message_is_posted() -> None:
    """The answer is `ok` in plain text, without an id."""
    twin = SlackTwin()
    answer = post(twin, {"text": "hello"})
    assert (answer.status, answer.body) == (200, b"ok")
    assert twin.messages == [{"text": "hello"}]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", b"invalid_payload"),
        ([], b"invalid_payload"),
        ({}, b"no_text"),
        ({"text": " "}, b"no_text"),
        ({"text": "t", "blocks": [{"type": "divider"}] * 51}, b"invalid_blocks"),
        ({"text": "t", "blocks": [{"type": "marquee"}]}, b"invalid_blocks"),
        ({"text": "t", "blocks": [{"type": "section"}]}, b"invalid_blocks"),
        ({"text": "t", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]}, b"invalid_blocks"),
        ({"text": "t", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]}, b"invalid_blocks"),
        ({"text": "t", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, b"invalid_blocks"),
        ({"text": "t", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}]}, b"invalid_blocks"),
        ({"text": "t", "blocks": "no"}, b"invalid_blocks"),
        ({"text": "t", "blocks": [{"type": "divider", "block_id": "a"}] * 2}, b"invalid_blocks"),
        ({"text": "t", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2_700}}] * 5}, b"msg_blocks_too_long"),
    ],
)
def test_a_message_that_slack_refuses(body: Any, word: bytes) -> None:
    """400 with one word; nothing is posted."""
    twin = SlackTwin()
    answer = post(twin, body)
    assert (answer.status, answer.body) == (400, word)
    assert twin.messages == []


def test_only_its_own_address_answers() -> None:
    """A wrong path is no_service, as for a webhook that was removed."""
    twin = SlackTwin(hook_path=PATH)
    assert post(twin, {"text": "x"}).status == 200
    assert post(twin, {"text": "x"}, path="/services/T0/B0/other").body == b"no_service"
    assert twin.answer(Call("GET", PATH, {}, b"")).status == 404


def test_a_closed_channel_says_so() -> None:
    """With the word and the status that are set."""
    assert post(SlackTwin(closed="channel_is_archived", closed_status=410), {"text": "x"}) == Response(
        410, b"channel_is_archived", {"content-type": "text/plain; charset=utf-8"}
    )


def test_more_than_its_rate_is_429() -> None:
    """One a second, by a clock that a test turns."""
    clock = ManualClock()
    twin = SlackTwin(per_second=1, clock=clock)
    assert [post(twin, {"text": "x"}).status for _ in range(2)] == [200, 429]
    assert post(twin, {"text": "x"}).headers["retry-after"] == "1"
    clock.sleep(1)
    assert post(twin, {"text": "x"}).status == 200


def test_what_slack_cuts_or_hides_is_told() -> None:
    """Text over 40,000 characters, and blocks without a text."""
    twin = SlackTwin()
    post(twin, {"text": "x" * 40_001})
    post(twin, {"blocks": [{"type": "divider"}]})
    assert len(twin.messages[0]["text"]) == 40_000
    assert len(twin.violations) == 2


def test_mentions_are_counted() -> None:
    """Those that ring, not those that were escaped."""
    twin = SlackTwin()
    for text in ("<!channel> now", "<@U123>", "<!subteam^S1>", "&lt;!channel&gt;", "@channel"):
        post(twin, {"text": text})
    assert twin.mentions == 3
