from datetime import UTC, date, datetime

import pytest

from rowferry.feeds.preset import Named
from rowferry.feeds.presets.clevertap_events import PRESET


def read(key: str) -> Named:
    named = PRESET.read_name(key)
    assert isinstance(named, Named)
    return named


def test_the_vendors_own_example_is_read() -> None:
    """docs.clevertap.com shows this name; every part of it has its place."""
    assert read("1663664837-1663785000-Order-Placed-20220921-0-0.csv.gz").parts == {
        "request": "1663664837",
        "run": datetime(2022, 9, 21, 18, 30, tzinfo=UTC),
        "event": "Order-Placed",
        "day": date(2022, 9, 21),
        "index": "0",
        "database": "0",
    }


@pytest.mark.parametrize(
    ("event", "suffix"),
    [
        ("2024-Sale-20220101-1", ".csv.gz"),
        ("Charged", ".json.gz"),
        ("购买", ".parquet.gzip"),
        ("App-Launched", ".csv.gzip"),
        ("x", ".parquet"),
        ("a.b", ".xml"),
    ],
)
def test_names_are_read_from_both_ends(event: str, suffix: str) -> None:
    """Dashes, digits and any letter may stand in an event's name, and every way to end a name is known."""
    assert read(f"any/folder/1-1663785000-{event}-20220921-12-23{suffix}").parts["event"] == event


@pytest.mark.parametrize(
    "key", ["100000000-1761651721-1761651721-0.csv.gz", "1-2-X-20221399-0-0.csv", "readme.md", "1-2-X-20220921-0-0.csv.bak"]
)
def test_other_names_are_not_taken(key: str) -> None:
    """A profile export, an impossible day and a stranger's file are no event files."""
    assert PRESET.read_name(key) is None
