"""BigQuery as the warehouse: every change is a job with a name of its own, or one transaction.

Our own tables (`rowferry.x` in the program) lie in the dataset of the settings. Names in SQL are
always whole (`project.dataset.table`); a default dataset is never set.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from google.api_core import exceptions
from google.cloud import bigquery  # noqa: TID251 - this is the adapter
from google.cloud.bigquery.retry import DEFAULT_RETRY  # noqa: TID251 - this is the adapter

from rowferry.clock import Clock, SystemClock
from rowferry.errors import TryLater
from rowferry.warehouse.bigquery_client import make_client, make_read_client
from rowferry.warehouse.bigquery_errors import translated
from rowferry.warehouse.bigquery_jobs import CALL_TIMEOUT, Job, JobFailed, Jobs
from rowferry.warehouse.bigquery_loads import csv_config, json_config, load_failure
from rowferry.warehouse.bigquery_scripts import apply_script, create_as_statement, export_statement
from rowferry.warehouse.bigquery_upload import UploadStream, blocks, gzipped
from rowferry.warehouse.bigquery_values import from_fields, to_field, to_fields, to_parameters
from rowferry.warehouse.lines import lines
from rowferry.warehouse.names import OWN, STAGING_LIFE, is_own, quote_column, split_project, split_table
from rowferry.warehouse.port import CsvFile, Export, LoadSource, Param, Params, TableShape, WarehouseError
from rowferry.warehouse.types import parse_type

if TYPE_CHECKING:
    from rowferry.settings.warehouse import Warehouse as Settings

_PAGE_ROWS = 10_000
_WINDOW_ROWS = 20_000
_STORAGE_ROWS = 5_000  # fewer come faster as a page of REST than a read session is opened
_SCHEMA_TRIES = 5
_WAIT_SECONDS = 480.0  # for a job; then a call raises `TryLater`, and the same call takes the job up again
_APPLIED = f"{OWN}.applied"
_APPLIED_SHAPE = TableShape({"name": "STRING", "applied_at": "TIMESTAMP"}, cluster_by=("name",))
_CALL = "rowferry_call"  # a label that tells our own job from one that somebody else began
_ONCE: dict[str, Any] = {"retry": None, "timeout": CALL_TIMEOUT}  # trying again is the business of `Jobs`

Ids = Mapping[str, Any]


def open_bigquery(settings: Settings) -> BigQueryWarehouse:
    """The warehouse of these settings."""
    if settings.project is None:
        raise ValueError("engine bigquery needs a project")
    return BigQueryWarehouse(settings.project, location=settings.location, dataset=settings.dataset)


class BigQueryWarehouse:
    """The port over one project and location. Keeps no connection open that `release` would have to close."""

    engine: Literal["bigquery", "duckdb"] = "bigquery"

    def __init__(
        self,
        project: str,
        *,
        location: str | None = None,
        dataset: str = OWN,
        client: bigquery.Client | None = None,
        read_client: Any = None,
        clock: Clock | None = None,
    ) -> None:
        """`dataset` holds our own tables. `read_client` is one of the Storage Read API; left out, it is made where the
        package is installed."""
        self._project = project
        self._location = location
        self._dataset = dataset
        self._clock = clock or SystemClock()
        with translated():
            self._client: Any = client or make_client(project, location)  # Any: its annotations know no retry=None
        self._read_client = cache(lambda: read_client or make_read_client())
        self._datasets: set[str] = set()
        self._jobs = Jobs(self._client, location, _WAIT_SECONDS, self._clock)
        self._has_applied = False

    def quote(self, table: str) -> str:
        """`project.dataset.table` in back quotes. A name of three parts is taken as it is."""
        project, rest = split_project(table)
        dataset, name = split_table(rest)
        own = self._dataset if project is None and dataset == OWN else dataset
        return f"`{project or self._project}.{own}.{name}`"

    def columns(self, table: str) -> dict[str, str] | None:
        """Column names and types; None when there is no such table or dataset."""
        with translated():
            found = self._table(table)
            return None if found is None else from_fields(found.schema)

    def create(self, table: str, shape: TableShape) -> None:
        """Make dataset and table, partitioned by day and clustered."""
        made = bigquery.Table(self._name(table), to_fields({name: parse_type(kind) for name, kind in shape.columns.items()}))
        if shape.partition_by:
            made.time_partitioning = bigquery.TimePartitioning(field=shape.partition_by)
        if shape.cluster_by:
            made.clustering_fields = list(shape.cluster_by)
        made.expires = shape.expires_at
        with translated():
            self._create(made)

    def add_columns(self, table: str, columns: Mapping[str, str]) -> None:
        """Add NULLable columns. Two who add at once both get theirs: the loser of the race reads again."""
        with translated():
            for _ in range(_SCHEMA_TRIES):
                found = self._table(table)
                if found is None:
                    raise WarehouseError(f"there is no table {table}")
                there = {field.name.lower() for field in found.schema}
                missing = [to_field(name, parse_type(kind)) for name, kind in columns.items() if name.lower() not in there]
                if not missing or self._extend(found, missing):
                    return
        raise TryLater(f"the columns of {table} are being changed by somebody else")

    def drop(self, table: str) -> None:
        """Remove the table when it is there."""
        with translated():
            self._jobs.call(lambda: self._client.delete_table(self._name(table), not_found_ok=True, **_ONCE))

    def replace_view(self, view: str, sql: str) -> None:
        """The view's text by the tables API, left alone where it is the same: changes of a table are counted."""
        made = bigquery.Table(self._name(view))
        made.view_use_legacy_sql = False
        made.view_query = sql
        with translated():
            found = self._table(view)
            if found is None:
                self._create(made)
            elif found.table_type != "VIEW":
                raise WarehouseError(f"{view} is a table, so no view can have its name")
            elif found.view_query != sql:
                self._jobs.call(lambda: self._client.update_table(made, ["view_query"], **_ONCE))

    def load_csv(self, source: LoadSource, table: str, shape: CsvFile, *, job: str) -> int:
        """A load job from `gs://` (no byte passes through us) or an upload that holds 26 MB at a time."""
        config = csv_config(shape)
        if source.uri is not None:
            uri = source.uri
            return self._load(table, job, config, lambda ids: self._client.load_table_from_uri(uri, job_config=config, **ids, **_ONCE))

        def upload(ids: Ids) -> Job:
            with source.open() as file:
                return self._client.load_table_from_file(UploadStream(blocks(file)), job_config=config, **ids)

        return self._load(table, job, config, upload, look_first=True)

    def load_rows(self, table: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], *, job: str) -> int:
        """An upload of JSON lines, straight from `rows`. When it breaks off, `TryLater`: the rows have to be read again."""
        kinds = {name: parse_type(kind) for name, kind in columns.items()}
        config = json_config(kinds)
        stream = UploadStream(gzipped(lines(kinds, rows)))

        def upload(ids: Ids) -> Job:
            if stream.tell():
                raise TryLater("the upload broke off; the same call with the rows from their start takes it up")
            return self._client.load_table_from_file(stream, job_config=config, **ids)

        return self._load(table, job, config, upload, look_first=True)

    def query(self, sql: str, params: Params | None = None) -> Iterator[dict[str, Any]]:
        """The rows of a SELECT, page by page; errors show with the first one."""
        with translated():
            for row in self._rows(sql, params):
                yield dict(row.items())

    def describe(self, sql: str) -> dict[str, str]:
        """Names and types of a SELECT's columns, by a dry run."""
        with translated():
            return from_fields(self._dry_run(sql, None).schema or ())

    def bytes_read(self, sql: str, params: Params | None = None) -> int | None:
        """What BigQuery says that the statement would read, by a dry run: nothing is billed."""
        with translated():
            return int(self._dry_run(sql, params).total_bytes_processed or 0)

    def _dry_run(self, sql: str, params: Params | None) -> Any:
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, query_parameters=to_parameters(params))
        return self._jobs.call(
            lambda: self._client.query(sql, job_config=config, location=self._location, job_retry=None, **_ONCE), starts_anew=True
        )

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
        """One CREATE TABLE IF NOT EXISTS … AS: the table is there whole, with its expiry, or not at all."""
        statement = create_as_statement(self.quote(table), sql, expires_at, cluster_by)
        with translated():
            self._make_dataset(self._name(table).split(".")[-2])
            try:
                self._jobs.run(
                    "query", f"{self._name(table)}\n{job}", self._start_query(statement, self._config(params)), is_kept=self._keeps(table)
                )
            except JobFailed as failed:
                raise failed.trouble.error() from None

    def apply(self, statements: Sequence[str], params: Params | None = None, *, once: str) -> bool:
        """One script, one transaction, under a job id made from `once`."""
        nonce = uuid.uuid4().hex
        config = self._config({**(params or {}), "rowferry_once": Param("STRING", once)})
        config.labels = {_CALL: nonce}
        with translated():
            if not self._has_applied:
                self.create(_APPLIED, _APPLIED_SHAPE)
                self._has_applied = True
            script = apply_script(self.quote(_APPLIED), statements)
            try:
                job = self._jobs.run("apply", f"{self._name(_APPLIED)}\n{once}", self._start_query(script, config))
            except JobFailed as failed:
                raise failed.trouble.error() from None
            if job.labels.get(_CALL) != nonce:
                return False  # another call began it
            rows = self._jobs.call(lambda: list(job.result(job_retry=None, **_ONCE)))
            return bool(rows[0][0])

    def snapshot_rows(self, table: str, columns: Sequence[str], first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """The rows at positions `first` to `last`, both included: by the Storage Read API where there are many."""
        with translated():
            if last - first + 1 >= _STORAGE_ROWS and (reader := self._read_client()) is not None:
                yield from self._windows(reader, table, columns, first, last)
                return
            names = ", ".join(map(quote_column, columns))
            sql = f"SELECT {names} FROM {self.quote(table)} WHERE rowferry_position BETWEEN @first AND @last ORDER BY rowferry_position"
            for row in self._rows(sql, {"first": Param("INT64", first), "last": Param("INT64", last)}):
                yield tuple(row.values())

    def export(self, sql: str, folder: str, *, job: str, is_kept: Callable[[Export], bool], wait_seconds: float = float("inf")) -> Export:
        """One EXPORT DATA job. Its attempts are told apart by the end of their ids, `r0`, `r1` …, and so are their folders."""

        def start(job_id: str) -> Job:
            return self._start_query(export_statement(sql, _folder_of(job_id, folder)), self._config(None))(job_id)

        with translated():
            try:
                done = self._jobs.run(
                    "export",
                    f"{folder}\n{job}\n{sql}",
                    start,
                    is_kept=lambda found: is_kept(_export(found, folder)),
                    wait_seconds=wait_seconds,
                )
            except JobFailed as failed:
                raise failed.trouble.error() from None
        return _export(done, folder)

    def release(self) -> None:
        """Nothing: calls hold nothing between them."""

    def _windows(self, reader: Any, table: str, columns: Sequence[str], first: int, last: int) -> Iterator[tuple[Any, ...]]:
        from rowferry.warehouse.bigquery_read import read_positions

        found = self._table(table)
        if found is None:
            raise WarehouseError(f"there is no table {table}")
        for start in range(first, last + 1, _WINDOW_ROWS):
            yield from read_positions(reader, found, columns, start, min(start + _WINDOW_ROWS - 1, last))

    def _rows(self, sql: str, params: Params | None) -> Iterator[Any]:
        config = self._config(params)

        def ask() -> Iterator[Any]:
            rows: Iterator[Any] = self._client.query_and_wait(
                sql,
                job_config=config,
                location=self._location,
                page_size=_PAGE_ROWS,
                api_timeout=CALL_TIMEOUT,
                retry=DEFAULT_RETRY.with_timeout(CALL_TIMEOUT),
                job_retry=None,
            )
            return rows

        return self._jobs.call(ask, starts_anew=True)

    def _start_query(self, sql: str, config: bigquery.QueryJobConfig) -> Callable[[str], Job]:
        return lambda job_id: self._client.query(sql, job_config=config, job_id=job_id, location=self._location, job_retry=None, **_ONCE)

    def _load(self, table: str, job: str, config: bigquery.LoadJobConfig, start: Callable[[Ids], Job], *, look_first: bool = False) -> int:
        staging = bigquery.Table(self._name(table), config.schema)
        if is_own(table):
            staging.expires = self._clock.now() + STAGING_LIFE
        destination = {"destination": self._name(table), "location": self._location}
        with translated():
            self._create(staging)
            try:
                done = self._jobs.run(
                    "load",
                    f"{self._name(table)}\n{job}",
                    lambda job_id: start({"job_id": job_id, **destination}),
                    is_kept=self._keeps(table),
                    look_first=look_first,
                )
            except JobFailed as failed:
                raise load_failure(failed) from None
        return int(done.output_rows or 0)

    def _keeps(self, table: str) -> Callable[[Job], bool]:
        """Whether the table an earlier job made is still that one: not dropped, expired or made anew since."""

        def keeps(job: Job) -> bool:
            found = self._table(table)
            return found is not None and found.created <= job.ended

        return keeps

    def _create(self, table: bigquery.Table) -> None:
        self._make_dataset(table.dataset_id)
        try:
            self._jobs.call(lambda: self._client.create_table(table, **_ONCE))
        except exceptions.Conflict:
            return

    def _make_dataset(self, name: str) -> None:
        """Make the dataset when it is missing; asking first, since a function may not be allowed to make one."""
        if name in self._datasets:
            return
        dataset = bigquery.Dataset(f"{self._project}.{name}")
        dataset.location = self._location
        try:
            self._jobs.call(lambda: self._client.get_dataset(dataset.reference, **_ONCE))
        except exceptions.NotFound:
            self._jobs.call(lambda: self._client.create_dataset(dataset, exists_ok=True, **_ONCE))
        self._datasets.add(name)

    def _extend(self, table: bigquery.Table, fields: Sequence[bigquery.SchemaField]) -> bool:
        """Add the columns; False when somebody changed the table since it was read."""
        table.schema = [*table.schema, *fields]
        try:
            self._jobs.call(lambda: self._client.update_table(table, ["schema"], **_ONCE))
        except exceptions.PreconditionFailed:
            return False
        return True

    def _table(self, table: str) -> bigquery.Table | None:
        try:
            found: bigquery.Table = self._jobs.call(lambda: self._client.get_table(self._name(table), **_ONCE))
        except exceptions.NotFound:
            return None
        return found

    def _config(self, params: Params | None) -> bigquery.QueryJobConfig:
        return bigquery.QueryJobConfig(query_parameters=to_parameters(params))

    def _name(self, table: str) -> str:
        return self.quote(table).strip("`")


def _folder_of(job_id: str, folder: str) -> str:
    return f"{folder}{job_id.rpartition('-')[2]}/"


def _export(job: Job, folder: str) -> Export:
    """What the job says it wrote. `rowCount` is marked Alpha in the API's reference, so it may be missing
    (cloud.google.com/bigquery/docs/reference/rest/v2/Job#ExportDataStatistics, read 2026-11)."""
    said = job._properties.get("statistics", {}).get("query", {}).get("exportDataStatistics", {})  # the client shows no part of it
    files, rows = (int(said[name]) if name in said else None for name in ("fileCount", "rowCount"))
    return Export(_folder_of(job.job_id, folder), files, rows)
