"""Relayed rows that were rejected, kept to be sent again: a webhook has no model from which they could be read anew.

    webhooks/rejected/<source>/<destination>/<name>.jsonl.gz     a chunk of the rejected rows alone

There is one for each chunk that had some, whether it came first or was sent again: it goes when none is left. What is
sent again is a chunk named after the first one and what is in it, so that it is on its way once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress

from rowferry.delivery.chunk import Chunk, ChunkName, Row, encode_row, packed, packed_head
from rowferry.delivery.outbox import RELAYED, URGENT
from rowferry.delivery.plan import Plan
from rowferry.stores.port import Exists, NotFound, Store

_KEPT = "webhooks/rejected/"
_AGAIN = "~"  # in no name that a relayed chunk has at first


def is_kept(store: Store, name: ChunkName) -> bool:
    """Whether rows of this chunk, or of the one that it sends again, were rejected before."""
    return store.head(_key(name)) is not None


def keep(store: Store, name: ChunkName, plan: Plan, rows: Sequence[Row]) -> None:
    """Keep these rows of the chunk in the place of those that were kept; of none, nothing."""
    if rows:
        store.write(_key(name), packed_head(plan) + packed([encode_row(row) for row in rows]))
    else:
        store.delete(_key(name))


def count(store: Store, name: ChunkName) -> int:
    """How many rows are kept of the chunk."""
    try:
        with Chunk(store, _key(name)) as chunk:
            return sum(1 for _ in chunk.rows())
    except NotFound:
        return 0


def send_again(store: Store, source: str) -> Iterator[ChunkName]:
    """Put everything that is kept of a source into the outbox; the chunks that are on their way now, also where they
    were before. Raises `TryLater`."""
    for found in store.list(f"{_KEPT}{source}/"):
        *_, destination, file = found.key.split("/")
        with suppress(NotFound):  # it was delivered just now
            body, _ = store.read(found.key)
            part = f"{file.removesuffix('.jsonl.gz')}{_AGAIN}{hashlib.sha256(body).hexdigest()[:16]}"
            name = ChunkName(destination, URGENT, source, RELAYED, part)
            with suppress(Exists):
                store.create(name.key, body)
            yield name


def _key(name: ChunkName) -> str:
    return f"{_KEPT}{name.sync}/{name.destination}/{name.part.partition(_AGAIN)[0]}.jsonl.gz"
