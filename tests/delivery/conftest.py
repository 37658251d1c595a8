"""What most tests of delivery need: a store, Braze's stand-in, a clock that stands still, an account of the one at the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.account import Account
from rowferry.destinations.braze import DESTINATION
from rowferry.stores.folder import FolderStore
from rowferry.twins.braze import BrazeTwin
from support.chunks import account_of
from support.vendors import braze as example


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """The state, in a folder."""
    return FolderStore(tmp_path)


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    """Braze's stand-in; it takes one key only."""
    with BrazeTwin(api_key="braze-key") as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    """A clock that goes on when it is slept on, and not otherwise."""
    return ManualClock()


@pytest.fixture
def account(twin: BrazeTwin, clock: ManualClock) -> Account:
    """The stand-in's account."""
    return account_of(DESTINATION, example.settings(twin.url), clock)
