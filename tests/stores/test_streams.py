"""Remote objects as files, and streams as the clouds' clients want them."""

from __future__ import annotations

import gzip
import io
import os

import pytest

from rowferry.stores.streams import PIECE_BYTES, FullReader, open_ranges, read_fully

BODY = bytes(range(256)) * 40_000


def test_ranges_cover_the_object_once() -> None:
    """Reading through asks for each byte once, a piece at a time, and for nothing after the end."""
    asked: list[tuple[int, int]] = []

    def fetch(first: int, last: int) -> bytes:
        asked.append((first, last))
        return BODY[first : last + 1]

    with open_ranges(len(BODY), fetch) as stream:
        parts = list(iter(lambda: stream.read(100_000), b""))
    assert b"".join(parts) == BODY
    assert [first for first, _ in asked] == [0, PIECE_BYTES, 2 * PIECE_BYTES]
    assert asked[-1][1] == len(BODY) - 1


def test_seeking_needs_no_reading() -> None:
    """A place in the middle is one request away, and a place after the end is the end."""
    asked: list[int] = []

    def fetch(first: int, last: int) -> bytes:
        asked.append(first)
        return BODY[first : last + 1]

    with open_ranges(len(BODY), fetch) as stream:
        assert stream.seek(9_000_000) == 9_000_000
        assert stream.read(10) == BODY[9_000_000:9_000_010]
        assert stream.seek(-4, os.SEEK_END) == len(BODY) - 4
        assert stream.read() == BODY[-4:]
        stream.seek(len(BODY) + 100)
        assert stream.read() == b""
    assert asked == [9_000_000, len(BODY) - 4]


def test_packed_object_is_unpacked_on_the_way() -> None:
    """A decompressor reads a remote object like a file."""
    packed = gzip.compress(BODY)
    with open_ranges(len(packed), lambda first, last: packed[first : last + 1]) as stream, gzip.open(stream) as unpacked:
        assert unpacked.read() == BODY


class Drops(io.BytesIO):
    """A stream that gives seven bytes at a time at most."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(7 if size is None or size < 0 else min(size, 7))


@pytest.mark.parametrize("size_bytes", [1, 7, 10, 50, 100])
def test_short_reads_are_no_end(size_bytes: int) -> None:
    """A stream that gives less than it is asked for is read on, and its position is known."""
    body = bytes(range(50))
    assert read_fully(Drops(body), size_bytes) == body[:size_bytes]
    reader = FullReader(Drops(body))
    assert reader.read(50) == body
    assert reader.tell() == 50
    assert reader.read(10) == b""
