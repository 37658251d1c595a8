"""Rest: until when a destination is left alone, because nothing can be sent before.

    claims/rest/<destination>.json     who hands a chunk back writes it, the sweep reads it

A chunk whose time is minutes away stays in its queue. One whose time is hours away (quiet hours, a vendor's
hourly window) is taken out of it, for a queue counts how often it has handed a message over, and gives up:
the sweep announces it when the rest is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import orjson

from rowferry.stores.port import NotFound, Store

QUEUE_SECONDS = 600.0  # the longest pause that queues make between two tries (infra/modules/gcp_queue, queue_aws.py)
LONGEST = timedelta(days=1)  # whatever a vendor asks for


def is_wanted(wait_seconds: float | None) -> bool:
    """Whether a chunk that is worth coming back for in so long had better leave its queue."""
    return wait_seconds is not None and wait_seconds > QUEUE_SECONDS


def begin(store: Store, destination: str, now: datetime, wait_seconds: float) -> None:
    """Note that a destination is to be left alone for so long from `now`."""
    until = now + min(LONGEST, timedelta(seconds=wait_seconds))
    store.write(_key(destination), orjson.dumps({"from": now.isoformat(), "until": until.isoformat()}))


def is_on(store: Store, destination: str, now: datetime, settled_at: datetime | None) -> bool:
    """Whether the destination is to be left alone at `now`. A rest is over early when something was settled
    after it began (`settled_at`, the latest)."""
    try:
        found = orjson.loads(store.read(_key(destination))[0])
    except (NotFound, orjson.JSONDecodeError):
        return False
    if settled_at is not None and settled_at > datetime.fromisoformat(found["from"]):
        return False
    return now < datetime.fromisoformat(found["until"])


def _key(destination: str) -> str:
    return f"claims/rest/{destination}.json"
