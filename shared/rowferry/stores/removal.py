"""Removing many objects: each is a round trip to the store, so some are under way at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from rowferry.stores.port import Store

_AT_ONCE = 16


def remove_all(store: Store, prefix: str) -> None:
    """Remove all objects whose key starts with `prefix`, in any order. Raises `TryLater`, with some of them gone."""
    keys = [found.key for found in store.list(prefix)]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="removal") as threads:
        list(threads.map(store.delete, keys))
