"""CSV files for DuckDB: the exact options, and its complaints in plain English, without a cell's content."""

from __future__ import annotations

import codecs
import gzip
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import duckdb
from isal import igzip, igzip_lib

from rowferry.warehouse.duckdb_types import quote_text
from rowferry.warehouse.names import quote_column
from rowferry.warehouse.port import CsvFile, LoadFailed, LoadSource, WarehouseError

LINE_BYTES = 16 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_COUNTS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")


def local_path(source: LoadSource, spare: Path) -> Path:
    """Where the bytes lie; those of a stream are put into `spare`. Raises `WarehouseError` for an object that is not on this machine."""
    if source.stream is not None:
        with source.open() as file, spare.open("wb") as out:
            shutil.copyfileobj(file, out, _BLOCK_BYTES)
        return spare
    parts = urlsplit(source.uri or "")
    if source.path is None and parts.scheme != "file":
        raise WarehouseError(f"the embedded warehouse loads files of this machine, not {parts.scheme}:// objects")
    path = Path(source.path if source.path is not None else unquote(parts.path))
    if not path.is_file():
        raise WarehouseError(f"there is no file {path.name}")
    return path


def check_gzip(path: Path) -> None:
    """Read the gzip file through: DuckDB looks at neither its checksum nor its end, and would lose rows silently.

    Raises `LoadFailed`. Costs about 0.1 s for a million rows.
    """
    with _reading(path) as file:
        while file.read(_BLOCK_BYTES):
            pass


def as_utf8(path: Path, compression: str | None, encoding: str, spare: Path) -> tuple[Path, str | None]:
    """The file as UTF-8 under a plain name, and its compression. `spare` is a new file that can be used for it.

    Raises `LoadFailed` when the bytes are not in `encoding`.
    """
    if _codec(encoding) == "utf-8":
        return _plainly_named(path, spare), compression
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with _reading(path) if compression else path.open("rb") as file, spare.open("wb") as out:
            while block := file.read(_BLOCK_BYTES):
                out.write(decoder.decode(block).encode())
            out.write(decoder.decode(b"", final=True).encode())
    except UnicodeError:
        raise LoadFailed(f"the text is not {encoding}, as the feed says it is") from None
    return spare, None


def _plainly_named(path: Path, spare: Path) -> Path:
    """DuckDB would take `x[1].csv` for a pattern, and read `x1.csv`."""
    if not set("*?[") & set(str(path)):
        return path
    spare.unlink()
    spare.symlink_to(path.resolve())
    return spare


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    try:
        with igzip.open(path, "rb") as file:
            yield file
    except EOFError:
        raise LoadFailed("the gzip data ends too early: the file is cut off") from None
    except (gzip.BadGzipFile, igzip_lib.IsalError) as error:  # type: ignore[misc]  # isal declares an instance, not a class
        raise LoadFailed(f"the gzip data is damaged ({error})") from None


def _codec(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise LoadFailed(f"the encoding {encoding!r} is not known") from None


def select_csv(path: Path, compression: str | None, shape: CsvFile) -> str:
    """A SELECT that takes every cell as text: an unquoted empty one is NULL, `""` is ''.

    No guessing: columns, quotes and compression are said, a short or long row is an error.
    """
    for name in shape.columns:
        quote_column(name)
    options = {
        "columns": "{" + ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in shape.columns) + "}",
        "auto_detect": "false",
        "header": "false",
        "skip": str(shape.skip_lines),
        "delim": quote_text(shape.delimiter),
        "quote": quote_text(shape.quote),
        "escape": quote_text(shape.quote),
        "nullstr": "''",
        "allow_quoted_nulls": "false",
        "strict_mode": "true",
        "null_padding": "false",
        "max_line_size": str(LINE_BYTES),
        "compression": quote_text(compression or "none"),
    }
    if _has_bare_line_ends(path, compression, shape.quote.encode()):
        options["new_line"] = r"'\n'"
    return f"SELECT * FROM read_csv({quote_text(str(path))}, {', '.join(f'{name} = {value}' for name, value in options.items())})"


def _has_bare_line_ends(path: Path, compression: str | None, quote: bytes) -> bool:
    r"""Whether the first line ends in \n alone. Left to guess, DuckDB takes a \r\n within a first quoted cell for the end of lines
    (1.5.5), and refuses the file. For files whose lines do end in \r\n it must be left to guess: told so, it loses cells."""
    with _reading(path) if compression else path.open("rb") as file:
        head = file.read(_BLOCK_BYTES)
    at = head.find(b"\n")
    while at >= 0 and quote and head.count(quote, 0, at) % 2:
        at = head.find(b"\n", at + 1)
    return at >= 0 and head[at - 1 : at] != b"\r"


@contextmanager
def complaints() -> Iterator[None]:
    """Turn the driver's errors about a file into `LoadFailed`; others pass."""
    try:
        yield
    except duckdb.Error as error:
        reason = complaint(str(error))
        if reason is None:
            raise
        raise reason from None


def complaint(text: str) -> LoadFailed | None:
    """Why the file can't be read, or None when the error is not about the file."""
    for sign, say in _SIGNS.items():
        if sign in text:
            return LoadFailed(_where(text) + say)
    counts = _COUNTS.search(text)
    if counts:
        return LoadFailed(f"{_where(text)}expected {counts[1]} columns, found {counts[2]}")
    if "CSV Error" in text or "CSV Parser" in text:
        return LoadFailed(f"{_where(text)}the row is not CSV as it was declared (delimiter, quotes)")
    return None


_SIGNS = {
    "unterminated quote": "a quoted cell does not end, or text follows its closing quote",
    "Maximum line size": f"a row is longer than {LINE_BYTES // 1024 // 1024} MB",
    "not utf-8": "the text is not UTF-8; set the feed's encoding",
    "not a GZIP": "the file is not gzip",
    "GZIP": "the gzip data is damaged or ends too early",
    "Failed to decode": "the gzip data is damaged or ends too early",
}


def _where(text: str) -> str:
    line = _LINE.search(text)
    return f"line {line[1]}: " if line else ""
