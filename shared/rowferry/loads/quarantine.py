"""What could not be loaded, kept where a person finds it: under `quarantine/` of the state store.

    quarantine/<feed>/<id>/<name>                 a file that can't be read, as it came
    quarantine/<feed>/<id>/<name>.reason.json     why, in a sentence
    quarantine/<feed>/<id>/<name>.rejected.csv    the rows with a rejected cell, of a file that was loaded

The way back: correct a file and drop it into the exports under its old name. Or correct the rows in
`….rejected.csv`, and drop it beside the file they came from as `<name>.corrected.csv`: then just
those rows are loaded, in place of what was loaded of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

import orjson

from rowferry.errors import FileRejected
from rowferry.stores.port import NotFound, Object, Store

FOLDER = "quarantine"
CORRECTED = ".corrected.csv"
LINE_NAME = "rowferry_line"
REASON_NAME = "rowferry_reason"
TEXT_NAME = "rowferry_text"  # a line of which no row could be made, as it stands in the file
OUR_NAMES = (LINE_NAME, REASON_NAME, TEXT_NAME)
# How `….rejected.csv` is written, and so how a corrected one is read, whatever the feed's own files are.
AS_WE_WRITE = {
    "format": "csv",
    "delimiter": ",",
    "quote": '"',
    "encoding": "utf-8",
    "header": True,
    "skip_lines": 0,
    "bad_line": "quarantine",
}


class Quarantine:
    """Keeps rejected files and rows. Writing the same again changes nothing."""

    def __init__(self, exports: Store, state: Store) -> None:
        self._exports = exports
        self._state = state

    def keep_file(self, feed: str, file_id: str, object: Object, error: FileRejected, at: datetime) -> str:
        """Copy a file as it came and say why. Returns the key of the copy."""
        key = f"{FOLDER}/{feed}/{file_id[:16]}/{_name(object.key)}"
        try:
            with closing(self._exports.open(object.key, object.version)) as stream:
                self._state.write(key, stream)
        except NotFound:
            pass  # overwritten or removed meanwhile: the reason is still worth keeping
        why = {"file": object.key, "version": object.version, "feed": feed, "code": error.code, "reason": error.reason, "at": at}
        self._state.write(f"{key}.reason.json", orjson.dumps(why, option=orjson.OPT_INDENT_2))
        return key

    def keep_rows(self, feed: str, file_id: str, file: str, names: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> str:
        """Write the rejected rows as a CSV to correct. `rows` have `line`, `reasons` and a cell for each
        of `names`, whose values are the names in the file."""
        key = f"{FOLDER}/{feed}/{file_id[:16]}/{_name(file)}.rejected.csv"
        self._state.write(key, io.BufferedReader(_Lines(_csv(names, rows))))
        return key


def corrects(key: str) -> str | None:
    """The file whose rows a `….corrected.csv` corrects; None for any other file."""
    return key.removesuffix(CORRECTED) if key.endswith(CORRECTED) and key != CORRECTED else None


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _csv(names: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    yield _line([LINE_NAME, REASON_NAME, *names.values()])
    for row in rows:
        yield _line([str(row["line"]), row["reasons"].rstrip("; "), *(row[cell] for cell in names)])


def _line(cells: Sequence[str | None]) -> bytes:
    return (",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells) + "\n").encode()


class _Lines(io.RawIOBase):
    """An iterator of lines as a stream, so that any number of rows passes in bounded memory."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._lines, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
