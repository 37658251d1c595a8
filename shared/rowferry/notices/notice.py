"""What a notice says: what happened, the numbers, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rowferry.notices import text

OK = "ok"  # the state in which nobody needs to know anything
_MAX_REASON_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice about a change of state. Its texts are plain: they are escaped when it is shown.

    None of them holds a row's value: numbers, names from the settings, codes, a vendor's own sentence.
    `fix` is a command that mends it, or shows what has to be mended. `markup` is the exception: it
    comes from a template, has been escaped there, and is shown as it is.
    """

    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    fix: str = ""
    markup: str = ""
    is_good: bool = False

    def row(self) -> dict[str, Any]:
        """The fields of a `notice` row."""
        return {"text": text.cut("\n".join(self._lines()))}

    def headline(self) -> str:
        """One line of it, escaped, for when many are told together."""
        return f"{self._sign} {text.escape(text.cut_plain(' '.join(self.title.split()), 200))}"

    @property
    def _sign(self) -> str:
        return ":white_check_mark:" if self.is_good else ":rotating_light:"

    def _lines(self) -> list[str]:
        lines = [f"{self._sign} *{text.escape(self.title)}*"]
        if self.facts:
            lines.append(
                " · ".join(f"{text.escape(name)} {text.escape(text.plain(_grouped(value)))}" for name, value in self.facts.items())
            )
        if self.markup:
            lines.append(self.markup)
        if self.reason:
            lines.append(text.escape(text.cut_plain(self.reason, _MAX_REASON_CHARACTERS)))
        if self.fix:
            lines.append(f"`{text.escape(self.fix)}`")
        return lines


def _grouped(value: Any) -> Any:
    """12345 as `12,345`; a share as it is."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
