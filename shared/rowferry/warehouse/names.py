"""Names of tables and columns, checked before they stand in a statement."""

from __future__ import annotations

import re
from datetime import timedelta

from rowferry.warehouse.port import WarehouseError

# The dataset of our own tables in the program's words; each adapter puts its own dataset in its place.
OWN = "rowferry"

# What `load_csv` and `load_rows` make in our own dataset is staging: used within minutes, dropped after use,
# and gone by itself after this time when a crash left it behind.
STAGING_LIFE = timedelta(days=7)

_PROJECT = re.compile(r"[a-z][a-z0-9.:-]{4,}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_TABLE = re.compile(r"[A-Za-z0-9_-]{1,1024}")
# BigQuery's "flexible column names" without what could end a quoted name, at most 300 characters
# (cloud.google.com/bigquery/docs/schemas#column_names, quotas page of 2026-08).
_COLUMN = re.compile(r"[^\x00-\x1f!\"$()*,./;?@\[\\\]^`{}~]{1,300}")


def split_table(table: str) -> tuple[str, str]:
    """`dataset.table` as its two parts. Raises `WarehouseError` for a name that can't be one."""
    dataset, dot, name = table.partition(".")
    if not dot or not _DATASET.fullmatch(dataset) or not _TABLE.fullmatch(name):
        raise WarehouseError(f"{table!r} is no table name; expected dataset.table of letters, digits and underscores")
    return dataset, name


def split_project(table: str) -> tuple[str | None, str]:
    """`project.dataset.table` as project and the rest; the project is None where the name has two parts."""
    if table.count(".") < 2:
        return None, table
    project, dataset, name = table.rsplit(".", 2)
    if not _PROJECT.fullmatch(project):
        raise WarehouseError(f"{table!r} is no table name; {project!r} can't be a project")
    return project, f"{dataset}.{name}"


def is_column(name: str) -> bool:
    """Whether a column can have this name."""
    return _COLUMN.fullmatch(name) is not None


def quote_column(name: str) -> str:
    """A column's name in back quotes. Raises `WarehouseError` for a name that can't be one."""
    if not is_column(name):
        raise WarehouseError(f"{name!r} can't be a column name; BigQuery takes up to 300 letters, digits and underscores")
    return f"`{name}`"


def is_own(table: str) -> bool:
    """Whether the table is one of Rowferry's own."""
    return split_table(table)[0] == OWN
