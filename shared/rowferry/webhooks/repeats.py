"""Repeats of calls whose sender gives them no id.

    webhooks/seen/<hook>/<digest of the body>      when such a call was first taken in

The same bytes within ten minutes are the same call (CleverTap tries again within seconds); later they
are another one, for a campaign may well say the same thing tomorrow. The object is written before the
event is stored and names it, so a call that was killed in between is completed by its repeat.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from rowferry.stores.port import Conflict, Exists, NotFound, Store
from rowferry.webhooks.signature import fingerprint

WINDOW = timedelta(minutes=10)
_SEEN = "webhooks/seen/"


def id_of(store: Store, hook: str, body: bytes, now: datetime) -> str:
    """The call's id: the same for the same bytes within the window. Raises `TryLater`."""
    digest = fingerprint(body)
    key = f"{_SEEN}{hook}/{digest}"
    while True:
        try:
            first_at, version = _first_at(store, key)
            if now - first_at > WINDOW:
                store.replace(key, now.isoformat().encode(), version)
                first_at = now
        except NotFound:
            if not _begin(store, key, now):
                continue  # somebody was first: theirs counts
            first_at = now
        except Conflict:
            continue
        return f"{digest}-{first_at.isoformat()}"


def forget(store: Store, now: datetime) -> int:
    """Remove what no repeat is measured against any more; how many. For a timer; buckets have an expiry rule besides."""
    old = [found for found in store.list(_SEEN) if now - found.updated_at > 2 * WINDOW]
    for found in old:
        with suppress(Conflict):  # it came again just now
            store.delete(found.key, found.version)
    return len(old)


def _first_at(store: Store, key: str) -> tuple[datetime, str]:
    found, version = store.read(key)
    return datetime.fromisoformat(found.decode()), version


def _begin(store: Store, key: str, now: datetime) -> bool:
    try:
        store.create(key, now.isoformat().encode())
    except Exists:
        return False
    return True
