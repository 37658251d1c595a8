"""BigQuery's load jobs for the emulator: CSV and JSON lines, read and refused by BigQuery's rules."""

from __future__ import annotations

import glob
import gzip
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from bqemulator.api.routes.tables import _field_to_rest, _parse_schema_fields
from bqemulator.catalog import models
from bqemulator.catalog.etag import generate_etag
from bqemulator.domain.errors import InvalidQueryError, ResourceRef, resource_not_found
from bqemulator.jobs import executor
from bqemulator.storage.sql_identifiers import quoted_table_ref
from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

Field = dict[str, Any]
_OPTIONS = {"writeDisposition": "WRITE_APPEND", "sourceFormat": "CSV"}


class BadLoad(Exception):
    """The file does not fit; the job ends with reason `invalid`."""


async def run_load_job(project_id: str, job_id: str, config: dict[str, Any], ctx: Any) -> models.JobMeta:
    """The emulator's `execute_load_job`: one load, all or nothing."""
    load = {**_OPTIONS, **config["load"]}
    destination = load["destinationTable"]
    ref = (destination.get("projectId", project_id), destination["datasetId"], destination["tableId"])
    if ctx.catalog.get_dataset(*ref[:2]) is None:
        raise resource_not_found(ResourceRef("dataset", *ref[:2]))
    table = ctx.catalog.get_table(*ref)
    schema = _schema(load, table)
    paths = _paths(load, ctx)
    async with ctx.engine.write_lock():
        rows, total = _write(ctx.engine.connection, ref, table is not None, schema, load, paths)
    _keep(ctx, ref, table, schema, total)
    async with ctx.engine.write_lock():
        ctx.snapshots.record_change(*ref)
    return _done(project_id, job_id, config, ctx, rows, paths)


def _schema(load: Mapping[str, Any], table: Any) -> list[Field]:
    given = (load.get("schema") or {}).get("fields") or []
    have = [_field_to_rest(field) for field in table.schema_.fields] if table else []
    if not given and not have:
        raise InvalidQueryError("Schema has no fields.")
    if not given or load["writeDisposition"] == "WRITE_TRUNCATE" or not have:
        return [{"mode": "NULLABLE", **field} for field in given or have]
    extra = [field["name"] for field in given if field["name"].lower() not in {field["name"].lower() for field in have}]
    if extra:
        raise BadLoad(f"Provided Schema does not match Table. Cannot add fields (field: {extra[0]})")
    return have


def _paths(load: Mapping[str, Any], ctx: Any) -> list[Path]:
    found: list[Path] = []
    for uri in load.get("sourceUris", []):
        path = executor._resolve_uri(uri, ctx)
        names = sorted(glob.glob(path)) if "*" in uri else [path]
        if not names or not all(Path(name).is_file() for name in names):
            raise FileNotFoundError(f"Not found: Uris {uri}")
        found += map(Path, names)
    return found


def _write(
    con: Any, ref: tuple[str, str, str], exists: bool, schema: list[Field], load: Mapping[str, Any], paths: list[Path]
) -> tuple[int, int]:
    target = quoted_table_ref(*ref)
    columns = bq_schema_to_duckdb_columns(schema)
    names = ", ".join(f'"{name}"' for name, _ in columns)
    con.execute("BEGIN")
    try:
        if exists and load["writeDisposition"] == "WRITE_TRUNCATE":
            con.execute(f"DROP TABLE {target}")
        if not exists or load["writeDisposition"] == "WRITE_TRUNCATE":
            made = ", ".join(f'"{name}" {kind}' for name, kind in columns)
            con.execute(f"CREATE TABLE {target} ({made})")
        rows = sum(_insert(con, target, names, path, dict(columns), load) for path in paths)
        total = con.execute(f"SELECT count(*) FROM {target}").fetchone()[0]
        con.execute("COMMIT")
    except BaseException:
        con.execute("ROLLBACK")
        raise
    return rows, total


def _insert(con: Any, target: str, names: str, path: Path, columns: dict[str, str], load: Mapping[str, Any]) -> int:
    with tempfile.NamedTemporaryFile(suffix=".plain") as plain:
        data = path.read_bytes()
        plain.write(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
        plain.flush()
        read = _read_csv if load["sourceFormat"] == "CSV" else _read_json
        try:
            return int(con.execute(f"INSERT INTO {target} ({names}) {read(plain.name, columns, load)}").fetchone()[0])
        except duckdb.Error as error:
            raise BadLoad(_as_bigquery_says(str(error))) from None


def _as_bigquery_says(text: str) -> str:
    """BigQuery's wording for a broken row; it ends with the cell, as BigQuery's does."""
    line = re.search(r"Line: (\d+)", text)
    cell = re.search(r"Original Line: (.*)", text)
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    what = 'Missing close quote character (").'
    if counts:
        what = f"Found {counts[2]} column(s) while expected {counts[1]}."
    return f'{what}; line_number: {line[1] if line else 0} column_type: STRING value: "{cell[1] if cell else text}"'


def _read_csv(path: str, columns: dict[str, str], load: Mapping[str, Any]) -> str:
    texts = ", ".join(f"'{name}': 'VARCHAR'" for name in columns)
    values = ", ".join(f'CAST("{name}" AS {kind})' for name, kind in columns.items())
    quote = load.get("quote", '"').replace("'", "''")
    return (
        f"SELECT {values} FROM read_csv('{path}', columns = {{{texts}}}, auto_detect = false, header = false,"
        f" skip = {int(load.get('skipLeadingRows') or 0)}, delim = '{load.get('fieldDelimiter', ',')}',"
        f" quote = '{quote}', escape = '{quote}', nullstr = '', allow_quoted_nulls = false, strict_mode = true,"
        f" null_padding = false, encoding = '{'latin-1' if load.get('encoding') == 'ISO-8859-1' else 'utf-8'}')"
    )


def _read_json(path: str, columns: dict[str, str], load: Mapping[str, Any]) -> str:
    types = ", ".join(f"'{name}': '{_as_text(kind)}'" for name, kind in columns.items())
    values = ", ".join(f'from_base64("{name}")' if kind == "BLOB" else f'"{name}"' for name, kind in columns.items())
    return f"SELECT {values} FROM read_json('{path}', format = 'newline_delimited', auto_detect = false, columns = {{{types}}})"


def _as_text(kind: str) -> str:
    return "VARCHAR" if kind == "BLOB" else kind


def _keep(ctx: Any, ref: tuple[str, str, str], table: Any, schema: list[Field], total: int) -> None:
    """Put the table's new shape into the emulator's catalogue."""
    now = ctx.clock.now()
    new = {
        "schema_": models.TableSchema(fields=_parse_schema_fields(schema)),
        "num_rows": total,
        "last_modified_time": now,
        "etag": generate_etag(*ref, str(now)),
    }
    if table is not None:
        ctx.catalog.update_table(table.model_copy(update=new))
        return
    new["schema"] = new.pop("schema_")
    ctx.catalog.create_table(models.TableMeta(project_id=ref[0], dataset_id=ref[1], table_id=ref[2], creation_time=now, **new))


def _done(project_id: str, job_id: str, config: dict[str, Any], ctx: Any, rows: int, paths: list[Path]) -> models.JobMeta:
    now = ctx.clock.now()
    statistics = {"outputRows": str(rows), "inputFiles": str(len(paths)), "badRecords": "0"}
    return models.JobMeta(
        project_id=project_id,
        job_id=job_id,
        job_type="LOAD",
        state="DONE",
        configuration=config,
        statistics={"load": statistics},
        creation_time=now,
        start_time=now,
        end_time=now,
        etag=generate_etag(project_id, job_id, datetime.now(UTC).isoformat()),
    )
