"""Chunks that the warehouse has written: every type, in the encodings of Google's own engine, and chunks that are not whole."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import orjson
import pytest

from rowferry.delivery.chunk import Chunk, Row, chunk_name, encode_row, exported_head, write_chunk
from rowferry.delivery.exported import form_of, reader
from rowferry.delivery.plan import Plan
from rowferry.errors import DamagedState
from rowferry.stores.folder import FolderStore
from support.chunks import plan_of
from support.exporting import exported
from support.zetasql import Oracle

# Type, the value in GoogleSQL, the same as the program has it.
VALUES: list[tuple[str, str, Any]] = [
    ("INT64", "9223372036854775807", 9223372036854775807),
    ("INT64", "-9223372036854775808", -9223372036854775808),
    ("STRING", r"'Zoë \"quotes\" \' <b>&amp; \\ back\nline\ttab 😀'", "Zoë \"quotes\" ' <b>&amp; \\ back\nline\ttab 😀"),
    ("STRING", "''", ""),
    ("STRING", "'null'", "null"),
    ("BOOL", "FALSE", False),
    ("FLOAT64", "0.1", 0.1),
    ("FLOAT64", "CAST('-inf' AS FLOAT64)", float("-inf")),
    ("BYTES", r"b'\x00\xff\x41'", b"\x00\xffA"),
    ("DATE", "DATE '2024-02-29'", date(2024, 2, 29)),
    ("TIME", "TIME '23:59:59.999999'", time(23, 59, 59, 999999)),
    ("DATETIME", "DATETIME '2024-03-31 02:30:00.123456'", datetime(2024, 3, 31, 2, 30, 0, 123456)),  # noqa: DTZ001 (it has no zone)
    ("TIMESTAMP", "TIMESTAMP '2024-03-31 01:00:00.000001+00'", datetime(2024, 3, 31, 1, 0, 0, 1, tzinfo=UTC)),
    ("TIMESTAMP", "TIMESTAMP '0001-01-01 00:00:00+00'", datetime(1, 1, 1, tzinfo=UTC)),
    ("NUMERIC", "NUMERIC '12345678901234567890.123456789'", Decimal("12345678901234567890.123456789")),
    ("NUMERIC(10, 2)", "NUMERIC '1.5'", Decimal("1.5")),
    ("BIGNUMERIC", "BIGNUMERIC '0.00000000000000000000000000000000000001'", Decimal("1E-38")),
    ("JSON", """JSON '{"a": [1, null, "x<y"], "b": {"c": 1.5}}'""", {"a": [1, None, "x<y"], "b": {"c": 1.5}}),
    ("JSON", "JSON '\"text\"'", "text"),
    ("JSON", "JSON 'null'", None),
    ("ARRAY<STRING>", "['', 'b', 'ü&']", ["", "b", "ü&"]),
    ("ARRAY<INT64>", "[9007199254740993, -1]", [9007199254740993, -1]),
    ("ARRAY<NUMERIC>", "[NUMERIC '1.10', NUMERIC '3']", [Decimal("1.1"), Decimal("3")]),
    ("ARRAY<STRING>", "CAST([] AS ARRAY<STRING>)", []),
    ("STRUCT<id INT64, label STRING>", "STRUCT(1 AS id, CAST(NULL AS STRING) AS label)", {"id": 1, "label": None}),
    (
        "STRUCT<raw BYTES, seen TIMESTAMP, day DATE, many ARRAY<FLOAT64>, doc JSON>",
        ("STRUCT(b'a<' AS raw, TIMESTAMP '2024-01-01 00:00:00.5+00' AS seen, DATE '2024-01-02' AS day,"
        " [1.5, CAST('nan' AS FLOAT64)] AS many, JSON '{\"n\": [1]}' AS doc)"),
        {"raw": b"a<", "seen": datetime(2024, 1, 1, 0, 0, 0, 500000, tzinfo=UTC), "day": date(2024, 1, 2), "many": [1.5, float("nan")],
         "doc": {"n": [1]}},
    ),
    ("ARRAY<STRUCT<id INT64, seen DATETIME>>", "[STRUCT(2 AS id, DATETIME '2024-01-01 00:00:00' AS seen)]",
     [{"id": 2, "seen": datetime(2024, 1, 1)}]),  # noqa: DTZ001
]  # fmt: skip
KINDS = list(dict.fromkeys(kind for kind, _, _ in VALUES))


def export(store: FolderStore, plan: Plan, rows: Sequence[dict[str, Any]], *, says: int | None = None, files: int = 1) -> str:
    """A chunk as the warehouse leaves it: a head, then files of rows; its key."""
    size = -(-len(rows) // files) or 1
    parts = [gzip.compress(b"".join(exported(rows[start : start + size]))) for start in range(0, len(rows), size)]
    key = chunk_name(plan, 0).key
    store.create(key, b"".join([exported_head(plan, len(rows) if says is None else says), *parts]))
    return key


@pytest.mark.parametrize(("kind", "expression", "value"), VALUES, ids=lambda given: str(given)[:40])
def test_a_value_is_the_same_by_either_way(store: FolderStore, kind: str, expression: str, value: Any) -> None:
    """What Google's engine makes of a value in the statement, written as EXPORT DATA writes it, is what a chunk of ours holds."""
    forms = {"json": f"TO_JSON_STRING({expression})", "text": f"CAST({expression} AS STRING)", "base64": f"TO_BASE64({expression})"}
    cell = forms.get(form_of(kind))
    plan = plan_of([("key", "STRING"), ("value", kind)])
    key = export(store, plan, [_object("k", Oracle().value(cell) if cell else value)])
    write_chunk(store, plan, 1, [encode_row(Row("row-1", "k", "upsert", "11", ["k", value]))])
    exported_rows, written_rows = _rows(store, key), _rows(store, chunk_name(plan, 1).key)
    assert repr(exported_rows) == repr(written_rows)  # repr: NaN is not itself
    assert repr(exported_rows[0].values[1]) == repr(value)


@pytest.mark.parametrize("kind", KINDS)
def test_null_is_the_same_by_either_way(kind: str) -> None:
    """Left out, written as null, or the text null of a column that leaves as JSON; an ARRAY comes out empty, as it does everywhere."""
    read = reader([kind])
    wanted: Any = [] if kind.startswith("ARRAY") else None
    given: list[dict[str, Any]] = [{}, {"c_0": None}]
    if form_of(kind) == "json":
        given.append({"c_0": "null"})
    assert [read(found) for found in given] == [[wanted]] * len(given)


def test_rows_of_many_files_come_in_their_order(store: FolderStore) -> None:
    """Packed files one after the other, empty ones among them, read as one."""
    plan = plan_of([("key", "STRING"), ("n", "INT64")])
    rows = [_object(f"k{n}", n) for n in range(1000)]
    key = export(store, plan, rows, files=7)
    packed = store.read(key)[0]
    store.write(key, packed + gzip.compress(b""))
    assert [row.values for row in _rows(store, key)] == [[f"k{n}", n] for n in range(1000)]


def test_a_removal_and_a_row_without_key_or_mask(store: FolderStore) -> None:
    """What is NULL is left out of an exported object, and is None in the row."""
    key = export(store, plan_of([("key", "STRING"), ("n", "INT64")]), [{"row_id": "a", "op": "remove", "c_0": "k"}])
    assert _rows(store, key) == [Row("a", None, "remove", None, ["k", None])]


@pytest.mark.parametrize("says", [0, 2, 4])
def test_a_chunk_of_another_number_of_rows_is_damaged(store: FolderStore, says: int) -> None:
    """A file that is missing, or there twice, shows at the chunk's end, before any receipts."""
    key = export(store, plan_of([("key", "STRING"), ("n", "INT64")]), [_object("k", n) for n in range(3)], says=says)
    with pytest.raises(DamagedState, match=r"00000\.jsonl\.gz"):
        _rows(store, key)


@pytest.mark.parametrize("line", [b"[1]\n", b"{}\n", b'{"row_id": "a", "op": "upsert", "c_1": "x"}\n', b'{"row_id": "a"\n', b"1\n"])
def test_a_line_that_is_no_row_is_damage(store: FolderStore, line: bytes) -> None:
    """An object that somebody changed by hand ends with its name, not with a crash."""
    plan = plan_of([("key", "STRING"), ("n", "INT64")])
    key = chunk_name(plan, 0).key
    store.create(key, exported_head(plan, 1) + gzip.compress(line))
    with pytest.raises(DamagedState):
        _rows(store, key)


def test_a_cut_file_is_damage(store: FolderStore) -> None:
    """The last bytes are missing."""
    plan = plan_of([("key", "STRING"), ("n", "INT64")])
    key = export(store, plan, [_object(f"k{n}", n) for n in range(100)])
    store.write(key, store.read(key)[0][:-9])
    with pytest.raises(DamagedState):
        _rows(store, key)


def _object(key: str, value: Any) -> dict[str, Any]:
    return {"row_id": "row-1", "row_key": key, "op": "upsert", "mask": "11", "c_0": key, "c_1": value}


def _rows(store: FolderStore, key: str) -> list[Row]:
    with Chunk(store, key) as chunk:
        return list(chunk.rows())


def test_a_head_is_as_small_as_it_can_be(store: FolderStore) -> None:
    """It holds the plan and a number, and reads back as a chunk without rows."""
    plan = plan_of([("key", "STRING")])
    assert orjson.loads(gzip.decompress(exported_head(plan, 7))) == {"exported": {"plan": orjson.loads(orjson.dumps(plan)), "rows": 7}}
    key = export(store, plan, [])
    assert _rows(store, key) == []
