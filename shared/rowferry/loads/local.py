"""`rowferry load FILE`: a file of this machine as an object of the exports store, so that the ledger knows it again."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path
from typing import IO

from rowferry.errors import UsageError
from rowferry.feeds.routing import UPLOADS
from rowferry.loads.limits import MIB
from rowferry.stores.port import NotFound, Store


def to_object(store: Store, path: Path, feed: str | None) -> str:
    """The key under which the exports store has the file; it is copied there when it lies elsewhere.

    A copy goes under `rowferry-uploads/<feed>/`, with a mark of its path: the same file again is the
    same object, and another one of the same name is not. Raises `UsageError` when there is no such
    file, or when it lies outside the exports and no feed is named.
    """
    absolute = path.absolute()
    if not absolute.is_file():
        raise UsageError(f"there is no file {path}" + (": it is a folder; name the files in it" if absolute.is_dir() else ""))
    if (key := _key_within(store, absolute)) is not None:
        return key
    if feed is None:
        raise UsageError(f"{path} lies outside the exports ({store.url}), so no feed's path fits it; say which feed takes it with --feed")
    key = f"{UPLOADS}{feed}/{hashlib.sha256(str(absolute).encode()).hexdigest()[:12]}/{absolute.name}"
    with absolute.open("rb") as file:
        if not _is_same(store, key, file):
            file.seek(0)
            store.write(key, file)
    return key


def _key_within(store: Store, absolute: Path) -> str | None:
    root = store.path("x")
    for file in (absolute, absolute.resolve()):
        for folder in (root.parent, root.parent.resolve()) if root is not None else ():
            if file.is_relative_to(folder):
                return file.relative_to(folder).as_posix()
    return None


def _is_same(store: Store, key: str, file: IO[bytes]) -> bool:
    """Whether the object has the file's content already: then its version stays, and so does the ledger's row."""
    try:
        with closing(store.open(key)) as stream:
            while block := file.read(MIB):
                if _read_exactly(stream, len(block)) != block:
                    return False
            return not stream.read(1)
    except NotFound:
        return False


def _read_exactly(stream: IO[bytes], count: int) -> bytes:
    pieces = []
    while count and (piece := stream.read(count)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
