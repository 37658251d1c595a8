"""dlt sending the rows of a CSV file to an HTTP API, 75 a request. Run by an interpreter of dlt's own.

    with_dlt_api.py FILE.csv.gz URL default|tuned     prints how many seconds the pipeline took

As it comes, dlt makes one file of all rows and so one job, which sends one request after the other. `tuned`
cuts files of 5,000 rows and has 20 workers. The time that dlt needs to be imported is left out.
"""

import csv
import gzip
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

BATCH_ROWS, FILE_ROWS, WORKERS = 75, 5_000, 20
if sys.argv[3] == "tuned":
    os.environ |= {
        "DATA_WRITER__FILE_MAX_ITEMS": str(FILE_ROWS),
        "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": str(FILE_ROWS),
        "LOAD__WORKERS": str(WORKERS),
    }
dlt: Any = importlib.import_module("dlt")  # installed for this script alone, so nobody else can know its types
requests: Any = importlib.import_module("requests")
_session = requests.Session()
_session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=WORKERS))


@dlt.destination(batch_size=BATCH_ROWS, name="api", max_parallel_load_jobs=WORKERS, loader_parallelism_strategy="parallel")  # type: ignore[untyped-decorator]  # as dlt is unknown
def api(items: list[Any], table: Any, url: str = dlt.config.value) -> None:
    """One request for a batch."""
    answer = _session.post(url, json=items, headers={"authorization": "Bearer a-made-up-key"}, timeout=60)
    answer.raise_for_status()


@dlt.resource(name="users")  # type: ignore[untyped-decorator]  # as dlt is unknown
def users(path: str) -> Iterator[list[Any]]:
    """The file's rows, ten thousand at a time."""
    with gzip.open(path, "rt", newline="") as lines:
        rows = csv.DictReader(lines)
        while some := list(islice(rows, 10_000)):
            yield some


def main() -> None:
    """Send the file's rows."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("bench_api", destination=api(url=sys.argv[2]), pipelines_dir=folder)
        started_at = time.perf_counter()
        pipeline.run(users(sys.argv[1]))
        sys.stdout.write(f"{time.perf_counter() - started_at}\n")


if __name__ == "__main__":
    main()
