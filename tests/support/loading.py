"""A folder for exports, one for state, an embedded warehouse and a loader over them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from rowferry.clock import ManualClock
from rowferry.loads.limits import DEFAULT_LIMITS, FileLimits
from rowferry.loads.load import Loader
from rowferry.loads.result import LoadResult
from rowferry.settings.feed import Feed
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Object, Store
from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.warehouse.port import Warehouse


class ByContent(FolderStore):
    """A folder whose versions are told by content alone, as S3's are; each write is a minute after the one before."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.minute = 0

    def write(self, key: str, data: bytes | IO[bytes]) -> str:
        self.minute += 1
        return super().write(key, data)

    def head(self, key: str) -> Object | None:
        found = super().head(key)
        return found and replace(
            found, version=hashlib.md5(self.read(key)[0]).hexdigest(), updated_at=datetime(2024, 1, 1, 0, self.minute, tzinfo=UTC)
        )

    def list(self, prefix: str = "", after: str = "") -> Iterator[Object]:
        return (found for each in super().list(prefix, after) if (found := self.head(each.key)) is not None)

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        return super().open(key)


@dataclass
class Bench:
    """Everything a load needs, in one folder. `feeds` are the settings' entries; the
    warehouse is DuckDB and the exports a folder unless given."""

    folder: Path
    feeds: Mapping[str, Mapping[str, Any]]
    limits: FileLimits = DEFAULT_LIMITS
    clock: ManualClock = field(default_factory=ManualClock)
    other_warehouse: Warehouse | None = None
    other_exports: Store | None = None

    def __post_init__(self) -> None:
        self.exports: Store = self.other_exports or FolderStore(self.folder / "exports")
        self.state = FolderStore(self.folder / "state")
        self.warehouse: Warehouse = self.other_warehouse or DuckDbWarehouse(self.folder / "warehouse.duckdb", memory_limit="512MB")
        self.loader = self.new_loader()

    def new_loader(self) -> Loader:
        """Another one over the same places, as another process would have."""
        feeds = {name: Feed.model_validate(dict(feed)) for name, feed in self.feeds.items()}
        return Loader(self.exports, self.state, self.warehouse, feeds, self.clock, self.limits)

    def set_clock(self, now: datetime) -> None:
        """Another time of day for loads from now on."""
        self.clock = ManualClock(now)
        self.loader = self.new_loader()

    def put(self, key: str, content: str | bytes) -> str:
        """Write an object (gzipped when its name ends in .gz) and return its key."""
        data = content.encode() if isinstance(content, str) else content
        if key.endswith(".gz") and not data.startswith(b"\x1f\x8b"):
            data = gzip.compress(data)
        self.exports.write(key, data)
        return key

    def load(self, key: str, content: str | bytes | None = None) -> LoadResult:
        """Load an object, after writing it when there is `content`."""
        if content is not None:
            self.put(key, content)
        return self.loader.load(key)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a query answers."""
        return list(self.warehouse.query(sql))

    def table(self, name: str, *columns: str) -> list[tuple[Any, ...]]:
        """Rows of a table, in the order of their values; system columns are left out unless named."""
        names = columns or [name for name in self.warehouse.columns(name) or {} if not name.startswith("_rowferry_")]
        quoted = ", ".join(f"`{column}`" for column in names)
        return sorted((tuple(row.values()) for row in self.rows(f"SELECT {quoted} FROM {self.warehouse.quote(name)}")), key=repr)

    def count(self, name: str) -> int:
        """The rows of a table, 0 where there is none."""
        if self.warehouse.columns(name) is None:
            return 0
        return int(self.rows(f"SELECT COUNT(*) AS n FROM {self.warehouse.quote(name)}")[0]["n"])

    def tables(self, dataset: str) -> set[str]:
        """Names of the tables of a dataset."""
        import duckdb

        self.warehouse.release()
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as raw:
            found = raw.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [dataset]).fetchall()
        return {name for (name,) in found}
