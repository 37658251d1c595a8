"""What stands in an outbox, read as delivery reads it."""

from __future__ import annotations

from typing import Any

from rowferry.delivery.chunk import OUTBOX, Chunk, ChunkName
from rowferry.stores.port import Store


def relayed(store: Store) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Destination, action and rows of every chunk, in the order of their keys."""
    found = []
    for listed in store.list(OUTBOX):
        with Chunk(store, listed.key) as chunk:
            names = [name for name, _ in chunk.plan.columns]
            rows = [
                {name: value for name, value, sent in zip(names, row.values, row.mask or "", strict=True) if sent == "1"}
                for row in chunk.rows()
            ]
            found.append((ChunkName.of(listed.key).destination, chunk.plan.action, rows))
    return found
