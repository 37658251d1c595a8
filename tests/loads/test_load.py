import gzip
import logging
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rowferry.errors import UsageError
from rowferry.loads.limits import FileLimits
from rowferry.warehouse.duckdb import DuckDbWarehouse
from support.loading import Bench, ByContent

CRM: dict[str, Any] = {
    "path": "crm/*",
    "table": "crm.customers",
    "columns": {"customer_id": "STRING", "ltv": "NUMERIC", "orders": "INT64", "updated_at": "TIMESTAMP"},
}
CLEVERTAP = {"path": "ct/", "preset": "clevertap_events", "table": "raw.clevertap_{event}"}


def bench(folder: Path, **changes: Any) -> Bench:
    return Bench(folder, {"crm": CRM | changes, "clevertap": CLEVERTAP})


def test_declared_columns_are_typed_and_exact(tmp_path: Path) -> None:
    """Leading zeros, money, an empty cell, an empty text and a zone arrive as they were meant."""
    found = bench(tmp_path)
    rows = ["007,12.10,9223372036854775807,2024-01-31T10:00:00+05:30", '"",,,', '"a ""b"", c",-0.000000001,0,20240131']
    result = found.load("crm/a.csv.gz", "\n".join(["customer_id,ltv,orders,updated_at", *rows]))
    assert (result.status, result.rows, result.rejected_cells) == ("loaded", 3, 0)
    assert found.table("crm.customers") == [
        ("", None, None, None),
        ("007", Decimal("12.10"), 9223372036854775807, datetime(2024, 1, 31, 4, 30, tzinfo=UTC)),
        ('a "b", c', Decimal("-0.000000001"), 0, datetime(2024, 1, 31, tzinfo=UTC)),
    ]


def test_result_has_the_keys_of_the_command(tmp_path: Path) -> None:
    """`rowferry load --json` prints exactly these keys."""
    assert list(bench(tmp_path).load("crm/a.csv", "customer_id\n1\n").to_dict()) == [
        "file",
        "feed",
        "status",
        "table",
        "rows",
        "rejected_rows",
        "rejected_cells",
        "reason",
    ]


def test_the_same_event_fifty_times_sixteen_at_once(tmp_path: Path) -> None:
    """However often a file is announced, one call loads it and each row is there once."""
    found = bench(tmp_path)
    keys = [found.put(f"crm/{name}.csv", "customer_id,orders\n" + "".join(f"{row},{row}\n" for row in range(100))) for name in "ab"]
    loaders = [found.new_loader() for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda number: loaders[number % 4].load(keys[number % 2]), range(100)))
    assert sorted({result.status for result in results}) == ["loaded", "skipped"]
    assert sum(result.rows for result in results) == found.count("crm.customers") == 200
    assert found.count("rowferry.loads") == 2
    assert not [name for name in found.tables("rowferry") if name.startswith("staging")]


def test_one_bad_file_among_good_ones(tmp_path: Path) -> None:
    """The bad one lies in quarantine with its reason, as it came; all others are loaded."""
    found = bench(tmp_path)
    for number in range(12):
        found.put(f"crm/{number:02}.csv", "customer_id,orders\n1,1\n" if number != 7 else "something,else\n1,2\n")
    results = [found.loader.load(each.key) for each in found.exports.list("")]
    assert [result.status for result in results].count("loaded") == 11
    bad = results[7]
    assert (bad.status, bad.rows) == ("quarantined", 0)
    assert "something, else" in (bad.reason or "")
    kept = [each.key for each in found.state.list("quarantine/crm/")]
    assert [key.rpartition("/")[2] for key in kept] == ["07.csv", "07.csv.reason.json"]
    assert found.state.read(kept[0])[0] == b"something,else\n1,2\n"
    assert b"no_shared_column" in found.state.read(kept[1])[0]
    assert found.rows("SELECT file, code FROM rowferry.loads WHERE status = 'quarantined'") == [
        {"file": "crm/07.csv", "code": "no_shared_column"}
    ]


def test_a_bad_file_is_told_once_and_a_corrected_one_loads(tmp_path: Path) -> None:
    """The same event again changes nothing; the mended file under the same name is a new version."""
    found = bench(tmp_path)
    first, second = found.load("crm/a.csv", "x,y\n1,2\n"), found.load("crm/a.csv")
    assert first == second
    assert found.count("rowferry.loads") == 1
    assert found.load("crm/a.csv", "customer_id\n1\n").status == "loaded"


def test_a_file_in_quarantine_is_tried_again_after_the_settings_changed(tmp_path: Path) -> None:
    """What was wrong may have been the settings: then the file as it is loads under the new ones."""
    found = bench(tmp_path)
    assert found.load("crm/a.csv", "x;y\n1;2\n").status == "quarantined"
    found.feeds = {"crm": CRM | {"delimiter": ";", "columns": {"x": "INT64"}}}
    assert found.new_loader().load("crm/a.csv").status == "loaded"


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("empty.csv", b"", "loaded", None),
        ("blank.csv", b"\n\n", "loaded", None),
        ("empty.csv.gz", gzip.compress(b"", mtime=0), "loaded", None),
        ("header.csv", b"customer_id,orders\n", "loaded", None),
        ("header_only_without_end.csv", b"customer_id,orders", "loaded", None),
        ("strange.csv", b"a,b\n1,2\n", "quarantined", "no_shared_column"),
        ("truncated.csv.gz", gzip.compress(b"customer_id\n" + bytes(range(48, 58)) * 999, mtime=0)[:-30], "quarantined", "truncated"),
        ("damaged.csv.gz", gzip.compress(b"customer_id\n" + b"1\n" * 500, mtime=0)[:-8] + b"\0" * 8, "quarantined", "damaged"),
        ("latin.csv", "customer_id\nä\n".encode("latin-1"), "quarantined", "wrong_encoding"),
        ("utf16.csv", "customer_id\n1\n".encode("utf-16-le"), "quarantined", "wrong_format"),
        ("page.csv", b"<!DOCTYPE html><html>not found</html>", "quarantined", "wrong_format"),
        ("sheet.csv", b"PK\x03\x04\x14", "quarantined", "truncated"),
        ("paper.csv", b"%PDF-1.4", "quarantined", "wrong_format"),
        ("short.csv", b"customer_id,orders\n1\n", "quarantined", "bad_csv"),
        ("quote.csv", b'customer_id,orders\n"1,2\n', "quarantined", "bad_csv"),
        ("cell.csv", b"customer_id,orders\n" + b"x" * 17_000_000 + b",1\n", "quarantined", "row_too_long"),
        ("bomb.csv.gz", gzip.compress(b"customer_id\n" + b"1\n" * 3_000_000, 9, mtime=0), "quarantined", "unpacks_too_large"),
    ],
)
def test_each_kind_of_bad_file_has_its_own_reason(tmp_path: Path, name: str, content: bytes, status: str, code: str | None) -> None:
    """Nothing crashes, an empty file loads no rows, and what can't be read says why in a sentence."""
    found = bench(tmp_path)
    found.limits = FileLimits(plain_bytes=100_000)
    found.loader = found.new_loader()
    result = found.load(f"crm/{name}", content)
    assert (result.status, result.rows) == (status, 0)
    assert [row["code"] for row in found.rows("SELECT code FROM rowferry.loads")] == [code]
    assert (result.reason is None) == (code is None)


@pytest.mark.parametrize(
    ("header", "word"), [("customer_id;orders", "semicolon"), ("customer_id\torders", "tab"), ("customer_id|orders", "pipe")]
)
def test_another_delimiter_is_guessed_for_whoever_mends_it(tmp_path: Path, header: str, word: str) -> None:
    """The whole header was read as one name: the reason says which key to set; a name without such a character has no guess."""
    found = bench(tmp_path)
    assert str(found.load("crm/a.csv", f"{header}\n1\n".encode()).reason).endswith(f"; the feed's delimiter may have to be {word}")
    assert "delimiter" not in str(found.load("crm/b.csv", b"nonsense\n1\n").reason)


@pytest.mark.parametrize(("policy", "rows", "rejected"), [("null", 3, 0), ("reject_row", 1, 2)])
def test_rejected_cells_are_kept_with_their_line(tmp_path: Path, policy: str, rows: int, rejected: int) -> None:
    """Lines are those of the file as an editor shows it, also after a cell with line breaks in it."""
    found = bench(tmp_path, bad_value=policy)
    result = found.load("crm/a.csv", 'customer_id,ltv,orders\n"two\nlines",1,many\n\n2,2,2\n3,"1,5",x\n')
    assert (result.status, result.rows, result.rejected_rows, result.rejected_cells) == ("loaded", rows, rejected, 3)
    cells = found.rows("SELECT file, line, `column`, value, row_loaded FROM rowferry.rejected_cells ORDER BY line, `column`")
    assert cells == [
        {"file": "crm/a.csv", "line": 2, "column": "orders", "value": "many", "row_loaded": policy == "null"},
        {"file": "crm/a.csv", "line": 6, "column": "ltv", "value": "1,5", "row_loaded": policy == "null"},
        {"file": "crm/a.csv", "line": 6, "column": "orders", "value": "x", "row_loaded": policy == "null"},
    ]
    assert found.count("crm.customers") == rows


def test_fail_file_loads_nothing_of_a_file_with_a_bad_value(tmp_path: Path) -> None:
    """The file is in quarantine and the reason names the columns, without a value."""
    found = bench(tmp_path, bad_value="fail_file")
    result = found.load("crm/a.csv", "customer_id,orders\n1,secret-value\n2,2\n")
    assert result.status == "quarantined"
    assert "orders: 1" in (result.reason or "")
    assert "secret-value" not in (result.reason or "")
    assert found.count("crm.customers") == 0


def test_corrected_rows_take_the_place_of_the_rejected_ones(tmp_path: Path) -> None:
    """A person corrects the CSV from quarantine and drops it beside the file: just those rows change, once."""
    for policy in ("null", "reject_row"):
        found = bench(tmp_path / policy, bad_value=policy)
        found.load("crm/a.csv", "customer_id,orders,note\n1,one,x\n2,2,y\n3,three,\n")
        (kept,) = [each.key for each in found.state.list("quarantine/")]
        text = found.state.read(kept)[0].decode()
        assert text.splitlines()[0] == '"rowferry_line","rowferry_reason","customer_id","orders","note"'
        result = found.load("crm/a.csv.corrected.csv", text.replace('"one"', '"1"').replace('"three"', '"3"'))
        assert (result.status, result.rows, result.table) == ("loaded", 2, "crm.customers")
        assert found.table("crm.customers", "customer_id", "orders", "note") == [("1", 1, "x"), ("2", 2, "y"), ("3", 3, None)]
        assert found.load("crm/a.csv.corrected.csv").status == "skipped"


def test_corrected_rows_are_read_as_we_wrote_them(tmp_path: Path) -> None:
    """The feed's files may have no header, another delimiter and encoding: what a person corrects is plain CSV."""
    columns = {"customer_id": "STRING", "orders": "INT64"}
    found = Bench(tmp_path, {"crm": CRM | {"columns": columns, "header": False, "delimiter": ";", "encoding": "cp1252", "skip_lines": 1}})
    found.load("crm/a.csv", "a report\n€1;one\n€2;2\n".encode("cp1252"))
    (kept,) = [each.key for each in found.state.list("quarantine/")]
    text = found.state.read(kept)[0].decode()
    assert found.load("crm/a.csv.corrected.csv", text.replace('"one"', '"1"')).status == "loaded"
    assert found.table("crm.customers", "customer_id", "orders") == [("€1", 1), ("€2", 2)]


def test_a_name_that_lacks_what_the_table_is_called_by_is_told(tmp_path: Path) -> None:
    """A file loaded by name of its feed may bear any name; without {event} there is no table for it."""
    found = bench(tmp_path)
    found.put("elsewhere.csv", "ts\n20240101000000\n")
    result = found.loader.load("elsewhere.csv", feed="clevertap")
    assert (result.status, result.code) == ("failed", "no_part")


def test_columns_that_are_missing_are_null_and_new_ones_follow_the_contract(tmp_path: Path) -> None:
    """`add` keeps them as text, `ignore` leaves them out, `reject` puts the file into quarantine."""
    content = "customer_id,colour\n1,red\n"
    found = bench(tmp_path / "add")
    found.load("crm/a.csv", content)
    assert found.table("crm.customers", "customer_id", "ltv", "colour") == [("1", None, "red")]
    found = bench(tmp_path / "ignore", new_columns="ignore")
    found.load("crm/a.csv", content)
    assert "colour" not in (found.warehouse.columns("crm.customers") or {})
    found = bench(tmp_path / "reject", new_columns="reject")
    assert "colour" in (found.load("crm/a.csv", content).reason or "")


def test_a_column_that_changes_its_mind_loses_nothing(tmp_path: Path) -> None:
    """An undeclared column of numbers that turns to text keeps every value as it was written."""
    found = bench(tmp_path)
    found.load("crm/a.csv", "customer_id,code\n1,10\n2,0\n")
    found.load("crm/b.csv", "customer_id,code\n3,A-7\n4,007\n5,\n")
    assert found.table("crm.customers", "customer_id", "code") == [("1", "10"), ("2", "0"), ("3", "A-7"), ("4", "007"), ("5", None)]


def test_all_days_of_a_clevertap_event_are_one_table(tmp_path: Path) -> None:
    """Whatever run, day and shard a file bears, an event has one table; CSV and JSON go to the same columns."""
    found = bench(tmp_path)
    header = "ts,eventName,profile.identity,eventProps.Amount,eventProps.Campaign id\n"
    for day in (20, 21, 22):
        found.load(
            f"ct/1663664837-16637850{day}-Order-Placed-202209{day}-0-{day}.csv.gz", f"{header}202209{day}101112,Order Placed,u1,12.50,\n"
        )
    json_lines = 'Order Placed\n{"profile":{"identity":"u2"},"ts":20220923101112,"eventProps":{"Amount":13,"Campaign id":null}}\n'
    result = found.load("ct/1663664837-1663785000-Order-Placed-20220923-0-0.json.gz", json_lines)
    assert result.table == "raw.clevertap_order_placed"
    columns = ("ts", "event_name", "profile_identity", "event_props_amount", "event_props_campaign_id")
    assert found.table("raw.clevertap_order_placed", *columns) == [
        *((datetime(2022, 9, day, 10, 11, 12, tzinfo=UTC), "Order Placed", "u1", "12.50", None) for day in (20, 21, 22)),
        (datetime(2022, 9, 23, 10, 11, 12, tzinfo=UTC), "Order Placed", "u2", "13", None),
    ]


def test_times_without_a_zone_are_in_the_feeds(tmp_path: Path) -> None:
    """CleverTap writes the project's clock: the feed's `timezone` says which."""
    found = Bench(tmp_path, {"clevertap": CLEVERTAP | {"timezone": "Asia/Kolkata"}})
    found.load("ct/1-1663785000-Charged-20220921-0-0.csv", "ts,profile.identity\n20220921000000,u1\n")
    assert found.table("raw.clevertap_charged", "ts", "event_name") == [(datetime(2022, 9, 20, 18, 30, tzinfo=UTC), "Charged")]


def test_an_overwritten_file_replaces_its_rows_adds_them_or_is_left(tmp_path: Path) -> None:
    """`on_overwrite` says what a re-export under the same name means; other files' rows stay."""
    for policy, ids in {"replace_rows": ["3", "9"], "append": ["1", "2", "3", "9"], "ignore": ["1", "2", "9"]}.items():
        found = bench(tmp_path / policy, on_overwrite=policy)
        found.load("crm/other.csv", "customer_id\n9\n")
        found.load("crm/a.csv", "customer_id\n1\n2\n")
        result = found.load("crm/a.csv", "customer_id\n3\n")
        assert result.status == ("skipped" if policy == "ignore" else "loaded")
        assert [row[0] for row in found.table("crm.customers", "customer_id")] == ids
        assert found.load("crm/a.csv").status == "skipped"


@pytest.mark.parametrize("settings", [{}, {"write": "replace"}, {"window": "5m"}])
def test_content_that_comes_back_under_its_name_is_loaded_again(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Where a version is a hash of the content, the file of the day before yesterday is no repeat: yesterday's rows are in the table."""
    store = ByContent(tmp_path / "exports")
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t", "columns": {"id": "STRING"}, **settings}}, other_exports=store)
    for content in ("id\n1\n", "id\n2\n3\n", "id\n1\n", "id\n2\n3\n"):
        found.put("f/a.csv", content)
        assert [each.status for each in found.loader.load_many(["f/a.csv"])] == ["loaded"]
        assert [each.status for each in found.loader.load_many(["f/a.csv"])] == ["skipped"]
        assert found.table("raw.t", "id") == sorted((each,) for each in content.split()[1:])


def test_merge_keeps_the_newest_row_of_a_key_in_any_order(tmp_path: Path) -> None:
    """Files may come in any order and hold a key twice; a row without its key is told, not merged."""
    found = bench(tmp_path, write="merge", key="customer_id", order_by="updated_at")
    found.load("crm/b.csv", "customer_id,orders,updated_at\n1,20,2024-02-01\n2,1,2024-01-01\n2,2,2024-01-03\n2,3,2024-01-02\n")
    result = found.load("crm/a.csv", "customer_id,orders,updated_at\n1,10,2024-01-01\n,5,2024-01-01\n3,,2024-01-01\n")
    assert (result.rows, result.rejected_rows, result.rejected_cells) == (2, 1, 1)
    assert found.table("crm.customers", "customer_id", "orders") == [("1", 20), ("2", 2), ("3", None)]
    assert found.rows("SELECT line, `column`, reason FROM rowferry.rejected_cells") == [
        {"line": 3, "column": "customer_id", "reason": "the key is empty"}
    ]


def test_merge_leaves_columns_alone_that_a_file_does_not_have(tmp_path: Path) -> None:
    """A file that says nothing of a column changes nothing of it."""
    found = bench(tmp_path, write="merge", key="customer_id")
    found.load("crm/a.csv", "customer_id,orders,ltv\n1,10,1.5\n")
    found.load("crm/b.csv", "customer_id,orders\n1,11\n")
    assert found.table("crm.customers", "customer_id", "orders", "ltv") == [("1", 11, Decimal("1.5"))]


def test_replace_takes_the_place_of_the_table_but_never_of_something_newer(tmp_path: Path) -> None:
    """A late event for an older file does not undo a newer one, and an empty file empties nothing."""
    found = bench(tmp_path, write="replace")
    older = found.put("crm/old.csv", "customer_id\n1\n")
    found.load("crm/new.csv", "customer_id\n2\n3\n")
    late = found.loader.load(older)
    assert (late.status, late.reason) == ("skipped", "a newer file has taken the table's place already")
    found.load("crm/empty.csv", "")
    assert [row[0] for row in found.table("crm.customers", "customer_id")] == ["2", "3"]
    found.load("crm/newest.csv", "customer_id\n4\n")
    assert [row[0] for row in found.table("crm.customers", "customer_id")] == ["4"]


def test_replace_by_partition_takes_the_place_of_its_days(tmp_path: Path) -> None:
    """Only the days that a file has rows for are replaced."""
    found = bench(tmp_path, write="replace", replace="partition", partition_by="updated_at")
    found.load("crm/a.csv", "customer_id,updated_at\n1,2024-01-01\n2,2024-01-02 23:00:00\n")
    found.load("crm/b.csv", "customer_id,updated_at\n3,2024-01-02 01:00:00\n")
    assert [row[0] for row in found.table("crm.customers", "customer_id")] == ["1", "3"]


def test_a_file_that_no_feed_or_two_feeds_take_is_told(tmp_path: Path) -> None:
    """Nothing is guessed, nothing raised: the sentence says what to mend. A named feed takes any file."""
    found = Bench(tmp_path, {"a": CRM | {"path": "x/*.csv"}, "b": CRM | {"path": "x/y*.csv"}})
    assert found.load("x/y.csv", "customer_id\n1\n").reason == (
        "x/y.csv fits the paths of a and b; make the paths of these feeds tell their files apart"
    )
    assert "fits no feed's path" in (found.load("x/z.json", "{}").reason or "")
    assert found.loader.load("x/y.csv", feed="a").status == "loaded"
    with pytest.raises(UsageError, match="the settings have a, b"):
        found.loader.load("x/y.csv", feed="c")


def test_a_file_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    """An event may come after its object was deleted."""
    assert bench(tmp_path).loader.load("crm/gone.csv").status == "skipped"


def test_a_table_that_is_in_the_way_fails_the_load_and_not_the_file(tmp_path: Path) -> None:
    """The file is fine: it stays out of quarantine and loads once the settings are mended."""
    found = bench(tmp_path, partition_by="customer_id")
    result = found.load("crm/a.csv", "customer_id\n1\n")
    assert result.status == "failed"
    assert "declare it as DATE" in (result.reason or "")
    assert found.count("rowferry.loads") == 0


def test_no_value_of_a_row_is_in_a_log_or_a_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Planted values of good, bad and broken rows show nowhere but in tables and in quarantine."""
    caplog.set_level(logging.DEBUG, logger="rowferry")
    found = bench(tmp_path, bad_value="fail_file")
    said = [
        str(found.load(f"crm/{number}.csv", content))
        for number, content in enumerate(
            [
                "customer_id,orders\nplanted@example.com,planted-1\n",
                'customer_id,orders\n"planted@example.com"planted-2,1\n',
                "customer_id,orders\nplanted@example.com\n",
                'x\n{"a": planted-3}\n{"a":1}\n',
            ]
        )
    ]
    assert "planted" not in " ".join(said) + caplog.text


def test_names_with_wildcards_are_read_as_they_stand(tmp_path: Path) -> None:
    """A file called `x[1]*.csv` is that file and no other."""
    found = bench(tmp_path)
    found.put("crm/x1.csv", "customer_id\nwrong\n")
    found.load("crm/x[1]*.csv", "customer_id\nright\n")
    assert found.table("crm.customers", "customer_id") == [("right",)]


@pytest.mark.parametrize(
    "content",
    [
        '"id\nof it",v\n1,a\n2,b\n',
        '\r\n\r\n"id of it",v\n1,a\n2,b\n',
        '"id of it",v\r1,a\r2,b\n',
        '"id of it",v\r\n1,a\n2,b\r\n',
        '"id of it",v\n1,a\r\n2,b',
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_no_row_is_lost_to_odd_line_ends(tmp_path: Path, content: str, compress: bool) -> None:
    """A header over two lines, blank lines before it, and lines that end in several ways: DuckDB alone took no row of these, or not all."""
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t"}})
    result = found.load("f/a.csv.gz" if compress else "f/a.csv", content)
    assert (result.status, result.rows) == ("loaded", 2)
    assert found.table("raw.t", "id_of_it", "v") == [("1", "a"), ("2", "b")]


@pytest.mark.parametrize("title", ["Report\r\n", 'The "one\n', 'The "one\r\n'])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_before_the_header_are_skipped_whatever_is_in_them(tmp_path: Path, title: str, end: str) -> None:
    """A title that ends its line in another way than the rows, or has a single quote, costs no row."""
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t", "skip_lines": 2}})
    result = found.load("f/a.csv", title + end.join(["", "id,v", '1,"a"', "2,b", ""]))
    assert (result.status, result.rows) == ("loaded", 2)


def test_other_delimiters_quotes_encodings_and_headers(tmp_path: Path) -> None:
    """What a feed says of its CSVs holds, and a byte order mark is no part of the first name."""
    found = Bench(
        tmp_path,
        {
            "semicolon": CRM | {"path": "a/*", "delimiter": "semicolon", "quote": "'", "skip_lines": 2, "null_values": ["NULL", "\\N"]},
            "latin": CRM | {"path": "b/*", "encoding": "cp1252"},
            "bare": CRM | {"path": "c/*", "header": False},
        },
    )
    found.load("a/1.csv", "report\nof today\ncustomer_id;ltv;orders\n'a;b';1.5;NULL\n\\N;;2\n")
    found.load("b/1.csv", "customer_id,orders\n€5,1\n".encode("cp1252"))
    found.load("b/2.csv", "customer_id,orders\nzürich,2\n".encode("utf-16"))
    found.load("b/3.csv", "customer_id,orders\nñ,3\n".encode("utf-8-sig"))
    found.load("c/1.csv", "bare,1.25,4,2024-01-01\n")
    assert found.table("crm.customers", "customer_id", "ltv", "orders") == [
        ("a;b", Decimal("1.5"), None),
        ("bare", Decimal("1.25"), 4),
        ("zürich", None, 2),
        ("ñ", None, 3),
        ("€5", None, 1),
        (None, None, 2),
    ]


def test_statements_of_a_wide_file_stay_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BigQuery takes statements of 1 MB: rejected cells read the rows once for all columns. And none has an IN over texts, of which
    DuckDB makes a join for each column, that took all memory at a hundred of them."""
    seen: list[str] = []
    apply = DuckDbWarehouse.apply

    def watched(self: DuckDbWarehouse, statements: Sequence[str], *rest: Any, **named: Any) -> bool:
        seen.extend(statements)
        return apply(self, statements, *rest, **named)

    monkeypatch.setattr(DuckDbWarehouse, "apply", watched)
    kinds = ["INT64", "BOOL", "FLOAT64", "NUMERIC", "DATE"]
    columns = {f"c{place}": kinds[place % 5] for place in range(60)}
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t", "columns": columns, "null_values": ["-", "NULL", "N/A", "?", "none"]}})
    cells = [",".join([text] * 60) for text in ("x", "N/A", "1")]
    result = found.load("f/a.csv", "\n".join([",".join(columns), *cells]))
    assert (result.rows, result.rejected_cells) == (3, 60 + 12)
    (rows,) = (len(each) for each in seen if each.startswith("-- A file's rows go"))
    (rejected,) = (each for each in seen if each.startswith("-- Each cell that could not"))
    assert len(rejected) < 2 * rows < 200_000
    assert not re.search(r"\bIN \('", rejected)
