"""dlt loading a file into DuckDB with declared types, row by row as its own readers do. Run by an interpreter of dlt's own.

Prints how many seconds the pipeline took, without the time dlt needs to be imported.
"""

import csv
import gzip
import importlib
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

dlt: Any = importlib.import_module("dlt")  # installed for this script alone, so nobody else can know its types
COLUMNS = {
    "event_id": {"data_type": "text"},
    "at": {"data_type": "timestamp"},
    "amount": {"data_type": "decimal"},
    "items": {"data_type": "bigint"},
    "country": {"data_type": "text"},
    "vip": {"data_type": "bool"},
}


def _rows(path: str) -> Iterable[Any]:
    if path.endswith(".parquet"):
        parquet: Any = importlib.import_module("pyarrow.parquet")
        return (row for batch in parquet.ParquetFile(path).iter_batches(10_000) for row in batch.to_pylist())
    if path.endswith(".avro"):
        import fastavro

        return fastavro.reader(open(path, "rb"))
    return csv.DictReader(gzip.open(path, "rt", newline=""))


@dlt.resource(name="events", columns=COLUMNS)  # type: ignore[untyped-decorator]  # as dlt is unknown
def events(path: str) -> Iterator[list[Any]]:
    """The file's rows, ten thousand at a time."""
    rows = iter(_rows(path))
    while some := list(islice(rows, 10_000)):
        yield some


def main() -> None:
    """Load the file that the command line names."""
    with tempfile.TemporaryDirectory() as folder:
        destination = dlt.destinations.duckdb(f"{folder}/events.duckdb")
        pipeline = dlt.pipeline("bench", destination=destination, dataset_name="raw", pipelines_dir=folder)
        started_at = time.perf_counter()
        pipeline.run(events(sys.argv[1]))
        sys.stdout.write(f"{time.perf_counter() - started_at}\n")


if __name__ == "__main__":
    main()
