"""Slack: notices by an incoming webhook.

Sources, read 2026-11-21: docs.slack.dev "Sending messages using incoming webhooks" [hook], "Rate limits"
[rate], "Formatting message text" [format], Block Kit reference [blocks], changelog "Truncating really
long messages" [cut]; api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks [errors].

`text` and `blocks` are Slack's own markup and leave as they are: whoever makes them from data escapes
the data (templates do, by themselves). `plain_text` takes a column as it is and is escaped here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import orjson
from pydantic import Field

from rowferry.destinations import answers
from rowferry.destinations.port import Action, Answer, Destination, Fields, Follow, Limits, Pace, Refused, Settled, Split, TryAgain
from rowferry.destinations.values import dumps, plain
from rowferry.errors import Problem, RowRejected, UsageError
from rowferry.settings.base import DestinationSettings, Secret
from rowferry.settings.url import check_url
from rowferry.wire import Request, Response

_MAX_TEXT = 40_000  # characters; the rest is cut [cut]
_FALLBACK_CHARACTERS = 4_000  # what Slack advises for a text [cut]
_MAX_BLOCKS = 50  # [blocks]
_MAX_SECTION = 3_000  # characters of a section's text [blocks]
_BODY_BYTES = 1_000_000  # not documented; far above what these limits allow
_TOGETHER = 16  # messages that a burst is told in one; of three blocks each they fit
_TOGETHER_BYTES = 10_000  # under the 13,200 characters at which all blocks together are too long (bolt-js issue 2509)
_TEXTS = ("text", "plain_text", "blocks")
# The webhook or its channel is gone or closed, whatever the status: a person must act [hook, errors].
_CLOSED = {
    "action_prohibited", "channel_is_archived", "channel_not_found", "invalid_token", "no_active_hooks", "no_service",
    "no_service_id", "no_team", "posting_to_general_channel_denied", "team_disabled",
}  # fmt: skip
_BAD_BLOCKS = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long")
_NO_TEXT = ("no_text", "invalid_payload", "missing_text_or_fallback_or_attachments")


class SlackSettings(DestinationSettings):
    """One incoming webhook: one channel of one workspace."""

    vendor: Literal["slack"]
    webhook_url: Secret = Field(
        description="https://hooks.slack.com/services/…, as the app's page shows it. The whole address is a secret."
    )

    def resolved(self, resolve: Callable[[str], str]) -> Self:
        """As every destination's. Raises `UsageError` when the address found can't be a webhook's; never shows it."""
        copy = super().resolved(resolve)
        try:
            path = urlsplit(check_url(copy.webhook_url.reveal())).path
        except ValueError as error:
            raise UsageError(f"{self.webhook_url.reference} is no webhook's address: {error}") from None
        if path.startswith(("/triggers/", "/workflows/")):
            raise UsageError(
                f"{self.webhook_url.reference} starts a workflow, which takes no messages; use an incoming webhook (/services/…)"
            )
        return copy


# ── Rows into messages ──────────────────────────────────────────────────────────────────────


def escape(text: str) -> str:
    """The text without markup: mentions, channels and links in it stay letters [format]."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _to_payload(fields: Fields, _settings: SlackSettings) -> bytes:
    text, blocks = _text(fields), _blocks(fields.get("blocks"))
    if blocks and not text:
        text = _shown_instead(blocks)
    if not text:
        raise RowRejected("missing_field", "text, plain_text and blocks are all empty, and Slack takes no empty message")
    if len(text) > _MAX_TEXT:
        raise RowRejected("text_too_long", f"text has {len(text)} characters with its escapes, Slack cuts after {_MAX_TEXT}")
    return dumps({"text": text} | ({"blocks": blocks} if blocks else {}))


def _text(fields: Fields) -> str:
    for name in ("text", "plain_text"):
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            raise RowRejected("wrong_type", f"{name} must be text: cast it to STRING in the model")
        if value and value.strip():
            return value if name == "text" else escape(value)
    return ""


def _blocks(value: Any) -> list[Any]:
    """Blocks as a list of objects, also from JSON text."""
    if isinstance(value, str) and value:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise RowRejected("wrong_type", "blocks is text that is not JSON") from None
    if not isinstance(value or [], list) or not all(isinstance(block, dict) for block in value or []):
        raise RowRejected("wrong_type", "blocks must be an array of objects")
    if value and len(value) > _MAX_BLOCKS:
        raise RowRejected("too_many_blocks", f"blocks has {len(value)} blocks, Slack takes {_MAX_BLOCKS}")
    return list(plain(value or [], "blocks"))


def _shown_instead(blocks: list[Any]) -> str:
    """The start of the blocks' texts, whole: notifications and screen readers have nothing else [hook]."""
    shown = ""
    for text in _texts_of(blocks):
        if len(shown) + len(text) > _FALLBACK_CHARACTERS:
            break
        shown = f"{shown} {text}".strip()
    return shown or "A message without text"


def _texts_of(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        own = node.get("text")
        if isinstance(own, str):
            yield own if node.get("type") == "mrkdwn" else escape(own)
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _texts_of(part)


def _check(names: Mapping[str, str | None], _settings: SlackSettings) -> Iterator[Problem]:
    if not names.keys() & set(_TEXTS):
        yield Problem("", "a notice needs text, plain_text or blocks")
    if {"text", "plain_text"} <= names.keys():
        yield Problem("plain_text", "stands beside text, and a message has only one", "keep one of them")
    for name in sorted(names.keys() - set(_TEXTS)):
        yield Problem(name, "is not a field of a notice", f"fields: {', '.join(_TEXTS)}")
    for name in sorted(names.keys() & {"text", "plain_text"}):
        if (names[name] or "STRING").upper() != "STRING":
            yield Problem(name, f"is {names[name]}, and Slack takes text here", "cast it to STRING in the model")


# ── Requests and answers ────────────────────────────────────────────────────────────────────


def _post(settings: SlackSettings, body: bytes) -> Request:
    url = settings.webhook_url.reveal()
    if settings.base_url is not None:
        url = settings.base_url + urlsplit(url).path
    return Request("POST", url, body, {"content-type": "application/json"})


def _build(batch: Sequence[bytes], settings: SlackSettings) -> Request:
    return _post(settings, batch[0] if len(batch) == 1 else dumps(_together([orjson.loads(payload) for payload in batch])))


def _together(messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One message that says what these say, for a webhook takes one a request. The blocks of those that have some
    are kept if all of it fits into blocks."""
    title = f"*{len(messages)} messages together:*"
    text = "\n".join([title, *(message["text"] for message in messages)])
    if not any("blocks" in message for message in messages):
        return {"text": text}
    parts = [message.get("blocks") or [_section(message["text"])] for message in messages]
    blocks = [_section(title), *(_unnamed(block) for part in parts for block in part)]
    fits = len(blocks) <= _MAX_BLOCKS and all(len(message["text"]) <= _MAX_SECTION for message in messages if "blocks" not in message)
    return {"text": text, "blocks": blocks} if fits else {"text": text}


def _unnamed(block: Mapping[str, Any]) -> dict[str, Any]:
    """Without its `block_id`, of which a message takes each once [blocks]."""
    return {name: value for name, value in block.items() if name != "block_id"}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _read(response: Response, batch: Sequence[bytes], settings: SlackSettings, note: str) -> Answer:
    """Slack answers in plain text: `ok`, or a word that says what is wrong [hook, errors]."""
    word = _word(response)
    if word in _CLOSED:
        return Refused(f"Slack answered {response.status}: {word}")
    if 200 <= response.status < 300 and not response.body.lstrip().startswith(b"<"):  # a page is somebody else's answer
        # A 200 without `ok` has been posted too; `ok: false` is how the Web API refuses.
        refuses = (answers.json_object(response) or {}).get("ok") is False
        return Split("refused_by_vendor", _said(response)) if refuses else Settled.all_delivered(batch)
    if response.status == 400 and word in _BAD_BLOCKS and not note and len(batch) == 1:
        text = orjson.loads(batch[0])["text"]
        return Follow(_post(settings, dumps({"text": text})), "text")  # better the text alone than no notice
    if response.status == 400 and word:
        return Split(word, _said(response))
    return answers.by_status(response, "Slack") or TryAgain(_said(response))


def _word(response: Response) -> str:
    found = response.body[:200].decode("utf-8", "replace").strip()
    return found if re.fullmatch(r"[a-z_]+", found) else ""


def _said(response: Response) -> str:
    return f"Slack answered {response.status}: {response.text}"


def _probe(settings: SlackSettings) -> Request:
    return _post(settings, b"{}")


def _read_probe(response: Response) -> str | None:
    """An empty message is refused by a webhook that works, and posts nothing [errors]."""
    if response.status == 400 and _word(response) in _NO_TEXT:
        return None
    return f"Slack answered {response.status} to an empty message, and not that its text is missing: {response.text}"


DESTINATION = Destination(
    vendor="slack",
    title="Slack",
    settings=SlackSettings,
    actions={
        "notice": Action(
            name="notice",
            limits=lambda _settings: Limits(batch_rows=1, body_bytes=_BODY_BYTES, envelope_bytes=1),
            identifiers=lambda _names, _settings: frozenset(),
            check=_check,
            to_payload=_to_payload,
            build=_build,
            read=_read,
            repeats_safely=False,  # no idempotency key: after a lost answer a message can appear twice
            gathered=lambda _settings: Limits(_TOGETHER, _TOGETHER_BYTES, envelope_bytes=64),
        )
    },
    # One message a second for each webhook; more than one at a time can swap their order [rate].
    pace=lambda settings: Pace(settings.per_second or 1.0, 1),
    probe=_probe,
    read_probe=_read_probe,
    notes={"notice": "Slack has no idempotency key: after a lost answer a message can appear twice."},
)
