"""Path patterns: `crm/customers-{day:%Y%m%d}*.csv.gz` as a value that matches keys.

    *             any characters within one folder, also none
    **            any characters, folders too
    {name}        one or more characters within one folder, kept under that name
    {name:%Y%m%d} a date, a time or both, kept as such; a key with an impossible date does not match

A path that ends in `/` takes everything under it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

Part = str | date | datetime
Parts = Mapping[str, Part]

_PIECE = re.compile(r"(\*\*/?|\*|\{[^{}]*\})")
_NAMED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]+))?\}")
_DIRECTIVE = re.compile(r"%(.)")
# What strptime takes for each directive, with the digits written out: `20240101` has one reading only.
_DIGITS = {"Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{2}", "d": r"\d{2}", "H": r"\d{2}", "M": r"\d{2}", "S": r"\d{2}", "j": r"\d{3}"}
_TIME_DIRECTIVES = frozenset("HMS")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One feed's path. `prefix` is the text before the first wildcard: what a listing starts with."""

    text: str
    prefix: str
    formats: Mapping[str, str]
    expression: re.Pattern[str]

    @property
    def folder(self) -> str:
        """The folder that the pattern watches: its prefix up to the last `/`, or "" for the root."""
        return self.prefix.rpartition("/")[0] + "/" if "/" in self.prefix else ""

    def match(self, key: str) -> dict[str, Part] | None:
        """The named parts of `key`, dates as dates; None when it does not match."""
        found = self.expression.fullmatch(key)
        if found is None:
            return None
        parts: dict[str, Part] = {}
        for name, text in found.groupdict().items():
            value = _read_time(text, self.formats[name]) if name in self.formats else text
            if value is None:
                return None
            parts[name] = value
        return parts


@lru_cache(maxsize=1024)
def parse_pattern(text: str) -> Pattern:
    """Read a path pattern. Raises `ValueError` with a sentence when it is none."""
    if text.startswith("/"):
        raise ValueError("a path starts below the exports folder, without a leading /")
    names = [match[1] for match in _NAMED.finditer(text)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the part {{{twice[0]}}} stands in the path twice")
    formats = {match[1]: match[2] for match in _NAMED.finditer(text) if match[2]}
    pieces = _PIECE.split(text)
    expression = "".join(_expressions(pieces)) + (".*" if text == "" or text.endswith("/") else "")
    return Pattern(text, pieces[0], formats, re.compile(expression, re.DOTALL))


def _expressions(pieces: list[str]) -> Iterator[str]:
    """The regular expression of each piece; literal text and wildcards take turns."""
    for piece in pieces:
        if piece == "**/":
            yield "(?:.*/)?"
        elif piece == "**":
            yield ".*"
        elif piece == "*":
            yield "[^/]*"
        elif named := _NAMED.fullmatch(piece):
            yield f"(?P<{named[1]}>{_time_expression(named[2]) if named[2] else '[^/]+'})"
        elif "{" in piece or "}" in piece:
            raise ValueError(f"{piece!r} is no part of a path; write {{name}} or {{name:%Y%m%d}}")
        else:
            yield re.escape(piece)


def _time_expression(format: str) -> str:
    directives = _DIRECTIVE.findall(format)
    if not directives:
        raise ValueError(f"{format!r} is no date format; write for example %Y%m%d")
    if unknown := [letter for letter in directives if letter not in _DIGITS]:
        raise ValueError(f"%{unknown[0]} is not known in a path; known are {', '.join('%' + letter for letter in _DIGITS)}")
    if twice := [letter for letter in directives if directives.count(letter) > 1]:
        raise ValueError(f"%{twice[0]} stands in one date twice")
    texts = _DIRECTIVE.split(format)
    return "".join(_DIGITS[text] if at % 2 else re.escape(text) for at, text in enumerate(texts))


def _read_time(text: str, format: str) -> Part | None:
    """A date, or a datetime when the format has a time of day; None for a day that does not exist."""
    try:
        moment = datetime.strptime(text, format)  # noqa: DTZ007 (a name has no zone; the feed says which)
    except ValueError:
        return None
    return moment if _TIME_DIRECTIVES & set(_DIRECTIVE.findall(format)) else moment.date()
