"""What most tests of syncs need: Braze's stand-in, and a small shop that sends to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.twins.braze import BrazeTwin
from support.shop import Shop


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    """Braze's stand-in, that takes any key."""
    with BrazeTwin() as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    """A shop of three customers."""
    found = Shop(tmp_path, twin)
    found.fill(3)
    return found
