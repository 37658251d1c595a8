"""An outbox table in a SQL database: rows wait while their mark is NULL, and get it once they have their outcome.

    take (rows with no mark, those that others hold locked left out) ─► send ─► outcome ─► mark

A taken row belongs to the sync's open run, and a sync has one open run at a time (its claim is the
lease), so no two workers ever take one row. The mark is set after the run's commit and before its close: a
repeat sets it again to the same effect, and no row is marked ahead of a vendor's answer. Where nothing in the
table makes the key unique, a row may have come meanwhile that has the key of one that was taken: then none of
this key is marked, and all of them leave with the next run, for rather one too many is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any

from sqlalchemy import (
    Boolean,
    DateTime,
    Float,
    Integer,
    PrimaryKeyConstraint,
    Select,
    Table,
    UniqueConstraint,
    Update,
    and_,
    bindparam,
    func,
    select,
    update,
)

from rowferry.databases.database import Database
from rowferry.errors import SourceError

MOST_ROWS = 1_000_000  # of one run; the next takes the rest
_MARK_ROWS = 500


def take_statement(table: Table, key: Sequence[str], mark: str, most: int, columns: Sequence[str] = ()) -> Select[Any]:
    """The rows that wait, in the order of their key. Rows that a producer still holds locked are left for the next run."""
    statement = select_columns(table, columns).where(table.c[mark].is_(None)).order_by(*(table.c[name] for name in key)).limit(most)
    # SQL Server has no FOR UPDATE; its hints say the same (learn.microsoft.com, "Table hints": UPDLOCK, READPAST).
    return statement.with_for_update(skip_locked=True).with_hint(table, "WITH (UPDLOCK, READPAST)", "mssql")


def select_columns(table: Table, columns: Sequence[str]) -> Select[Any]:
    """These columns of the table; without any, all."""
    return select(*(table.c[name] for name in columns)) if columns else select(table)


def mark_statement(table: Table, key: Sequence[str], mark: str) -> Update:
    """Set the mark of one row, unless it is set; parameters `k_0`, `k_1` … and `mark_value`."""
    same = and_(*(table.c[name] == bindparam(f"k_{place}") for place, name in enumerate(key)))
    return update(table).where(same, table.c[mark].is_(None)).values({mark: bindparam("mark_value")})


def counted_mark_statement(table: Table, key: Sequence[str], mark: str) -> Update:
    """Set the mark of the rows with a key, unless more of them wait than the `copies` that were taken."""
    waiting = table.alias("waiting")
    same = and_(*(waiting.c[name] == bindparam(f"k_{place}") for place, name in enumerate(key)))
    # MySQL takes no table that it updates in a subquery, but for one within another.
    counted = select(func.count().label("rows_waiting")).select_from(waiting).where(same, waiting.c[mark].is_(None)).subquery()
    return mark_statement(table, key, mark).where(select(counted.c.rows_waiting).scalar_subquery() <= bindparam("copies"))


def take(
    database: Database, table_name: str, key: Sequence[str], mark: str, columns: Sequence[str] = (), most: int = MOST_ROWS
) -> Iterator[Mapping[str, Any]]:
    """The rows that wait now, with these columns; without any, with all.

    Raises `SourceError` for a missing column, and for a key that can't be found again."""
    table = _table(database, table_name, [*key, mark])
    if inexact := [name for name in key if isinstance(table.c[name].type, Float)]:
        raise SourceError(
            f"the table {table_name} of databases.{database.name} has a key of floating-point numbers, {inexact[0]}: one that was "
            "read may not equal the one that is stored, so its row could not be marked; key the queue by a whole number or a text"
        )
    with database.connection() as connection:
        options = {"stream_results": True, "yield_per": database.page_rows}
        for row in connection.execution_options(**options).execute(take_statement(table, key, mark, most, columns)).mappings():
            yield dict(row)


def look(database: Database, table_name: str, columns: Sequence[str] = ()) -> Iterator[Mapping[str, Any]]:
    """All rows, whatever their mark, as `take` gives them: one that was rejected has its mark, and may be replayed."""
    table = database.table(table_name)
    with database.connection() as connection:
        options = {"stream_results": True, "yield_per": database.page_rows}
        for row in connection.execution_options(**options).execute(select_columns(table, columns)).mappings():
            yield dict(row)


def mark_sent(database: Database, table_name: str, key: Sequence[str], mark: str, rows: Iterable[Sequence[Any]], at: datetime) -> None:
    """Mark the rows with these keys, some hundred in each transaction; those that are marked already stay as they are.
    The same keys must come one after the other."""
    table = _table(database, table_name, [*key, mark])
    statement, value = mark_statement(table, key, mark), _value(table, mark, at)
    counts = not _is_unique(table, key)
    if counts:
        statement = counted_mark_statement(table, key, mark)
    found = groupby(rows)
    while group := [(row, sum(1 for _ in copies)) for row, copies in islice(found, _MARK_ROWS)]:
        values = [
            {**{f"k_{place}": part for place, part in enumerate(row)}, "mark_value": value, **({"copies": copies} if counts else {})}
            for row, copies in group
        ]
        with database.connection() as connection:
            connection.execute(statement, values)


def _is_unique(table: Table, key: Sequence[str]) -> bool:
    """Whether the table itself sees to it that no two rows have the same key."""
    constraints = [found for found in table.constraints if isinstance(found, PrimaryKeyConstraint | UniqueConstraint)]
    indexes = [index for index in table.indexes if index.unique]
    columns = [{column.name for column in found.columns} for found in (*constraints, *indexes)]
    return any(names and names <= set(key) for names in columns)


def _table(database: Database, name: str, columns: Sequence[str]) -> Table:
    table = database.table(name)
    for wanted in columns:
        if wanted not in table.c:
            raise SourceError(f"the table {name} of databases.{database.name} has no column {wanted!r}; it has {', '.join(table.c.keys())}")
    return table


def _value(table: Table, mark: str, at: datetime) -> Any:
    """What a mark is, by its column's type: a time, else true or 1, else the time as text."""
    kind = table.c[mark].type
    if isinstance(kind, DateTime):
        return at if kind.timezone else at.astimezone(UTC).replace(tzinfo=None)
    if isinstance(kind, Boolean):
        return True
    return 1 if isinstance(kind, Integer) else at.isoformat()
