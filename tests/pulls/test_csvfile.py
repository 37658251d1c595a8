"""The CSV of a pull: the same columns in the same order whatever the rows, and nothing a spreadsheet would run or spoil."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import orjson
import pytest

from rowferry.feeds.contract import Contract, read_contract
from rowferry.feeds.routing import Match
from rowferry.pulls.csvfile import write_csv
from rowferry.settings.feed import Feed
from rowferry.stores.folder import FolderStore


def contract(**feed: Any) -> Contract:
    """A contract of some columns."""
    return read_contract(Match("x", Feed.model_validate({"path": "x/", "table": "raw.x"} | feed), {}))


def written(folder: Path, *rows: dict[str, Any] | str, first: tuple[str, ...] = (), **feed: Any) -> list[list[str]]:
    """The CSV of these rows, each in a file of its own, read back."""
    store, keys = FolderStore(folder), []
    for number, row in enumerate(rows):
        line = row.encode() if isinstance(row, str) else orjson.dumps(row)
        store.write(f"x/{number}.jsonl.gz", gzip.compress(line + b"\n"))
        keys.append(f"x/{number}.jsonl.gz")
    text = io.StringIO(newline="")
    assert write_csv(store, keys, contract(**feed), first, text) == len(rows)
    return list(csv.reader(io.StringIO(text.getvalue(), newline="")))


def test_columns_do_not_depend_on_the_rows(tmp_path: Path) -> None:
    """What the pull names, then what is known of the report, then the others by name."""
    rows: list[dict[str, Any]] = [{"zeta": 1, "count": 2}, {"alpha": 3, "day": "2026-01-31"}]
    expected = ["alpha", "missing", "day", "count", "zeta"]
    for order in (rows, rows[::-1]):
        found = written(tmp_path, *order, first=("alpha", "missing"), columns={"day": "DATE", "count": "INT64"})
        assert found[0] == expected
        assert sorted(found[1:]) == [["", "", "", "2", "1"], ["3", "", "2026-01-31", "", ""]]


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd", "\t=1", "\r=1", '=HYPERLINK("http://x")'])
def test_formulas_are_text(tmp_path: Path, text: str) -> None:
    """What a person wrote into a name must not run on an analyst's machine."""
    assert written(tmp_path, {"name": text})[1] == [f"'{text}"]


@pytest.mark.parametrize("value", [-5, -1.5, "-5", "+4917012345678", "+1 (415) 555-1234", "-", "a=b", "mail@example.com"])
def test_numbers_and_phones_are_left_alone(tmp_path: Path, value: Any) -> None:
    """A sign in front of digits is no formula, nor is one within a text."""
    expected = str(value) if value != "-" else "'-"
    assert written(tmp_path, {"x": value})[1] == [expected]


def test_times_are_written_out(tmp_path: Path) -> None:
    """A spreadsheet would make 2.02601E+13 of fourteen digits; other columns of digits stay as they are."""
    found = written(tmp_path, {"ts": 20260131235959, "n": 20260131235959}, columns={"ts": "TIMESTAMP"})
    assert found == [["ts", "n"], ["2026-01-31 23:59:59", "20260131235959"]]


def test_digits_and_quotes_survive(tmp_path: Path) -> None:
    """Wide numbers, commas, quotes and line breaks come out of a CSV reader as they went in."""
    row = '{"a":123456789012345678901234567890,"b":"x, \\"y\\"\\nz","c":0.1234567890123456789,"d":null,"e":{"k":[1]}}'
    assert written(tmp_path, row)[1] == ["123456789012345678901234567890", 'x, "y"\nz', "0.1234567890123456789", "", '{"k":[1]}']


def test_nested_rows_have_the_table_s_columns(tmp_path: Path) -> None:
    """An event's CSV has the names that its table has."""
    row = {"eventName": "x", "ts": 1, "profile": {"identity": "u"}, "eventProps": {"CT Source": "a", "CTSource": "b"}}
    found = written(tmp_path, row, preset="clevertap_events")
    assert found[0][:3] == ["ts", "event_name", "profile_identity"]
    assert sorted(found[1][3:]) == ["a", "b"]
    assert len(set(found[0])) == len(found[0])


def test_no_rows_are_an_empty_table(tmp_path: Path) -> None:
    """A day without events is a CSV without rows."""
    assert written(tmp_path) == [[]]
