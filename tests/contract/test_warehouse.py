"""What every warehouse does, run against both: DuckDB, and BigQuery's real client against the emulator."""

from __future__ import annotations

import gzip
import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from rowferry.warehouse.bigquery import BigQueryWarehouse
from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.warehouse.port import CsvFile, LoadFailed, LoadSource, Param, TableShape, Warehouse, WarehouseError
from support.bigquery import PROJECT, bigquery_emulator
from support.every_type import ALL_TYPES, FULL_ROW

_numbers = itertools.count(1)


@pytest.fixture(params=["duckdb", "bigquery"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """One of the two, empty."""
    if request.param == "duckdb":
        made: Warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb", threads=2)
    else:
        emulator = bigquery_emulator()
        dataset = f"own_{next(_numbers)}"
        made = BigQueryWarehouse(PROJECT, location="US", dataset=dataset, client=emulator.client())
    yield made
    made.release()


@pytest.fixture
def raw(warehouse: Warehouse) -> str:
    """A dataset that no other test uses."""
    return f"raw_{next(_numbers)}"


def rows(warehouse: Warehouse, sql: str, **params: Param) -> list[dict[str, Any]]:
    """All rows of a query."""
    return list(warehouse.query(sql, params or None))


def csv_source(folder: Path, text: bytes, *, name: str = "export.csv", compression: Any = None) -> LoadSource:
    """A CSV file on disk."""
    path = folder / name
    path.write_bytes(gzip.compress(text) if compression else text)
    return LoadSource(path=str(path), compression=compression)


EMPTY_ROW: dict[str, Any] = {**dict.fromkeys(ALL_TYPES), "tags": [], "parts": []}


def test_a_table_has_the_types_it_was_made_with(warehouse: Warehouse, raw: str) -> None:
    """Every type of the port comes back from `columns` as it was given to `create`."""
    warehouse.create(f"{raw}.t", TableShape(ALL_TYPES, partition_by="seen", cluster_by=("text",)))
    assert warehouse.columns(f"{raw}.t") == ALL_TYPES


def test_a_missing_table_has_no_columns(warehouse: Warehouse, raw: str) -> None:
    """None stands for a missing table as well as a missing dataset."""
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING"}))
    assert warehouse.columns(f"{raw}.other") is None
    assert warehouse.columns(f"nowhere_{raw}.t") is None


def test_create_leaves_a_table_that_is_there(warehouse: Warehouse, raw: str) -> None:
    """A second `create` changes neither columns nor rows."""
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING"}))
    warehouse.apply([f"INSERT INTO {warehouse.quote(f'{raw}.t')} (a) VALUES ('x')"], once=f"{raw} insert")
    warehouse.create(f"{raw}.t", TableShape({"b": "INT64"}))
    assert warehouse.columns(f"{raw}.t") == {"a": "STRING"}
    assert rows(warehouse, f"SELECT a FROM {warehouse.quote(f'{raw}.t')}") == [{"a": "x"}]


def test_add_columns_adds_only_what_is_missing(warehouse: Warehouse, raw: str) -> None:
    """Columns that are there keep their type, new ones come last and are NULL in the rows before."""
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING"}))
    warehouse.apply([f"INSERT INTO {warehouse.quote(f'{raw}.t')} (a) VALUES ('x')"], once=f"{raw} insert")
    warehouse.add_columns(f"{raw}.t", {"a": "INT64", "b": "NUMERIC", "c": "ARRAY<STRING>"})
    warehouse.add_columns(f"{raw}.t", {"b": "NUMERIC"})
    assert warehouse.columns(f"{raw}.t") == {"a": "STRING", "b": "NUMERIC", "c": "ARRAY<STRING>"}
    assert rows(warehouse, f"SELECT * FROM {warehouse.quote(f'{raw}.t')}") == [{"a": "x", "b": None, "c": []}]


def test_drop_twice(warehouse: Warehouse, raw: str) -> None:
    """A table is gone after `drop`, and dropping it again is no error."""
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING"}))
    warehouse.drop(f"{raw}.t")
    warehouse.drop(f"{raw}.t")
    assert warehouse.columns(f"{raw}.t") is None


def test_values_survive_a_round_trip(warehouse: Warehouse, raw: str) -> None:
    """Money, 19-digit numbers, zones, unicode, bytes, JSON, arrays and NULLs come out as they went in."""
    count = warehouse.load_rows(f"{raw}.t", ALL_TYPES, iter([FULL_ROW, EMPTY_ROW, {}]), job=f"{raw} rows")
    found = rows(warehouse, f"SELECT * FROM {warehouse.quote(f'{raw}.t')} ORDER BY whole DESC")
    assert count == 3
    assert found == [FULL_ROW, EMPTY_ROW, EMPTY_ROW]
    assert [type(value) for value in found[0].values()] == [type(value) for value in FULL_ROW.values()]


def test_a_timestamp_is_a_moment(warehouse: Warehouse, raw: str) -> None:
    """A TIMESTAMP given with another zone's offset is the same moment, and comes out in UTC."""
    berlin = timezone(timedelta(hours=2))
    given = {"seen": datetime(2024, 6, 1, 12, 0, tzinfo=berlin)}
    warehouse.load_rows(f"{raw}.t", {"seen": "TIMESTAMP"}, [given], job=f"{raw} rows")
    (found,) = rows(warehouse, f"SELECT seen FROM {warehouse.quote(f'{raw}.t')}")
    assert found["seen"] == given["seen"]
    assert found["seen"].utcoffset() == timedelta(0)


def test_parameters_have_the_types_they_were_given(warehouse: Warehouse) -> None:
    """Each simple type, NULL, arrays (an empty one too) and arrays of structs go in as parameters and come out the same."""
    params = {name: Param(kind, FULL_ROW[name]) for name, kind in ALL_TYPES.items() if name not in ("part", "doc")}
    params |= {"nothing": Param("INT64", None), "empty": Param("ARRAY<STRING>", [])}
    (found,) = rows(warehouse, "SELECT " + ", ".join(f"@{name} AS {name}" for name in params), **params)
    assert found == {name: param.value for name, param in params.items()}


def test_a_parameter_is_never_sql(warehouse: Warehouse) -> None:
    """A quote and a comment in a value stay a value."""
    value = "x' OR 1=1 -- `"
    assert rows(warehouse, "SELECT @p AS p, @p = 'x' AS same", p=Param("STRING", value)) == [{"p": value, "same": False}]


def test_parameters_that_are_not_used_do_no_harm(warehouse: Warehouse) -> None:
    """A caller may hand over more parameters than the statement names."""
    assert rows(warehouse, "SELECT @a AS a", a=Param("INT64", 1), b=Param("INT64", 2)) == [{"a": 1}]


def test_describe_tells_columns_without_reading(warehouse: Warehouse, raw: str) -> None:
    """Names and types of a SELECT, computed columns included."""
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING", "n": "NUMERIC", "seen": "TIMESTAMP"}))
    described = warehouse.describe(f"SELECT a, n, seen, COUNT(*) OVER () AS everything FROM {warehouse.quote(f'{raw}.t')}")
    assert described == {"a": "STRING", "n": "NUMERIC", "seen": "TIMESTAMP", "everything": "INT64"}


def test_what_would_be_read_is_told_where_it_is_billed(warehouse: Warehouse, raw: str) -> None:
    """BigQuery tells a number of bytes, the embedded engine nothing; neither runs the statement."""
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING"}))
    found = warehouse.bytes_read(f"SELECT a FROM {warehouse.quote(f'{raw}.t')} WHERE a = @a", {"a": Param("STRING", "x")})
    assert (found is None) is (warehouse.engine == "duckdb")


def test_wrong_sql_and_missing_tables_are_errors_in_one_line(warehouse: Warehouse, raw: str) -> None:
    """They say what is wrong and are not to be tried again."""
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING"}))
    for sql in ("SELEC 1", f"SELECT missing FROM {warehouse.quote(f'{raw}.t')}", f"SELECT a FROM {warehouse.quote(f'{raw}.gone')}"):
        with pytest.raises(WarehouseError) as caught:
            rows(warehouse, sql)
        assert str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_error_shows_no_value(warehouse: Warehouse, raw: str) -> None:
    """The cell that could not be cast is in no error text."""
    warehouse.load_rows(f"{raw}.t", {"a": "STRING"}, [{"a": "ann@example.com"}], job=f"{raw} rows")
    with pytest.raises(WarehouseError) as caught:
        rows(warehouse, f"SELECT CAST(a AS INT64) AS a FROM {warehouse.quote(f'{raw}.t')}")
    assert "ann@example.com" not in str(caught.value)


@pytest.mark.parametrize("name", ["t", "a.b`", "a.b; DROP TABLE x", "a b.c", "", ".", "a."])
def test_a_bad_table_name_is_refused(warehouse: Warehouse, name: str) -> None:
    """What can't be a table's name never gets near a statement."""
    with pytest.raises(WarehouseError):
        warehouse.quote(name)


def test_our_own_tables_are_under_rowferry(warehouse: Warehouse) -> None:
    """`rowferry.x` is ours, wherever the settings put it, and is made and read by that name."""
    warehouse.create("rowferry.files", TableShape({"name": "STRING"}))
    assert warehouse.columns("rowferry.files") == {"name": "STRING"}
    assert rows(warehouse, f"SELECT COUNT(*) AS n FROM {warehouse.quote('rowferry.files')}") == [{"n": 0}]


CSV = CsvFile(["id", "name", "note"])


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_load_csv_takes_every_cell_as_text(warehouse: Warehouse, raw: str, tmp_path: Path, compression: Any) -> None:
    """Leading zeros, blanks, quotes, line breaks and 19 digits stay; an unquoted empty cell is NULL, a quoted one is ''."""
    text = b'id,name,note\r\n007,"He said ""hi""",\r\n9223372036854775807, two words ,""\r\n"1","line\nbreak",NULL\r\n'
    count = warehouse.load_csv(csv_source(tmp_path, text, compression=compression), f"{raw}.t", CSV, job=f"{raw} csv")
    assert count == 3
    assert warehouse.columns(f"{raw}.t") == {"id": "STRING", "name": "STRING", "note": "STRING"}
    assert rows(warehouse, f"SELECT * FROM {warehouse.quote(f'{raw}.t')} ORDER BY id") == [
        {"id": "007", "name": 'He said "hi"', "note": None},
        {"id": "1", "name": "line\nbreak", "note": "NULL"},
        {"id": "9223372036854775807", "name": " two words ", "note": ""},
    ]


@pytest.mark.parametrize("text", [b"", b"id,name,note\n1,a,\n"])
def test_a_stream_loads_as_a_file_does(warehouse: Warehouse, raw: str, text: bytes) -> None:
    """Bytes from another cloud pass through without a file of ours, gzipped or not, none at all included."""
    plain = LoadSource(stream=lambda: BytesIO(text))
    packed = LoadSource(stream=lambda: BytesIO(gzip.compress(text)), compression="gzip")
    counts = [warehouse.load_csv(source, f"{raw}.t", CSV, job=f"{raw} {number}") for number, source in enumerate((plain, packed))]
    assert counts == [len(text.splitlines()[1:])] * 2
    assert list(warehouse.columns(f"{raw}.t") or {}) == ["id", "name", "note"]


def test_load_csv_with_another_shape(warehouse: Warehouse, raw: str, tmp_path: Path) -> None:
    """Delimiter, quote, encoding and the number of head lines are as declared, not guessed."""
    text = "made by\nid;name\n1;'Zoë; the'\n".encode("latin-1")
    shape = CsvFile(["id", "name"], delimiter=";", quote="'", skip_lines=2, encoding="latin-1")
    assert warehouse.load_csv(csv_source(tmp_path, text), f"{raw}.t", shape, job=f"{raw} csv") == 1
    assert rows(warehouse, f"SELECT * FROM {warehouse.quote(f'{raw}.t')}") == [{"id": "1", "name": "Zoë; the"}]


@pytest.mark.parametrize("text", [b"", b"id,name,note\n"])
def test_an_empty_csv_makes_an_empty_table(warehouse: Warehouse, raw: str, tmp_path: Path, text: bytes) -> None:
    """No rows is no error: the table is there, with its columns."""
    assert warehouse.load_csv(csv_source(tmp_path, text), f"{raw}.t", CSV, job=f"{raw} csv") == 0
    assert list(warehouse.columns(f"{raw}.t") or {}) == ["id", "name", "note"]


BAD_FILES = {
    "a short row": b"id,name,note\n1,a,b\n2,secret\n",
    "a long row": b"id,name,note\n1,a,b\n2,secret,c,d\n",
    "a quote that does not end": b'id,name,note\n1,"secret,b\n2,c,d\n',
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_such_csv_is_refused_whole(warehouse: Warehouse, raw: str, tmp_path: Path, case: str) -> None:
    """The reason is a sentence without a cell's content, and no row is kept."""
    with pytest.raises(LoadFailed) as caught:
        warehouse.load_csv(csv_source(tmp_path, BAD_FILES[case]), f"{raw}.t", CSV, job=f"{raw} csv")
    assert caught.value.reason
    assert "secret" not in str(caught.value)
    if warehouse.columns(f"{raw}.t") is not None:
        assert rows(warehouse, f"SELECT COUNT(*) AS n FROM {warehouse.quote(f'{raw}.t')}") == [{"n": 0}]


def test_the_same_load_again_changes_nothing(warehouse: Warehouse, raw: str, tmp_path: Path) -> None:
    """A second event for the same file finds the same rows, once."""
    source = csv_source(tmp_path, b"id,name,note\n1,a,b\n2,c,d\n")
    counts = [warehouse.load_csv(source, f"{raw}.t", CSV, job=f"{raw} csv") for _ in range(3)]
    assert counts == [2, 2, 2]
    assert rows(warehouse, f"SELECT COUNT(*) AS n FROM {warehouse.quote(f'{raw}.t')}") == [{"n": 2}]


def test_a_load_whose_table_is_gone_runs_again(warehouse: Warehouse, raw: str, tmp_path: Path) -> None:
    """An adopted job whose table was dropped since is worth nothing: the rows are loaded anew."""
    source = csv_source(tmp_path, b"id,name,note\n1,a,b\n")
    warehouse.load_csv(source, f"{raw}.t", CSV, job=f"{raw} csv")
    warehouse.drop(f"{raw}.t")
    assert warehouse.load_csv(source, f"{raw}.t", CSV, job=f"{raw} csv") == 1
    assert rows(warehouse, f"SELECT id FROM {warehouse.quote(f'{raw}.t')}") == [{"id": "1"}]


def test_a_load_that_failed_can_be_done_again(warehouse: Warehouse, raw: str, tmp_path: Path) -> None:
    """A mended file under the same name of work loads: an old failure does not stick."""
    with pytest.raises(LoadFailed):
        warehouse.load_csv(csv_source(tmp_path, b"id,name,note\n1\n"), f"{raw}.t", CSV, job=f"{raw} csv")
    assert warehouse.load_csv(csv_source(tmp_path, b"id,name,note\n1,a,b\n"), f"{raw}.t", CSV, job=f"{raw} csv") == 1


def test_another_load_replaces_the_table(warehouse: Warehouse, raw: str, tmp_path: Path) -> None:
    """A load into a table that is there leaves only its own rows and columns."""
    warehouse.load_csv(csv_source(tmp_path, b"id,name,note\n1,a,b\n"), f"{raw}.t", CSV, job=f"{raw} one")
    warehouse.load_csv(csv_source(tmp_path, b"x\n5\n"), f"{raw}.t", CsvFile(["x"]), job=f"{raw} two")
    assert rows(warehouse, f"SELECT * FROM {warehouse.quote(f'{raw}.t')}") == [{"x": "5"}]


def test_load_rows_reads_a_generator_once(warehouse: Warehouse, raw: str) -> None:
    """Rows may come from a generator; columns that a row lacks are NULL, none at all make an empty table."""
    count = warehouse.load_rows(f"{raw}.t", {"n": "INT64", "s": "STRING"}, ({"n": n} for n in range(5000)), job=f"{raw} a")
    assert count == 5000
    assert rows(warehouse, f"SELECT COUNT(*) AS n, SUM(n) AS total, COUNT(s) AS s FROM {warehouse.quote(f'{raw}.t')}") == [
        {"n": 5000, "total": 12497500, "s": 0}
    ]
    assert warehouse.load_rows(f"{raw}.none", {"n": "INT64"}, iter(()), job=f"{raw} b") == 0
    assert warehouse.columns(f"{raw}.none") == {"n": "INT64"}


def test_create_as_runs_once(warehouse: Warehouse, raw: str) -> None:
    """A table that is there stays as it is, even when the statement would now give other rows."""
    table = warehouse.quote(f"{raw}.run")
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING"}))
    for value in ("first", "second"):
        warehouse.create_as(f"{raw}.run", "SELECT @v AS a", {"v": Param("STRING", value)}, job=f"{raw} run")
    assert rows(warehouse, f"SELECT a FROM {table}") == [{"a": "first"}]
    warehouse.create_as(f"{raw}.run", "SELECT 'third' AS a", job=f"{raw} another name")
    assert rows(warehouse, f"SELECT a FROM {table}") == [{"a": "first"}]


def test_create_as_keeps_types(warehouse: Warehouse, raw: str) -> None:
    """What a SELECT makes has BigQuery's types: whole numbers stay whole, money keeps its nine digits."""
    sql = (
        "SELECT MAX(x) AS most, COUNT(*) AS n, SUM(CAST('1.5' AS NUMERIC)) AS money,"
        " MAX(TIMESTAMP '2024-01-01 00:00:00+00') AS seen FROM UNNEST([1, 2]) AS x"
    )
    far = datetime.now(UTC) + timedelta(days=1)
    warehouse.create_as(f"{raw}.run", sql, job=f"{raw} run", expires_at=far, cluster_by=("most",))
    assert warehouse.columns(f"{raw}.run") == {"most": "INT64", "n": "INT64", "money": "NUMERIC", "seen": "TIMESTAMP"}


def test_a_create_as_that_failed_can_be_mended(warehouse: Warehouse, raw: str) -> None:
    """The same work under the same name succeeds once the missing table is there."""
    sql = f"SELECT a FROM {warehouse.quote(f'{raw}.source')}"
    with pytest.raises(WarehouseError):
        warehouse.create_as(f"{raw}.run", sql, job=f"{raw} run")
    warehouse.create(f"{raw}.source", TableShape({"a": "STRING"}))
    warehouse.create_as(f"{raw}.run", sql, job=f"{raw} run")
    assert warehouse.columns(f"{raw}.run") == {"a": "STRING"}


def test_apply_takes_effect_once(warehouse: Warehouse, raw: str) -> None:
    """The second call with the same name does nothing and says so; another name runs."""
    warehouse.create(f"{raw}.t", TableShape({"n": "INT64"}))
    table = warehouse.quote(f"{raw}.t")
    statements = [f"INSERT INTO {table} (n) VALUES (@n)", f"UPDATE {table} SET n = n + 10 WHERE n = @n"]
    params = {"n": Param("INT64", 1)}
    assert [warehouse.apply(statements, params, once=f"{raw} a") for _ in range(2)] == [True, False]
    assert rows(warehouse, f"SELECT n FROM {table}") == [{"n": 11}]
    assert warehouse.apply(statements, params, once=f"{raw} b") is True
    assert rows(warehouse, f"SELECT n FROM {table} ORDER BY n") == [{"n": 11}, {"n": 11}]


def test_apply_takes_effect_whole_or_not_at_all(warehouse: Warehouse, raw: str) -> None:
    """When the second statement fails, the first leaves no trace, and the name is free for the mended call."""
    warehouse.create(f"{raw}.t", TableShape({"n": "INT64"}))
    table = warehouse.quote(f"{raw}.t")
    insert = f"INSERT INTO {table} (n) VALUES (1)"
    with pytest.raises(WarehouseError):
        warehouse.apply([insert, f"INSERT INTO {table} (n) SELECT CAST('x' AS INT64)"], once=f"{raw} a")
    assert rows(warehouse, f"SELECT COUNT(*) AS n FROM {table}") == [{"n": 0}]
    assert warehouse.apply([insert], once=f"{raw} a") is True
    assert rows(warehouse, f"SELECT COUNT(*) AS n FROM {table}") == [{"n": 1}]


def test_apply_merges(warehouse: Warehouse, raw: str) -> None:
    """MERGE, DELETE and several tables in one transaction."""
    warehouse.create(f"{raw}.t", TableShape({"k": "STRING", "n": "INT64"}))
    warehouse.load_rows(f"{raw}.s", {"k": "STRING", "n": "INT64"}, [{"k": "a", "n": 1}, {"k": "b", "n": 2}], job=f"{raw} s")
    table, source = warehouse.quote(f"{raw}.t"), warehouse.quote(f"{raw}.s")
    merge = (
        f"MERGE INTO {table} AS t USING {source} AS s ON t.k = s.k"
        " WHEN MATCHED THEN UPDATE SET n = t.n + s.n WHEN NOT MATCHED THEN INSERT (k, n) VALUES (s.k, s.n)"
    )
    warehouse.apply([merge, f"DELETE FROM {source} WHERE k = 'b'", merge], once=f"{raw} merge")
    assert rows(warehouse, f"SELECT k, n FROM {table} ORDER BY k") == [{"k": "a", "n": 2}, {"k": "b", "n": 2}]


def race(count: int, work: Callable[[int], Any]) -> list[Any]:
    """`work(0)` … `work(count - 1)` in threads that start together; what each gave, errors included."""
    results: list[Any] = [None] * count
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # the test looks at it, not the thread
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_eight_at_once_apply_once(warehouse: Warehouse, raw: str) -> None:
    """Of eight threads with the same name exactly one takes effect, and each is told the truth."""
    warehouse.create(f"{raw}.t", TableShape({"n": "INT64"}))
    statement = f"INSERT INTO {warehouse.quote(f'{raw}.t')} (n) VALUES (1)"
    results = race(8, lambda _: warehouse.apply([statement], once=f"{raw} a"))
    assert sorted(results) == [False] * 7 + [True]
    assert rows(warehouse, f"SELECT COUNT(*) AS n FROM {warehouse.quote(f'{raw}.t')}") == [{"n": 1}]


def test_eight_at_once_apply_their_own(warehouse: Warehouse, raw: str) -> None:
    """Eight commits of different names on one table all take effect."""
    warehouse.create(f"{raw}.t", TableShape({"n": "INT64"}))
    statement = f"INSERT INTO {warehouse.quote(f'{raw}.t')} (n) VALUES (@n)"
    results = race(8, lambda n: warehouse.apply([statement], {"n": Param("INT64", n)}, once=f"{raw} {n}"))
    assert results == [True] * 8
    assert rows(warehouse, f"SELECT SUM(n) AS n FROM {warehouse.quote(f'{raw}.t')}") == [{"n": 28}]


def test_eight_at_once_load_one_file(warehouse: Warehouse, raw: str, tmp_path: Path) -> None:
    """Eight events for one file: everybody sees its rows, and the table has them once."""
    source = csv_source(tmp_path, b"id,name,note\n" + b"".join(b"%d,a,b\n" % n for n in range(200)))
    results = race(8, lambda _: warehouse.load_csv(source, f"{raw}.t", CSV, job=f"{raw} csv"))
    assert results == [200] * 8
    assert rows(warehouse, f"SELECT COUNT(*) AS n FROM {warehouse.quote(f'{raw}.t')}") == [{"n": 200}]


def test_two_queries_can_be_read_side_by_side(warehouse: Warehouse) -> None:
    """A second query does not disturb one that is half read."""
    sql = "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 5000)) AS n ORDER BY n"
    pairs = list(zip(warehouse.query(sql), warehouse.query(sql), strict=True))
    assert len(pairs) == 5000
    assert all(one == other for one, other in pairs)


def test_an_iterator_left_early_does_not_stand_in_the_way(warehouse: Warehouse, raw: str) -> None:
    """Whoever stops reading a query can go on writing and let go of the warehouse."""
    left = warehouse.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 5000)) AS n")
    next(left)
    del left
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING"}))
    warehouse.release()
    assert warehouse.columns(f"{raw}.t") == {"a": "STRING"}


def test_snapshot_rows_are_a_window_in_order(warehouse: Warehouse, raw: str) -> None:
    """Positions are inclusive, columns come in the order asked for, TIMESTAMPs are aware."""
    sql = (
        "SELECT n AS rowferry_position, CAST(n AS STRING) AS id, TIMESTAMP_SECONDS(n) AS seen,"
        " IF(n = 12, NULL, CAST(-0.5 * n AS NUMERIC)) AS money FROM UNNEST(GENERATE_ARRAY(0, 99)) AS n"
    )
    warehouse.create_as(f"{raw}.run", sql, job=f"{raw} run", cluster_by=("rowferry_position",))
    found = list(warehouse.snapshot_rows(f"{raw}.run", ["seen", "id", "money"], 10, 12))
    money = [Decimal("-5"), Decimal("-5.5"), None]
    assert found == [(datetime.fromtimestamp(n, UTC), str(n), money[n - 10]) for n in (10, 11, 12)]
    assert len(list(warehouse.snapshot_rows(f"{raw}.run", ["id"], 90, 500))) == 10


def test_a_view_shows_what_it_selects_and_can_be_given_another_select(warehouse: Warehouse, raw: str) -> None:
    """The same name shows another SELECT from then on; a table of that name is left alone."""
    warehouse.create(f"{raw}.t", TableShape({"a": "INT64", "b": "STRING"}))
    warehouse.apply([f"INSERT INTO {warehouse.quote(f'{raw}.t')} (a, b) VALUES (1, 'x')"], once=f"{raw} view")
    for select, shown in (("a", {"a": 1}), ("b, a", {"b": "x", "a": 1})):
        warehouse.replace_view(f"{raw}.v", f"SELECT {select} FROM {warehouse.quote(f'{raw}.t')}")
        assert rows(warehouse, f"SELECT * FROM {warehouse.quote(f'{raw}.v')}") == [shown]
    with pytest.raises(WarehouseError):
        warehouse.replace_view(f"{raw}.t", "SELECT 1 AS a")
    assert warehouse.columns(f"{raw}.t") == {"a": "INT64", "b": "STRING"}


def test_release_can_be_called_at_any_time(warehouse: Warehouse, raw: str) -> None:
    """Before the first call, twice, and between two: the next call just works."""
    warehouse.release()
    warehouse.create(f"{raw}.t", TableShape({"a": "STRING"}))
    warehouse.release()
    warehouse.release()
    assert warehouse.columns(f"{raw}.t") == {"a": "STRING"}
