"""`rowferry check FILE`: what a feed would make of a sample file, found by loading it for real into a warehouse
that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from rowferry.console.status import count
from rowferry.feeds.contract import SYSTEM_COLUMNS, read_contract
from rowferry.feeds.routing import Match, Skipped, explain, route
from rowferry.loads.load import Loader
from rowferry.settings.feed import Feed
from rowferry.stores.folder import FolderStore
from rowferry.warehouse.duckdb import DuckDbWarehouse


def describe(feeds: Mapping[str, Feed], exports: Path | None, file: Path) -> Iterator[str]:
    """Lines about the file: its feed, what its name says, the table, its columns and what could not be read."""
    key = _key(feeds, exports, file)
    found = route(feeds, key)
    if not isinstance(found, Match):
        yield f"{file.name}: {found.reason if isinstance(found, Skipped) else explain(found, key)}"
        return
    contract = read_contract(found)
    yield f"{file.name}: feed {found.name}" + (f", preset {found.feed.preset}" if found.feed.preset else "")
    yield "  the name says " + (", ".join(f"{name} = {value}" for name, value in found.parts.items()) or "nothing")
    yield f"  table {contract.table}, write {contract.settings.write}" + (f", key {', '.join(contract.key)}" if contract.key else "")
    if contract.partition_by or contract.cluster_by:
        yield f"  partitioned by {contract.partition_by or 'nothing'}, clustered by {', '.join(contract.cluster_by) or 'nothing'}"
    with tempfile.TemporaryDirectory(prefix="rowferry-check-") as folder:
        yield from _loaded(feeds, Path(folder), key, file)


def _key(feeds: Mapping[str, Feed], exports: Path | None, file: Path) -> str:
    """Where the file would lie in the exports: where it lies, or in the folder of the only feed that would take it."""
    absolute = file.resolve()
    if exports is not None and absolute.is_relative_to(exports.resolve()):
        return absolute.relative_to(exports.resolve()).as_posix()
    keys = [f"{feed.path.partition('{')[0].partition('*')[0].rpartition('/')[0]}/{file.name}".lstrip("/") for feed in feeds.values()]
    taken = [key for key in dict.fromkeys(keys) if isinstance(route(feeds, key), Match)]
    return taken[0] if taken else file.name


def _loaded(feeds: Mapping[str, Feed], folder: Path, key: str, file: Path) -> Iterator[str]:
    exports, warehouse = FolderStore(folder / "exports"), DuckDbWarehouse(folder / "sample.duckdb")
    with file.open("rb") as stream:
        exports.write(key, stream)
    result = Loader(exports, FolderStore(folder / "state"), warehouse, feeds).load(key)
    rejected = f"{count(result.rejected_rows, 'rejected row')}, {count(result.rejected_cells, 'rejected cell')}"
    yield f"  {result.status}, {count(result.rows, 'row')}, {rejected}"
    if result.reason:
        yield f"    {result.reason}"
    for name, kind in ((warehouse.columns(result.table) if result.table else None) or {}).items():
        if name not in SYSTEM_COLUMNS:
            yield f"    {name:<32} {kind}"
    warehouse.release()
