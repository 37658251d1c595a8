"""The port every store fills: read, stream, list, create-only, compare-and-swap, join, delete.

Two conditions carry the whole promise, and every adapter must have them for real:
`create` succeeds for exactly one of any number of writers, and `replace` only when nobody
wrote in between. Everything Rowferry hands from one function to the next goes through them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from rowferry.errors import RowferryError

MOST_PARTS = 32  # of one `join`; Cloud Storage's limit (docs.cloud.google.com/storage/docs/composite-objects, 2026-11)


class NotFound(RowferryError):
    """No object of this name. `key` says which."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"there is no object {key!r}")


class Exists(RowferryError):
    """`create` found the name taken: somebody was first."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the object {key!r} already exists")


class Conflict(RowferryError):
    """`replace` or `delete` found another version than the one it was told: read again."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the object {key!r} was changed by somebody else")


@dataclass(frozen=True, slots=True)
class Object:
    """One object as a listing shows it.

    `version` is opaque and the same wherever it shows (write, read, head, listing). It changes with
    every write of other bytes: GCS's generation, S3's ETag, a folder's own mark.
    """

    key: str
    version: str
    size_bytes: int
    updated_at: datetime


class Store(Protocol):
    """A bucket or folder, under a prefix of its own. Keys are relative to it, `/` parts them.

    Every method raises `TryLater` when the store can't be reached and `CredentialsError` when
    it refuses us; passing faults have been retried before that. Safe for threads.
    """

    @property
    def url(self) -> str:
        """`gs://bucket/prefix`, `s3://bucket/prefix` or `file:///path`; no secret in it."""

    def read(self, key: str) -> tuple[bytes, str]:
        """The whole object and its version. Raises `NotFound`."""

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """A stream over the object in bounded memory. Raises `NotFound`.

        With a `version`, only that one is served: `NotFound` if it is no longer the live one.
        """

    def head(self, key: str) -> Object | None:
        """What a listing would show of one object; None when it does not exist."""

    def list(self, prefix: str = "", after: str = "") -> Iterator[Object]:
        """Objects whose key starts with `prefix`, in the order of their keys' UTF-8 bytes, page by page.

        Only keys greater than `after`. An object written before the call is always listed.
        """

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        """Write a new object and return its version. Raises `Exists`; nobody ever sees half of it."""

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Write over `version` and return the new one. Raises `Conflict` (also when it is gone)."""

    def write(self, key: str, data: bytes | IO[bytes]) -> str:
        """Write whatever was there before; for objects with one writer. Returns the version."""

    def join(self, key: str, parts: Sequence[Object]) -> str:
        """Write a new object that is these objects' bytes, one after the other, and return its version.

        At most `MOST_PARTS` of them, which stay as they are. Raises `Exists`, and `NotFound` when one of
        them is gone or was changed. In Cloud Storage no byte of it passes through us.
        """

    def delete(self, key: str, version: str | None = None) -> None:
        """Remove; nothing happens when it is gone. With a `version`: `Conflict` unless it is live."""

    def uri(self, key: str) -> str:
        """The object's full address for people and for BigQuery: `gs://bucket/prefix/key`."""

    def path(self, key: str) -> Path | None:
        """The object as a local file to read, where the store is a folder; else None."""

    def close(self) -> None:
        """Let go of connections. The store may not be used afterwards."""
