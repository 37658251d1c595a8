"""Ways to bring users to the vendor: our delivery, a plain sender with joins, and bodies that were built before."""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import IO, Any

import requests

from bench.people import COLUMNS, users, write_chunks
from rowferry import destinations
from rowferry.clock import SystemClock
from rowferry.delivery.account import Account
from rowferry.delivery.deliver import deliver_chunk
from rowferry.destinations._braze_settings import BrazeSettings
from rowferry.http import HttpClient
from rowferry.owner import Owner
from rowferry.settings.base import DestinationSettings, Secret
from rowferry.stores.folder import FolderStore
from rowferry.wire import Request

BATCH_ROWS = 75
PLAIN_THREADS = 20
_KEY = "a-made-up-key"


class FarStore(FolderStore):
    """A folder that takes as long to write and to remove as a bucket."""

    SECONDS = 0.03

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        """Wait, then write."""
        time.sleep(self.SECONDS)
        return super().create(key, data)

    def delete(self, key: str, version: str | None = None) -> None:
        """Wait, then remove."""
        time.sleep(self.SECONDS)
        super().delete(key, version)


class Delivery:
    """Our engine over chunks that lie in an outbox, as a worker in the cloud finds them. `settings` are the vendor's, resolved."""

    def __init__(self, settings: DestinationSettings, rows: int, store: Callable[[Path], FolderStore] = FolderStore) -> None:
        self._settings, self._rows, self._store = settings, rows, store

    def rows_per_second(self) -> float:
        """Deliver all of it to its receipts, in a folder of its own."""
        with tempfile.TemporaryDirectory() as folder:
            store = self._store(Path(folder))
            keys = write_chunks(store, self._rows)
            started_at = time.perf_counter()
            deliver_all(store, keys, self._settings)
            return self._rows / (time.perf_counter() - started_at)


def deliver_all(store: FolderStore, keys: Iterable[str], settings: DestinationSettings) -> None:
    """Bring chunks to their receipts, one after the other, as one worker does."""
    account = Account.of(settings.vendor, destinations.find(settings.vendor), settings, lambda: store, SystemClock())
    for key in keys:
        found = deliver_chunk(key, store=store, account_of=lambda _name: account, clock=SystemClock(), owner=Owner.anonymous())
        assert found.status == "settled", found
    account.client.close()


def braze_settings(url: str, in_flight: int) -> BrazeSettings:
    """Braze's, with the pace that its own rate allows."""
    return BrazeSettings(vendor="braze", base_url=url, api_key=Secret("env:BENCH_KEY", _KEY), in_flight=in_flight)


def plain_sender(url: str, file: Path) -> float:
    """Rows per second of a sender as most people write it, in the shape of Braze's own importer of CSV files:
    read the file, build twenty requests, send them from twenty threads, wait for all of them, read on."""
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=PLAIN_THREADS))
    headers = {"authorization": f"Bearer {_KEY}", "content-type": "application/json"}

    def post(group: list[dict[str, Any]]) -> int:
        answer = session.post(f"{url}/users/track", data=json.dumps({"attributes": group}), headers=headers, timeout=60)
        return len(group) if answer.status_code == 201 else 0

    started_at, sent = time.perf_counter(), 0
    with file.open(newline="") as lines, ThreadPoolExecutor(PLAIN_THREADS) as threads:
        rows = _typed(csv.DictReader(lines))
        while groups := [group for _ in range(PLAIN_THREADS) if (group := list(islice(rows, BATCH_ROWS)))]:
            sent += sum(threads.map(post, groups))
    return sent / (time.perf_counter() - started_at)


def _typed(rows: csv.DictReader[str]) -> Iterator[dict[str, Any]]:
    for row in rows:
        user: dict[str, Any] = {name: value for name, value in row.items() if value != ""}
        user["lifetime_value"] = float(user["lifetime_value"])
        yield user


class Prebuilt:
    """Bodies that were built before, through our HTTP client: what the client and the vendor allow at most."""

    def __init__(self, url: str, rows: int, in_flight: int) -> None:
        group = [dict(zip(COLUMNS, user, strict=True)) | {"lifetime_value": 12.25} for user in users(BATCH_ROWS)]
        headers = {"authorization": f"Bearer {_KEY}", "content-type": "application/json"}
        self._request = Request("POST", f"{url}/users/track", json.dumps({"attributes": group}).encode(), headers)
        self._requests, self._in_flight = -(-rows // BATCH_ROWS), in_flight

    def rows_per_second(self) -> float:
        """Send them, as many in flight as asked for."""
        client = HttpClient(self._in_flight)

        def send(_number: int) -> None:
            assert client.send(self._request, 60).status == 201

        with ThreadPoolExecutor(self._in_flight) as threads:
            started_at = time.perf_counter()
            for _ in threads.map(send, range(self._requests)):
                pass
            seconds = time.perf_counter() - started_at
        client.close()
        return self._requests * BATCH_ROWS / seconds
