"""Chunks that the warehouse writes by itself: no row passes through the function.

    stretch ─► EXPORT DATA ─► exported/<sync>/<run>/00042/r0/000000000000.json.gz …   (any number of files)
                              exported/<sync>/<run>/00042/head.gz                     (the plan, the number of rows)
                                  │ put together by the store, create-only
                                  ▼
                              outbox/<destination>/<lane>/<sync>/<run>/00042.jsonl.gz

Nothing is in the outbox before all of a chunk is. It is not known whether an export that fails leaves files
behind, nor whether files without rows are written: the former lie in a folder that nothing is delivered from,
the latter add nothing to what is put together.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from rowferry.delivery.chunk import exported_head
from rowferry.delivery.exported import FOLDER, form_of
from rowferry.errors import CredentialsError, OutOfTime, TryLater
from rowferry.stores.port import MOST_PARTS, Exists, NotFound, Object, Store
from rowferry.stores.removal import remove_all
from rowferry.syncs.outline import Outline
from rowferry.syncs.stretches import Stretch
from rowferry.warehouse.port import Export, Exporting, WarehouseError
from rowferry.warehouse.statements import render

AT_ONCE = 8  # jobs of one run; Google's client keeps ten connections
JOB_SECONDS = 60.0  # less than this before the function's end, and no further job is begun
_PUTTING_SECONDS = 20.0  # of that, for putting its files together
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exporter:
    """Has chunks written by a warehouse whose engine reaches the store's bucket. Safe to repeat at any point:
    jobs are named after their work, a chunk is created once."""

    store: Store
    warehouse: Exporting

    def write(self, outline: Outline, missing: Sequence[Stretch], left_seconds: Callable[[], float]) -> list[Stretch]:
        """Write these chunks, some at a time; returns those that the warehouse would not write, most often none.

        What it refuses (the bucket lies elsewhere, a right is missing) is logged, and no further job is begun.
        Raises `OutOfTime` when `left_seconds` do not suffice for all, `TryLater`; the next call goes on.
        """
        halt = Event()

        def one(stretch: Stretch) -> Stretch | None:
            if halt.is_set():
                return stretch
            try:
                self._write(outline, stretch, left_seconds)
            except (WarehouseError, CredentialsError) as error:
                halt.set()
                _log.warning("%s: its rows go through the function, because the warehouse does not write them: %s", stretch.key, error)
                return stretch
            return None

        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="export") as threads:
            try:
                done = [threads.submit(one, stretch) for stretch in missing]
                return [left for ended in done if (left := ended.result()) is not None]
            except BaseException:  # Ctrl-C as well: no job is begun when its caller does not go on
                halt.set()
                raise

    def _write(self, outline: Outline, stretch: Stretch, left_seconds: Callable[[], float]) -> None:
        left = left_seconds()
        if left < JOB_SECONDS:
            raise OutOfTime(f"{stretch.plan.sync}: not all of the run's chunks are written; the next call goes on")
        folder = f"{FOLDER}{stretch.plan.sync}/{stretch.plan.run}/{stretch.number:05d}/"
        shards = self._export(outline, stretch, folder, left - _PUTTING_SECONDS)
        head = self._put(f"{folder}head.gz", exported_head(stretch.plan, stretch.rows))
        try:
            self._join(stretch.key, [head, *shards], folder)
        except Exists:
            pass  # another call was first: its chunk holds the same rows
        except NotFound:
            raise TryLater(f"files of {folder} went while they were put together; the next call writes what is missing") from None
        remove_all(self.store, folder)

    def _export(self, outline: Outline, stretch: Stretch, folder: str, wait_seconds: float) -> list[Object]:
        """The files with the stretch's rows. Raises `WarehouseError` when they are not what the warehouse says it wrote."""
        address = f"{self.store.uri(folder.rstrip('/'))}/"
        found: list[Object] = []

        def is_whole(export: Export) -> bool:
            found[:] = self.store.list(folder + export.folder.removeprefix(address))
            return export.files in (None, len(found)) and export.rows in (None, stretch.rows)

        job = f"export/{stretch.plan.sync}/{stretch.plan.run}/{stretch.number}"
        export = self.warehouse.export(self._statement(outline, stretch), address, job=job, is_kept=is_whole, wait_seconds=wait_seconds)
        if not is_whole(export):
            raise WarehouseError(
                f"{export.folder} holds {len(found)} files; it wrote {export.files}, with {export.rows} of {stretch.rows} rows"
            )
        return found

    def _statement(self, outline: Outline, stretch: Stretch) -> str:
        return render(
            "export_rows",
            run_table=self.warehouse.quote(outline.run_table),
            forms=[form_of(kind) for _, kind in stretch.plan.columns],
            first=stretch.first,
            last=stretch.last,
        )

    def _join(self, key: str, parts: list[Object], folder: str) -> None:
        """Put the parts together as `key`, however many they are. Raises `Exists`, `NotFound`."""
        while len(parts) > MOST_PARTS:
            groups = [parts[start : start + MOST_PARTS] for start in range(0, len(parts), MOST_PARTS)]
            parts = [self._joined(f"{folder}joined/{uuid.uuid4().hex}", group) for group in groups]
        self.store.join(key, parts)

    def _joined(self, key: str, parts: list[Object]) -> Object:
        self.store.join(key, parts)
        return self._found(key)

    def _put(self, key: str, data: bytes) -> Object:
        self.store.write(key, data)
        return self._found(key)

    def _found(self, key: str) -> Object:
        found = self.store.head(key)
        if found is None:
            raise NotFound(key)
        return found
