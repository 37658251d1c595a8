"""Streams in and out of remote stores.

In: a remote object as a file, read piece by piece with range requests, each of which can be tried again.
Out: any stream as the clouds' clients want it. A pipe or a decompressor may give less than it is asked for
before its end, which a client could take for the end.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import IO

# Large enough that the way there and back is small beside the transfer, small enough for a 256 MB function.
PIECE_BYTES = 4 << 20


def open_ranges(size_bytes: int, fetch: Callable[[int, int], bytes]) -> IO[bytes]:
    """A seekable stream over an object of `size_bytes`, that holds two pieces at most.

    `fetch(first, last)` returns the bytes from `first` to `last`, both included, of a version that
    does not change; what it raises comes out of the stream's `read`.
    """
    return io.BufferedReader(_RangeReader(size_bytes, fetch), PIECE_BYTES)


def read_fully(stream: IO[bytes], size_bytes: int) -> bytes:
    """The next `size_bytes` of a stream; less only at its end."""
    pieces = []
    while size_bytes and (piece := stream.read(size_bytes)):
        pieces.append(piece)
        size_bytes -= len(piece)
    return b"".join(pieces)


def joined(streams: Iterator[IO[bytes]]) -> IO[bytes]:
    """The bytes of all streams one after the other; each is opened when its turn comes, and closed after it."""
    return io.BufferedReader(_JoinedReader(streams), PIECE_BYTES)


class FullReader:
    """A stream whose `read` gives as much as it is asked for, and which knows how far it is."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._position = 0

    def read(self, size_bytes: int) -> bytes:
        """The next `size_bytes`; less only at the end."""
        data = read_fully(self._stream, size_bytes)
        self._position += len(data)
        return data

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position


class _JoinedReader(io.RawIOBase):
    def __init__(self, streams: Iterator[IO[bytes]]) -> None:
        self._streams = streams
        self._current: IO[bytes] = io.BytesIO()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as below
        while not (piece := self._current.read(len(buffer))):
            following = next(self._streams, None)
            if following is None:
                return 0
            self._current.close()
            self._current = following
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._current.close()
        super().close()


class _RangeReader(io.RawIOBase):
    def __init__(self, size_bytes: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size_bytes = size_bytes
        self._fetch = fetch
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io hands in a memoryview, its stub says any buffer
        piece = self._piece(min(len(buffer), PIECE_BYTES))
        buffer[: len(piece)] = piece
        return len(piece)

    def readall(self) -> bytes:
        """The rest. The base class would ask for 8 KB a time."""
        return b"".join(iter(lambda: self._piece(PIECE_BYTES), b""))

    def _piece(self, most_bytes: int) -> bytes:
        last = min(self._position + most_bytes, self._size_bytes) - 1
        if last < self._position:
            return b""
        piece = self._fetch(self._position, last)
        self._position += len(piece)
        return piece
