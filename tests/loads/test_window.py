import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.loading import Bench

FEED: dict[str, Any] = {
    "path": "pos/{day:%Y%m%d}-*.csv",
    "table": "pos.sales",
    "columns": {"id": "STRING", "amount": "INT64", "day": "DATE"},
    "window": "5m",
}


def bench(folder: Path, **feed: Any) -> Bench:
    return Bench(folder, {"pos": FEED | feed})


def put(found: Bench, count: int, first: int = 0) -> list[str]:
    return [
        found.put(f"pos/202401{number % 28 + 1:02}-{number:03}.csv", f"id,amount\n{number},{number}\n")
        for number in range(first, first + count)
    ]


def test_small_files_load_in_one_transaction_and_keep_their_names(tmp_path: Path) -> None:
    """One window, one staging table; each file has its row in the ledger and each row its file, line and day."""
    found = bench(tmp_path)
    results = list(found.loader.load_many(put(found, 40)))
    assert [(result.status, result.rows) for result in results] == [("loaded", 1)] * 40
    assert found.rows("SELECT COUNT(DISTINCT window_id) AS windows, COUNT(*) AS files FROM rowferry.loads") == [{"windows": 1, "files": 40}]
    assert found.count("rowferry.applied") < 10
    row = found.rows("SELECT * FROM pos.sales WHERE id = '27'")[0]
    assert (row["amount"], str(row["day"]), row["_rowferry_file"], row["_rowferry_line"]) == (27, "2024-01-28", "pos/20240128-027.csv", 2)
    assert not [name for name in found.tables("rowferry") if name.startswith("staging")]


def test_whoever_loads_which_together_each_row_is_there_once(tmp_path: Path) -> None:
    """Overlapping windows and single loads, sixteen at once, again and again."""
    found = bench(tmp_path)
    keys = put(found, 12)
    loaders = [found.new_loader() for _ in range(4)]
    works = [keys[:6], keys[3:9], keys[6:], keys, *([key] for key in keys)] * 2
    with ThreadPoolExecutor(16) as pool:
        results = list(itertools.chain(*pool.map(lambda work: list(loaders[work[0] % 4].load_many(work[1])), enumerate(works))))
    assert found.count("pos.sales") == sum(result.rows for result in results) == 12
    assert found.count("rowferry.loads") == 12


def test_merge_without_an_order_goes_file_by_file(tmp_path: Path) -> None:
    """Together, the line of one file would be held against that of another; the file that is loaded last counts."""
    found = bench(tmp_path, write="merge", key="id")
    keys = [found.put(f"pos/2024010{day}-1.csv", "id,amount\n" + "0,0\n" * (9 - day) + f"7,{day}\n") for day in range(1, 4)]
    assert [each.status for each in found.loader.load_many(keys)] == ["loaded"] * 3
    assert found.table("pos.sales", "id", "amount") == [("0", 0), ("7", 3)]


def test_a_bad_file_does_not_keep_the_others_back(tmp_path: Path) -> None:
    """It goes to quarantine with its own reason; rejected rows of a good one have their own CSV to correct."""
    found = bench(tmp_path, bad_value="reject_row")
    keys = put(found, 5)
    found.put(keys[1], "x,y\n1,2\n")
    found.put(keys[2], 'id,amount\n"1')
    found.put(keys[3], "id,amount\n3,three\n33,33\n")
    found.put(keys[4], "")
    by_key = {result.file: result for result in found.loader.load_many(keys)}
    assert [by_key[key].status for key in keys] == ["loaded", "quarantined", "quarantined", "loaded", "loaded"]
    assert [by_key[key].code for key in keys[1:3]] == ["no_shared_column", "bad_csv"]
    assert (by_key[keys[3]].rows, by_key[keys[3]].rejected_rows, by_key[keys[3]].rejected_cells) == (1, 1, 1)
    assert found.table("pos.sales", "id") == [("0",), ("33",)]
    assert found.rows("SELECT file, line, value FROM rowferry.rejected_cells") == [{"file": keys[3], "line": 2, "value": "three"}]
    (kept,) = [each.key for each in found.state.list("quarantine/") if each.key.endswith(".rejected.csv")]
    found.load(f"{keys[3]}.corrected.csv", found.state.read(kept)[0].replace(b"three", b"3"))
    assert found.table("pos.sales", "id", "amount") == [("0", 0), ("3", 3), ("33", 33)]
    assert [result.status for result in found.loader.load_many(keys)] == ["skipped", "quarantined", "quarantined", "skipped", "skipped"]


def test_files_with_other_columns_load_together(tmp_path: Path) -> None:
    """A column of one file only is NULL in the others, and a header may have another order."""
    found = bench(tmp_path)
    keys = [
        found.put("pos/20240101-a.csv", "id,amount,note\n1,1,x\n"),
        found.put("pos/20240101-b.csv", "amount,id\n2,2\n"),
        found.put("pos/20240101-c.csv", "id,amount,amount\n3,3,4\n"),
    ]
    list(found.loader.load_many(keys))
    assert found.table("pos.sales", "id", "amount", "note", "amount_3") == [("1", 1, "x", None), ("2", 2, None, None), ("3", 3, None, "4")]


def test_an_overwritten_file_of_a_window_replaces_its_own_rows(tmp_path: Path) -> None:
    """The other files' rows stay."""
    found = bench(tmp_path)
    keys = put(found, 4)
    list(found.loader.load_many(keys))
    found.put(keys[1], "id,amount\nnew,1\n")
    assert [result.status for result in found.loader.load_many(keys)].count("loaded") == 1
    assert [row[0] for row in found.table("pos.sales", "id")] == ["0", "2", "3", "new"]


def test_large_files_and_feeds_without_a_window_load_alone(tmp_path: Path) -> None:
    """Only small files wait for each other, and nothing does that replaces a table."""
    found = Bench(tmp_path, {"pos": FEED, "crm": FEED | {"path": "crm/*.csv", "table": "crm.t", "write": "replace"}})
    keys = [*put(found, 3), found.put("crm/a.csv", "id\n1\n"), found.put("pos/20240101-large.csv", "id\n" + "x\n" * 4_500_000)]
    results = list(found.loader.load_many(keys))
    assert [result.status for result in results] == ["loaded"] * 5, results
    alone = found.rows("SELECT file FROM rowferry.loads WHERE window_id IS NULL ORDER BY file")
    assert [row["file"] for row in alone] == ["crm/a.csv", "pos/20240101-large.csv"]


@pytest.mark.parametrize(("seconds", "waits"), [(1, True), (299, True), (301, False)])
def test_an_event_knows_whether_a_file_waits_for_others(tmp_path: Path, seconds: int, waits: bool) -> None:
    """Windows begin at multiples of their length; once one is over, its files load at once."""
    found = bench(tmp_path)
    (key,) = put(found, 1)
    written = (found.exports.head(key) or pytest.fail()).updated_at
    begin = datetime.fromtimestamp(written.timestamp() // 300 * 300, UTC)
    found.set_clock(begin + timedelta(seconds=seconds))
    assert (found.loader.waits_until(key) is not None) == waits
