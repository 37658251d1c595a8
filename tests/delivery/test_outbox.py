"""Rows that come one by one: relayed once for each destination, each with receipts of its own."""

from __future__ import annotations

from pathlib import Path

from rowferry.delivery.chunk import OUTBOX, ChunkName
from rowferry.delivery.outbox import Outbox
from rowferry.stores.folder import FolderStore


def test_an_id_is_relayed_once_to_each_destination(tmp_path: Path) -> None:
    """The same event again changes nothing; another destination's chunk is another one, down to its receipts."""
    store = FolderStore(tmp_path)
    outbox = Outbox(store)
    ways = [("ops", True), ("ops", False), ("crm", True)]
    for destination, is_new in ways:
        rows = [{"text": "hello"}]
        assert outbox.relay(id="stripe.evt_1", source="webhook.stripe", destination=destination, action="notice", rows=rows) is is_new
    names = [ChunkName.of(found.key) for found in store.list(OUTBOX)]
    assert len(names) == 2
    assert len({name.stem for name in names}) == 2


def test_any_id_makes_a_name(tmp_path: Path) -> None:
    """Whatever a sender calls its events, they do not get into each other's way."""
    store = FolderStore(tmp_path)
    outbox = Outbox(store)
    ids = ["a/b", "a b", "ab", "../x", "ü" * 300, "", "a" * 500]
    made = [outbox.relay(id=id, source="webhook.x", destination="d", action="notice", rows=[{"text": "x"}]) for id in ids]  # noqa: A001 (the argument is called so)
    assert made == [True] * len(ids)
