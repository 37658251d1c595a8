"""What all edges share: the app of this instance, and what a step's result means to the platform.

An edge that raises is called again with the same event; one that returns is done with it.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from rowferry import logs
from rowferry.app import App
from rowferry.delivery import rest
from rowferry.errors import RowferryError, TryLater
from rowferry.events import gcs_object, key_in, s3_objects
from rowferry.settings.file import read_settings
from rowferry.stores.port import Store

if TYPE_CHECKING:
    from typing import Any

    from rowferry.delivery.deliver import Delivery
    from rowferry.loads.result import LoadResult
    from rowferry.pulls.puller import Pulled

_LEEWAY_SECONDS = 10.0  # between our own end of work and the platform's
log = logging.getLogger("rowferry")


@cache
def app() -> App:
    """The app of this instance, kept over calls. Raises `SettingsError`."""
    logs.start()
    found = App(read_settings())
    _spare_the_collector()
    return found


def _spare_the_collector() -> None:
    """What the start has made stays, so that no collection has to look at it; and a call's own objects, some hundred
    that are gone when it ends, are no reason for one. A webhook takes a fourteenth less work for it."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@contextmanager
def call() -> Iterator[App]:
    """The app for one call. After it, the instance may be frozen for hours: it keeps nothing that others wait for."""
    found = app()
    try:
        yield found
    finally:
        found.release()


def name_in(said: object, kind: str) -> str:
    """The name in a timer's message (`{"sync": name}`); empty when there is none."""
    name = said.get(kind) if isinstance(said, Mapping) else None
    return name if isinstance(name, str) else ""


def keys_of_event(data: Mapping[str, Any], store: Store) -> list[str]:
    """The key in `store` that a GCP event tells of; none for events about something else."""
    found = gcs_object(data)
    key = key_in(store.url, *found) if found else None
    return [] if key is None else [key]


def keys_of_message(body: str, store: Store) -> list[str]:
    """The keys in `store` that an SQS message tells of."""
    return [key for bucket, name in s3_objects(body) if (key := key_in(store.url, bucket, name)) is not None]


def each(keys: Iterable[str], work: Callable[[str], object]) -> None:
    """Do the work for every key, then raise the first failure: an object in trouble holds no other up."""
    failures = []
    for key in keys:
        try:
            work(key)
        except RowferryError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def time_left(milliseconds: Callable[[], float]) -> Callable[[], float]:
    """How many seconds a step may still take, for as often as it asks, where the platform says how long a call may last."""
    return lambda: max(0.0, milliseconds() / 1000 - _LEEWAY_SECONDS)


def time_left_from_now() -> Callable[[], float]:
    """The same where the platform does not say it (Cloud Run): from now to the function's time-out, set by Terraform."""
    ends_at = time.monotonic() + float(os.environ.get("ROWFERRY_TIMEOUT_SECONDS", "540"))
    return time_left(lambda: 1000 * (ends_at - time.monotonic()))


def after_load(result: LoadResult) -> None:
    """A file that was loaded, skipped or put into quarantine is done with. Anything else is tried again, also one
    that no feed takes: it ends among the dead letters, where an alarm tells of it."""
    log.info("%s: %s, %d rows, %d rejected", result.file, result.status, result.rows, result.rejected_rows)
    if result.status == "failed":
        raise TryLater(f"{result.file} was not loaded: {result.reason}")


def after_pull(name: str, windows: Iterable[Pulled]) -> None:
    """Pull to the end. A window that can't be had now is asked for again when the timer rings next, as one that is not
    settled; an error of the whole pull is raised, for the platform to try again."""
    for found in windows:
        log.info("pull %s, %s: %s", name, found.window.name, found.failure or f"{found.rows} rows in {found.key}")


def after_delivery(key: str, delivery: Delivery) -> None:
    """A chunk that is settled or gone is done with. What is worth coming back for in hours, and what a vendor refuses,
    is left to the sweep. Anything else is tried again when the platform comes back: after `TryLater.wait_seconds`,
    where it can be told to."""
    log.info("%s: %s %s", key, delivery.status, delivery.reason)
    if delivery.status == "held" or (delivery.status == "open" and not rest.is_wanted(delivery.wait_seconds)):
        raise TryLater(f"{key} is {delivery.status}: {delivery.reason}", delivery.wait_seconds)
