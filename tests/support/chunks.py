"""Chunks and accounts for tests of the delivery engine: a folder, a twin, a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rowferry.clock import Clock, ManualClock
from rowferry.delivery.account import Account
from rowferry.delivery.chunk import Row, chunk_name, encode_row, write_chunk
from rowferry.delivery.deliver import Delivery, deliver_chunk
from rowferry.delivery.pace import Pacer
from rowferry.delivery.plan import Plan
from rowferry.delivery.receipts import Receipts
from rowferry.destinations.port import Destination
from rowferry.http import HttpClient
from rowferry.mapping.mapping import Field, Part
from rowferry.owner import Owner
from rowferry.stores.port import Store


def plan_of(columns: Sequence[tuple[str, str]], action: str = "profile", **more: Any) -> Plan:
    """A plan that sends every column as the field of its name."""
    fields = tuple(Field(name, (Part(column=name),)) for name, _ in columns)
    return Plan(run="r1", sync="s1", destination="d1", action=action, columns=tuple(columns), fields=fields, **more)


def put_chunk(store: Store, plan: Plan, rows: Iterable[Sequence[Any]], number: int = 0) -> str:
    """A chunk of upserts, one row for each list of values; its key."""
    lines = (encode_row(Row(f"row-{index}", f"key-{index}", "upsert", None, values)) for index, values in enumerate(rows))
    write_chunk(store, plan, number, lines)
    return chunk_name(plan, number).key


def account_of(destination: Destination[Any], settings: Any, clock: Clock | None = None, in_flight: int = 4) -> Account:
    """An account with a pace that does not hold a test up."""
    return Account("d1", destination, settings, HttpClient(in_flight), Pacer(None, clock or ManualClock()), in_flight)


def deliver(store: Store, key: str, account: Account, clock: Clock | None = None, **more: Any) -> Delivery:
    """Deliver the chunk once."""
    return deliver_chunk(key, store=store, account_of=lambda _name: account, clock=clock or ManualClock(), owner=Owner.anonymous(), **more)


def receipts_of(store: Store, number: int = 0) -> Receipts:
    """The chunk's receipts."""
    key = f"receipts/s1/r1/{number:05d}.json"
    return Receipts.read(store.read(key)[0], key)
