"""dlt loading a packed CSV file into DuckDB with declared types, as its own documentation shows it. Run by its own interpreter."""

import csv
import gzip
import importlib
import sys
import tempfile
from collections.abc import Iterator
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


@dlt.resource(name="events", columns=COLUMNS)  # type: ignore[untyped-decorator]  # as dlt is unknown
def events(path: str) -> Iterator[list[dict[str, Any]]]:
    """The file's rows, ten thousand at a time."""
    with gzip.open(path, "rt", newline="") as lines:
        rows = csv.DictReader(lines)
        while some := list(islice(rows, 10_000)):
            yield some


def main() -> None:
    """Load the file that the command line names."""
    with tempfile.TemporaryDirectory() as folder:
        destination = dlt.destinations.duckdb(f"{folder}/events.duckdb")
        pipeline = dlt.pipeline("bench", destination=destination, dataset_name="raw", pipelines_dir=folder)
        pipeline.run(events(sys.argv[1]))
        with pipeline.sql_client() as client:
            [(rows,)] = client.execute_sql("SELECT COUNT(*) FROM events")
        sys.stdout.write(f"{rows}\n")


if __name__ == "__main__":
    main()
