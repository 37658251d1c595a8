"""Slack's blocks with templates in their texts.

The structure is the settings' own; only texts are filled in, escaped where Slack reads markup, and cut to
what Slack takes at that place (docs.slack.dev Block Kit reference, read 2026-11-21), because it refuses a
message for one text that is empty or too long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rowferry.notices import text
from rowferry.notices.template import Template

_MAX_CHARACTERS = {
    "section": 3_000, "fields": 2_000, "header": 150, "button": 75, "value": 2_000, "alt_text": 2_000, "title": 2_000,
    "block_id": 255, "action_id": 255,
}  # fmt: skip
_MAX_TOTAL_CHARACTERS = 13_000  # beyond about 13,200 Slack answers msg_blocks_too_long (slackapi/bolt-js issue 2509)
_MARKUP = "mrkdwn"
_Fill = Callable[[Mapping[str, Any]], Any]


class Blocks:
    """Compiled blocks. Raises `ValueError` naming the block whose template is none."""

    def __init__(self, blocks: Sequence[Mapping[str, Any]]) -> None:
        self._fills = []
        for index, block in enumerate(blocks):
            try:
                self._fills.append(_compiled(block, str(block.get("type", "")), escape=False))
            except ValueError as error:
                raise ValueError(f"block {index}: {error}") from None

    def render(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The blocks filled in. Raises `ValueError` where the values don't fit the templates."""
        return [fill(values) for fill in self._fills]


def fits(blocks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether Slack takes so much text in one message."""
    return sum(len(found) for found in texts(list(blocks))) <= _MAX_TOTAL_CHARACTERS


def texts(node: Any) -> list[str]:
    """All texts that people see in blocks, in order, escaped."""
    if isinstance(node, list):
        return [found for part in node for found in texts(part)]
    if not isinstance(node, dict):
        return []
    own = node.get("text")
    shown = [own if node.get("type") == _MARKUP else text.escape(own)] if isinstance(own, str) else []
    return shown + [found for part in node.values() for found in texts(part)]


def _compiled(node: Any, place: str, *, escape: bool) -> _Fill:
    """`place` says which of Slack's limits holds for a text here."""
    if isinstance(node, str):
        return _text(node, _MAX_CHARACTERS.get(place, 3_000), escape=escape)
    if isinstance(node, list):
        parts = [_compiled(part, place, escape=escape) for part in node]
        return lambda values: [fill(values) for fill in parts]
    if isinstance(node, dict):
        fills = {name: _compiled(part, _place(node, name, place), escape=node.get("type") == _MARKUP) for name, part in node.items()}
        return lambda values: {name: fill(values) for name, fill in fills.items()}
    return lambda _values: node


def _place(node: Mapping[str, Any], name: str, place: str) -> str:
    if name in _MAX_CHARACTERS:
        return name
    return str(node["type"]) if name == "text" and node.get("type") in _MAX_CHARACTERS else place


def _text(source: str, most: int, *, escape: bool) -> _Fill:
    if "{{" not in source and "{%" not in source:
        return lambda _values: source
    template = Template(source, escape=escape)
    cut = text.cut if escape else text.cut_plain
    return lambda values: cut(template.render(values), most).strip() or text.NOTHING
