"""CSV read by hand: where each row begins in the file, and NULL told from an empty text.

The warehouse reads clean files by itself and far faster. This reader is for what it can't do:
other encodings, archives, and the physical line of a row with a rejected cell. Python's own
`csv` gives no line to a row with line breaks in it, and takes `""` and nothing for the same.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from rowferry.errors import FileRejected
from rowferry.loads.badlines import BadLine
from rowferry.loads.limits import DEFAULT_LIMITS, MIB

Cells = list[str | None]


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How the file is written. `skip_lines` at its start are passed over unread. A quote inside a
    quoted cell is doubled; without quoting, `quote` is "". With `keep_bad`, lines that are no rows are
    kept as `BadLine` where it is sure on which line the next row begins. `width` is how many cells a row
    has; 0: as many as the first one."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    skip_lines: int = 0
    row_bytes: int = DEFAULT_LIMITS.row_bytes
    keep_bad: bool = False
    width: int = 0


def read_rows(stream: IO[bytes], dialect: CsvDialect) -> Iterator[tuple[int, Cells | BadLine]]:
    """Each row with the physical line it begins on, counted from 1. An unquoted empty cell is None.

    Blank lines are passed over; all have the same number of cells. Raises `FileRejected` for
    a row with more or fewer, a quote that does not close, text after a closing quote, a row that is
    too long, and bytes that are not in the encoding.
    """
    encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding  # a mark at the start is no part of a name
    text = io.TextIOWrapper(stream, encoding, errors="strict", newline="")
    line, width = 0, dialect.width
    try:
        while line < dialect.skip_lines and text.readline(dialect.row_bytes):
            line += 1
        while record := text.readline(dialect.row_bytes):
            first = line + 1
            record, count = _whole(text, record, dialect, first)
            line += count
            body = record.rstrip("\r\n")
            if not body:
                continue
            row = _row(body, width, dialect)
            if isinstance(row, BadLine):
                if not (dialect.keep_bad and width and count == 1):
                    raise FileRejected("bad_csv", f"line {first}: {row.reason}")
            else:
                width = width or len(row)
            yield first, row
    except UnicodeError:
        raise FileRejected("wrong_encoding", f"line {line + 1}: the text is not {dialect.encoding}; set the feed's encoding") from None


def _whole(text: io.TextIOWrapper, record: str, dialect: CsvDialect, first: int) -> tuple[str, int]:
    """The record with the lines its quoted cells go on over, and how many lines that are."""
    pieces, length, count = [record], len(record), 1
    open_quotes = record.count(dialect.quote) % 2 if dialect.quote else 0
    if open_quotes and dialect.keep_bad and not _opens_cell(record, dialect):
        return record, 1  # 19" monitor: its quotes are inside of cells, and none of these goes on over the line's end
    while open_quotes and length < dialect.row_bytes:
        more = text.readline(dialect.row_bytes)
        if not more:
            raise FileRejected("bad_csv", f"line {first}: a quoted cell does not end before the file does")
        pieces.append(more)
        length += len(more)
        count += 1
        open_quotes = (open_quotes + more.count(dialect.quote)) % 2
    if length >= dialect.row_bytes:
        raise FileRejected("row_too_long", f"line {first}: the row is longer than {dialect.row_bytes // MIB} MB")
    return "".join(pieces), count


def _opens_cell(record: str, dialect: CsvDialect) -> bool:
    """Whether a cell begins with a quote, blanks before it aside."""
    return any(cell.lstrip(" \t").startswith(dialect.quote) for cell in record.split(dialect.delimiter))


def _row(body: str, width: int, dialect: CsvDialect) -> Cells | BadLine:
    try:
        cells = _cells(body, dialect)
    except ValueError as error:
        return BadLine(body, str(error))
    if width and len(cells) != width:
        return BadLine(body, f"expected {width} columns, found {len(cells)}")
    return cells


def _cells(body: str, dialect: CsvDialect) -> Cells:
    if not dialect.quote or dialect.quote not in body:
        return [cell or None for cell in body.split(dialect.delimiter)]
    return list(_quoted_cells(body, dialect))


def _quoted_cells(body: str, dialect: CsvDialect) -> Iterator[str | None]:
    """Raises `ValueError` with what is wrong."""
    quote, delimiter, at, end = dialect.quote, dialect.delimiter, 0, len(body)
    while at <= end:
        if not body.startswith(quote, at):
            stop = body.find(delimiter, at)
            stop = end if stop < 0 else stop
            cell = body[at:stop]
            if quote in cell:
                raise ValueError("a quote stands inside a cell that is not quoted")
            yield cell or None
        else:
            stop = _closing(body, quote, at + 1)
            yield body[at + 1 : stop].replace(quote + quote, quote)
            stop += 1
            if stop < end and not body.startswith(delimiter, stop):
                raise ValueError("text follows the closing quote of a cell")
        at = stop + 1


def _closing(body: str, quote: str, at: int) -> int:
    """Where the quoted cell that begins at `at` ends; the record's quotes are known to be even."""
    while True:
        at = body.index(quote, at)
        if not body.startswith(quote, at + 1):
            return at
        at += 2
