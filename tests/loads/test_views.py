from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from rowferry.loads.inference import type_of
from support.loading import Bench

FEEDS = {"pos": {"path": "pos/*.csv", "table": "pos.sales", "columns": {"id": "STRING"}}}


def test_the_view_says_what_an_undeclared_column_is(tmp_path: Path) -> None:
    """Whole numbers, exact decimals, flags, days, moments and JSON are found; what must stay text does."""
    found = Bench(tmp_path, FEEDS)
    found.load(
        "pos/a.csv",
        "id,n,money,paid,day,at,mixed_at,props,phone,zip,empty,science\n"
        '1,5,12.50,true,2024-01-31,2024-01-31 10:00:00,2024-01-31,"{""a"":1}",+4917012345,00501,,1.5e3\n'
        "2,-70,3,False,2024-02-29,2024-01-31T10:00:00+02:00,2024-01-31T10:00:00Z,[1],,99999,,2\n",
    )
    assert found.warehouse.columns("pos.sales_latest") == {
        "id": "STRING",
        "n": "INT64",
        "money": "NUMERIC",
        "paid": "BOOL",
        "day": "DATE",
        "at": "TIMESTAMP",
        "mixed_at": "TIMESTAMP",
        "props": "JSON",
        "phone": "STRING",
        "zip": "STRING",
        "empty": "STRING",
        "science": "FLOAT64",
    }
    assert found.rows("SELECT * FROM pos.sales_latest WHERE id = '2'") == [
        {
            "id": "2",
            "n": -70,
            "money": Decimal("3"),
            "paid": False,
            "day": date(2024, 2, 29),
            "at": datetime(2024, 1, 31, 8, tzinfo=UTC),
            "mixed_at": datetime(2024, 1, 31, 10, tzinfo=UTC),
            "props": [1],
            "phone": None,
            "zip": "99999",
            "empty": None,
            "science": 2.0,
        }
    ]


def test_of_rows_with_one_key_the_last_line_shows(tmp_path: Path) -> None:
    """Within one CSV too, of which the warehouse itself tells no lines; an empty first file is no trouble."""
    found = Bench(tmp_path, {"pos": {"path": "pos/*.csv", "table": "pos.sales", "key": "id"}})
    found.load("pos/0.csv", "")
    found.load("pos/a.csv", "id,n\n" + "".join(f"{number % 20},{number}\n" for number in range(100)))
    assert {row["n"] for row in found.rows("SELECT n FROM pos.sales_latest")} == set(range(80, 100))


def test_a_type_is_widened_over_files_and_never_narrowed(tmp_path: Path) -> None:
    """Integer, then decimal, then text: every value of every file stays readable, as it was written."""
    found = Bench(tmp_path, FEEDS)
    types = []
    for number, value in enumerate(["10", "2.5", "n/a", "7"]):
        found.load(f"pos/{number}.csv", f"id,v\n{number},{value}\n")
        types.append((found.warehouse.columns("pos.sales_latest") or {})["v"])
    assert types == ["INT64", "NUMERIC", "STRING", "STRING"]
    assert found.table("pos.sales_latest", "v") == [("10",), ("2.5",), ("7",), ("n/a",)]


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        ([], "STRING"),
        ([None, 0], "STRING"),
        ([1], "INT64"),
        ([1, 4], "FLOAT64"),
        ([8, 1], "STRING"),
        ([16, 32], "TIMESTAMP"),
        ([64, 1], "STRING"),
    ],
)
def test_types_that_do_not_meet_are_text(kinds: list[int | None], found: str) -> None:
    """A flag and a number, or an object and a number, have only text in common."""
    assert type_of(kinds) == found


def test_repeats_show_once_and_rows_without_a_key_all_show(tmp_path: Path) -> None:
    """Vendors deliver at least once: the view has one row a key, the newest by the preset's or feed's column."""
    found = Bench(tmp_path, {"amp": {"path": "amp/", "preset": "amplitude_export", "table": "raw.amp"}})
    lines = [
        '{"uuid":"a","event_type":"old","server_upload_time":"2024-01-01 00:00:00.000000","event_time":"2024-01-01 00:00:00"}',
        '{"uuid":"a","event_type":"new","server_upload_time":"2024-01-02 00:00:00.000000","event_time":"2024-01-01 00:00:00"}',
        '{"uuid":null,"event_type":"x","event_time":"2024-01-01 00:00:00"}',
        '{"uuid":null,"event_type":"x","event_time":"2024-01-01 00:00:00"}',
    ]
    for number, line in enumerate(lines):
        found.load(f"amp/1/1_2024-01-0{number + 1}_0#0.json.gz", line)
    assert found.count("raw.amp") == 4
    assert found.table("raw.amp_latest", "uuid", "event_type") == [("a", "new"), (None, "x"), (None, "x")]


def test_other_programs_can_read_the_view(tmp_path: Path) -> None:
    """A BI tool opens the database without anything of ours in it."""
    found = Bench(tmp_path, FEEDS)
    found.load("pos/a.csv", "id,n,at,paid,money\n1,5,2024-01-31 10:00:00,true,1.5\n")
    found.warehouse.release()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as plain:
        assert plain.execute("SELECT n, paid, money FROM pos.sales_latest").fetchall() == [(5, True, Decimal("1.500000000"))]
