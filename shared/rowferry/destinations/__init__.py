"""The vendors: one file each, found by listing this folder, imported only when settings name them."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from rowferry.destinations.port import Destination

_SHARED = {"port", "quotes", "values", "answers", "misspelt"}


def vendors() -> list[str]:
    """The names of all vendors, sorted; nothing of them is imported."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if name not in _SHARED and not name.startswith("_"))


def find(vendor: str) -> Destination[Any]:
    """The destination of this name. Raises `KeyError` when there is none."""
    if vendor not in vendors():
        raise KeyError(vendor)
    destination: Destination[Any] = importlib.import_module(f"{__name__}.{vendor}").DESTINATION
    return destination
