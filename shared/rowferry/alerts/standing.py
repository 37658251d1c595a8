"""How the alerts stand, for `rowferry status` and the status page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rowferry.alerts.check import BLIND, FIRING
from rowferry.alerts.history import History
from rowferry.notices.notice import OK
from rowferry.notices.notices import Notices
from rowferry.stores.port import Store

_ORDER = (FIRING, BLIND, "waiting", OK)


def standing(alerts: Iterable[str], state: Store, notices: Notices) -> list[dict[str, Any]]:
    """Each alert: `firing`, `blind` (its statement does not work), `waiting` (never looked at) or `ok`, since when, when
    it last saw and what. Those that need somebody come first. Raises `TryLater` when the store is out of reach."""
    return sorted((_standing(name, state, notices) for name in alerts), key=lambda found: _ORDER.index(found["state"]))


def _standing(name: str, state: Store, notices: Notices) -> dict[str, Any]:
    at, numbers = History(state, name).last()
    sight, since = notices.standing(f"alert/{name}/sight")
    if sight == OK:
        sight, since = notices.standing(f"alert/{name}")
        if at is None:
            sight = "waiting"
    return {"alert": name, "state": sight, "since": since, "seen_at": at and at.isoformat(), "numbers": dict(numbers)}
