"""Stand-ins for vendors with their real limits and answers: for demos, tests and rehearsals.

One file each, found by listing this folder; its class stands there under the name `TWIN`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rowferry.twins.server import Twin

_SHARED = {"server", "__main__"}


def vendors() -> list[str]:
    """The names of all vendors that have a twin, sorted; nothing of them is imported."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in names if name not in _SHARED and not name.startswith("_"))


def find(vendor: str) -> type[Twin]:
    """The twin's class. Raises `KeyError` when there is none."""
    if vendor not in vendors():
        raise KeyError(vendor)
    twin: type[Twin] = importlib.import_module(f"{__name__}.{vendor}").TWIN
    return twin
