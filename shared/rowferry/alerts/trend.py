"""A small drawing of the last values, in characters."""

from __future__ import annotations

from collections.abc import Sequence

_STEPS = "▁▂▃▄▅▆▇█"
LENGTH = 24


def draw(values: Sequence[float | None]) -> str:
    """The last values, a character each, from the lowest to the highest of them; a blank where there is none."""
    shown = list(values)[-LENGTH:]
    known = [value for value in shown if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    scale = (len(_STEPS) - 1) / (high - low) if high > low else 0.0
    return "".join(" " if value is None else _STEPS[round((value - low) * scale)] for value in shown)
