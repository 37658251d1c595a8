"""Which files load together, and what that costs.

BigQuery counts: 100,000 load jobs a project and day, and 1,500 changes of a table a day by load jobs
(cloud.google.com/bigquery/quotas, 2026-11). A file each, both are used up soon. So a feed may have a
`window`: its small files load together, through one staging table whose name is used once, and go
into their table by DML, which has no daily limit. Large files go alone: they are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from rowferry.loads.limits import MIB

DAY_SECONDS = 86_400


class Sized(Protocol):
    """A file as planning sees it."""

    @property
    def size_bytes(self) -> int: ...


F = TypeVar("F", bound=Sized)


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """`small_bytes`: up to this a file waits for others. A window is closed at `files` or `bytes`:
    its files pass through the function, and its rows through a file on its disk."""

    small_bytes: int = 8 * MIB
    files: int = 1000
    bytes: int = 64 * MIB


DEFAULT_WINDOW = WindowLimits()


@dataclass(frozen=True, slots=True)
class Group(Generic[F]):
    """Files of one table that load together; a single one loads by itself."""

    files: tuple[F, ...]

    @property
    def is_window(self) -> bool:
        """Whether there is more than one."""
        return len(self.files) > 1


def group_files(files: Iterable[F], limits: WindowLimits) -> Iterator[Group[F]]:
    """Divide files of one table, in their order. None is held back: the caller decides when a window is over."""
    waiting: list[F] = []
    waiting_bytes = 0
    for file in files:
        if file.size_bytes > limits.small_bytes:
            yield Group((file,))  # alone
            continue
        if waiting and (len(waiting) == limits.files or waiting_bytes + file.size_bytes > limits.bytes):
            yield Group(tuple(waiting))
            waiting, waiting_bytes = [], 0
        waiting.append(file)
        waiting_bytes += file.size_bytes
    if waiting:
        yield Group(tuple(waiting))


def window_ends(at: datetime, seconds: float) -> datetime:
    """The end of the window that a moment lies in; windows begin at multiples of their length since 1970."""
    epoch = at.timestamp()
    return datetime.fromtimestamp((epoch // seconds + 1) * seconds, UTC)


@dataclass(frozen=True, slots=True)
class Costs:
    """What one group of files asks of BigQuery. Every query is billed for 10 MiB a table at least
    (cloud.google.com/bigquery/pricing, 2026-08): the staging table and the ledger are read by the
    profile and by each statement of the commit."""

    load_jobs: int = 1
    query_jobs: int = 4  # ledger, known columns, profile, commit
    statements: int = 4  # turn, rows, what was learned, ledger
    tables_billed: int = 11
    minimum_bytes: int = 10 * MIB
    dollars_a_tebibyte: float = 6.25

    def billed_bytes(self, staging_bytes: int) -> int:
        """Bytes billed for a group whose staging table has this size; it is read by three statements."""
        return self.tables_billed * self.minimum_bytes + 3 * max(0, staging_bytes - self.minimum_bytes)


@dataclass(frozen=True, slots=True)
class Day:
    """A day's work of a project, to be held against the quotas."""

    files: int
    load_jobs: int
    load_jobs_of_busiest_table: int
    statements_of_busiest_table: int
    statements_in_ten_seconds: float
    billed_bytes: int
    dollars: float


def add_up(groups: Sequence[tuple[str, Group[F]]], costs: Costs, unpacks: float = 8.0) -> Day:
    """What these groups of a day, each with its table, ask of BigQuery. `unpacks`: plain bytes for a byte of a file."""
    by_table: dict[str, int] = {}
    billed = 0
    for table, group in groups:
        by_table[table] = by_table.get(table, 0) + 1
        billed += costs.billed_bytes(int(sum(file.size_bytes for file in group.files) * unpacks))
    busiest = max(by_table.values(), default=0)
    return Day(
        files=sum(len(group.files) for _, group in groups),
        load_jobs=len(groups) * costs.load_jobs,
        load_jobs_of_busiest_table=0,  # load jobs fill staging tables only, each under a name used once
        statements_of_busiest_table=busiest * costs.statements,
        statements_in_ten_seconds=busiest * costs.statements * 10 / DAY_SECONDS,
        billed_bytes=billed,
        dollars=billed / 2**40 * costs.dollars_a_tebibyte,
    )
