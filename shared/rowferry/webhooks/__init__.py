"""Calls from vendors: one file for each way of signing, found by listing this folder; and the relay that takes them in."""

from __future__ import annotations

import importlib
import pkgutil

from rowferry.webhooks.port import Scheme

_NOT_SCHEMES = {
    "chargebee", "clevertap", "expressions", "hook", "paths", "payload", "port", "rate", "relay", "repeats", "routes", "signature",
}  # fmt: skip


def schemes() -> list[str]:
    """The names of all schemes, sorted; nothing of them is imported."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_SCHEMES)


def find(scheme: str) -> Scheme:
    """The scheme of this name. Raises `KeyError` when there is none."""
    if scheme not in schemes():
        raise KeyError(scheme)
    found: Scheme = importlib.import_module(f"{__name__}.{scheme}").SCHEME
    return found
