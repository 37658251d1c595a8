"""A feed's path as it may stand in the settings, and whether two feeds' paths can take the same file.

What the signs mean, and matching itself, is `feeds/pattern.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from rowferry.feeds.pattern import parse_pattern


class _Token(NamedTuple):
    """One character that a path asks for: this one, a digit (`\\d`), any but a slash (`*`), any (`**`); or many such."""

    character: str
    many: bool = False


def check_pattern(text: str) -> str:
    """The path as it is. Raises `ValueError` saying what is wrong with it."""
    if not text.strip() or text.startswith("/") or "\\" in text or "://" in text or {"..", "."} & set(text.split("/")):
        raise ValueError("expected a path below the exports, such as crm/customers-*.csv.gz, without a / in front")
    if "***" in text:
        raise ValueError("expected * (within a folder) or ** (over folders)")
    parse_pattern(text)
    return text


def overlaps(one: str, two: str) -> bool:
    """Whether some file could fit both paths."""
    first, second = tuple(_tokens(one)), tuple(_tokens(two))
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        at = todo.pop()
        if at == (len(first), len(second)):
            return True
        if at not in seen:
            seen.add(at)
            todo += _steps(first, second, *at)
    return False


def _steps(first: tuple[_Token, ...], second: tuple[_Token, ...], i: int, j: int) -> Iterator[tuple[int, int]]:
    """Where a key that fits both may go on from place `i` of the one and `j` of the other."""
    one = first[i] if i < len(first) else None
    two = second[j] if j < len(second) else None
    if one and one.many:
        yield i + 1, j
    if two and two.many:
        yield i, j + 1
    if one and two and _share_a_character(one.character, two.character):
        yield i if one.many else i + 1, j if two.many else j + 1


def _share_a_character(one: str, two: str) -> bool:
    if "**" in (one, two) or one == two:
        return True
    if "*" in (one, two):
        return "/" not in (one, two)
    return "\\d" in (one, two) and (one + two).replace("\\d", "").isdigit()


def _tokens(text: str) -> Iterator[_Token]:
    for piece in re.findall(r"\*\*/?|\*|\{[^{}]*\}|[^*{}]", text):
        if piece.startswith("*"):
            yield _Token("**" if piece.startswith("**") else "*", many=True)
        elif piece.startswith("{"):
            yield from _part_tokens(piece[1:-1].partition(":")[2])
        else:
            yield _Token(piece)
    if text.endswith("/"):
        yield _Token("**", many=True)


def _part_tokens(form: str) -> Iterator[_Token]:
    if not form:
        yield from (_Token("*"), _Token("*", many=True))
    for directive, character in re.findall(r"%(.)|(.)", form):
        digits = {"Y": 4, "j": 3}.get(directive, 2)
        yield from [_Token("\\d")] * digits if directive else [_Token(character)]


PathPattern = Annotated[str, AfterValidator(check_pattern), Field(examples=["crm/customers-{day:%Y%m%d}*.csv.gz", "clevertap/"])]
