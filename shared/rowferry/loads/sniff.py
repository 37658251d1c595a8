"""What a file is, by its content: names lie, and a wrong guess loads rubbish."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import IO, Literal

from rowferry.errors import FileRejected
from rowferry.loads.limits import DEFAULT_LIMITS, KIB, FileLimits
from rowferry.loads.unpack import Compression, find_compression, unpack

Kind = Literal["empty", "csv", "jsonl", "json", "avro", "parquet"]

HEAD_BYTES = 64 * KIB

_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, which it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BINARIES = {
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; export it as CSV",
    b"ORC": "an ORC file; export it as Parquet, Avro or CSV",
    b"BZh": "packed with bzip2; pack it with gzip or zstd",
    b"\xfd7zXZ": "packed with xz; pack it with gzip or zstd",
    b"7z\xbc\xaf": "packed with 7-Zip; pack it with gzip or zstd",
}


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What stands in a file. `encoding` is Python's name for a text's; with a byte order mark the
    mark decides, whatever the feed says. `bare_lines` are lines before the first JSON object
    (CleverTap writes the event's name there), and `title` is the first of them."""

    kind: Kind
    compression: Compression | None
    encoding: str
    head: bytes
    bare_lines: int = 0
    title: str | None = None


def sniff(stream: IO[bytes], size_bytes: int, encoding: str, format: str | None, limits: FileLimits = DEFAULT_LIMITS) -> Sniffed:
    """Look at the beginning of a file. Raises `FileRejected` when it is none that we read.

    `encoding` and `format` are what the feed says; without a format the content alone decides.
    """
    compression = find_compression(_peek(stream))
    head = b""
    for plain in unpack(stream, size_bytes, limits):
        head = plain.read(HEAD_BYTES)
        if head:
            break
    if not head:
        return Sniffed("empty", compression, encoding, b"")
    if kind := _binary(head):
        return Sniffed(_agreed(kind, format), compression, encoding, head)
    return _text(head, compression, encoding, format)


def _peek(stream: IO[bytes]) -> bytes:
    """The first bytes, left in the stream. It must be seekable, or have `peek` as every buffered stream has."""
    if stream.seekable():
        head = stream.read(4)
        stream.seek(0)
        return head
    return bytes(stream.peek(4)[:4])  # type: ignore[attr-defined]  # typing.IO lacks what BufferedReader has


def _binary(head: bytes) -> Kind | None:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"Obj\x01"):
        return "avro"
    for sign, what in _BINARIES.items():
        if head.startswith(sign):
            raise FileRejected("wrong_format", f"the file is {what}")
    return None


def _text(head: bytes, compression: Compression | None, encoding: str, format: str | None) -> Sniffed:
    marked = next((found for bom, found in _BOMS.items() if head.startswith(bom)), None)
    encoding = marked or encoding
    text = decode(head, encoding)
    if "\0" in text:
        raise FileRejected("wrong_format", "the file is not text: it has NUL bytes; if it is UTF-16, set the feed's encoding to utf-16-le")
    start = text.lstrip()
    if not start:
        return Sniffed("empty", compression, encoding, head)
    if start[:15].lower().startswith(("<!doctype html", "<html")):
        raise FileRejected("wrong_format", "the file is a web page, most likely an error or a log-in page saved as a file")
    if start.startswith(("<?xml", "<Event")):
        raise FileRejected("wrong_format", "the file is XML; choose CSV, JSON or Parquet where the export is set up")
    return _json_or_csv(text, start, compression, encoding, head, format)


def _json_or_csv(text: str, start: str, compression: Compression | None, encoding: str, head: bytes, format: str | None) -> Sniffed:
    if start.startswith("{"):
        return Sniffed(_agreed("jsonl", format), compression, encoding, head)
    if start.startswith("[") and start[1:].lstrip()[:1] in ("{", "]", ""):
        return Sniffed(_agreed("json", format), compression, encoding, head)
    lines = text.split("\n", 2)
    if len(lines) > 1 and lines[1].lstrip().startswith('{"'):
        return Sniffed(_agreed("jsonl", format), compression, encoding, head, bare_lines=1, title=lines[0].strip("\r\n\ufeff ").strip())
    if format == "jsonl" and "\n" not in text.strip():
        return Sniffed("jsonl", compression, encoding, head, bare_lines=1, title=text.strip("\r\n\ufeff ").strip())
    return Sniffed(_agreed("csv", format), compression, encoding, head)


def _agreed(found: Kind, format: str | None) -> Kind:
    """JSON lines and a JSON array are told apart by content alone; else the feed's word and the content must agree."""
    if format is None or format == found or {format, found} == {"json", "jsonl"}:
        return found
    raise FileRejected("wrong_format", f"the file is {found}, but the feed says format: {format}")


def decode(head: bytes, encoding: str) -> str:
    """The text of the first bytes of a file; a character cut in two at the end is left out.

    Raises `FileRejected` when the bytes are not in that encoding.
    """
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeError:
        raise FileRejected(
            "wrong_encoding", f"the text is not {encoding}; set the feed's encoding to what the file is in, such as utf-16 or cp1252"
        ) from None
