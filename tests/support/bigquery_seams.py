"""Where the BigQuery emulator is not BigQuery, and what is put in its place."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from bqemulator.api.routes.tables import _field_to_rest
from bqemulator.catalog.models import JobMeta
from bqemulator.domain.errors import AlreadyExistsError
from bqemulator.scripting.interpreter import ScriptInterpreter
from bqemulator.sql.parameters import _SCALAR_CONVERTERS, _extract_value
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

from support import bigquery_exports
from support.bigquery_loads import run_load_job

_upload_job_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("upload_job_id", default=None)
_script_params: contextvars.ContextVar[list[dict[str, Any]]] = contextvars.ContextVar("script_params")
_one_script = asyncio.Lock()
_done: list[bool] = []

# What is replaced; Any, since their types forbid it.
jobs: Any = import_module("bqemulator.api.routes.jobs")
upload: Any = import_module("bqemulator.api.routes.upload")
executor: Any = import_module("bqemulator.jobs.executor")
engine: Any = import_module("bqemulator.storage.engine")
server: Any = import_module("bqemulator.server")
avro: Any = import_module("bqemulator.streaming.avro_serializer")

# The emulator's own, before they are replaced.
_new_job_id = upload._new_job_id
_run_upload = upload._run_load
_load_configuration = upload._load_configuration_from_envelope
_run_load = jobs._handle_load_job_with_async_envelope
_run_query = jobs._handle_query_job
_statement_errors = jobs._SQL_EXECUTION_DOMAIN_ERRORS
_avro_rows = avro._arrow_table_to_python_rows
_is_up = server.EmulatorServer._wait_for_uvicorn_started


def put_right() -> None:
    """Replace the seams; once a process."""
    if _done:
        return
    _done.append(True)
    engine.DuckDBEngine._load_spatial = lambda self: None  # geography is not ours, and its extension would be downloaded
    server.EmulatorServer._wait_for_uvicorn_started = lambda emulator, *, timeout: _is_up(emulator, timeout=300.0)  # not 10
    _SCALAR_CONVERTERS["BYTES"] = base64.b64decode
    upload._PERMITTED_MEDIA_CONTENT_TYPES += ("*/*",)  # what the real client sends
    jobs.execute_load_job = upload.execute_load_job = run_load_job
    upload._load_configuration_from_envelope = _keep_job_id
    upload._new_job_id = lambda: _upload_job_id.get() or _new_job_id()
    upload._run_load = _upload_once
    jobs._handle_load_job_with_async_envelope = _load_once
    jobs._handle_query_job = _query_once
    jobs._SQL_EXECUTION_DOMAIN_ERRORS = ()  # jobs.query answers 400; it would answer 200 with no rows
    executor.ScriptInterpreter = _Interpreter
    avro._arrow_table_to_python_rows = _in_no_zone
    bigquery_exports.put_right()


def grow_tables(ctx: Any) -> None:
    """A changed schema changes the table too, not only the catalogue."""
    update = ctx.catalog.update_table

    def update_table(table: Any) -> Any:
        ref = (table.project_id, table.dataset_id, table.table_id)
        there = {field.name.lower() for field in ctx.catalog.get_table(*ref).schema_.fields}
        for name, kind in bq_schema_to_duckdb_columns([_field_to_rest(field) for field in table.schema_.fields]):
            if name.lower() not in there:
                ctx.engine.execute(f'ALTER TABLE {quoted_table_ref(*ref)} ADD COLUMN IF NOT EXISTS "{name}" {kind}')
        return update(table)

    ctx.catalog.update_table = update_table


@asynccontextmanager
async def _reserved(ctx: Any, project_id: str, job_id: str | None, config: Mapping[str, Any]) -> AsyncIterator[None]:
    """BigQuery answers 409 for a job id that was ever used, and shows a job while it runs."""
    if job_id is None:
        yield
        return
    if ctx.catalog.get_job(project_id, job_id) is not None:
        raise AlreadyExistsError(f"Already Exists: Job {project_id}:US.{job_id}")
    now = ctx.clock.now()
    kind = "LOAD" if "load" in config else "QUERY"
    running = JobMeta(
        project_id=project_id,
        job_id=job_id,
        job_type=kind,
        state="RUNNING",
        configuration=dict(config),
        statistics={},
        creation_time=now,
        start_time=now,
        etag=job_id,
    )
    ctx.catalog.upsert_job(running)
    try:
        yield
    except BaseException:
        ctx.catalog.delete_job(project_id, job_id)  # refused at the door: no job was made
        raise


def _keep_job_id(envelope: Mapping[str, Any]) -> dict[str, Any]:
    return {**_load_configuration(dict(envelope)), "_job_id": (envelope.get("jobReference") or {}).get("jobId")}


async def _upload_once(*, project_id: str, configuration: Mapping[str, Any], media_path: str, ctx: Any) -> Any:
    rest = dict(configuration)
    job_id = rest.pop("_job_id", None)
    _upload_job_id.set(job_id)
    async with _reserved(ctx, project_id, job_id, rest):
        return await _run_upload(project_id=project_id, configuration=rest, media_path=media_path, ctx=ctx)


async def _load_once(project_id: str, job_id: str, config: dict[str, Any], ctx: Any) -> Any:
    async with _reserved(ctx, project_id, job_id, config):
        return await _run_load(project_id, job_id, config, ctx)


async def _query_once(project_id: str, job_id: str, config: dict[str, Any], *, dry_run: bool, ctx: Any, caller: Any, now: Any) -> Any:
    _script_params.set(config["query"].get("queryParameters") or [])
    is_script = "BEGIN TRANSACTION" in config["query"]["query"]
    async with _reserved(ctx, project_id, job_id, config):
        try:
            # The emulator's transactions are copies of tables: two scripts at a time would mix.
            async with _one_script if is_script else nullcontext():
                done = await _run_query(project_id, job_id, config, dry_run=dry_run, ctx=ctx, caller=caller, now=now)
            if isinstance(done, dict) or "labels" not in config:
                return done
            return done.model_copy(update={"configuration": {**done.configuration, "labels": config["labels"]}})
        except _statement_errors as error:
            if dry_run:
                raise
            return jobs._failed_job_meta(project_id, job_id, "QUERY", config, jobs._domain_error_to_error_result(error), now)


def _in_no_zone(table: Any) -> list[dict[str, Any]]:
    """A DATETIME as it is: Avro's writer would take it for a time in the machine's zone."""
    return [
        {name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value for name, value in row.items()}
        for row in _avro_rows(table)
    ]


class _Interpreter(ScriptInterpreter):
    """Scripts with query parameters: BigQuery takes them, the emulator's interpreter does not."""

    async def run(self, source: str) -> Any:
        for param in _script_params.get():
            self._frames.declare(f"param_{param['name']}", "ANY", _extract_value(param))
        return await super().run(re.sub(r"@(\w+)", r"param_\1", source))
