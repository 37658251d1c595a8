"""The stream under an upload: bytes once through, a way back for one piece, and no more memory than that."""

from __future__ import annotations

import gzip
import os
from io import BytesIO

import pytest

from rowferry.warehouse.bigquery_upload import UploadStream, blocks, gzipped

MB = 1024 * 1024


def test_lines_arrive_whole_whatever_the_reader_asks_for() -> None:
    """Pieces of any size put together are a gzip of the lines."""
    lines = [b"%d\n" % number for number in range(50_000)]
    for size in (7, 4096, 10 * MB, -1):
        stream, read = UploadStream(gzipped(lines)), bytearray()
        while piece := stream.read(size):
            read += piece
        assert gzip.decompress(read) == b"".join(lines)


def test_a_reader_may_go_back_for_the_last_piece() -> None:
    """Google's client reads 10 MB, and asks for the same again when it could not be sent."""
    data = os.urandom(45 * MB)
    stream = UploadStream(blocks(BytesIO(data)))
    sent = bytearray()
    while piece := stream.read(10 * MB):
        start = stream.tell() - len(piece)
        stream.seek(start)
        assert stream.read(len(piece)) == piece
        sent += piece
    assert sent == data


def test_what_was_sent_is_forgotten() -> None:
    """Memory stays at 16 MB and a piece, however long the stream; going back to the start is refused."""
    stream = UploadStream(os.urandom(MB) for _ in range(100))
    most = 0
    while stream.read(10 * MB):
        most = max(most, len(stream._kept))
    assert most <= 26 * MB
    with pytest.raises(OSError, match="not kept any more"):
        stream.seek(0)


def test_an_empty_file_is_a_gzip_of_nothing() -> None:
    """An upload of no bytes has no end that a server could see."""
    assert gzip.decompress(b"".join(blocks(BytesIO(b"")))) == b""


def test_an_error_on_the_way_reaches_the_caller() -> None:
    """Rows that can't be read any more end the upload with their own error, not with half a file."""

    def lines() -> object:
        yield b"1\n"
        raise ValueError("the source is gone")

    with pytest.raises(ValueError, match="the source is gone"):
        UploadStream(gzipped(lines())).read()  # type: ignore[arg-type]  # a generator of bytes
