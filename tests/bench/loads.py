"""CSV.gz of a million events → a typed table of the embedded warehouse, against merely reading the file, and against dlt."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from bench.measure import Result, alternating, say, timed
from bench.shop import run_seconds
from bench.vendor import ENVIRONMENT, ROOT

ROWS = 1_000_000
DLT_ROWS = 100_000  # a rate needs no million, which would take it minutes and gigabytes
DLT = ROOT / "build" / "dlt"
COLUMNS = {"event_id": "STRING", "at": "TIMESTAMP", "amount": "NUMERIC", "items": "INT64", "country": "STRING", "vip": "BOOL"}
_DLT = Path(__file__).with_name("with_dlt.py")


def results() -> Iterator[Result]:
    """Types, ledger, checks and all."""
    with tempfile.TemporaryDirectory() as folder:
        file, short = _write_events(Path(folder) / "events.csv.gz", ROWS), _write_events(Path(folder) / "short.csv.gz", DLT_ROWS)
        works = {"ours": lambda: ROWS / _load_seconds(file), "csv": lambda: ROWS / timed(lambda: _merely_read(file))}
        python = _dlt_python()
        if python is not None:
            works["dlt"] = lambda: DLT_ROWS / run_seconds([str(python), str(_DLT), str(short)])
        found = alternating(works)
    work = f"rowferry load, csv.gz of {ROWS:,} events → typed table"
    yield Result(work, found["ours"], "Python's csv module merely reading it", found["csv"], "rows/s")
    if "dlt" in found:
        yield Result(work, found["ours"], f"dlt, csv.gz of {DLT_ROWS:,} → DuckDB", found["dlt"], "rows/s", ">= 5.0")


def _write_events(path: Path, rows: int) -> Path:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with gzip.open(path, "wt", newline="", compresslevel=1) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for n in range(rows):
            at = (start + timedelta(seconds=n)).isoformat()
            writer.writerow((f"event-{n:08d}", at, f"{n % 997}.25", n % 7, ("CH", "DE", "IN")[n % 3], ("true", "false")[n % 2]))
    return path


def _load_seconds(file: Path) -> float:
    """The command as a person types it, in a folder of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        settings = {
            "rowferry": 1,
            "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
            "state": "state",
            "exports": "exports",
            "feeds": {"events": {"path": "events/", "table": "raw.events", "columns": COLUMNS}},
        }
        (folder / "rowferry.yaml").write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "rowferry.cli", "load", str(file), "--feed", "events", "--config", place]
        return run_seconds(command)


def _merely_read(file: Path) -> None:
    with gzip.open(file, "rt", newline="") as lines:
        deque(csv.reader(lines), maxlen=0)


def _dlt_python() -> Path | None:
    """The interpreter of a place of dlt's own, made once; None where it can't be had."""
    python = DLT / "bin" / "python"
    try:
        if not python.exists():
            say("… installing dlt into build/dlt")
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(DLT)], check=True, capture_output=True)
            wanted = ["dlt[duckdb]", "pyarrow"]
            subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), *wanted], check=True, capture_output=True, timeout=600)
        subprocess.run([str(python), "-c", "import dlt, duckdb"], check=True, capture_output=True, env=ENVIRONMENT)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"without dlt, which can't be installed here: {json.dumps(str(error)[:200])}")
        return None
    return python
