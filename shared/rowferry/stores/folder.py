"""A store that is a folder: each object is a plain file of that name, so people and DuckDB can read it.

    create   write a hidden file, then link it to its name: the file system lets one of all writers win
    replace  write a hidden file, take the key's lock, compare the version, rename over the old file
    write    the same without the comparison
    delete   take the lock, compare, unlink

Readers need no lock: a name points at a whole file at every moment, and an opened file stays what it was.
A lock is `flock` on one of 256 files, which the kernel lets go when its holder dies. What a killed writer
leaves is a hidden file that is never listed, and is removed an hour later.

Nothing is fsynced: an object survives the death of any process, and the last seconds before a power cut
may be lost, as with any program that just writes files.
"""

from __future__ import annotations

import errno
import fcntl
import heapq
import logging
import os
import random
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

from rowferry.errors import CredentialsError, RowferryError, TryLater, UsageError
from rowferry.stores.keys import check_key, check_prefix, key_fault
from rowferry.stores.port import Conflict, Exists, NotFound, Object
from rowferry.stores.streams import joined

PRIVATE = ".rowferry"
_LOCKS = 256
_LEFTOVER_SECONDS = 3600
_NAMES_AT_ONCE = 100_000
_COPY_BYTES = 1 << 20
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
_GONE = (FileNotFoundError, NotADirectoryError)
_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class FolderStore:
    """Objects as files under `root`, on Linux and macOS. Fills `Store`.

    All of `root` must lie on one file system, with time stamps finer than a microsecond. A key can't
    be both an object and the folder of another one (`a` and `a/b`): the second raises `UsageError`.
    Links to folders are not followed when listing. `root` is made when it is missing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._temps = self._root / PRIVATE / "tmp"
        self._locks = self._root / PRIVATE / "locks"
        self._names = random.Random()
        with self._explained():
            self._root.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers()

    @property
    def url(self) -> str:
        """`file:///path`, percent-encoded where a URL needs it."""
        return self._root.as_uri()

    def read(self, key: str) -> tuple[bytes, str]:
        """The whole object and its version. Raises `NotFound`."""
        with self.open(key) as stream:
            return stream.read(), _version(os.fstat(stream.fileno()))

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """The file itself, open for reading: later writers don't disturb it. Raises `NotFound`."""
        path = self._file(key)
        with self._explained():
            try:
                # Without O_NONBLOCK a named pipe that somebody put here would hold us for ever.
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except _GONE:
                self._check_root()
                raise NotFound(key) from None
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or (version is not None and version != _version(status)):
                os.close(descriptor)
                raise NotFound(key)
            return os.fdopen(descriptor, "rb")

    def head(self, key: str) -> Object | None:
        """What a listing would show of one object; None when it does not exist."""
        path = self._file(key)
        with self._explained():
            found = _object(key, path)
            if found is None:
                self._check_root()
            return found

    def list(self, prefix: str = "", after: str = "") -> Iterator[Object]:
        """Objects by key, in UTF-8 order. No more than 100,000 names of one folder are held at once.

        A file whose name can't be a key (not UTF-8, a line break) is left out, with a warning in the log.
        """
        check_prefix(prefix)
        folder = prefix[: prefix.rfind("/") + 1]
        with self._explained():
            self._check_root()
            if not folder.startswith(PRIVATE + "/"):
                yield from self._walk(folder, prefix, after)

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        """Write a new object and return its version. Raises `Exists`."""
        _check_own(key)
        target = f"{self._root}/{key}"  # text all the way: a `Path` for each of many small files costs as much as the file
        with self._explained(), self._staged(data) as (staged, version):
            try:
                self._in_folder(target, lambda: os.link(staged, target))
            except FileExistsError:
                self._refuse_folder(key, Path(target))
                raise Exists(key) from None
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                self._create_locked(key, staged, Path(target))
            return version

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Write over `version` and return the new one. Raises `Conflict` (also when it is gone)."""
        target = self._file(key)
        with self._explained(), self._staged(data) as (staged, new_version), self._locked(key):
            self._check_version(key, target, version)
            Path(staged).replace(target)
            return new_version

    def write(self, key: str, data: bytes | IO[bytes]) -> str:
        """Write whatever was there before. Returns the version."""
        target = self._file(key)
        with self._explained(), self._staged(data) as (staged, version), self._locked(key):
            self._refuse_folder(key, target)
            self._in_folder(target, lambda: Path(staged).replace(target))
            return version

    def join(self, key: str, parts: Sequence[Object]) -> str:
        """Copy the parts into a new object and return its version. Raises `Exists`, `NotFound`."""
        with joined(self.open(part.key, part.version) for part in parts) as stream:
            return self.create(key, stream)

    def delete(self, key: str, version: str | None = None) -> None:
        """Remove; nothing happens when it is gone. With a `version`: `Conflict` unless it is live.

        Folders that this leaves empty go too, except the first under the root: people drop files there.
        """
        target = self._file(key)
        with self._explained():
            with self._locked(key):
                if version is not None:
                    self._check_version(key, target, version)
                if _object(key, target) is None:
                    return
                target.unlink(missing_ok=True)
            self._remove_empty_folders(target.parent)

    def uri(self, key: str) -> str:
        """`file:///path/key`, percent-encoded where a URL needs it."""
        return self._file(key).as_uri()

    def path(self, key: str) -> Path | None:
        """The object's own file. Only to be read."""
        return self._file(key)

    def close(self) -> None:
        """Nothing to let go of."""

    def _file(self, key: str) -> Path:
        _check_own(key)
        return self._root / key

    @contextmanager
    def _staged(self, data: bytes | IO[bytes]) -> Iterator[tuple[str, str]]:
        """A hidden file with the whole of `data`, and the version it will have; gone at the end."""
        path = f"{self._temps}/{os.getpid():x}-{self._names.getrandbits(96):x}"  # the process as well: a fork inherits the dice
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = self._in_folder(path, lambda: os.open(path, flags, 0o666))
        try:
            try:
                _write(descriptor, data)
                version = _stamped(descriptor)
            finally:
                os.close(descriptor)
            yield path, version
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - as text, see `create`

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Alone, among all threads and processes, with the writers of this key."""
        path = self._locks / f"{zlib.crc32(key.encode()) % _LOCKS:02x}"
        descriptor = self._in_folder(path, lambda: os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _create_locked(self, key: str, staged: str, target: Path) -> None:
        """Create where the file system has no hard links: exclusive among those who take the lock."""
        with self._locked(key):
            if target.exists():
                self._refuse_folder(key, target)
                raise Exists(key)
            self._in_folder(target, lambda: Path(staged).replace(target))

    def _check_version(self, key: str, target: Path, version: str) -> None:
        live = _object(key, target)
        if live is None or live.version != version:
            self._check_root()
            raise Conflict(key)

    def _refuse_folder(self, key: str, target: Path) -> None:
        if target.is_dir():
            raise UsageError(f"{key!r} can't be an object's name in {self._root}: it is a folder there")

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[Object]:
        """The objects under `folder` ("" or with a slash at its end), in order."""
        last = ""
        while True:
            keys = heapq.nsmallest(_NAMES_AT_ONCE, (key for key in self._keys(folder) if key > last and _wanted(key, prefix, after)))
            for key in keys:
                if key.endswith("/"):
                    yield from self._walk(key, prefix, after)
                elif found := _object(key, self._root / key):
                    yield found
            if len(keys) < _NAMES_AT_ONCE:
                return
            last = keys[-1]

    def _keys(self, folder: str) -> Iterator[str]:
        """What lies directly in a folder, as keys, in any order; those of folders end in a slash."""
        try:
            entries = os.scandir(self._root / folder)
        except _GONE:
            return
        with entries:
            for entry in entries:
                key = folder + entry.name
                if key == PRIVATE:
                    continue
                if fault := key_fault(key):
                    _log.warning("A file in %s is left out, rename it: %r has no fit name, %s", self._root, key, fault)
                else:
                    yield key + "/" if entry.is_dir(follow_symlinks=False) else key

    def _remove_leftovers(self) -> None:
        """Remove what writers left who were killed long ago."""
        oldest = time.time() - _LEFTOVER_SECONDS
        with suppress(OSError), os.scandir(self._temps) as entries:
            for entry in entries:
                if entry.stat().st_mtime < oldest:
                    Path(entry).unlink(missing_ok=True)

    def _remove_empty_folders(self, folder: Path) -> None:
        with suppress(OSError):  # not empty, most of the time
            while self._root not in {folder, folder.parent}:
                folder.rmdir()
                folder = folder.parent

    def _in_folder(self, path: Path | str, action: Callable[[], _Result]) -> _Result:
        """Do what needs the folder of `path`; where that is missing, make it and try again.

        Again and again, in fact: others may remove the folder, because it is empty, before we are back.
        """
        for _ in range(100):
            with suppress(FileNotFoundError):
                return action()
            self._check_root()
            _make_folder(Path(path).parent)
        return action()

    def _check_root(self) -> None:
        """An empty store and a disk that is not mounted are two things."""
        if not self._root.is_dir():
            raise TryLater(_MISSING.format(root=self._root))

    def _explained(self) -> _Explained:
        return _Explained(self._root)


_MISSING = "the folder {root} is not there: make it, or mount its disk, then run this again"
_FULL = "the disk of {root} is full: free some space, then run this again"
_REFUSED = "the folder {root} refuses us ({said}): let this user read and write it, or name another folder"
_IN_THE_WAY = "a file and a folder in {root} would have the same name ({said}): rename one of them"
_EXPLANATIONS: dict[int, tuple[type[RowferryError], str]] = {
    errno.ENOSPC: (TryLater, _FULL),
    errno.EDQUOT: (TryLater, _FULL),
    errno.EACCES: (CredentialsError, _REFUSED),
    errno.EPERM: (CredentialsError, _REFUSED),
    errno.EROFS: (CredentialsError, _REFUSED),
    errno.ENOTDIR: (UsageError, _IN_THE_WAY),
    errno.EISDIR: (UsageError, _IN_THE_WAY),
    errno.EEXIST: (UsageError, _IN_THE_WAY),
    errno.ENAMETOOLONG: (UsageError, "a name is too long for the folder {root}: most file systems stop at 255 bytes between two slashes"),
    errno.EXDEV: (UsageError, "a part of {root} lies on another file system: a store must be on one"),
    errno.EMFILE: (TryLater, "too many files are open to use {root}: raise the limit (ulimit -n), or send less at once"),
}


class _Explained:
    """Turns the system's errors into sentences that say what to do."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        if isinstance(error, OSError):
            raise _explanation(error, self._root) from error


def _explanation(error: OSError, root: Path) -> RowferryError:
    said = (error.strerror or type(error).__name__).lower()
    kind, text = _EXPLANATIONS.get(error.errno or 0, (TryLater, "the folder {root} can't be used just now: {said}"))
    if not root.is_dir() and kind is TryLater:
        text = _MISSING
    return kind(text.format(root=root, said=said))


def _check_own(key: str) -> None:
    """Raises `UsageError` for what can't be a key, or is a name that the store has for itself."""
    check_key(key)
    if key == PRIVATE or key.startswith(PRIVATE + "/"):
        raise UsageError(f"{key!r} can't be an object's name: {PRIVATE} is the folder's own")


def _make_folder(folder: Path) -> None:
    """Make a folder, or try to: somebody may remove it, or one above it, in between."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        return
    except FileExistsError:
        if folder.is_file():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder") from None


def _write(descriptor: int, data: bytes | IO[bytes]) -> None:
    if not isinstance(data, bytes):
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            shutil.copyfileobj(data, stream, _COPY_BYTES)
        return
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _stamped(descriptor: int) -> str:
    """Give a new file the time to the nanosecond, and return its version."""
    now = time.time_ns()
    os.utime(descriptor, ns=(now, now))
    return _version(os.fstat(descriptor))


def _version(status: os.stat_result) -> str:
    """What tells two writes apart: the file's number, its time and its size.

    The kernel stamps files by its tick of some milliseconds, and gives a freed number to the next file, so
    that two writes within a tick could look alike. Hence `_stamped`: a number can't come back within its nanosecond.
    """
    return f"{status.st_mtime_ns:x}-{status.st_ino:x}-{status.st_size:x}"


def _object(key: str, path: Path) -> Object | None:
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return None
        raise
    if not stat.S_ISREG(status.st_mode):
        return None
    return Object(key, _version(status), status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _wanted(key: str, prefix: str, after: str) -> bool:
    """Whether a key belongs into a listing; of a folder: whether a key in it may."""
    if key.endswith("/"):
        return (key.startswith(prefix) or prefix.startswith(key)) and (key > after or after.startswith(key))
    return key.startswith(prefix) and key > after
