"""What a load does in every warehouse: DuckDB, and BigQuery's real client against the emulator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rowferry.warehouse.bigquery import BigQueryWarehouse
from rowferry.warehouse.port import Warehouse
from support.bigquery import PROJECT, bigquery_emulator
from support.loading import Bench

_numbers = itertools.count(1)


@pytest.fixture(params=["duckdb", "bigquery"])
def other(request: pytest.FixtureRequest) -> Iterator[Warehouse | None]:
    """BigQuery with an own dataset, or None for the bench's DuckDB."""
    if request.param == "duckdb":
        yield None
    else:
        yield BigQueryWarehouse(PROJECT, location="US", dataset=f"own_loads_{next(_numbers)}", client=bigquery_emulator().client())


@pytest.fixture
def raw() -> str:
    """A dataset that no other test uses."""
    return f"raw_loads_{next(_numbers)}"


def bench(folder: Path, other: Warehouse | None, raw: str, **feed: Any) -> Bench:
    return Bench(folder, {"f": {"path": "f/*", "table": f"{raw}.t", **feed}}, other_warehouse=other)


TYPES = {
    "s": "STRING",
    "i": "INT64",
    "f": "FLOAT64",
    "n": "NUMERIC",
    "b": "BOOL",
    "d": "DATE",
    "dt": "DATETIME",
    "t": "TIME",
    "ts": "TIMESTAMP",
    "j": "JSON",
}


def test_every_type_arrives_exactly(tmp_path: Path, other: Warehouse | None, raw: str) -> None:
    """Text to values in SQL, the same in both engines, NULL and '' apart."""
    found = bench(tmp_path, other, raw, columns=TYPES)
    header = ",".join(TYPES)
    rows = [
        '007,9223372036854775807,1e-3,12.125,yes,20240131,2024-01-31 10:20,10:20:30.5,2024-01-31T10:20:30+0530,"{""a"":[1,null]}"',
        '"",,,,,,,,,',
        ",-1.0,nan,-.5,F,2024-02-29,20240131102030,10:20,20240131102030,[]",
    ]
    result = found.load("f/a.csv.gz", "\n".join([header, *rows]))
    assert (result.status, result.rows, result.rejected_cells) == ("loaded", 3, 0)
    table = {row[0]: row for row in found.table(f"{raw}.t", *TYPES)}
    moment = datetime.fromisoformat("2024-01-31T10:20:00")
    assert table["007"] == (
        "007",
        9223372036854775807,
        0.001,
        Decimal("12.125"),  # the emulator holds three digits only; all of them are judged in tests/loads/test_casts.py
        True,
        date(2024, 1, 31),
        moment,
        time(10, 20, 30, 500000),
        datetime(2024, 1, 31, 4, 50, 30, tzinfo=UTC),
        {"a": [1, None]},
    )
    assert table[""] == ("", *[None] * 9)
    last = table[None]
    assert last[1] == -1
    assert last[2] != last[2]
    assert last[3:6] == (Decimal("-0.5"), False, date(2024, 2, 29))
    assert last[8] == datetime(2024, 1, 31, 10, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize("policy", ["null", "reject_row"])
def test_rejected_cells_and_rows_are_accounted_for(tmp_path: Path, other: Warehouse | None, raw: str, policy: str) -> None:
    """The rows that came are those loaded and those rejected; each bad cell has its line and its reason."""
    found = bench(tmp_path, other, raw, columns=TYPES, bad_value=policy)
    result = found.load("f/a.csv", 's,i,ts,d\nok,1,2024-01-01,2024-01-01\n"two\nlines",x,yesterday,\nlast,2,2024-02-30,2024-02-30\n')
    assert (result.rows, result.rejected_rows, result.rejected_cells) == ((3, 0, 4) if policy == "null" else (1, 2, 4))
    cells = found.rows(f"SELECT line, `column`, value FROM {found.warehouse.quote('rowferry.rejected_cells')} ORDER BY line, `column`")
    assert [tuple(cell.values()) for cell in cells] == [
        (3, "i", "x"),
        (3, "ts", "yesterday"),
        (5, "d", "2024-02-30"),
        (5, "ts", "2024-02-30"),
    ]
    assert found.count(f"{raw}.t") == result.rows
    assert found.load("f/a.csv").status == "skipped"


def test_undeclared_columns_and_the_latest_view(tmp_path: Path, other: Warehouse | None, raw: str) -> None:
    """New columns are text in the table and typed in the view, which shows the newest row of a key."""
    found = bench(tmp_path, other, raw, columns={"id": "STRING"}, key="id")
    found.load("f/a.csv", "id,v,at\n1,10,2024-01-31T10:00:00Z\n2,20,\n")
    found.clock.sleep(60)
    found.load("f/b.csv", "id,v,new col\n1,2.50,x\n")
    assert found.warehouse.columns(f"{raw}.t") == {
        "id": "STRING",
        "v": "STRING",
        "at": "STRING",
        "_rowferry_file": "STRING",
        "_rowferry_line": "INT64",
        "_rowferry_loaded_at": "TIMESTAMP",
        "new_col": "STRING",
    }
    assert found.table(f"{raw}.t_latest", "id", "v", "at", "new_col") == [
        ("1", Decimal("2.5"), None, "x"),
        ("2", Decimal("20"), None, None),
    ]


def test_merge_and_overwrite(tmp_path: Path, other: Warehouse | None, raw: str) -> None:
    """The newest row of a key counts in any order of files; a re-export replaces what its first version brought."""
    found = bench(tmp_path, other, raw, columns={"id": "STRING", "v": "INT64", "at": "TIMESTAMP"}, write="merge", key="id", order_by="at")
    found.load("f/b.csv", "id,v,at\n1,20,2024-02-01\n2,1,2024-01-01\n2,2,2024-01-03\n")
    found.load("f/a.csv", "id,v,at\n1,10,2024-01-01\n,5,2024-01-01\n")
    assert found.table(f"{raw}.t", "id", "v") == [("1", 20), ("2", 2)]
    again = Bench(tmp_path / "again", {"f": {"path": "f/*", "table": f"{raw}.u", "columns": {"id": "STRING"}}}, other_warehouse=other)
    for content in ("id\n1\n2\n", "id\n3\n"):
        again.load("f/a.csv", content)
    assert again.table(f"{raw}.u", "id") == [("3",)]


def test_of_rows_with_one_key_in_a_file_the_last_one_counts(tmp_path: Path, other: Warehouse | None, raw: str) -> None:
    """`merge` without an order, or with equal values of it: the later line wins, in a file that the warehouse reads itself too."""
    found = bench(tmp_path, other, raw, columns={"id": "STRING", "v": "INT64"}, write="merge", key="id")
    rows = "".join(f"{number % 50},{number}\n" for number in range(400))
    assert found.load("f/a.csv", "id,v\n" + rows).rows == 400
    assert found.table(f"{raw}.t", "id", "v") == sorted((str(number % 50), number) for number in range(350, 400))
    ordered = {"f": {"path": "f/*", "table": f"{raw}.u", "columns": {"id": "STRING", "v": "INT64"}, "write": "merge", "key": "id"}}
    tied = Bench(tmp_path / "tied", {"f": ordered["f"] | {"order_by": "v"}}, other_warehouse=other)
    tied.load("f/a.csv", "id,v,x\n1,5,a\n1,7,b\n1,7,c\n1,6,d\n")
    assert tied.table(f"{raw}.u", "v", "x") == [(7, "c")]


def test_json_lines_and_quarantine(tmp_path: Path, other: Warehouse | None, raw: str) -> None:
    """Nested values become JSON, a name in one line only is a column of all, and a broken file is in quarantine."""
    found = bench(tmp_path, other, raw, columns={"id": "STRING", "props": "JSON"})
    found.load("f/a.json.gz", '{"id":"1","props":{"a":1.50}}\n\n{"id":"2","n":12345678901234567890123}\n')
    assert found.table(f"{raw}.t", "id", "props", "n") == [("1", {"a": 1.5}, None), ("2", None, "12345678901234567890123")]
    bad = found.load("f/b.json", '{"id":"3"}\n{"id":\n')
    assert (bad.status, bad.code) == ("quarantined", "bad_json")
    assert found.count(f"{raw}.t") == 2


def test_corrected_rows_and_replaced_partitions(tmp_path: Path, other: Warehouse | None, raw: str) -> None:
    """A corrected CSV changes just its rows; a file that replaces partitions leaves other days alone."""
    found = bench(tmp_path, other, raw, columns={"id": "STRING", "v": "INT64"})
    found.load("f/a.csv", "id,v\n1,one\n2,2\n")
    (kept,) = [each.key for each in found.state.list("quarantine/")]
    found.load("f/a.csv.corrected.csv", found.state.read(kept)[0].replace(b'"one"', b'"1"'))
    assert found.table(f"{raw}.t", "id", "v") == [("1", 1), ("2", 2)]
    columns = {"id": "STRING", "day": "DATE"}
    feed = {"path": "f/*", "table": f"{raw}.u", "columns": columns, "write": "replace", "replace": "partition", "partition_by": "day"}
    days = Bench(tmp_path / "days", {"f": feed}, other_warehouse=other)
    days.load("f/a.csv", "id,day\n1,2024-01-01\n2,2024-01-02\n")
    days.load("f/b.csv", "id,day\n3,2024-01-02\n")
    assert days.table(f"{raw}.u", "id") == [("1",), ("3",)]


CSV_WITH_BAD_LINES = """\
id,v,s
1,10,a
2,20
3,30,c,d
4,x,"d ""e"" f"
5,50,19" monitor
6,60,"so "called" text"
7,70,"two
lines"
8,80,h
"""


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("window", [False, True])
def test_bad_lines_of_a_csv_are_rejected_and_the_others_load(
    tmp_path: Path, other: Warehouse | None, raw: str, window: bool, compress: bool
) -> None:
    """With `bad_line: reject` each line that is no row has its line, text and reason beside bad cells, and can be corrected."""
    feed = {"columns": {"id": "STRING", "v": "INT64", "s": "STRING"}, "bad_line": "reject"} | ({"window": "5m"} if window else {})
    found = bench(tmp_path, other, raw, **feed)
    (result,) = found.loader.load_many([found.put("f/a.csv.gz" if compress else "f/a.csv", CSV_WITH_BAD_LINES)])
    assert (result.status, result.rows, result.rejected_rows, result.rejected_cells) == ("loaded", 4, 4, 1), result
    assert found.table(f"{raw}.t", "id", "v", "s") == [("1", 10, "a"), ("4", None, 'd "e" f'), ("7", 70, "two\nlines"), ("8", 80, "h")]
    cells = found.warehouse.quote("rowferry.rejected_cells")
    sql = f"SELECT line, `column`, value, reason, row_loaded FROM {cells} WHERE table_name = '{raw}.t'"
    assert sorted((tuple(row.values()) for row in found.rows(sql)), key=repr) == [
        (3, None, "2,20", "expected 3 columns, found 2", False),
        (4, None, "3,30,c,d", "expected 3 columns, found 4", False),
        (5, "v", "x", "expected a whole number of at most 64 bits (INT64)", True),
        (6, None, '5,50,19" monitor', "a quote stands inside a cell that is not quoted", False),
        (7, None, '6,60,"so "called" text"', "text follows the closing quote of a cell", False),
    ]
    (kept,) = [each.key for each in found.state.list("quarantine/")]
    rejected = found.state.read(kept)[0].decode()
    assert '"3","expected 3 columns, found 2",,,,"2,20"' in rejected
    corrected = rejected.replace(',,,,"2,20"', ',"2","20","b","2,20"').splitlines()[:2]
    again = found.load(f"{result.file}.corrected.csv", "\n".join(corrected))
    assert (again.status, again.rows, again.rejected_rows) == ("loaded", 1, 0), again
    assert found.table(f"{raw}.t", "id", "v") == [("1", 10), ("2", 20), ("4", None), ("7", 70), ("8", 80)]


@pytest.mark.parametrize("write", [{"write": "merge", "key": "id"}, {"write": "replace"}, {"bad_value": "reject_row"}])
def test_bad_lines_of_json_are_rejected_however_rows_are_written(
    tmp_path: Path, other: Warehouse | None, raw: str, write: dict[str, Any]
) -> None:
    """A line that is cut off or no object is one rejected row; it has no empty key besides."""
    found = bench(tmp_path, other, raw, columns={"id": "STRING"}, bad_line="reject", **write)
    content = '{"id":"1","n":{"a":1}}\n{"id":\n\n[1]\n{"id":"2","m":5}\n{"id":"3"'
    result = found.load("f/a.json", content)
    assert (result.status, result.rows, result.rejected_rows, result.rejected_cells) == ("loaded", 2, 3, 0), result
    assert found.table(f"{raw}.t", "id", "n", "m") == [("1", '{"a":1}', None), ("2", None, "5")]
    sql = f"SELECT line, value FROM {found.warehouse.quote('rowferry.rejected_cells')} WHERE table_name = '{raw}.t'"
    assert sorted(tuple(row.values()) for row in found.rows(sql)) == [(2, '{"id":'), (4, "[1]"), (6, '{"id":"3"')]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("opened over lines", 'id,v\n1,"a\n2,b\n3,c\n', "bad_csv"),
        ("more text after lines", 'id,v\n1,"a\n2,b" x\n3,c\n', "bad_csv"),
        ("wide over lines", 'id,v\n1,"a\n2,b",5\n3,c\n', "bad_csv"),
        ("blanks before the quote", 'id,v\n1, "a\n2,b"\n3,c,d\n', "bad_csv"),
        ("the header", 'id,"v"x\n1,a\n', "bad_csv"),
        ("no good row", "id,v\n1\n2\n", "bad_lines"),
        ("no good object", '{"id":\n{"id"\n', "bad_lines"),
    ],
)
def test_a_file_is_quarantined_where_it_is_not_sure_where_the_next_row_begins(
    tmp_path: Path, other: Warehouse | None, raw: str, name: str, content: str, code: str
) -> None:
    """A quoted cell that may go on over lines, a header that is none, and files without a single row go whole."""
    found = bench(tmp_path, other, raw, bad_line="reject")
    result = found.load("f/a.txt", content)
    assert (result.status, result.code) == ("quarantined", code), (name, result)
    assert found.count(f"{raw}.t") == 0
