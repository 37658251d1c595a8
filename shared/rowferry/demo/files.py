"""Export files as vendors name and write them."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from rowferry.demo.people import Customer, Event, events

EXPORT_ID = 1663664837
EVENTS = {"App Launched": 900, "Order Placed": 260, "Product Viewed": 1400}


def customers_file(people: Iterable[Customer]) -> bytes:
    """The shop's own export: a gzipped CSV with a header."""
    return _packed(Customer.__slots__, ([getattr(person, name) for name in Customer.__slots__] for person in people))


def clevertap_week(last: date, people: list[Customer]) -> Iterator[tuple[str, bytes]]:
    """A week of CleverTap's event exports: names and contents. The name is
    `<export>-<run>-<Event-Name>-<yyyymmdd>-<file>-<database>.csv.gz` (docs.clevertap.com, "Data Export to AWS S3")."""
    for back in range(6, -1, -1):
        day = last - timedelta(days=back)
        run = int(datetime.combine(day + timedelta(days=1), time(), UTC).timestamp())
        for event, count in EVENTS.items():
            name = f"{EXPORT_ID}-{run}-{event.replace(' ', '-')}-{day:%Y%m%d}-0-0.csv.gz"
            yield name, _event_file(event, list(events(event, day, people, count)))


def _event_file(name: str, found: Sequence[Event]) -> bytes:
    properties = list(found[0].properties)
    header = ["ts", "eventName", "profile.identity", "profile.platform", *(f"eventProps.{p}" for p in properties)]
    rows = ([event.ts, name, event.identity, event.properties["CT Source"], *event.properties.values()] for event in found)
    return _packed(header, rows)


def _packed(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode(), mtime=0)
