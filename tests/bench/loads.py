"""Files of a million events → a typed table of the embedded warehouse, against merely reading the file, and against dlt."""

from __future__ import annotations

import csv
import gzip
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import duckdb
import fastavro
import yaml

from bench.installed import dlt_python, seconds_of
from bench.measure import Result, alternating, timed
from bench.shop import run_seconds

ROWS = 1_000_000
DLT_ROWS = 50_000  # a rate needs no million, which would take it many minutes and gigabytes
FORMATS = ("csv.gz", "parquet", "avro")
COLUMNS = {"event_id": "STRING", "at": "TIMESTAMP", "amount": "NUMERIC", "items": "INT64", "country": "STRING", "vip": "BOOL"}
_EVENTS = """
SELECT format('event-{{:08d}}', n) AS event_id, TIMESTAMPTZ '2026-01-01' + n * INTERVAL 1 SECOND AS at,
  ((n % 997) + 0.25)::DECIMAL(18, 2) AS amount, n % 7 AS items, substr('CHDEIN', 1 + 2 * (n % 3)::INTEGER, 2) AS country, n % 2 = 0 AS vip
FROM range({rows}) t(n)
"""
_AVRO = {
    "type": "record",
    "name": "event",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}},
        {"name": "items", "type": "long"},
        {"name": "country", "type": "string"},
        {"name": "vip", "type": "boolean"},
    ],
}
_WITH_DLT = Path(__file__).with_name("with_dlt.py")


def results() -> Iterator[Result]:
    """Types, ledger, checks and all: the command as a person types it."""
    python = dlt_python()
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            file, short = _write(Path(folder) / f"events.{form}", ROWS), _write(Path(folder) / f"short.{form}", DLT_ROWS)
            works: dict[str, Callable[[], float]] = {"ours": partial(_loaded_per_second, file)}
            if form == "csv.gz":
                works["csv"] = partial(_read_per_second, file)
            if python is not None:
                works["dlt"] = partial(_with_dlt_per_second, python, short)
            found = alternating(works)
            work = f"rowferry load, {form} of {ROWS:,} events → typed table"
            if "csv" in found:
                yield Result(work, found["ours"], "Python's csv module merely reading it", found["csv"], "rows/s")
            if "dlt" in found:
                yield Result(work, found["ours"], f"dlt, {form} of {DLT_ROWS:,} → DuckDB", found["dlt"], "rows/s", ">= 5.0")


def _write(path: Path, rows: int) -> Path:
    events = _EVENTS.format(rows=rows)
    if path.suffix == ".avro":
        with path.open("wb") as file, duckdb.connect() as connection:
            found = connection.execute(events)
            records = (dict(zip(COLUMNS, row, strict=True)) for some in iter(lambda: found.fetchmany(10_000), []) for row in some)
            fastavro.writer(file, _AVRO, records, codec="deflate")
    else:
        options = "FORMAT parquet" if path.suffix == ".parquet" else "FORMAT csv, HEADER, COMPRESSION gzip"
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({events}) TO '{path}' ({options})")
    return path


def _loaded_per_second(file: Path) -> float:
    with tempfile.TemporaryDirectory() as place:
        settings = {
            "rowferry": 1,
            "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
            "state": "state",
            "exports": "exports",
            "feeds": {"events": {"path": "events/", "table": "raw.events", "columns": COLUMNS}},
        }
        (Path(place) / "rowferry.yaml").write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "rowferry.cli", "load", str(file), "--feed", "events", "--config", place]
        return ROWS / run_seconds(command)


def _read_per_second(file: Path) -> float:
    def read() -> None:
        with gzip.open(file, "rt", newline="") as lines:
            deque(csv.reader(lines), maxlen=0)

    return ROWS / timed(read)


def _with_dlt_per_second(python: Path, file: Path) -> float:
    return DLT_ROWS / seconds_of(python, _WITH_DLT, str(file))
