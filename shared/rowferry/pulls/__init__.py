"""Vendors' reports: one file for each vendor of `settings.pull.REPORTS`, imported only when a pull names it."""

from __future__ import annotations

import importlib
from typing import Any

from rowferry.pulls.port import Source
from rowferry.settings.pull import REPORTS


def find(vendor: str) -> Source[Any]:
    """What can be pulled from this vendor. Raises `KeyError` when nothing can."""
    if vendor not in REPORTS:
        raise KeyError(vendor)
    source: Source[Any] = importlib.import_module(f"{__name__}.{vendor}").SOURCE
    return source
