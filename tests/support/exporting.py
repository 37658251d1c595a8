"""A warehouse that writes rows into a store as BigQuery's EXPORT DATA does, over any that can be asked.

Jobs are remembered by their name like BigQuery's: one that ended well is adopted, one that failed is begun
again under the next number. What a test plans goes wrong: `faults`. How many files a job writes is
BigQuery's affair and nothing to rely on, so tests choose that too: `shards`.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rowferry.errors import TryLater
from rowferry.stores.port import Store
from rowferry.warehouse.port import Export, WarehouseError


@dataclass
class ExportingWarehouse:
    """Hands everything on to `warehouse`, and exports into `store`. Safe for threads as far as `warehouse` is."""

    warehouse: Any
    store: Store
    shards: int = 1
    with_empty: bool = False
    """Whether each job writes a file without rows besides."""
    faults: list[str] = field(default_factory=list)
    """What happens to the next jobs: `fails` (some files are left behind), `refused`, `lost` (done, but the
    answer never comes), `short` (a file is gone in the end), `running` (it outlasts the wait), `fine`."""
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    jobs: dict[str, list[Export | None]] = field(default_factory=dict)
    """Each job's attempts: what it wrote; None for one that failed."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.warehouse, name)

    def export(self, sql: str, folder: str, *, job: str, is_kept: Callable[[Export], bool], wait_seconds: float = float("inf")) -> Export:
        """As `Exporting.export`."""
        assert wait_seconds > 0
        with self._lock:
            attempts = self.jobs.setdefault(f"{folder} {job} {sql}", [])
            for found in attempts:
                if found is not None and is_kept(found):
                    return found
            self.before()
            fault = self.faults.pop(0) if self.faults else "fine"
            if fault == "refused":
                raise WarehouseError("invalidQuery: Cannot read and write in different locations")
            made = self._write(sql, f"{folder}r{len(attempts)}/", fault)
            attempts.append(None if fault == "fails" else made)
            self.after()
            if fault in ("fails", "lost", "running"):
                raise TryLater(f"the job {fault}")
            return made

    def _write(self, sql: str, folder: str, fault: str) -> Export:
        rows = list(self.warehouse.query(sql))
        size = -(-len(rows) // self.shards)
        parts = [rows[start : start + size] for start in range(0, len(rows), size)] + [[]] * self.with_empty
        prefix = folder.removeprefix(self.store.uri("x").removesuffix("x"))
        written = parts[:1] if fault in ("fails", "short") and len(parts) > 1 else parts
        for number, part in enumerate(written):
            self.store.write(f"{prefix}{number:012d}.json.gz", gzip.compress(b"".join(exported(part)), mtime=0))
        return Export(folder, len(parts), len(rows))


def exported(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Rows as the lines of a file that EXPORT DATA writes: INT64 as text, `<`, `>` and `&` as \\uNNNN
    (cloud.google.com/bigquery/docs/exporting-data, read 2026-11), NULLs left out."""
    for row in rows:
        text = json.dumps({name: _shown(value) for name, value in row.items() if value is not None}, ensure_ascii=False)
        for sign in "<>&":
            text = text.replace(sign, f"\\u{ord(sign):04x}")
        yield text.encode() + b"\n"


def _shown(value: Any) -> Any:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return str(value)
    raise AssertionError(f"a {type(value).__name__} was to be exported as it is: write it as text in the statement")
