"""Runs of a shop's sync in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rowferry.app import App
from rowferry.clock import Clock
from rowferry.delivery.runs import RunResult
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from support.shop import ENVIRONMENT, Shop, balances


@contextmanager
def machine(shop: Shop, clock: Clock | None = None) -> Iterator[Machine]:
    """The shop's settings as they stand now, on one machine; its database is `shop.db` unless the shop names another."""
    environment = {**ENVIRONMENT, "SHOP_URL": f"sqlite:///{shop.folder}/shop.db", "ANY_KEY": "a-key", **shop.environment}
    with App(read_settings(shop.config), environment=environment, clock=clock) as app:
        yield Machine(app)


def sync(shop: Shop, clock: Clock | None = None, **arguments: Any) -> RunResult:
    """Run the sync to its end; its balance holds."""
    with machine(shop, clock) as found:
        result = found.sync("customers", **arguments)
    assert balances(result.to_dict())
    return result


def letters(shop: Shop) -> list[str]:
    """The codes of all open dead letters."""
    with machine(shop) as found:
        return [letter["code"] for letter in found.status()["dead_letters"]]


def counts(result: RunResult) -> tuple[int, int, int, int]:
    """Read, unchanged, delivered, rejected."""
    return result.read, result.unchanged, result.delivered, result.rejected
