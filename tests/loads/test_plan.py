import random
from dataclasses import dataclass
from datetime import UTC, datetime

from rowferry.loads.limits import KIB, MIB
from rowferry.loads.plan import DAY_SECONDS, DEFAULT_WINDOW, Costs, Group, WindowLimits, add_up, group_files, window_ends

# cloud.google.com/bigquery/quotas (2026-11)
LOAD_JOBS_A_DAY = 100_000
TABLE_CHANGES_A_DAY = 1_500
DML_IN_TEN_SECONDS = 25


@dataclass(frozen=True, slots=True)
class File:
    """An object as a notification tells of it."""

    table: str
    second: float
    size_bytes: int


def day_of(files: int, tables: int, seconds: float) -> list[tuple[str, Group[File]]]:
    """A day's files, arriving at random, grouped as windows of `seconds` close, with some large ones among them."""
    chance = random.Random(7)
    arrived: dict[tuple[int, int], list[File]] = {}
    for _ in range(files):
        table, second = chance.randrange(tables), chance.random() * DAY_SECONDS
        size = 20 * MIB if chance.random() < 0.0005 else int(chance.expovariate(1 / (40 * KIB)))
        arrived.setdefault((table, int(second // seconds)), []).append(File(f"t{table}", second, size))
    return [(f"t{table}", group) for (table, _), found in arrived.items() for group in group_files(found, DEFAULT_WINDOW)]


def test_a_day_of_1_4_million_files_over_100_tables_is_within_the_quotas() -> None:
    """With windows of a quarter of an hour: jobs, changes of tables, DML and money, from the planner that loads use."""
    day = add_up(day_of(1_400_000, 100, 900), Costs())
    assert day.files == 1_400_000
    assert day.load_jobs < LOAD_JOBS_A_DAY / 2
    assert day.load_jobs_of_busiest_table < TABLE_CHANGES_A_DAY
    assert day.statements_in_ten_seconds < DML_IN_TEN_SECONDS
    assert day.dollars < 16


def test_without_a_window_the_same_day_is_far_beyond_them() -> None:
    """Why there are windows: a job for each file is fourteen days' worth of jobs."""
    day = add_up([("t", Group((File("t", 0, 40 * KIB),)))] * 1_400_000, Costs())
    assert day.load_jobs == 14 * LOAD_JOBS_A_DAY


def test_no_group_is_larger_than_its_limits_and_no_file_is_lost() -> None:
    """Small files fill groups up to the limits, large ones are alone, and each is in exactly one."""
    limits = WindowLimits(small_bytes=10, files=3, bytes=20)
    files = [File("t", place, size) for place, size in enumerate([1, 10, 11, 9, 1, 1, 1, 1, 10, 10, 1])]
    groups = list(group_files(files, limits))
    assert sorted(file.second for group in groups for file in group.files) == list(range(11))
    for group in groups:
        assert len(group.files) <= 3
        assert not group.is_window or sum(file.size_bytes for file in group.files) <= 20
        assert not group.is_window or max(file.size_bytes for file in group.files) <= 10
    assert list(group_files([], limits)) == []


def test_windows_end_at_multiples_of_their_length() -> None:
    """Every worker sees the same windows, whenever it looks."""
    assert window_ends(datetime(2024, 1, 1, 10, 3, 59, tzinfo=UTC), 300) == datetime(2024, 1, 1, 10, 5, tzinfo=UTC)
    assert window_ends(datetime(2024, 1, 1, 10, 5, tzinfo=UTC), 300) == datetime(2024, 1, 1, 10, 10, tzinfo=UTC)
