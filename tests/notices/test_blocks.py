"""Slack's blocks with templates in them."""

from __future__ import annotations

from typing import Any

import pytest

from rowferry.notices.blocks import Blocks, texts
from rowferry.notices.message import Message

BLOCKS: list[dict[str, Any]] = [
    {"type": "header", "text": {"type": "plain_text", "text": "{{ title }}", "emoji": True}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "*{{ title }}*"}, "fields": [{"type": "mrkdwn", "text": "{{ title }}"}]},
    {"type": "divider"},
    {
        "type": "actions",
        "elements": [{"type": "button", "text": {"type": "plain_text", "text": "{{ title }}"}, "url": "https://x.example/{{ id }}"}],
    },
]


def test_only_markup_is_escaped() -> None:
    """Slack reads markup in `mrkdwn`, and shows `plain_text` and addresses as they are."""
    header, section, divider, actions = Blocks(BLOCKS).render({"title": "<a> & b", "id": "1?a=2&b=3"})
    assert header["text"] == {"type": "plain_text", "text": "<a> & b", "emoji": True}
    assert section["text"]["text"] == "*&lt;a&gt; &amp; b*"
    assert divider == {"type": "divider"}
    assert actions["elements"][0]["url"] == "https://x.example/1?a=2&b=3"


def test_each_text_keeps_its_limit() -> None:
    """Header 150, section 3,000, field 2,000, button 75: one text too long and Slack refuses the message."""
    header, section, _, actions = Blocks(BLOCKS).render({"title": "<&>" * 5000})
    assert len(header["text"]["text"]) <= 150
    assert len(section["text"]["text"]) <= 3000
    assert len(section["fields"][0]["text"]) <= 2000
    assert len(actions["elements"][0]["text"]["text"]) <= 75


def test_an_id_keeps_its_limit() -> None:
    """Ids from the event have 255 characters at most, as Slack takes them."""
    button = {"type": "button", "text": {"type": "plain_text", "text": "x"}, "action_id": "{{ id }}"}
    (block,) = Blocks([{"type": "actions", "block_id": "b-{{ id }}", "elements": [button]}]).render({"id": "x" * 400})
    assert (len(block["block_id"]), len(block["elements"][0]["action_id"])) == (255, 255)


def test_no_text_is_empty() -> None:
    """An empty text is refused as well."""
    assert all(texts(Blocks(BLOCKS).render({"title": ""})))
    assert all(texts(Blocks(BLOCKS).render({})))


def test_a_wrong_template_names_its_block() -> None:
    """Blocks are long; the mistake has a place."""
    with pytest.raises(ValueError, match="block 1"):
        Blocks([{"type": "divider"}, {"type": "section", "text": {"type": "mrkdwn", "text": "{{ x"}}])


def test_a_message_has_a_text_beside_its_blocks() -> None:
    """Notifications and screen readers have nothing else; without one of its own it is the blocks' texts."""
    row = Message(None, BLOCKS[:2]).row({"title": "<a>"}, "webhook shop")
    assert row["text"] == "&lt;a&gt;\n*&lt;a&gt;*\n&lt;a&gt;"
    assert Message("{{ title }}!", BLOCKS).row({"title": "x"}, "")["text"] == "x!"
    assert Message("{{ nothing if x }}", None).row({}, "")["text"] == "–"


def test_blocks_that_are_too_much_leave_as_text() -> None:
    """Better the start of it as text than a message that Slack refuses."""
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "{% for one in many %}{{ one }}{% endfor %}"}}
    row = Message(None, [section] * 10).row({"many": ["x" * 400] * 90}, "")
    assert "blocks" not in row
    assert 3_000 < len(row["text"]) <= 3_500
