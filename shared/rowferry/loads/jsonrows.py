"""JSON lines and JSON arrays, row by row, with the physical line that each begins on."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import IO, Any

import orjson

from rowferry.errors import FileRejected
from rowferry.loads.badlines import BadLine
from rowferry.loads.limits import DEFAULT_LIMITS, MIB
from rowferry.loads.textvalues import without_lone_surrogates

Record = Mapping[str, Any]

# A number of so many digits may not survive being a 64-bit float: then it is read as a decimal.
_LONG_NUMBER = re.compile(rb"[0-9.]{16}")
_BROKEN = "line {line}: this is not JSON, or only a part of it: the file may be cut off"
_ENCODING = "line {line}: the text is not {encoding}; set the feed's encoding"
_BLANK = " \t\r\n"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_exact = json.JSONDecoder(parse_float=Decimal, parse_constant=str)


def read_json_lines(
    stream: IO[bytes], encoding: str, bare_lines: int = 0, row_bytes: int = DEFAULT_LIMITS.row_bytes, *, keep_bad: bool = False
) -> Iterator[tuple[int, Record | BadLine]]:
    """Each line's object. Blank lines are passed over, `bare_lines` at the start are no JSON.

    Raises `FileRejected` for a line that is no JSON object; with `keep_bad` it is kept, since no JSON
    goes on over a line's end.
    """
    lines = stream if encoding in ("utf-8", "utf-8-sig") else _as_utf8(stream, encoding)
    number = 0
    while line := lines.readline(row_bytes):
        number += 1
        if len(line) >= row_bytes and not line.endswith(b"\n"):
            raise FileRejected("row_too_long", f"line {number}: the line is longer than {row_bytes // MIB} MB")
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if number > bare_lines and not line.isspace():
            try:
                row: Record | BadLine = _object(_read(line, number), number)
            except FileRejected as error:
                if not keep_bad or error.code != "bad_json":
                    raise
                row = BadLine(line.decode().strip(), error.reason.removeprefix(f"line {number}: "))
            yield number, row


def read_json_array(stream: IO[bytes], encoding: str, row_bytes: int = DEFAULT_LIMITS.row_bytes) -> Iterator[tuple[int, Record]]:
    """The objects of one array over the whole file, in bounded memory. Raises `FileRejected`."""
    text = _Text(io.TextIOWrapper(stream, "utf-8-sig" if encoding == "utf-8" else encoding, newline=""), row_bytes)
    text.expect("[")
    first = True
    while text.peek() != "]":
        if not first:
            text.expect(",")
        first = False
        text.peek()
        yield text.line, _object(text.value(), text.line)
    text.expect("]")
    if text.peek():
        raise FileRejected("bad_json", f"line {text.line}: text follows the end of the array")


def _read(line: bytes, number: int) -> Any:
    if _LONG_NUMBER.search(line) is None:
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            pass  # NaN or half a pair, which are no JSON but are written; or a broken line, which the next one tells
    try:
        text = line.decode("utf-8")
        return without_lone_surrogates(_exact.decode(text)) if _SURROGATE.search(text) else _exact.decode(text)
    except UnicodeDecodeError:
        raise FileRejected("wrong_encoding", _ENCODING.format(line=number, encoding="utf-8")) from None
    except (ValueError, RecursionError):
        raise FileRejected("bad_json", _BROKEN.format(line=number)) from None


def _object(value: Any, line: int) -> Record:
    if not isinstance(value, dict):
        raise FileRejected("bad_json", f"line {line}: expected an object with the row's columns")
    return value


def _as_utf8(stream: IO[bytes], encoding: str) -> IO[bytes]:
    text = io.TextIOWrapper(stream, encoding, newline="")
    return _Recoded(text)  # type: ignore[return-value]  # only readline is asked of it


class _Recoded:
    """Lines of another encoding as UTF-8."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def readline(self, limit: int) -> bytes:
        try:
            return self._text.readline(limit).encode("utf-8", "surrogatepass")
        except UnicodeError:
            raise FileRejected("wrong_encoding", f"the text is not {self._text.encoding}; set the feed's encoding") from None


class _Text:
    """A window over a text that grows as far as one value needs, and knows its line."""

    def __init__(self, stream: io.TextIOWrapper, most: int) -> None:
        self._stream = stream
        self._most = most
        self._text = ""
        self._at = 0
        self.line = 1

    def peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        while True:
            while self._at < len(self._text):
                letter = self._text[self._at]
                if letter not in _BLANK:
                    return letter
                self.line += letter == "\n"
                self._at += 1
            if not self._grow():
                return ""

    def expect(self, letter: str) -> None:
        """Go over one character."""
        found = self.peek()
        if found != letter:
            what = f"{found!r}" if found else "the end of the file, which may be cut off"
            raise FileRejected("bad_json", f"line {self.line}: expected {letter!r}, found {what}")
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        while True:
            try:
                value, end = _exact.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                if self._grow():
                    continue
                raise FileRejected(
                    "bad_json", f"line {self.line}: this is not JSON, or only a part of it: the file may be cut off"
                ) from None
            if _SURROGATE.search(self._text, self._at, end):
                value = without_lone_surrogates(value)
            self.line += self._text.count("\n", self._at, end)
            self._at = end
            return value

    def _grow(self) -> bool:
        rest = self._text[self._at :]
        if len(rest) > self._most:
            raise FileRejected("row_too_long", f"line {self.line}: a row is longer than {self._most // MIB} MB, or is not JSON")
        try:
            more = self._stream.read(max(MIB, len(rest)))
        except UnicodeError:
            raise FileRejected(
                "wrong_encoding", f"line {self.line}: the text is not {self._stream.encoding}; set the feed's encoding"
            ) from None
        self._text, self._at = rest + more, 0
        return bool(more)
