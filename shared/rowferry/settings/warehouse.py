"""Where the tables are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rowferry.errors import Problem
from rowferry.settings.base import Frozen
from rowferry.settings.url import LocalPath


def _memory(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?\s*(KB|MB|GB|TB|KiB|MiB|GiB|TiB)", text):
        raise ValueError("expected an amount of memory such as 512MB or 1GB")
    return text.replace(" ", "")


def _dataset(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w{0,1023}", name, re.ASCII):
        raise ValueError("a dataset's name has letters, digits and _ only")
    return name


class Warehouse(Frozen):
    """BigQuery, or the embedded DuckDB. `dataset` holds Rowferry's own tables (ledger, runs, delivered state)."""

    engine: Literal["bigquery", "duckdb"] = Field(description="duckdb: a file on this machine.")
    project: str | None = Field(None, min_length=1, description="BigQuery: the project that pays for jobs and holds the tables.")
    location: str = Field("US", min_length=1, description="BigQuery: where the datasets are, such as EU or europe-west3.")
    dataset: Annotated[str, AfterValidator(_dataset)] = Field("rowferry", description="Where Rowferry keeps its own tables.")
    export_rows: int | None = Field(
        1_000_000, gt=0, description="BigQuery: with `state` in Cloud Storage, runs of so many rows leave by EXPORT DATA; null: never."
    )
    path: LocalPath | None = Field(None, description="DuckDB: the database file; relative to the settings file.")
    memory_limit: Annotated[str, AfterValidator(_memory)] = Field("1GB", description="DuckDB: memory it may take before it spills to disk.")
    threads: int | None = Field(None, gt=0, le=1024, description="DuckDB: how many threads; all cores when left out.")

    def conflicts(self) -> Iterator[Problem]:
        """The engine's own place is named, and only that."""
        if self.engine == "bigquery" and self.project is None:
            yield Problem("project", "is missing", "BigQuery needs the Google Cloud project, e.g. project: acme-data")
        if self.engine == "duckdb" and self.path is None:
            yield Problem("path", "is missing", "DuckDB needs the file it keeps its tables in, e.g. path: warehouse.duckdb")
        for key in ("project", "export_rows") if self.engine == "duckdb" else ("path", "memory_limit", "threads"):
            if key in self.model_fields_set:
                yield Problem(key, f"has no meaning with engine: {self.engine}", "take it out, or change the engine")

    @property
    def file(self) -> Path:
        """DuckDB's file. Raises `ValueError` with another engine."""
        if self.path is None:
            raise ValueError(f"engine {self.engine} has no file")
        return self.path
