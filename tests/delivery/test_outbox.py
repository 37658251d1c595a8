"""Rows that come one by one: relayed once for each destination, each with receipts of its own."""

from __future__ import annotations

from pathlib import Path

from rowferry.delivery.chunk import OUTBOX, ChunkName
from rowferry.delivery.outbox import URGENT, Outbox, waiting
from rowferry.delivery.receipts import Receipts
from rowferry.stores.folder import FolderStore
from support.chunks import plan_of, put_chunk


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


def test_what_waits_is_what_has_no_receipts(tmp_path: Path) -> None:
    """Chunks of the lane and destination alone, runs' and relayed ones, in the order of their names."""
    store = FolderStore(tmp_path)
    for number in range(4):
        put_chunk(store, plan_of([("a", "STRING")]), [["x"]], number)
    for number in (0, 2):
        Receipts(f"outbox/d1/2/s1/r1/{number:05d}.jsonl.gz", 1, 1, 1, 0, ()).write(store)
    for name in ("one", "two"):
        Outbox(store).relay(id=name, source="notice", destination="d1", action="notice", rows=[{"text": "x"}])
    first, second = waiting(store, "d1", URGENT)
    assert list(waiting(store, "d1", 2)) == [f"outbox/d1/2/s1/r1/{number:05d}.jsonl.gz" for number in (1, 3)]
    assert list(waiting(store, "d2", 2)) == []
    Receipts(first, 1, 1, 1, 0, ()).write(store)
    assert list(waiting(store, "d1", URGENT)) == [second]
