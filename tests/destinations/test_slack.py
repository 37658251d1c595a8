"""Slack: what a message may be, and what each of its one-word answers means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from pydantic import ValidationError

from rowferry.destinations.port import DELIVERED, Answer, Fields, Follow, Refused, Rejected, Settled, SlowDown, Split, TryAgain
from rowferry.destinations.slack import DESTINATION, SlackSettings
from rowferry.errors import RowRejected, UsageError
from rowferry.settings.base import Secret
from rowferry.twins.server import Fault
from rowferry.twins.slack import SlackTwin
from rowferry.wire import Response
from support.sender import Stopped, TinySender
from support.vendors import slack as examples

NOTICE = DESTINATION.actions["notice"]
HOOK = "https://hooks.slack.com/services/T000/B000/planted"
SETTINGS = SlackSettings(vendor="slack", webhook_url=Secret("secret:slack-ops", HOOK))
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*three* rows"}}


def payload(fields: Fields) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(NOTICE.to_payload(fields, SETTINGS))
    return found


def read(status: int, body: bytes, headers: dict[str, str] | None = None, note: str = "") -> Answer:
    return NOTICE.read(Response(status, body, headers or {}), [b'{"text":"t","blocks":[{}]}'], SETTINGS, note)


@pytest.fixture
def twin() -> Iterator[SlackTwin]:
    with SlackTwin() as twin:
        yield twin


@pytest.fixture
def sender(twin: SlackTwin) -> Iterator[TinySender]:
    with httpx.Client(timeout=300) as client:
        yield TinySender(NOTICE, examples.settings(twin.url), client)


# ── Settings ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    [HOOK, "http://127.0.0.1:8099/services/T0/B0/x", "http://localhost:8099/services/T0/B0/x", "https://chat.example.com/hooks/abc"],
)
def test_a_webhook_is_https_or_on_loopback(address: str) -> None:
    """Compatible servers are welcome, and a twin on this machine."""
    settings = SlackSettings(vendor="slack", webhook_url=Secret("env:HOOK"))
    assert settings.resolved(lambda _reference: address).webhook_url.reveal() == address


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.slack.com/services/T/B/planted",
        "hooks.slack.com/services/T/B/planted",
        "https://user:planted@hooks.slack.com/services/T/B/x",
        "https://hooks.slack.com/triggers/T/1/planted",
        "https://hooks.slack.com/workflows/T/1/planted",
        "planted",
        "",
    ],
)
def test_an_address_that_is_no_webhook_is_refused_without_being_shown(address: str) -> None:
    """The address is a key: the error says what is wrong, and never repeats it."""
    settings = SlackSettings(vendor="slack", webhook_url=Secret("env:HOOK"))
    with pytest.raises(UsageError, match="env:HOOK") as caught:
        settings.resolved(lambda _reference: address)
    assert "planted" not in str(caught.value)


def test_the_address_does_not_belong_into_the_file() -> None:
    """Only a reference is taken."""
    with pytest.raises(ValidationError) as caught:
        SlackSettings.model_validate({"vendor": "slack", "webhook_url": HOOK})
    assert "planted" not in str(caught.value)


def test_base_url_changes_the_host_alone() -> None:
    """The path, which is the key, stays."""
    request = NOTICE.build([b"{}"], examples.settings("http://127.0.0.1:8099"))
    assert request.url == "http://127.0.0.1:8099/services/T000/B000/planted"
    assert "planted" not in repr(request)


# ── Messages ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"text": "*3* <https://a.ch|rows>"}, {"text": "*3* <https://a.ch|rows>"}),
        ({"plain_text": "5 < 6 & 7 > <!channel>"}, {"text": "5 &lt; 6 &amp; 7 &gt; &lt;!channel&gt;"}),
        ({"text": "x" * 40_000}, {"text": "x" * 40_000}),
        ({"text": "three", "blocks": [SECTION]}, {"text": "three", "blocks": [SECTION]}),
        ({"blocks": orjson.dumps([SECTION]).decode()}, {"text": "*three* rows", "blocks": [SECTION]}),
        ({"text": None, "blocks": [{"type": "divider"}]}, {"text": "A message without text", "blocks": [{"type": "divider"}]}),
        (
            {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "A & B"}}, SECTION]},
            {
                "text": "A &amp; B *three* rows",
                "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "A & B"}}, SECTION],
            },
        ),
    ],
)
def test_a_row_becomes_a_message(fields: Fields, expected: dict[str, Any]) -> None:
    """Markup stays markup, plain text is escaped, and blocks always have a text that stands for them."""
    assert payload(fields) == expected


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "missing_field"),
        ({"text": ""}, "missing_field"),
        ({"text": "  ", "blocks": []}, "missing_field"),
        ({"text": 7}, "wrong_type"),
        ({"text": "x" * 40_001}, "text_too_long"),
        ({"plain_text": "<" * 10_001}, "text_too_long"),
        ({"blocks": "no json"}, "wrong_type"),
        ({"blocks": "7"}, "wrong_type"),
        ({"blocks": ["text"]}, "wrong_type"),
        ({"blocks": [SECTION] * 51}, "too_many_blocks"),
        ({"blocks": [{"x": float("nan")}]}, "not_a_number"),
        ({"text": "\ud800"}, "not_json"),
    ],
)
def test_what_slack_would_cut_or_refuse_is_rejected(fields: Fields, code: str) -> None:
    """The length counts with its escapes, as Slack counts."""
    with pytest.raises(RowRejected) as caught:
        payload(fields)
    assert caught.value.code == code


def test_a_long_fallback_ends_between_texts() -> None:
    """The text that stands for blocks is cut between two of them, never inside an entity."""
    block = {"type": "section", "text": {"type": "plain_text", "text": "&" * 500}}
    assert payload({"blocks": [block] * 50})["text"] == " ".join(["&amp;" * 500])


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({}, "needs text"),
        ({"text": None, "channel": None}, "channel: is not a field"),
        ({"text": None, "plain_text": None}, "only one"),
        ({"text": "INT64"}, "text: is INT64"),
    ],
)
def test_a_map_that_can_not_work_is_a_problem(names: dict[str, str | None], text: str) -> None:
    """`check` says so before anything runs."""
    assert any(text in str(problem) for problem in NOTICE.check(names, SETTINGS))


# ── Answers ─────────────────────────────────────────────────────────────────────────────────

CLOSED = ["no_service", "no_service_id", "no_active_hooks", "no_team", "team_disabled", "invalid_token", "action_prohibited"]
CLOSED += ["channel_not_found", "channel_is_archived", "posting_to_general_channel_denied"]


@pytest.mark.parametrize("status", [400, 403, 404, 410])
@pytest.mark.parametrize("word", CLOSED)
def test_a_webhook_that_is_gone_stops_everything(status: int, word: str) -> None:
    """Whatever status Slack gives these words: a person must mend the webhook, and no notice is thrown away."""
    assert read(status, word.encode()) == Refused(f"Slack answered {status}: {word}")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"ok", Settled([DELIVERED])),
        (200, b"", Settled([DELIVERED])),
        (200, b'{"ok": true}', Settled([DELIVERED])),
        (200, b'{"ok": false, "error": "x"}', Split("refused_by_vendor", 'Slack answered 200: {"ok": false, "error": "x"}')),
        (200, b"<html>", TryAgain("Slack answered 200: <html>")),
        (400, b"invalid_payload", Split("invalid_payload", "Slack answered 400: invalid_payload")),
        (400, b"user_not_found", Split("user_not_found", "Slack answered 400: user_not_found")),
        (400, b"too_many_attachments", Split("too_many_attachments", "Slack answered 400: too_many_attachments")),
        (400, b"<html>", Split("refused_by_vendor", "Slack answered 400: <html>")),
        (403, b"", Refused("Slack answered 403")),
        (500, b"rollup_error", TryAgain("Slack answered 500: rollup_error")),
        (503, b"<html>", TryAgain("Slack answered 503: <html>")),
        (429, b"rate_limited", SlowDown("Slack answered 429: rate_limited")),
    ],
)
def test_what_each_answer_leads_to(status: int, body: bytes, expected: Answer) -> None:
    """Permanent and passing errors are told apart by status and word."""
    assert read(status, body) == expected


def test_429_says_how_long() -> None:
    """Retry-After is in whole seconds."""
    assert read(429, b"", {"retry-after": "30"}) == SlowDown("Slack answered 429", 30.0)


@pytest.mark.parametrize("word", ["invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"])
def test_refused_blocks_go_again_as_text_once(word: str) -> None:
    """A notice in plain clothes is better than none; refused once more, the row is rejected."""
    answer = read(400, word.encode())
    assert isinstance(answer, Follow)
    assert orjson.loads(answer.request.body) == {"text": "t"}
    assert read(400, word.encode(), note=answer.note) == Split(word, f"Slack answered 400: {word}")


# ── Against the twin ────────────────────────────────────────────────────────────────────────


def test_messages_arrive_one_by_one_in_order(sender: TinySender, twin: SlackTwin) -> None:
    """One message a request."""
    assert sender.deliver([{"text": f"{i}"} for i in range(5)]) == [DELIVERED] * 5
    assert [message["text"] for message in twin.messages] == ["0", "1", "2", "3", "4"]


def test_plain_text_mentions_nobody(sender: TinySender, twin: SlackTwin) -> None:
    """What a customer typed can't ring a channel."""
    sender.deliver([{"plain_text": "<!channel> <@U123> <!subteam^S1>"}])
    assert twin.mentions == 0


def test_bad_blocks_arrive_as_text(sender: TinySender, twin: SlackTwin) -> None:
    """The twin refuses the block, and takes the text."""
    assert sender.deliver([{"text": "plain", "blocks": [{"type": "marquee"}]}]) == [DELIVERED]
    assert twin.messages == [{"text": "plain"}]


def test_a_gone_channel_stops_the_run(sender: TinySender, twin: SlackTwin) -> None:
    """Nothing is rejected: the notices wait for a person."""
    twin.closed, twin.closed_status = "channel_is_archived", 410
    with pytest.raises(Stopped, match="channel_is_archived"):
        sender.deliver([{"text": "x"}])


def test_a_message_that_slack_will_never_take_is_rejected(sender: TinySender, twin: SlackTwin) -> None:
    """400 with a word is about this message alone."""
    twin.faults.append(Fault(response=Response(400, b"user_not_found")))
    [first, second] = sender.deliver([{"text": "a"}, {"text": "b"}])
    assert isinstance(first, Rejected)
    assert first.code == "user_not_found"
    assert second == DELIVERED


def test_one_message_a_second_and_one_at_a_time() -> None:
    """Slack's rate for a webhook; two in flight could swap."""
    assert (DESTINATION.pace(SETTINGS).per_second, DESTINATION.pace(SETTINGS).in_flight) == (1.0, 1)
    assert not NOTICE.repeats_safely


# ── A burst, told in few messages ───────────────────────────────────────────────────────────


def together(*notices: Fields) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(NOTICE.build([NOTICE.to_payload(notice, SETTINGS) for notice in notices], SETTINGS).body)
    return found


def test_texts_are_told_together() -> None:
    """One message says how many there are, and each of them."""
    assert together({"text": "one"}, {"plain_text": "2 < 3"}) == {"text": "*2 messages together:*\none\n2 &lt; 3"}


def test_blocks_are_kept_where_they_fit() -> None:
    """Those with a text alone become sections; `block_id`, which must be there once, is left out."""
    named = {**SECTION, "block_id": "mine"}
    found = together({"text": "a", "blocks": [named]}, {"text": "b"}, {"text": "c", "blocks": [named]})
    assert [block["text"]["text"] for block in found["blocks"]] == ["*3 messages together:*", "*three* rows", "b", "*three* rows"]
    assert not any("block_id" in block for block in found["blocks"])
    assert found["text"] == "*3 messages together:*\na\nb\nc"


def test_texts_stand_for_blocks_that_are_too_many() -> None:
    """Two messages of thirty blocks each would be refused as one: their texts say it."""
    assert together({"text": "a", "blocks": [SECTION] * 30}, {"text": "b", "blocks": [SECTION] * 30}) == {
        "text": "*2 messages together:*\na\nb"
    }


def test_blocks_that_are_refused_are_looked_for_among_many() -> None:
    """Of several messages one has bad blocks: halves will find it, and the others keep theirs."""
    batch = [b'{"text":"t","blocks":[{}]}', b'{"text":"u"}']
    assert isinstance(NOTICE.read(Response(400, b"invalid_blocks"), batch, SETTINGS, ""), Split)
