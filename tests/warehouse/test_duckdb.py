"""What only the embedded warehouse does: the file's lock, kills, damaged files, expiry, errors without values."""

from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from rowferry.clock import ManualClock
from rowferry.errors import TryLater
from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.warehouse.duckdb_errors import masked, meaning
from rowferry.warehouse.port import CsvFile, LoadFailed, LoadSource, Param, TableShape, WarehouseError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def warehouse(path: Path) -> Iterator[DuckDbWarehouse]:
    """An empty one that does not wait long for others."""
    made = DuckDbWarehouse(path, threads=1, clock=ManualClock(NOW))
    yield made
    made.release()


HOLD = """
import duckdb, sys
with duckdb.connect(sys.argv[1]) as connection:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the file until its input ends."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_file_that_another_process_holds_is_waited_for(path: Path, other_process: subprocess.Popen[str]) -> None:
    """While it is held, the call pauses and then says so; when it is let go of, the same call works."""
    clock = ManualClock(NOW)
    warehouse = DuckDbWarehouse(path, clock=clock)
    with pytest.raises(TryLater, match=r"another process holds the warehouse file warehouse\.duckdb"):
        list(warehouse.query("SELECT 1 AS x"))
    assert sum(clock.slept) == pytest.approx(60, abs=0.1)
    other_process.communicate("")
    assert list(warehouse.query("SELECT 1 AS x")) == [{"x": 1}]
    warehouse.release()


def test_nothing_holds_the_file_after_release(warehouse: DuckDbWarehouse, path: Path) -> None:
    """Another process can open it, also after an error and after a query that was left early."""
    warehouse.create("raw.t", TableShape({"a": "STRING"}))
    left = warehouse.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 9000)) AS n")
    next(left)
    with pytest.raises(WarehouseError):
        list(warehouse.query("SELECT b FROM `raw.t`"))
    warehouse.release()
    del left
    subprocess.run([sys.executable, "-c", "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('FROM raw.t')", str(path)], check=True)


def test_a_query_goes_on_through_a_release(warehouse: DuckDbWarehouse) -> None:
    """`release` from one thread does not pull the file from under another's half-read query."""
    rows = warehouse.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 9000)) AS n")
    next(rows)
    warehouse.release()
    assert sum(1 for _ in rows) == 8999


def test_two_warehouses_of_one_process_share_the_file(warehouse: DuckDbWarehouse, path: Path) -> None:
    """Two objects over one file see each other's work, and their commits of one name take effect once."""
    other = DuckDbWarehouse(path, threads=1)
    warehouse.create("raw.t", TableShape({"n": "INT64"}))
    insert = ["INSERT INTO `raw.t` (n) VALUES (1)"]
    assert [warehouse.apply(insert, once="a"), other.apply(insert, once="a")] == [True, False]
    assert list(other.query("SELECT COUNT(*) AS n FROM `raw.t`")) == [{"n": 1}]
    other.release()


KILLED = """
import os, signal, sys
from pathlib import Path
from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.warehouse.port import Param

class Killed(DuckDbWarehouse):
    def _transaction(self, work):
        def die(cursor):
            result = work(cursor)
            if sys.argv[2] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        result = super()._transaction(die)
        os.kill(os.getpid(), signal.SIGKILL)

warehouse = Killed(Path(sys.argv[1]))
warehouse.apply(["INSERT INTO `raw.t` (n) VALUES (1)", "INSERT INTO `raw.t` (n) VALUES (2)"], once="a")
"""


@pytest.mark.parametrize(("moment", "runs_again"), [("before", True), ("after", False)])
def test_a_kill_leaves_all_of_a_commit_or_nothing(warehouse: DuckDbWarehouse, path: Path, moment: str, runs_again: bool) -> None:
    """SIGKILL just before COMMIT leaves no row and the name free, just after it both rows and the name taken."""
    warehouse.create("raw.t", TableShape({"n": "INT64"}))
    warehouse.release()
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path), moment], check=False)
    assert ended.returncode == -signal.SIGKILL
    insert = ["INSERT INTO `raw.t` (n) VALUES (1)", "INSERT INTO `raw.t` (n) VALUES (2)"]
    assert warehouse.apply(insert, once="a") is runs_again
    assert list(warehouse.query("SELECT n FROM `raw.t` ORDER BY n")) == [{"n": 1}, {"n": 2}]


def load(warehouse: DuckDbWarehouse, path: Path, columns: list[str] | None = None, **source: object) -> int:
    """Load a file into raw.t."""
    made = LoadSource(path=str(path), **source)  # type: ignore[arg-type]  # the tests pass what it takes
    return warehouse.load_csv(made, "raw.t", CsvFile(columns or ["a", "b"]), job="x")


ROWS = b"a,b\n" + b"".join(b"%d,x%d\n" % (n, n) for n in range(20000))
PACKED = gzip.compress(ROWS)


def flipped(data: bytes) -> bytes:
    """The bytes with one changed in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (PACKED[:-4], "cut off"),
        (PACKED[: len(PACKED) // 2], "cut off"),
        (gzip.compress(ROWS[: ROWS.index(b"\n9000,") + 1])[:-8], "cut off"),  # ends between two rows: DuckDB would not notice
        (flipped(PACKED), "damaged"),
        (PACKED[:-8] + b"12345678", "damaged"),
        (b"PK\x03\x04 not gzip", "damaged"),
    ],
)
def test_a_damaged_gzip_loads_nothing(warehouse: DuckDbWarehouse, tmp_path: Path, data: bytes, reason: str) -> None:
    """DuckDB checks neither checksum nor end, and would lose rows without a word."""
    (tmp_path / "x.csv.gz").write_bytes(data)
    with pytest.raises(LoadFailed, match=reason):
        load(warehouse, tmp_path / "x.csv.gz", compression="gzip")
    assert warehouse.columns("raw.t") is None


def test_a_gzip_of_several_members_loads_whole(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    """Files put together by `cat` are one gzip."""
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"))
    assert load(warehouse, tmp_path / "x.csv.gz", compression="gzip") == 2


@pytest.mark.parametrize("name", ["x[1].csv", "x*.csv", "x?.csv", "it's.csv"])
def test_a_file_name_is_no_pattern(warehouse: DuckDbWarehouse, tmp_path: Path, name: str) -> None:
    """DuckDB would read x1.csv instead of x[1].csv."""
    (tmp_path / "x1.csv").write_bytes(b"a,b\nwrong,file\n")
    (tmp_path / name).write_bytes(b"a,b\nright,file\n")
    assert load(warehouse, tmp_path / name) == 1
    assert list(warehouse.query("SELECT a FROM `raw.t`")) == [{"a": "right"}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"a,b\n1,2\n3\n", "line 3: expected 2 columns, found 1"),
        (b'a,b\n1,"2\n', "line 2: a quoted cell does not end"),
        (b'a,b\n1,"2" x\n', "line 2: a quoted cell does not end, or text follows"),
        (b"a,b\n1,\xff\n", "line 2: the text is not UTF-8"),
        (b"a,b\n1," + b"x" * 17_000_000 + b"\n", "line 2: a row is longer than 16 MB"),
    ],
)
def test_the_reason_names_the_line(warehouse: DuckDbWarehouse, tmp_path: Path, text: bytes, reason: str) -> None:
    """A person finds the row by its line; the header is line 1, and a row over several lines counts as one."""
    (tmp_path / "x.csv").write_bytes(text)
    with pytest.raises(LoadFailed) as caught:
        load(warehouse, tmp_path / "x.csv")
    assert caught.value.reason.startswith(reason)


def test_a_byte_order_mark_is_no_part_of_a_cell(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    """Also where no head line hides it."""
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbf1,2\n")
    assert warehouse.load_csv(LoadSource(path=str(tmp_path / "x.csv")), "raw.t", CsvFile(["a", "b"], skip_lines=0), job="x") == 1
    assert list(warehouse.query("SELECT * FROM `raw.t`")) == [{"a": "1", "b": "2"}]


def test_an_encoding_that_does_not_fit_is_told(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    """Bytes that the declared encoding has not, and an encoding that does not exist."""
    (tmp_path / "x.csv").write_bytes(b"a\n\x81\n")
    for encoding, reason in (("cp1252", "the text is not cp1252"), ("klingon", "the encoding 'klingon' is not known")):
        with pytest.raises(LoadFailed, match=reason):
            warehouse.load_csv(LoadSource(path=str(tmp_path / "x.csv")), "raw.t", CsvFile(["a"], encoding=encoding), job="x")


def test_only_files_of_this_machine_are_loaded(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    """A `file://` address works; a bucket's is refused, and so is a file that is gone."""
    (tmp_path / "x y.csv").write_bytes(b"a,b\n1,2\n")
    uri = (tmp_path / "x y.csv").as_uri()
    assert warehouse.load_csv(LoadSource(uri=uri), "raw.t", CsvFile(["a", "b"]), job="x") == 1
    for source in (LoadSource(uri="gs://bucket/x.csv"), LoadSource(path=str(tmp_path / "gone.csv"))):
        with pytest.raises(WarehouseError):
            warehouse.load_csv(source, "raw.t", CsvFile(["a"]), job="x")


def test_bignumeric_keeps_eighteen_digits(warehouse: DuckDbWarehouse) -> None:
    """The embedded engine's limit, said in its docstring: 20 digits before and 18 after the point."""
    value = Decimal("12345678901234567890.123456789012345678")
    warehouse.load_rows("raw.t", {"n": "BIGNUMERIC"}, [{"n": value}], job="x")
    assert warehouse.columns("raw.t") == {"n": "BIGNUMERIC"}
    assert list(warehouse.query("SELECT n FROM `raw.t` WHERE n = @n", {"n": Param("BIGNUMERIC", value)})) == [{"n": value}]


def test_a_sum_of_whole_numbers_is_one(warehouse: DuckDbWarehouse) -> None:
    """DuckDB's SUM is a HUGEINT; a table made of it has an INT64 column."""
    warehouse.create_as("raw.t", "SELECT SUM(x) AS total FROM UNNEST([1, 2]) AS x", job="x")
    assert warehouse.columns("raw.t") == {"total": "INT64"}


def test_odd_values_are_stored_or_told(warehouse: DuckDbWarehouse) -> None:
    """NaN and infinity, a NUL in a text, a number past 64 bits in JSON are stored; what no column takes is an error without the value."""
    row = {"f": float("-inf"), "t": "a\x00b", "j": {"n": 2**80}, "b": [b"\x00", b""]}
    columns = {"f": "FLOAT64", "t": "STRING", "j": "JSON", "b": "ARRAY<BYTES>"}
    warehouse.load_rows("raw.t", columns, [row], job="x")
    assert list(warehouse.query("SELECT * FROM `raw.t`")) == [row]
    for bad in ({"t": "secret\ud800"}, {"f": "secret"}, {"j": {1j: "secret"}}):
        with pytest.raises(WarehouseError) as caught:
            warehouse.load_rows("raw.t", columns, [bad], job="y")
        assert "secret" not in str(caught.value)


def test_what_expires_goes(path: Path) -> None:
    """A table whose time is over is dropped when another expiring one is made; others stay."""
    clock = ManualClock(NOW)
    warehouse = DuckDbWarehouse(path, clock=clock)
    warehouse.create_as("rowferry.run_1", "SELECT 1 AS x", job="a", expires_at=NOW + timedelta(days=1))
    warehouse.load_rows("rowferry.stage_1", {"a": "STRING"}, [], job="b")
    warehouse.load_rows("raw.kept", {"a": "STRING"}, [], job="c")
    clock.sleep(2 * 86400)
    warehouse.create_as("rowferry.run_2", "SELECT 1 AS x", job="d", expires_at=clock.now() + timedelta(days=1))
    assert [warehouse.columns(f"rowferry.{name}") is None for name in ("run_1", "run_2", "stage_1")] == [True, False, False]
    clock.sleep(6 * 86400)
    warehouse.load_rows("rowferry.stage_2", {"a": "STRING"}, [], job="e")
    assert warehouse.columns("rowferry.stage_1") is None
    assert warehouse.columns("raw.kept") is not None
    warehouse.release()


def test_a_limit_of_memory_is_named(path: Path) -> None:
    """Work that does not fit says which setting to raise."""
    warehouse = DuckDbWarehouse(path, memory_limit="20MB", threads=1)
    long = "CONCAT(CAST(n AS STRING), REPEAT('x', 40))"
    sql = f"SELECT ARRAY_AGG({long}) AS x FROM UNNEST(GENERATE_ARRAY(1, 3000000)) AS n"
    with pytest.raises(WarehouseError, match=r"warehouse\.memory_limit"):
        list(warehouse.query(sql))
    warehouse.release()


def test_a_full_disk_is_waited_for() -> None:
    """The same call works once there is room: the sentence says where."""
    error = duckdb.IOException('IO Error: Could not write file "x.tmp": No space left on device')
    found = meaning(error)
    assert isinstance(found, TryLater)
    assert "make room" in str(found)


@pytest.mark.parametrize("what", ["a folder", "another file", "below a file"])
def test_a_file_that_can_not_be_opened_is_named(tmp_path: Path, what: str) -> None:
    """With its path and why: that is all there is to go by, and there is no row in it."""
    path = tmp_path / "warehouse.duckdb"
    if what == "a folder":
        path.mkdir()
    else:
        path.write_text("no database " * 1000)
    path = path / "w.duckdb" if what == "below a file" else path
    with pytest.raises(WarehouseError, match=r"warehouse\.duckdb"):
        DuckDbWarehouse(path).columns("raw.t")


def test_a_folder_that_refuses_us_is_named(warehouse: DuckDbWarehouse, tmp_path: Path) -> None:
    """A disk that may only be read: a sentence with the place and what to do, no traceback."""

    def rows() -> Iterator[dict[str, int]]:
        yield {"n": 1}
        raise PermissionError(errno.EROFS, "Read-only file system", str(tmp_path / "x.ndjson"))

    with pytest.raises(WarehouseError, match=r"x\.ndjson can't be written \(read-only file system\): let this user write"):
        warehouse.load_rows("raw.t", {"n": "INT64"}, rows(), job="x")


def test_a_disk_that_fills_up_on_the_way_in_is_waited_for(warehouse: DuckDbWarehouse) -> None:
    """The rows on their way into the file meet the end of the disk: no traceback, nothing half written."""

    def rows() -> Iterator[dict[str, int]]:
        yield {"n": 1}
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(TryLater, match="make room"):
        warehouse.load_rows("raw.t", {"n": "INT64"}, rows(), job="x")
    assert warehouse.columns("raw.t") is None


def test_what_a_killed_process_left_is_swept(path: Path) -> None:
    """Rows that were on their way in when a process was killed don't stay on the disk for ever."""
    folder = path.with_name(path.name + ".tmp")
    folder.mkdir()
    for name in ("rowferry-old.ndjson", "rowferry-new.ndjson", "somebody's"):
        (folder / name).write_text("x")
    os.utime(folder / "rowferry-old.ndjson", (0, 0))
    warehouse = DuckDbWarehouse(path)
    warehouse.load_rows("raw.t", {"n": "INT64"}, [], job="x")
    warehouse.release()
    assert sorted(each.name for each in folder.iterdir()) == ["rowferry-new.ndjson", "somebody's"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "Conversion Error: Could not convert string 'ann@example.com' to INT32",
            "Conversion Error: Could not convert string '…' to INT32",
        ),
        ("Conversion Error: Could not convert string 'two\nlines", "Conversion Error: Could not convert string '…'"),
        ('Invalid Input Error: Could not parse string "12 Main St" as x', "Invalid Input Error: Could not parse string '…' as x"),
        (
            'Invalid Input Error: Could not parse string "a\nb@c.d" as "%F"\na\nb@c.d\n^\nError: Expected a number',
            "Invalid Input Error: Could not parse string '…'",
        ),
        ("Out of Range Error: Overflow in addition of INT64 (4711 + 815)", "Out of Range Error: Overflow in addition of INT64 (… + …)"),
    ],
)
def test_a_value_is_masked(text: str, shown: str) -> None:
    """Quoted texts, unfinished ones and numbers are gone; what kind of error it is stays."""
    assert masked(text) == shown


OFFLINE = """
    import json, socket, sys
    from pathlib import Path
    def refuse(*given, **named):
        raise AssertionError("a connection was tried")
    socket.socket.connect = socket.create_connection = refuse
    from rowferry.warehouse.duckdb import DuckDbWarehouse
    warehouse = DuckDbWarehouse(Path(sys.argv[1]) / "w.duckdb")
    rows = list(warehouse.query("SELECT JSON_VALUE('{}', '$.a') AS j, TIMESTAMP('2024-01-01', 'Europe/Berlin') AS t"))
    print(json.dumps([len(rows), sorted(p.name for p in Path(sys.argv[1]).rglob('*'))]))
"""


def test_it_works_without_a_network_and_touches_no_home(tmp_path: Path) -> None:
    """No extension is fetched, and nothing is written but the file."""
    code = textwrap.dedent(OFFLINE)
    home = {**os.environ, "HOME": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=home, capture_output=True, text=True, check=True)
    count, files = json.loads(ended.stdout)
    assert count == 1
    assert [name for name in files if not name.startswith("w.duckdb")] == []
