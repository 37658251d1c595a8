"""The port both warehouses fill. All SQL that goes through it is BigQuery's.

Table names are `dataset.table` as in the settings; inside SQL they stand quoted by
`Warehouse.quote`. Column types are BigQuery's names: STRING, INT64, FLOAT64, NUMERIC,
BIGNUMERIC, BOOL, BYTES, DATE, DATETIME, TIME, TIMESTAMP, JSON, ARRAY<…>, STRUCT<…>.
Values are Python's: str, int, float, Decimal, bool, bytes, date, naive datetime (DATETIME),
time, aware datetime in UTC (TIMESTAMP), list, dict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from rowferry.errors import RowferryError


class WarehouseError(RowferryError):
    """A statement or load that will not work however often it is tried: wrong SQL, a missing table
    or column, no access. The text is the engine's own, on one line, without values."""


class TooLarge(WarehouseError):
    """A statement that takes more memory than the engine has for it, as it is written."""


class LoadFailed(WarehouseError):
    """A file that the engine can't read as the format it was said to be. `reason` is for people."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Param:
    """A named query parameter: `@name` in the SQL. `type` is BigQuery's; `ARRAY<STRING>` takes a list."""

    type: str
    value: Any


Params = Mapping[str, Param]


@dataclass(frozen=True, slots=True)
class TableShape:
    """How a table is made. `partition_by` is a DATE, TIMESTAMP or DATETIME column (by day)."""

    columns: Mapping[str, str]
    partition_by: str | None = None
    cluster_by: Sequence[str] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CsvFile:
    """How a CSV export is written. `columns` are its header's names, made fit for the warehouse,
    in the file's order; every one is loaded as text. An unquoted empty cell is NULL, `""` is ''."""

    columns: Sequence[str]
    delimiter: str = ","
    quote: str = '"'
    skip_lines: int = 1
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class LoadSource:
    """Bytes to load: a local file (`path`), an object the engine can fetch itself (`uri`), or what
    `stream` opens (from its start, each time it is called).

    One of the three is set. `compression` is "gzip" or None (as the bytes are, not as the name says).
    """

    path: str | None = None
    uri: str | None = None
    compression: Literal["gzip"] | None = None
    stream: Callable[[], IO[bytes]] | None = None

    def open(self) -> IO[bytes]:
        """The bytes of `path` or `stream`. Raises `WarehouseError` when there is no such file."""
        if self.stream is not None:
            return self.stream()
        try:
            return Path(self.path or "").open("rb")
        except OSError as error:
            raise WarehouseError(f"there is no file {Path(self.path or '').name} that can be read ({type(error).__name__})") from None


@dataclass(frozen=True, slots=True)
class Export:
    """What an export wrote: every object under the address `folder`. `files` and `rows` are how many the
    engine says there are; None where it does not say."""

    folder: str
    files: int | None
    rows: int | None


class Warehouse(Protocol):
    """SQL tables. Every method raises `TryLater` for what passes (locked, rate, out of reach),
    `WarehouseError` for what does not, `CredentialsError` where we are refused. Safe for threads.
    """

    engine: Literal["bigquery", "duckdb"]

    def quote(self, table: str) -> str:
        """`dataset.table` as it must stand in SQL (back-quoted, with the project in BigQuery).

        Raises `WarehouseError` for a name that can't be one.
        """

    def columns(self, table: str) -> dict[str, str] | None:
        """Column names and types in the table's order; None when there is no such table."""

    def create(self, table: str, shape: TableShape) -> None:
        """Make the table (and its dataset) when it is not there; an existing one is left as it is."""

    def add_columns(self, table: str, columns: Mapping[str, str]) -> None:
        """Add NULLable columns that are not there yet; those there are left as they are."""

    def drop(self, table: str) -> None:
        """Remove the table when it is there."""

    def replace_view(self, view: str, sql: str) -> None:
        """Make a view of this SELECT, or give the one that is there this SELECT. `columns` tells a view's
        too. Raises `WarehouseError` where a table has the name."""

    def load_csv(self, source: LoadSource, table: str, shape: CsvFile, *, job: str) -> int:
        """Put a CSV file's rows, all as STRING, into a new `table`, replacing what is there.

        `job` names the work: the same job again is adopted, not repeated. Returns the rows.
        Raises `LoadFailed` when the file is not such a CSV. A table made so under `rowferry.` is
        staging, and goes by itself after a week.
        """

    def load_rows(self, table: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], *, job: str) -> int:
        """Put `rows` (Python values by column name; absent is NULL) into a new `table`, replacing
        what is there. Reads `rows` once, in bounded memory. Returns how many. A table made so
        under `rowferry.` is staging, and goes by itself after a week."""

    def query(self, sql: str, params: Params | None = None) -> Iterator[dict[str, Any]]:
        """The rows of a SELECT, streamed in bounded memory, in the statement's order."""

    def describe(self, sql: str) -> dict[str, str]:
        """Names and types of a SELECT's columns, without running it."""

    def bytes_read(self, sql: str, params: Params | None = None) -> int | None:
        """How many bytes this SELECT would read, by the engine's own estimate and without running it; None
        where reading is not billed."""

    def create_as(
        self,
        table: str,
        sql: str,
        params: Params | None = None,
        *,
        job: str,
        expires_at: datetime | None = None,
        cluster_by: Sequence[str] = (),
    ) -> None:
        """CREATE TABLE … AS SELECT, once: a table that is there already stays as it is. Raises `TooLarge`."""

    def apply(self, statements: Sequence[str], params: Params | None = None, *, once: str) -> bool:
        """Run DML statements in one transaction, once ever for the name `once`.

        All of them take effect together with the memory of `once`, or none does. True when
        they ran now, False when they had run before. This is what makes a commit exactly-once.
        """

    def snapshot_rows(self, table: str, columns: Sequence[str], first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """Rows of a run table whose `rowferry_position` is in [first, last], in its order, as tuples
        of `columns`; streamed."""

    def release(self) -> None:
        """Let go of locks and connections between two pieces of work; the next call takes them again."""


class Exporting(Protocol):
    """What a warehouse can do besides whose engine writes into buckets by itself. Raises what `Warehouse` raises."""

    def quote(self, table: str) -> str:
        """As `Warehouse.quote`."""

    def export(self, sql: str, folder: str, *, job: str, is_kept: Callable[[Export], bool], wait_seconds: float = float("inf")) -> Export:
        """Write the rows of a SELECT into files under the address `folder`, which ends in a slash: an object a line,
        gzipped, in the statement's order from file to file; how many files is the engine's affair.

        `job` names the work: one that did it before is adopted when `is_kept` still finds its files. Each attempt
        writes into a folder of its own under `folder`, which the answer names, so what a failed one may leave
        behind is never taken for rows. Raises `TryLater` when the job still runs after `wait_seconds`; the same
        call takes it up again.
        """
