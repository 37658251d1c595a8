"""Cold starts: importing a function's edge, and all it needs for its first event, against its cloud's client alone."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.measure import Result, alternating
from bench.vendor import ENVIRONMENT, ROOT

ROUNDS = 5
CLIENTS = {"gcp": "import google.cloud.storage", "aws": "import boto3"}
STATES = {"gcp": "gs://state", "aws": "s3://state"}
READY_FOR = ("deliver_chunk", "relay_webhook")  # of the light package, where a cold start counts most
_SETTINGS = """
rowferry: 1
warehouse: {{engine: bigquery, project: p, location: EU, dataset: d}}
state: {state}
exports: {state}/exports
destinations: {{braze: {{vendor: braze, instance: EU-01, api_key: "env:BENCH_KEY"}}}}
"""
_TIMED = "import time; started = time.perf_counter()\n{code}\nprint(time.perf_counter() - started)"


def results() -> Iterator[Result]:
    """Each function on both clouds."""
    for path in sorted((ROOT / "functions").glob("*/*.py")):
        cloud, name = path.stem, path.parent.name
        edge = f"import runpy; runpy.run_path({str(path)!r})"
        codes = {"client": CLIENTS[cloud], "edge": edge}
        if name in READY_FOR:
            codes["ready"] = f"{edge}\nfrom rowferry import edge; edge.app().state"
        with tempfile.TemporaryDirectory() as folder:
            settings = Path(folder) / "rowferry.yaml"
            settings.write_text(_SETTINGS.format(state=STATES[cloud]))
            found = alternating({what: partial(_milliseconds, code, settings) for what, code in codes.items()}, ROUNDS)
        alone = f"{CLIENTS[cloud]} alone"
        yield Result(f"cold import of functions/{name}/{cloud}.py", found["edge"], alone, found["client"], "ms", "<= 1.3")
        if "ready" in found:
            yield Result("  and until settings and state store are at hand", found["ready"], alone, found["client"], "ms")


def _milliseconds(code: str, settings: Path) -> float:
    own = {"ROWFERRY_CONFIG": str(settings), "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "eu-west-1"}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    command = [sys.executable, "-c", _TIMED.format(code=code)]
    done = subprocess.run(command, env={**ENVIRONMENT, **own, **keys}, check=True, capture_output=True)
    return 1000 * float(json.loads(done.stdout.splitlines()[-1]))
