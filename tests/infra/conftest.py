"""Tests that take minutes run only where they are asked for by name: `pytest -m slow`, `make test-aws`."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; only with -m slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "slow" not in str(config.getoption("-m")):
        skip = pytest.mark.skip(reason="takes minutes: make test-aws")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(skip)
