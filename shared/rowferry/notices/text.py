"""Text for Slack: escaped, and cut where it may be cut.

docs.slack.dev "Formatting message text", read 2026-11-21: only `&`, `<` and `>` are escaped. What is not
can ring a whole channel (`<!channel>`) or hide where a link leads.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

NOTHING = "–"  # stands for NULL and for what is missing
MAX_CHARACTERS = 3_500  # Slack advises 4,000 and cuts at 40,000
_MAX_VALUE_CHARACTERS = 500
_JSON = json.JSONEncoder(default=str, ensure_ascii=False, separators=(",", ":"))
_HALF = re.compile(r"(?:&[a-z]{0,3}|<[^<>]*)$")  # the start of an entity, a link or a mention
# Controls that Slack refuses or that turn the line's direction, so that it reads otherwise than it is.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escape(text: str) -> str:
    """Text that Slack shows as it is."""
    return _CONTROLS.sub("", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, most: int = MAX_CHARACTERS) -> str:
    """At most `most` characters of escaped text, with `…` where it was cut; no entity or link is left half."""
    return text if len(text) <= most else _HALF.sub("", text[: most - 1]) + "…"


def cut_plain(text: str, most: int) -> str:
    """At most `most` characters of text that is not escaped."""
    return text if len(text) <= most else text[: most - 1] + "…"


def plain(value: Any) -> str:
    """A value as people read it; `–` for None. Not escaped."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        found = value
    elif isinstance(value, bool):
        found = "true" if value else "false"
    elif isinstance(value, float):
        found = f"{value:.12g}"
    elif isinstance(value, dict | list | tuple):
        found = _start_of(value)
    elif isinstance(value, datetime):
        found = value.isoformat(sep=" ", timespec="seconds")
    elif isinstance(value, int | Decimal | date):
        found = str(value)
    else:
        found = type(value).__name__
    return cut_plain(found, _MAX_VALUE_CHARACTERS)


def _start_of(value: Any) -> str:
    """As much of the JSON as is shown: a list of a million is not written out to be cut."""
    found = ""
    for part in _JSON.iterencode(value):
        found += part
        if len(found) > _MAX_VALUE_CHARACTERS:
            break
    return found
