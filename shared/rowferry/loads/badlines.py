"""Lines that hold no row beside lines that do: with `bad_line: reject` each is kept with a reason, and the others load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rowferry.errors import FileRejected

# Columns of a staging table beside those of the file; no file has such names.
BAD_COLUMNS = REASON, TEXT = "\0reason", "\0text"

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A physical line of which no row can be made, and why in a sentence."""

    text: str
    reason: str

    @property
    def record(self) -> Mapping[str, Any]:
        """As a row of a staging table, which is never loaded."""
        return {REASON: self.reason, TEXT: self.text}


def with_good(rows: Iterator[tuple[int, R | BadLine]]) -> Iterator[tuple[int, R | BadLine]]:
    """The rows as they come. Raises `FileRejected` at the end of a file that has bad lines and not one good row:
    there it is the file that is not what the feed says."""
    first, good = "", False
    for line, row in rows:
        if not isinstance(row, BadLine):
            good = True
        elif not first:
            first = f"line {line}: {row.reason}"
        yield line, row
    if first and not good:
        raise FileRejected("bad_lines", f"not one of its rows can be read; {first}")
