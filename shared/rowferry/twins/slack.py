"""Slack's stand-in: an incoming webhook with its limits and its one-word errors.

Sources, read 2026-11-21: docs.slack.dev "Sending messages using incoming webhooks", "Rate limits", Block Kit
reference; api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks. Statuses that the
documentation leaves open are 400 here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from rowferry.clock import Clock, SystemClock
from rowferry.twins.server import Call, Twin
from rowferry.wire import Response

_PATH = re.compile(r"/services/\w+/\w+/\w+")
_MENTION = re.compile(r"<!(channel|here|everyone)\b|<@\w+|<!subteam\^\w+")


@dataclass
class SlackTwin(Twin):
    """A channel's incoming webhook, at `hook_path` (None: any /services/…/…/…).

    `per_second` messages in each second by `clock`, then 429; None means no limit. `closed` is the
    word that it answers everything with, and `closed_status` its status, once the channel is gone.
    `messages` holds what was posted, in order.
    """

    hook_path: str | None = None
    per_second: int | None = None
    clock: Clock = field(default_factory=SystemClock)
    closed: str = ""
    closed_status: int = 404
    messages: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._second = (-1, 0)

    @property
    def webhook_url(self) -> str:
        """An address that this webhook answers at. Only while it runs."""
        return self.url + (self.hook_path or "/services/T0/B0/twin")

    @property
    def mentions(self) -> int:
        """How many of the messages call people by a mention."""
        return sum(bool(_MENTION.search(orjson.dumps(message).decode())) for message in self.messages)

    def state(self) -> dict[str, Any]:
        """The last messages."""
        return super().state() | {"messages": len(self.messages), "last_messages": self.messages[-50:]}

    def answer(self, call: Call) -> Response:
        """Slack's answer, in plain text."""
        path = call.path.partition("?")[0]
        is_hook = _PATH.fullmatch(path) if self.hook_path is None else path == self.hook_path
        if not is_hook or call.method != "POST":
            return _said(404, "no_service")
        if self.closed:
            return _said(self.closed_status, self.closed)
        if self.per_second is not None and not self._is_within_rate(self.per_second):
            return Response(429, b"rate_limited", {"content-type": "text/plain", "retry-after": "1"})
        try:
            message = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict) or not call.headers.get("content-type", "").startswith("application/json"):
            self.violations.append("a message that is no JSON object")
            return _said(400, "invalid_payload")
        return self._post(message)

    def _post(self, message: dict[str, Any]) -> Response:
        text, blocks = message.get("text"), message.get("blocks", [])
        if not blocks and not (isinstance(text, str) and text.strip()):
            return _said(400, "no_text")
        if not isinstance(blocks, list) or next(_bad_blocks(blocks), None):
            return _said(400, "invalid_blocks")
        if sum(map(len, _texts_in(blocks))) > _MOST_CHARACTERS:
            return _said(400, "msg_blocks_too_long")
        if blocks and not text:
            self.violations.append("blocks without a text: notifications show nothing")
        if isinstance(text, str) and len(text) > 40_000:
            self.violations.append("text over 40,000 characters, cut")
            message = {**message, "text": text[:40_000]}
        self.messages.append(message)
        return _said(200, "ok")

    def _is_within_rate(self, per_second: int) -> bool:
        second = int(self.clock.now().timestamp())
        used = self._second[1] if second == self._second[0] else 0
        self._second = (second, used + 1)
        return used < per_second


TWIN = SlackTwin
_MOST_CHARACTERS = 13_200  # of all blocks together; undocumented (slackapi/bolt-js issue 2509)
_TYPES = {"section", "header", "context", "actions", "image", "divider", "markdown", "rich_text", "table", "video", "input", "file"}


def _said(status: int, word: str) -> Response:
    return Response(status, word.encode(), {"content-type": "text/plain; charset=utf-8"})


def _bad_blocks(blocks: list[Any]) -> Iterator[str]:
    """What of Block Kit's rules the blocks break."""
    if len(blocks) > 50:
        yield "more than 50 blocks"
    named = [str(block["block_id"]) for block in blocks if isinstance(block, dict) and "block_id" in block]
    if len(set(named)) < len(named):
        yield "a block_id that is there twice"
    for block in blocks:
        if not isinstance(block, dict) or block.get("type") not in _TYPES:
            yield "a block of no known type"
            continue
        if block["type"] == "section" and not (block.get("text") or block.get("fields")):
            yield "a section without text"
        yield from _bad_text(block.get("text"), 150 if block["type"] == "header" else 3_000)
        for item in block.get("fields") or []:
            yield from _bad_text(item, 2_000)
        if len(block.get("fields") or []) > 10 or len(block.get("elements") or []) > (10 if block["type"] == "context" else 25):
            yield "too many fields or elements"


def _texts_in(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("text"), str):
            yield node["text"]
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _texts_in(part)


def _bad_text(item: Any, limit: int) -> Iterator[str]:
    if item is None or isinstance(item, str):
        return
    text = item.get("text") if isinstance(item, dict) else None
    if not isinstance(text, str) or not 1 <= len(text) <= limit:
        yield "a text that is empty or too long"
