"""A window's pages in the state store, each made durable before the next is asked for.

    pulls/<pull>/pages/<window>/<attempt>/00000042     a line of JSON, then the rows: lines of JSON in gzip

The line says how many rows there are, which step brought them and which follows; a page without a following
step is the last. Numbers are taken by `create`, so two workers can't both go on with one attempt. gzip streams
one after the other are one gzip file: the export file is the pages without their first lines.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import orjson

from rowferry.errors import TryLater
from rowferry.pulls.port import PullFailed, Step
from rowferry.stores.port import Exists, Store

log = logging.getLogger("rowferry")

FRESH = timedelta(hours=6)  # how long an attempt may be gone on with: cursors don't live for ever, and data grows
_IN_MEMORY_BYTES = 8 * 1024 * 1024
_COPY_BYTES = 1024 * 1024


@dataclass(slots=True)
class Attempt:
    """One way through a window's pages. `step` is what to ask next; None when all pages are here."""

    store: Store
    folder: str
    step: Step | None
    rows: int = 0
    pages: int = 0
    _asked: set[Step] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)  # digests of pages

    def __post_init__(self) -> None:
        self._asked |= {self.step} if self.step else set()
        for found in self.store.list(self.folder):
            with closing(self.store.open(found.key)) as page:
                self._take(orjson.loads(page.readline()))

    @property
    def name(self) -> str:
        """What the attempt is known by in its window."""
        return self.folder.rstrip("/").rpartition("/")[2]

    def add(self, lines: Iterable[bytes], following: Step | None) -> int:
        """Keep a page; how many rows are new in it. Raises `PullFailed` when the vendor sends us in circles.

        A page that is a repeat of an earlier one, row for row, is kept as an empty one.
        """
        if following is not None and following in self._asked:
            raise PullFailed(f"the vendor sends us in circles: after {self.step} comes {following}, which was asked for before")
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as packed:
            count, digest = _pack(lines, packed)
            if count > 1 and digest in self._seen:
                log.warning("%s: page %d repeats an earlier page of %d rows, which are kept once", self.folder, self.pages, count)
                packed.seek(0)
                packed.truncate()
                count, digest = _pack((), packed)
            head = {"rows": count, "digest": digest, "next": asdict(following) if following else None}
            self._write(head, packed)
        self._take(head)
        return count

    def _write(self, head: dict[str, Any], packed: IO[bytes]) -> None:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as page:
            page.write(orjson.dumps(head) + b"\n")
            packed.seek(0)
            shutil.copyfileobj(packed, page, _COPY_BYTES)
            page.seek(0)
            try:
                self.store.create(f"{self.folder}{self.pages:08d}", page)
            except Exists:
                raise TryLater(f"somebody else goes on with {self.folder}") from None

    def _take(self, head: dict[str, Any]) -> None:
        self.step = Step(**head["next"]) if head["next"] else None
        if self.step is not None:
            self._asked.add(self.step)
        self._seen.add(head["digest"])
        self.rows += head["rows"]
        self.pages += 1

    @contextmanager
    def export(self) -> Iterator[IO[bytes]]:
        """All rows as one gzip file, at its start."""
        with tempfile.TemporaryFile() as file:
            for number in range(self.pages):
                with closing(self.store.open(f"{self.folder}{number:08d}")) as page:
                    page.readline()
                    shutil.copyfileobj(page, file, _COPY_BYTES)
            file.seek(0)
            yield file

    def clear(self) -> None:
        """Remove the pages: the export file stands, or the attempt is given up."""
        _clear(self.store, self.folder)


def open_attempt(store: Store, folder: str, first: Step, mark: str, now: datetime, done: str | None) -> Attempt:
    """Go on with the window's attempt, or begin one; what else lies in its `folder` is removed.

    Only an attempt of the same `mark` (what was asked, see `puller`) that began lately is gone on with, and
    not the one that is `done`.
    """
    names = sorted({found.key[len(folder) :].split("/")[0] for found in store.list(folder)}, reverse=True)
    chosen = next((name for name in names if name != done and name.endswith(f"-{mark}") and _is_fresh(name, now)), None)
    for name in names:
        if name != chosen:
            _clear(store, f"{folder}{name}/")
    return Attempt(store, f"{folder}{chosen or new_name(now, mark)}/", first)


def new_name(now: datetime, mark: str) -> str:
    """The name of an attempt that begins now."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}-{mark}"


def began_at(name: str) -> datetime:
    """When an attempt of this name began: its rows are what the vendor had from then on."""
    return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def _is_fresh(name: str, now: datetime) -> bool:
    return now - began_at(name) < FRESH


def _clear(store: Store, folder: str) -> None:
    for key in reversed([found.key for found in store.list(folder)]):  # what a kill leaves is the start of an attempt
        store.delete(key)


def _pack(lines: Iterable[bytes], packed: IO[bytes]) -> tuple[int, str]:
    """Write lines as gzip, always the same bytes for the same lines; how many, and their digest."""
    count, digest = 0, hashlib.sha256()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=1, mtime=0) as file:
        for line in lines:
            file.write(line)
            digest.update(line)
            count += 1
    return count, digest.hexdigest()[:32]
