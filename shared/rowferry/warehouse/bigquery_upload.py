"""Rows as a stream for an upload: read once, in bounded memory."""

from __future__ import annotations

import io
from collections.abc import Iterator

from isal import isal_zlib

_GZIP = 31  # zlib's window bits for a gzip frame
_KEPT_BYTES = 16 * 1024 * 1024  # more than the client sends at a time (10 MB), so that it can send a piece again


class LineStream(io.RawIOBase):
    """Gzipped lines as a file. `rows` counts what has been read.

    A client may go back within the last 16 MB (it does, when a piece of an upload fails), no further.
    """

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._gzip = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP)
        self._kept = bytearray()
        self._kept_from = 0
        self._at = 0
        self._is_over = False
        self.rows = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Within what is kept."""
        return True

    def tell(self) -> int:
        """Bytes from the start."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go back (or forward) to a byte that is still kept. Raises `OSError` for another."""
        if whence != io.SEEK_SET or not self._kept_from <= offset <= self._end:
            raise OSError("an upload's stream can't go back that far")
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        while not self._is_over and (size < 0 or self._end < self._at + size):
            self._take()
        start = self._at - self._kept_from
        data = bytes(self._kept[start:] if size < 0 else self._kept[start : start + size])
        self._at += len(data)
        self._forget()
        return data

    @property
    def _end(self) -> int:
        return self._kept_from + len(self._kept)

    def _take(self) -> None:
        line = next(self._lines, None)
        if line is None:
            self._kept += self._gzip.flush()
            self._is_over = True
        else:
            self._kept += self._gzip.compress(line)
            self.rows += 1

    def _forget(self) -> None:
        surplus = self._at - _KEPT_BYTES - self._kept_from
        if surplus > 0:
            del self._kept[:surplus]
            self._kept_from += surplus
