"""Made-up users: an id and five attributes, as a CSV file, as rows of a table, and as chunks in an outbox."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

from rowferry.delivery.chunk import Row, chunk_name, encode_row, write_chunk
from rowferry.delivery.plan import Plan
from rowferry.mapping.mapping import Field, Part
from rowferry.stores.port import Store

COLUMNS = {
    "external_id": "STRING",
    "email": "STRING",
    "first_name": "STRING",
    "country": "STRING",
    "loyalty_tier": "STRING",
    "lifetime_value": "NUMERIC",
}
CHUNK_ROWS = 50_000
_NAMES = ("Ann", "Bela", "Chloé", "Dörte", "Émile")
_COUNTRIES = ("CH", "DE", "FR", "IN", "US")
_TIERS = ("gold", "silver", "bronze")


def users(count: int) -> Iterator[list[str]]:
    """So many users, as text."""
    for n in range(count):
        yield [f"user-{n:08d}", f"user.{n}@shop.example", _NAMES[n % 5], _COUNTRIES[n % 5], _TIERS[n % 3], f"{n % 10_000}.25"]


def write_csv(path: Path, count: int) -> Path:
    """A CSV file of them, gzipped where its name says so."""
    with gzip.open(path, "wt", newline="", compresslevel=1) if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(users(count))
    return path


def write_chunks(store: Store, count: int) -> list[str]:
    """Chunks of them in the outbox, as a first run of a sync writes them; their keys."""
    columns = tuple(COLUMNS.items())
    plan = Plan(
        run="run",
        sync="users",
        destination="braze",
        action="profile",
        columns=columns,
        fields=tuple(Field(name, (Part(column=name),)) for name in COLUMNS),
    )
    mask = "1" * len(COLUMNS)
    rows = users(count)
    for number in range(-(-count // CHUNK_ROWS)):
        some = (encode_row(Row(values[0], values[0], "upsert", mask, values)) for _, values in zip(range(CHUNK_ROWS), rows, strict=False))
        write_chunk(store, plan, number, some)
    return [chunk_name(plan, number).key for number in range(-(-count // CHUNK_ROWS))]
