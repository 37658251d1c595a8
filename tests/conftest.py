"""What holds for every test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _our_log_as_it_was() -> Iterator[None]:
    """A function's start takes our log over for its cloud; the next test wants to see it again."""
    ours = logging.getLogger("rowferry")
    before = list(ours.handlers), ours.propagate, ours.level
    yield
    ours.handlers, ours.propagate = before[:2]
    ours.setLevel(before[2])
