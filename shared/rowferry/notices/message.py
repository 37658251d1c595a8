"""A message as the settings write it, text or blocks, compiled once and filled in for each event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rowferry.notices import text
from rowferry.notices.blocks import Blocks, fits, texts
from rowferry.notices.template import Template


class Message:
    """A notice's text, blocks or both. Raises `ValueError` for a template that is none."""

    def __init__(self, template: str | None, blocks: Sequence[Mapping[str, Any]] | None = None) -> None:
        self._template = None if template is None else Template(template)
        self._blocks = None if blocks is None else Blocks(blocks)

    def row(self, values: Mapping[str, Any], source: str) -> dict[str, Any]:
        """The fields of a `notice` row. Never fails: where values don't fit a template, the text says
        so and names `source`, since a notice that is not there helps nobody."""
        try:
            return self._filled(values)
        except ValueError as error:
            return {"text": text.escape(f"{source}: something came in, but {error}")}

    def _filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        blocks = [] if self._blocks is None else self._blocks.render(values)
        shown = "\n".join(texts(blocks)) if self._template is None else self._template.render(values)
        row: dict[str, Any] = {"text": text.cut(shown).strip() or text.NOTHING}
        return {**row, "blocks": blocks} if blocks and fits(blocks) else row
