"""Rows as lines of JSON, and the archives that vendors send them in, read from disk in bounded memory."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

from rowferry.errors import FileRejected
from rowferry.loads.textvalues import to_json
from rowferry.loads.unpack import find_compression, unpack


def to_line(row: Mapping[str, Any]) -> bytes:
    """One row as a line of JSON; numbers keep all their digits."""
    return to_json(row).encode("utf-8", "replace") + b"\n"


def check_archive(body: IO[bytes], format: str) -> None:
    """Read it to its end. Raises `FileRejected` for one that is cut off, damaged, or something else than an archive."""
    body.seek(0)
    head = body.read(4)
    if format == "jsonl" and find_compression(head) not in ("zip", "gzip"):
        raise FileRejected("wrong_format", "it is neither ZIP nor gzip" if head else "it is empty")
    if format == "csv" and (not head or head.lstrip().startswith(b"<")):
        raise FileRejected("wrong_format", "it is no CSV" if head else "it is empty")
    for _ in read_lines(body, format):
        pass


def read_lines(body: IO[bytes], format: str) -> Iterator[bytes]:
    """The rows of an archive's files, one file after the other, each as a line of JSON with its line's end."""
    size = body.seek(0, io.SEEK_END)
    with os.fdopen(os.dup(body.fileno()), "rb") as again:  # reading an archive closes it, and it may be read again
        again.seek(0)
        for plain in unpack(again, size):
            if format == "csv":
                yield from _from_csv(plain)
            else:
                yield from (line if line.endswith(b"\n") else line + b"\n" for line in plain if not line.isspace())


def _from_csv(plain: IO[bytes]) -> Iterator[bytes]:
    text = io.TextIOWrapper(plain, "utf-8-sig", "replace", newline="")
    try:
        for row in csv.DictReader(text, restkey="more", restval=None):
            yield to_line({name: value or None for name, value in row.items()})
    except csv.Error as error:
        raise FileRejected("wrong_format", f"it is no CSV: {error}") from None
    finally:
        text.detach()
