"""Vendors' reports: one file for each vendor, found by listing this folder, imported only when a pull names it."""

from __future__ import annotations

import importlib
from typing import Any

from rowferry.pulls.port import Source

VENDORS = ("amplitude", "braze", "clevertap", "klaviyo")


def find(vendor: str) -> Source[Any]:
    """What can be pulled from this vendor. Raises `KeyError` when nothing can."""
    if vendor not in VENDORS:
        raise KeyError(vendor)
    source: Source[Any] = importlib.import_module(f"{__name__}.{vendor}").SOURCE
    return source
