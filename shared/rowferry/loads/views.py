"""`<table>_latest`: each feed's table as BI tools and syncs want it, typed and without repeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rowferry.feeds.contract import SYSTEM_COLUMNS, Contract
from rowferry.loads.inference import read_inferred, type_of
from rowferry.loads.ledger import KnownColumn
from rowferry.warehouse.names import quote_column
from rowferry.warehouse.port import Warehouse
from rowferry.warehouse.statements import Sql, render

SUFFIX = "_latest"


def refresh_latest(warehouse: Warehouse, contract: Contract, known: Iterable[KnownColumn]) -> None:
    """Make the view say what the table is now. Cheap when nothing changed, safe to repeat.

    Undeclared columns have the type that fits every value so far; rows with the same key show once,
    the newest; rows without a key all show. Raises `WarehouseError` where a table has the view's name.
    """
    table = warehouse.columns(contract.table)
    if table is not None and not table.keys() <= SYSTEM_COLUMNS.keys():  # an empty first file makes a table without columns of its own
        warehouse.replace_view(contract.table + SUFFIX, latest_sql(contract, table, known, warehouse.quote(contract.table)))


def latest_sql(contract: Contract, table: Mapping[str, str], known: Iterable[KnownColumn], quoted: str) -> str:
    """The view's SELECT over a table with these columns and types."""
    kinds: dict[str, int] = {}
    for column in known:
        kinds[column.name] = kinds.get(column.name, 0) | column.kinds
    inferred = {name: type_of([bits]) for name, bits in kinds.items()}
    columns = [
        {"name": name, "value": _value(name, kind, inferred.get(name), contract.settings.timezone)}
        for name, kind in table.items()
        if name not in SYSTEM_COLUMNS
    ]
    key = contract.key if all(name in table for name in contract.key) else ()
    newest_by = contract.newest_by if contract.newest_by in table else None
    return render("load_latest", columns=columns, table=quoted, key=key, newest_by=newest_by)


def _value(name: str, stored: str, inferred: str | None, zone: str) -> Sql:
    if stored != "STRING" or inferred is None:
        return Sql(quote_column(name))
    return read_inferred(quote_column(name), inferred, zone)
