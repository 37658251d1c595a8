"""Compressed bytes as a plain stream, in bounded memory: gzip, zstd, zip, and gzip in zip."""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from shutil import copyfileobj
from typing import IO, Any, Literal, cast

from rowferry.errors import FileRejected
from rowferry.loads.limits import DEFAULT_LIMITS, MIB, FileLimits

try:
    from isal import igzip as gzip
    from isal.igzip_lib import IsalError

    _DEFLATE_ERRORS: tuple[type[Exception], ...] = (zlib.error, cast(type[Exception], IsalError))  # its stub declares an instance
except ImportError:  # no wheel for this machine: the same bytes, three times slower
    import gzip  # type: ignore[no-redef]  # igzip has the same classes

    _DEFLATE_ERRORS = (zlib.error,)

Compression = Literal["gzip", "zstd", "zip"]

_UNREADABLE: tuple[type[Exception], ...] = (OSError, zipfile.BadZipFile, *_DEFLATE_ERRORS)
_TRUNCATED = "the file ends in the middle: it was cut off while it was written or sent; deliver it again"
_DAMAGED = "the compressed data is damaged; deliver the file again"
# What archives hold besides data: macOS's resource forks, folders, hidden files.
_NOT_DATA = ("__MACOSX/", ".")


def find_compression(head: bytes) -> Compression | None:
    """What the first bytes of a file say it is packed with, whatever its name says."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    return "zip" if head.startswith((b"PK\x03\x04", b"PK\x05\x06")) else None


def unpack(packed: IO[bytes], size_bytes: int, limits: FileLimits = DEFAULT_LIMITS) -> Iterator[IO[bytes]]:
    """The plain streams in a file of `size_bytes`: one, or each file of a ZIP in the order of their names.

    `packed` stands at its start and is read from there. Reading raises `FileRejected` where the data
    is cut off, damaged, encrypted or would unpack to more than the limits allow.
    """
    source = io.BufferedReader(_Guarded(packed, None), MIB)
    budget = _Budget(max(limits.plain_bytes, limits.ratio * size_bytes))
    if find_compression(source.peek(4)[:4]) == "zip":
        yield from _members(source, limits, budget)
    else:
        yield _open(source, budget)


class _Budget:
    """Plain bytes that a file may still unpack to."""

    def __init__(self, plain_bytes: int) -> None:
        self._allowed_bytes = plain_bytes
        self._left_bytes = plain_bytes

    def spend(self, count: int) -> None:
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise FileRejected(
                "unpacks_too_large", f"the file unpacks to more than {self._allowed_bytes // MIB:,} MB, far more than data of its size does"
            )


class _Guarded(io.RawIOBase):
    """A stream that spends its budget and says in a sentence what is wrong with its data."""

    def __init__(self, inner: Any, budget: _Budget | None) -> None:
        self._inner = inner
        self._budget = budget

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._inner.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._inner.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(len(buffer))
        except EOFError:
            raise FileRejected("truncated", _TRUNCATED) from None
        except _UNREADABLE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk or network, not the data
            raise FileRejected("damaged", _DAMAGED) from None
        buffer[: len(data)] = data
        if self._budget is not None:
            self._budget.spend(len(data))
        return len(data)

    def close(self) -> None:
        self._inner.close()
        super().close()


def _open(source: io.BufferedReader[_Guarded], budget: _Budget) -> IO[bytes]:
    compression = find_compression(source.peek(4)[:4])
    if compression == "gzip":
        return io.BufferedReader(_Guarded(gzip.GzipFile(fileobj=source, mode="rb"), budget), MIB)
    if compression == "zstd":
        return io.BufferedReader(_ZstdStream(source, budget), MIB)
    return io.BufferedReader(_Guarded(source, None), MIB)


class _ZstdStream(_Guarded):
    """zstd frames one after the other; the library itself takes a cut-off frame for an end."""

    def __init__(self, source: IO[bytes], budget: _Budget) -> None:
        super().__init__(source, budget)
        self._ready = memoryview(b"")
        self._frame: Any = None
        self._input = b""

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if not self._fill():
                return 0
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        assert self._budget is not None
        self._budget.spend(count)
        return count

    def _fill(self) -> bool:
        try:
            import zstandard
        except ImportError:
            raise FileRejected("codec", "the file is packed with zstd, and the package zstandard is not installed here") from None
        self._input = self._input or self._inner.read(64 * 1024)
        if not self._input:
            if self._frame is not None:
                raise FileRejected("truncated", _TRUNCATED)
            return False
        self._frame = self._frame or zstandard.ZstdDecompressor(max_window_size=128 * MIB).decompressobj()
        try:
            self._ready = memoryview(self._frame.decompress(self._input))
        except zstandard.ZstdError:
            raise FileRejected("damaged", _DAMAGED) from None
        self._input = b""
        if self._frame.eof:
            self._input, self._frame = self._frame.unused_data, None
        return True


def _members(source: io.BufferedReader[_Guarded], limits: FileLimits, budget: _Budget) -> Iterator[IO[bytes]]:
    """Each file of a ZIP, itself unpacked where it is packed again (Amplitude: gzip in ZIP)."""
    with closing(_seekable(source)) as seekable:
        archive = _read_directory(seekable, limits)
        for found in archive:
            with closing(_member(seekable, found, budget)) as member:
                yield _open(member, budget) if find_compression(member.peek(4)[:4]) else member


def _read_directory(seekable: IO[bytes], limits: FileLimits) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(seekable) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile:
        raise FileRejected("truncated", f"the ZIP has no directory at its end: {_TRUNCATED}") from None
    if len(members) > limits.members:
        raise FileRejected("unpacks_too_large", f"the ZIP holds {len(members):,} files; {limits.members:,} are the most we take")
    if any(member.filename == "[Content_Types].xml" for member in members):
        raise FileRejected("wrong_format", "the file is an Excel workbook or a Word document; export it as CSV")
    if any(member.flag_bits & 0x1 for member in members):
        raise FileRejected("encrypted", "the ZIP is encrypted; deliver it without a password")
    data = [each for each in members if not (each.is_dir() or each.filename.startswith(_NOT_DATA) or "/." in each.filename)]
    return sorted(data, key=lambda each: each.filename)


def _member(seekable: IO[bytes], found: zipfile.ZipInfo, budget: _Budget) -> io.BufferedReader[_Guarded]:
    try:
        return io.BufferedReader(_Guarded(zipfile.ZipFile(seekable).open(found), budget), MIB)
    except (zipfile.BadZipFile, NotImplementedError):
        raise FileRejected("damaged", _DAMAGED) from None


def _seekable(source: io.BufferedReader[_Guarded]) -> IO[bytes]:
    """A ZIP's directory is at its end: a stream that can't go there is copied to disk first."""
    if source.seekable():
        return source
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the caller)
    copyfileobj(source, copy, MIB)
    copy.seek(0)
    return copy
