"""Small JSON objects that many may change, one after another: read, change, compare-and-swap."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import orjson

from rowferry.stores.port import Conflict, Exists, NotFound, Store

Body = dict[str, Any]
_EVER = datetime.min.replace(tzinfo=UTC)
_AT_ONCE = 16  # objects that are read at the same moment: each is a round trip


class Records:
    """Objects below `prefix`, by name. Every method raises `TryLater` when the store is out of reach."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._prefix = store, prefix

    def read(self, name: str) -> tuple[Body | None, str | None]:
        """The object and its version; None and None when there is none."""
        return self._read(self._key(name))

    def put(self, name: str, body: Body, version: str | None) -> bool:
        """Put `body` in the place of `version` (None: of nothing). False when somebody else was first: read again."""
        key, data = self._key(name), orjson.dumps(body)
        try:
            if version is None:
                self._store.create(key, data)
            else:
                self._store.replace(key, data, version)
        except (Exists, Conflict):
            return False
        return True

    def all(self, since: datetime = _EVER) -> Iterator[Body]:
        """Every object, or every one that was put there since then, in no order that means anything."""
        keys = [found.key for found in self._store.list(self._prefix) if found.updated_at >= since]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="records") as threads:
            yield from (body for body, _ in threads.map(self._read, keys) if body is not None)

    def _read(self, key: str) -> tuple[Body | None, str | None]:
        try:
            data, version = self._store.read(key)
        except NotFound:
            return None, None
        found: Body = orjson.loads(data)
        return found, version

    def _key(self, name: str) -> str:
        """A key that can be read where the name allows it, and is always fit to be one."""
        readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60]
        return f"{self._prefix}{readable}-{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
