"""The embedded warehouse: one DuckDB file. It takes BigQuery's SQL and answers with BigQuery's types.

`a.b` is schema a, table b of the file. FARM_FINGERPRINT gives another number than BigQuery's (it is
made from MD5), as stable, so fingerprints of the two engines must not be compared. BIGNUMERIC has
20 digits before and 18 after the point.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal, TypeVar

import duckdb

from rowferry.clock import Clock, SystemClock
from rowferry.warehouse.duckdb_csv import as_utf8, check_gzip, complaints, local_path, select_csv
from rowferry.warehouse.duckdb_dialect import translate
from rowferry.warehouse.duckdb_errors import is_conflict, meaning, translated
from rowferry.warehouse.duckdb_file import DuckDbFile
from rowferry.warehouse.duckdb_rows import select_lines
from rowferry.warehouse.duckdb_types import from_duckdb, quote_identifier, to_duckdb, to_parameter
from rowferry.warehouse.lines import lines
from rowferry.warehouse.names import STAGING_LIFE, is_own, split_table
from rowferry.warehouse.port import CsvFile, LoadSource, Params, TableShape
from rowferry.warehouse.types import ColumnType, parse_type
from rowferry.warehouse.values import read_rows

_STRING = ColumnType("STRING")
_FETCH_ROWS = 2000
_BUFFER_BYTES = 1024 * 1024
_TRIES = 20
_TEMP = "rowferry-"
_TEMP_SECONDS = 86400.0
_PAUSE_SECONDS = 0.05
_OWN_SCHEMA = "CREATE SCHEMA IF NOT EXISTS rowferry"
_EXPIRING = "CREATE TABLE IF NOT EXISTS rowferry.expiring (table_name VARCHAR, expires_at TIMESTAMP WITH TIME ZONE)"
_APPLIED = "CREATE TABLE IF NOT EXISTS rowferry.applied (name VARCHAR PRIMARY KEY, applied_at TIMESTAMP WITH TIME ZONE)"

Connection = duckdb.DuckDBPyConnection
T = TypeVar("T")


class DuckDbWarehouse:
    """The port over one file, which is free for other processes after `release`."""

    engine: Literal["bigquery", "duckdb"] = "duckdb"

    def __init__(self, path: Path, *, memory_limit: str = "1GB", threads: int | None = None, clock: Clock | None = None) -> None:
        """`memory_limit` is DuckDB's (`1GB`); larger work spills into a folder beside the file."""
        self._clock = clock or SystemClock()
        self._temp = path.with_name(path.name + ".tmp")
        options = {
            "memory_limit": memory_limit,
            "temp_directory": str(self._temp),
            "preserve_insertion_order": "true",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        if threads is not None:
            options["threads"] = str(threads)
        self._file = DuckDbFile(path, options, self._clock)
        self._writing = threading.Lock()

    def quote(self, table: str) -> str:
        """`dataset.table` in back quotes."""
        split_table(table)
        return f"`{table}`"

    def columns(self, table: str) -> dict[str, str] | None:
        """Column names and BigQuery types of a table or view; None when there is none."""
        with self._cursor() as cursor:
            if not _exists(cursor, table):
                return None
            cursor.execute(f"SELECT * FROM {_native(table)} LIMIT 0")
            return {name: str(kind) for name, kind in _shape(cursor)}

    def create(self, table: str, shape: TableShape) -> None:
        """Make schema and table. Partitions and clusters mean nothing here; an expired table is dropped by a later call."""
        columns = ", ".join(f"{quote_identifier(name)} {to_duckdb(parse_type(kind))}" for name, kind in shape.columns.items())

        def make(cursor: Connection) -> None:
            if _exists(cursor, table):
                return
            self._start_table(cursor, table, shape.expires_at)
            cursor.execute(f"CREATE TABLE {_native(table)} ({columns})")

        self._write(make)

    def add_columns(self, table: str, columns: Mapping[str, str]) -> None:
        """Add the columns that are not there yet."""

        def add(cursor: Connection) -> None:
            for name, kind in columns.items():
                column = f"{quote_identifier(name)} {to_duckdb(parse_type(kind))}"
                cursor.execute(f"ALTER TABLE {_native(table)} ADD COLUMN IF NOT EXISTS {column}")

        self._write(add)

    def drop(self, table: str) -> None:
        """Remove the table when it is there."""
        self._write(lambda cursor: _drop(cursor, table))

    def replace_view(self, view: str, sql: str) -> None:
        """CREATE OR REPLACE VIEW; other programs that open the file see it too, so it does without our macros."""
        statement = translate(sql, macros=False).sql
        schema = f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(split_table(view)[0])}"
        self._write(lambda cursor: _execute(cursor, schema, f"CREATE OR REPLACE VIEW {_native(view)} AS {statement}"))

    def load_csv(self, source: LoadSource, table: str, shape: CsvFile, *, job: str) -> int:  # noqa: ARG002 (the port's; a repeat is harmless)
        """Replace `table` with the file's rows. `job` is not kept: a repeat makes the same table again."""
        with self._temp_file(".csv") as copy, self._temp_file(".csv") as spare:
            path = local_path(source, copy)
            if source.compression == "gzip":
                check_gzip(path)
            select = select_csv(*as_utf8(path, source.compression, shape.encoding, spare), shape)
            return self._write(lambda cursor: self._replace(cursor, table, dict.fromkeys(shape.columns, _STRING), select))

    def load_rows(self, table: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], *, job: str) -> int:  # noqa: ARG002 (as above)
        """Replace `table` with `rows`; they pass through a file beside the database, so memory stays flat."""
        kinds = {name: parse_type(kind) for name, kind in columns.items()}
        with self._temp_file(".ndjson") as path:
            with path.open("wb", buffering=_BUFFER_BYTES) as file:
                file.writelines(lines(kinds, rows))
            select = select_lines(path, kinds)
            return self._write(lambda cursor: self._replace(cursor, table, kinds, select))

    def query(self, sql: str, params: Params | None = None) -> Iterator[dict[str, Any]]:
        """The rows, streamed; errors show with the first one. Close the iterator when leaving it early."""
        statement, values = _bound(sql, params)
        with self._cursor() as cursor:
            cursor.execute(statement, values)
            shape = _shape(cursor)
            names = [name for name, _ in shape]
            for row in _fetch(cursor, [kind for _, kind in shape]):
                yield dict(zip(names, row, strict=True))

    def describe(self, sql: str) -> dict[str, str]:
        """Names and types of a SELECT's columns; no row is read."""
        statement, _ = _bound(sql, None)
        with self._cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({statement}) LIMIT 0")
            return {name: str(kind) for name, kind in _shape(cursor)}

    def bytes_read(self, sql: str, params: Params | None = None) -> int | None:  # noqa: ARG002 (the port's)
        """None: nobody is billed for what is read here."""
        return None

    def create_as(
        self,
        table: str,
        sql: str,
        params: Params | None = None,
        *,
        job: str,  # noqa: ARG002 (the table itself remembers)
        expires_at: datetime | None = None,
        cluster_by: Sequence[str] = (),  # noqa: ARG002 (DuckDB keeps zone maps by itself)
    ) -> None:
        """CREATE TABLE … AS SELECT in one transaction; a table that is there stays as it is."""
        statement, values = _bound(sql, params)

        def make(cursor: Connection) -> None:
            if not _exists(cursor, table):
                self._start_table(cursor, table, expires_at)
                cursor.execute(f"CREATE TABLE {_native(table)} AS {statement}", values)

        self._write(make)

    def apply(self, statements: Sequence[str], params: Params | None = None, *, once: str) -> bool:
        """All statements and the memory of `once` in one transaction."""
        bound = [_bound(sql, params) for sql in statements]

        def run(cursor: Connection) -> bool:
            _execute(cursor, _OWN_SCHEMA, _APPLIED)
            if cursor.execute("SELECT 1 FROM rowferry.applied WHERE name = $name", {"name": once}).fetchone():
                return False
            cursor.execute("INSERT INTO rowferry.applied VALUES ($name, now())", {"name": once})
            for statement, values in bound:
                cursor.execute(statement, values)
            return True

        return self._write(run)

    def snapshot_rows(self, table: str, columns: Sequence[str], first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """The rows at positions `first` to `last`, both included, streamed."""
        with self._cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(map(quote_identifier, columns))} FROM {_native(table)} LIMIT 0")
            kinds = [kind for _, kind in _shape(cursor)]
            values = ", ".join(_cheap(name, kind) for name, kind in zip(columns, kinds, strict=True))
            cursor.execute(
                f"SELECT {values} FROM {_native(table)} WHERE rowferry_position BETWEEN $first AND $last ORDER BY rowferry_position",
                {"first": first, "last": last},
            )
            yield from _fetch(cursor, kinds)

    def release(self) -> None:
        """Close the file, now or when the last running query ends; the next call opens it again."""
        self._file.release()

    @contextmanager
    def _cursor(self) -> Iterator[Connection]:
        with translated(), self._file.cursor() as cursor:
            yield cursor

    def _write(self, work: Callable[[Connection], T]) -> T:
        """`work` in a transaction, one at a time, and again when another warehouse object changed the same rows."""
        with self._writing:
            for _ in range(_TRIES - 1):
                try:
                    return self._transaction(work)
                except duckdb.Error as error:
                    if not is_conflict(error):
                        raise meaning(error) from None
                self._clock.sleep(_PAUSE_SECONDS)
            with translated():
                return self._transaction(work)

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        with self._file.cursor() as cursor:
            cursor.execute("BEGIN")
            result = work(cursor)
            cursor.execute("COMMIT")
            return result

    def _replace(self, cursor: Connection, table: str, kinds: Mapping[str, ColumnType], select: str) -> int:
        """A new table of `select`'s rows. Our own are read once and dropped: packing them would cost more than reading the file."""
        expires_at = self._clock.now() + STAGING_LIFE if is_own(table) else None
        packing = " USING COMPRESSION uncompressed" if is_own(table) else ""
        columns = ", ".join(f"{quote_identifier(name)} {to_duckdb(kind)}{packing}" for name, kind in kinds.items())
        _drop(cursor, table)
        self._start_table(cursor, table, expires_at)
        cursor.execute(f"CREATE TABLE {_native(table)} ({columns})")
        with complaints():
            made = cursor.execute(f"INSERT INTO {_native(table)} {select}").fetchone()
        return int(made[0]) if made else 0

    def _start_table(self, cursor: Connection, table: str, expires_at: datetime | None) -> None:
        """Make the schema, and do what BigQuery does by itself: drop tables whose time is over."""
        schema, _ = split_table(table)
        _execute(cursor, f"CREATE SCHEMA IF NOT EXISTS {quote_identifier(schema)}")
        if expires_at is None:
            return
        _execute(cursor, _OWN_SCHEMA, _EXPIRING)
        over = cursor.execute("DELETE FROM rowferry.expiring WHERE expires_at < $now RETURNING table_name", {"now": self._clock.now()})
        for (name,) in over.fetchall():
            cursor.execute(f"DROP TABLE IF EXISTS {_native(name)}")
        cursor.execute("INSERT INTO rowferry.expiring VALUES ($name, $at)", {"name": table, "at": expires_at})

    @contextmanager
    def _temp_file(self, suffix: str) -> Iterator[Path]:
        with translated():
            self._temp.mkdir(parents=True, exist_ok=True)
            self._sweep_temp()
            with NamedTemporaryFile(dir=self._temp, prefix=_TEMP, suffix=suffix) as file:
                yield Path(file.name)

    def _sweep_temp(self) -> None:
        """Remove what a killed process left behind."""
        for left in self._temp.glob(f"{_TEMP}*"):
            with suppress(FileNotFoundError):  # somebody else sweeps too
                if left.lstat().st_mtime < self._clock.now().timestamp() - _TEMP_SECONDS:
                    left.unlink()


def _execute(cursor: Connection, *statements: str) -> None:
    for statement in statements:
        cursor.execute(statement)


def _exists(cursor: Connection, table: str) -> bool:
    schema, name = split_table(table)
    found = cursor.execute(
        "SELECT 1 FROM information_schema.tables WHERE lower(table_schema) = lower($s) AND lower(table_name) = lower($t)",
        {"s": schema, "t": name},
    )
    return found.fetchone() is not None


def _drop(cursor: Connection, table: str) -> None:
    if _exists(cursor, table):
        cursor.execute(f"DROP TABLE {_native(table)}")


def _native(table: str) -> str:
    return ".".join(map(quote_identifier, split_table(table)))


def _bound(sql: str, params: Params | None) -> tuple[str, dict[str, Any]]:
    statement = translate(sql, params)
    given = params or {}
    return statement.sql, {name: to_parameter(parse_type(given[name].type), given[name].value) for name in statement.params}


def _shape(cursor: Connection) -> list[tuple[str, ColumnType]]:
    return [(column[0], from_duckdb(column[1])) for column in cursor.description or ()]


def _fetch(cursor: Connection, kinds: Sequence[ColumnType]) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(_FETCH_ROWS):
        yield from read_rows(rows, kinds)


def _cheap(name: str, kind: ColumnType) -> str:
    """The column in the form that the driver hands out fastest; `read_rows` makes the port's value of it.

    A TIMESTAMP leaves as UTC without a zone (12 times as fast), a NUMERIC as text (twice as fast).
    """
    column = quote_identifier(name)
    if kind.kind in ("NUMERIC", "BIGNUMERIC"):
        return f"rowferry_text({column})"
    return f"timezone('UTC', {column})" if kind.kind == "TIMESTAMP" else column
