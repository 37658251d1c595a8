"""What a pull's model held when an attempt began, kept for as long as the attempt: a table that changes while its people
are asked for must not shift who comes next.

    pulls/<pull>/ids/<attempt>     a list in JSON, gzipped
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import orjson

from rowferry.errors import SourceError, UsageError
from rowferry.settings.sync import Model
from rowferry.stores.port import Exists, NotFound, Store
from rowferry.warehouse.port import Warehouse, WarehouseError

_COLUMN = "external_id"  # of the model, for the ids; a model without it has them in its first column


def kept_ids(store: Store, pull: str, attempt: str, ids: Callable[[], Iterable[str]]) -> Sequence[str]:
    """The ids of an attempt: those that are kept, else those that the model gives now, which are kept from now on."""
    key = _key(pull, attempt)
    try:
        return _read(store, key)
    except NotFound:
        with suppress(Exists):
            store.create(key, gzip.compress(orjson.dumps(list(dict.fromkeys(ids()))), mtime=0))
        return _read(store, key)


def forget_ids(store: Store, pull: str, attempt: str) -> None:
    """The attempt is over."""
    store.delete(_key(pull, attempt))


def ids_of(warehouse: Warehouse, model: Model, path: str) -> Iterable[str]:
    """The ids in a model: its column external_id, else its first one; empty ones are left out.

    Raises `SourceError` when it can't be read, `UsageError` for one that is in a database.
    """
    if model.database is not None:
        raise UsageError(f"{path}.model: ids are read from the warehouse; sync the database's rows into a table first")
    sql = f"SELECT * FROM {warehouse.quote(model.table)}" if model.table is not None else str(model.sql).strip().rstrip(";")
    try:
        columns = list(warehouse.describe(sql))
        column = _COLUMN if _COLUMN in columns else columns[0]
        for row in warehouse.query(
            f"SELECT DISTINCT CAST(`{column}` AS STRING) AS id FROM ({sql}) WHERE `{column}` IS NOT NULL ORDER BY id"
        ):
            yield str(row["id"])
    except WarehouseError as error:
        raise SourceError(f"{path}.model can't be read: {error}") from None


def _read(store: Store, key: str) -> Sequence[str]:
    found: list[str] = orjson.loads(gzip.decompress(store.read(key)[0]))
    return found


def _key(pull: str, attempt: str) -> str:
    return f"pulls/{pull}/ids/{attempt}"
