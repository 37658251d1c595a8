import gzip
import io
import json
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import pytest
import zstandard

from rowferry.loads import columnar
from support.loading import Bench

COLUMNS = {"id": "STRING", "n": "INT64", "money": "NUMERIC", "at": "TIMESTAMP", "props": "JSON"}
AT = datetime(2024, 1, 31, 10, 20, 30, tzinfo=UTC)
EXPECTED = [
    ("", None, None, None, None),
    ("007", 9223372036854775807, Decimal("12.10"), AT, {"a": [1, None]}),
    ('ä\n"b"', -1, None, None, None),
]
CSV = 'id,n,money,at,props\n007,9223372036854775807,12.10,2024-01-31T10:20:30Z,"{""a"":[1,null]}"\n"ä\n""b""",-1,,,\n"",,,,\n'
OBJECTS = [
    '{"id":"007","n":9223372036854775807,"money":12.10,"at":"2024-01-31T10:20:30Z","props":{"a":[1,null]}}',
    '{"id":"ä\\n\\"b\\"","n":-1}',
    '{"id":"","n":null,"money":null}',
]


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def avro(codec: str = "null") -> bytes:
    schema = {
        "type": "record",
        "name": "Row",
        "fields": [
            {"name": "id", "type": ["null", "string"]},
            {"name": "n", "type": ["null", "long"]},
            {"name": "money", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}]},
            {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
            {"name": "props", "type": ["null", "string"]},
        ],
    }
    rows = [
        {"id": "007", "n": 2**63 - 1, "money": Decimal("12.10"), "at": AT, "props": '{"a":[1,null]}'},
        {"id": 'ä\n"b"', "n": -1},
        {"id": ""},
    ]
    out = io.BytesIO()
    fastavro.writer(out, schema, rows, codec=codec)
    return out.getvalue()


def parquet(folder: Path, select: str | None = None) -> bytes:
    """A Parquet file of EXPECTED, or of another SELECT."""
    path = folder / "made.parquet"
    rows = """SELECT * FROM (VALUES
        ('007', 9223372036854775807, 12.10::DECIMAL(20,2), TIMESTAMPTZ '2024-01-31 10:20:30+00', {'a': [1, NULL]}),
        ('ä' || chr(10) || '"b"', -1, NULL, NULL, NULL),
        ('', NULL, NULL, NULL, NULL)) AS t(id, n, money, "at", props)"""
    with duckdb.connect() as made:
        made.execute(f"COPY ({select or rows}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    """The same three rows in every format, under names that don't say so."""
    lines = "\n".join(OBJECTS).encode()
    return {
        "csv": CSV.encode(),
        "csv, CRLF": CSV.replace("\n", "\r\n").replace("ä\r\n", "ä\n").encode(),
        "csv, BOM": CSV.encode("utf-8-sig"),
        "csv, UTF-16": CSV.encode("utf-16"),
        "csv, gzip": gzip.compress(CSV.encode()),
        "csv, gzip in two": gzip.compress(CSV.encode()[:40]) + gzip.compress(CSV.encode()[40:]),
        "csv, zstd": zstandard.compress(CSV.encode()),
        "csv, zip": zipped(a=CSV.encode()),
        "json lines": lines,
        "json lines, BOM": b"\xef\xbb\xbf" + lines,
        "json lines, UTF-16": lines.decode().encode("utf-16"),
        "json lines, name first": b"Order Placed\n" + lines,
        "json lines, gzip in zip": zipped(b=gzip.compress(OBJECTS[2].encode()), a=gzip.compress("\n".join(OBJECTS[:2]).encode())),
        "json array": ("[" + ",\n".join(OBJECTS) + "]\n").encode(),
        "json array, pretty": json.dumps([json.loads(each) for each in OBJECTS], indent=2).encode(),
        "avro": avro(),
        "avro, deflate": avro("deflate"),
        "parquet": parquet(folder),
        "avro, bzip2": avro("bzip2"),
        "parquet, gzip": gzip.compress(parquet(folder)),
    }


NAMES = [
    "csv",
    "csv, CRLF",
    "csv, BOM",
    "csv, UTF-16",
    "csv, gzip",
    "csv, gzip in two",
    "csv, zstd",
    "csv, zip",
    "json lines",
    "json lines, BOM",
    "json lines, UTF-16",
    "json lines, name first",
    "json lines, gzip in zip",
    "json array",
    "json array, pretty",
    "avro",
    "avro, deflate",
    "avro, bzip2",
    "parquet",
    "parquet, gzip",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_rows_arrive_from_every_format(tmp_path: Path, name: str) -> None:
    """The content says what a file is; text, exact numbers, moments, NULL and '' are the same from each."""
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t", "columns": COLUMNS}})
    result = found.load("f/export.dat", contents(tmp_path)[name])
    assert (result.status, result.rows, result.rejected_cells) == ("loaded", 3, 0)
    assert found.table("raw.t", *COLUMNS) == EXPECTED


@pytest.mark.parametrize("name", [name for name in NAMES if "csv" not in name])
def test_a_cut_off_file_is_quarantined_whole(tmp_path: Path, name: str) -> None:
    """Half a file loads no row, whatever its format."""
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t", "columns": COLUMNS}})
    content = contents(tmp_path)[name]
    result = found.load("f/export.dat", content[: len(content) - 20])
    assert (result.status, found.count("raw.t")) == ("quarantined", 0), result
    assert found.count("rowferry.loads") == 1


@pytest.mark.parametrize("has_extension", [True, False])
@pytest.mark.parametrize("cut", [30, 400, 5000, 9000])
def test_a_cut_off_currents_file_loads_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_extension: bool, cut: int) -> None:
    """DuckDB would take the end of what is there for the end of the file."""
    if not has_extension:
        monkeypatch.setattr(columnar._Reader, "load_avro", lambda reader: False)
    schema = {"type": "record", "name": "Send", "fields": [{"name": "id", "type": "string"}]}
    out = io.BytesIO()
    fastavro.writer(out, schema, [{"id": f"{number:09}"} for number in range(1000)], sync_interval=1000)
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t"}})
    result = found.load("f/a.avro", out.getvalue()[:-cut])
    assert (result.status, result.code, found.count("raw.t")) == ("quarantined", "truncated", 0)


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    """Beyond 64 bits and beyond a float's 17 digits, in lines, arrays and within objects."""
    lines = '{"a":12345678901234567890123,"b":0.1234567890123456789,"c":{"d":12345678901234567890123,"e":0.12345678901234567890}}'
    for number, content in enumerate([lines, f"[{lines}]"]):
        found = Bench(tmp_path / str(number), {"f": {"path": "f/*", "table": "raw.t"}})
        found.load("f/a.json", content)
        assert found.table("raw.t", "a", "b", "c") == [
            ("12345678901234567890123", "0.1234567890123456789", '{"d":12345678901234567890123,"e":0.12345678901234567890}')
        ]


@pytest.mark.parametrize("has_extension", [True, False])
def test_a_float_of_32_bits_shows_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_extension: bool) -> None:
    """Braze's 3.14 would read 3.140000104904175 when it is only widened."""
    if not has_extension:
        monkeypatch.setattr(columnar._Reader, "load_avro", lambda reader: False)
    schema = {
        "type": "record",
        "name": "Purchase",
        "fields": [{"name": "id", "type": "string"}, {"name": "price", "type": ["null", "float"]}],
    }
    out = io.BytesIO()
    fastavro.writer(out, schema, [{"id": "a", "price": 3.14}, {"id": "b", "price": None}, {"id": "c", "price": 16777217.0}])
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t", "columns": {"price": "FLOAT64"}}})
    found.load("f/a.avro", out.getvalue())
    found.load("f/b.parquet", parquet(tmp_path, "SELECT 'p' AS id, 3.14::FLOAT AS price"))
    assert found.table("raw.t", "id", "price") == [("a", 3.14), ("b", None), ("c", 16777216.0), ("p", 3.14)]


@pytest.mark.parametrize("has_extension", [True, False])
def test_braze_currents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_extension: bool) -> None:
    """Both path layouts, int and long `time`, arrays with nulls; an event of its own table, dated by its time.

    The same with DuckDB's extension for Avro and without."""
    if not has_extension:
        monkeypatch.setattr(columnar._Reader, "load_avro", lambda reader: False)
    found = Bench(tmp_path, {"currents": {"path": "currents/", "preset": "braze_currents", "table": "raw.currents_{event}"}})
    kinds: list[tuple[str, Any]] = [("int", "version=6/prod"), ("long", "482/zone")]
    for number, (kind, place) in enumerate(kinds):
        schema = {
            "type": "record",
            "name": "Click",
            "fields": [
                {"name": "id", "type": "string"},
                {"name": "time", "type": {"connect.doc": "seconds", "type": kind}},
                {"name": "is_suspected_bot_click", "type": ["null", "boolean"]},
                {"name": "suspected_bot_click_reason", "type": ["null", {"type": "array", "items": ["null", "string"]}]},
                {"name": f"added_{number}", "type": ["null", "string"]},
            ],
        }
        row = {
            "id": "same",
            "time": 1706696430 + number,
            "is_suspected_bot_click": True,
            "suspected_bot_click_reason": ["a", None],
            f"added_{number}": "x",
        }
        out = io.BytesIO()
        fastavro.writer(out, schema, [row])
        key = f"currents/dataexport.x/event_type=users.messages.email.Click/date=2024-01-31-10/{place}/dataexport+1+{number}.avro"
        assert found.load(key, out.getvalue()).table == "raw.currents_users_messages_email_click"
    columns = ("id", "time", "event_time", "is_suspected_bot_click", "suspected_bot_click_reason", "added_0", "added_1")
    later = ("same", 1706696431, datetime(2024, 1, 31, 10, 20, 31, tzinfo=UTC), True, ["a", None], None, "x")
    assert found.table("raw.currents_users_messages_email_click", *columns)[1] == later
    assert found.table("raw.currents_users_messages_email_click_latest", *columns) == [later]


def test_clevertaps_newer_parquet(tmp_path: Path) -> None:
    """Maps of a struct of six types become the columns that the CSV has, each with the one value that is set."""
    value = "{'member0': NULL::BOOLEAN, 'member1': %s::INTEGER, 'member5': %s::VARCHAR}"
    props = f"map {{'Amount': {value % ('5', 'NULL')}, 'Campaign id': {value % ('NULL', chr(39) + 'c1' + chr(39))}}}"
    identity = f"map {{'identity': {value % ('NULL', chr(39) + 'u1' + chr(39))}}}"
    select = f'SELECT \'Order Placed\' AS "eventName", \'1706696430\' AS "eventTime", {identity} AS identity, {props} AS "eventProps"'
    found = Bench(tmp_path, {"ct": {"path": "ct/", "preset": "clevertap_events", "table": "raw.ct_{event}"}})
    result = found.load("ct/1-1663785000-Order-Placed-20240131-0-0.parquet.gzip", parquet(tmp_path, select))
    assert result.table == "raw.ct_order_placed"
    columns = ("ts", "event_name", "profile_identity", "event_props_amount", "event_props_campaign_id")
    assert found.table("raw.ct_order_placed", *columns) == [(AT, "Order Placed", "u1", "5", "c1")]


def test_amplitudes_zip_and_merged_ids(tmp_path: Path) -> None:
    """The Export API's gzip-in-zip and the hourly files go to one table, merged ids to one beside it."""
    found = Bench(tmp_path, {"amp": {"path": "amp/", "preset": "amplitude_export", "table": "raw.amp"}})
    event = (
        '{"uuid":"%s","$insert_id":"i","event_type":"x","event_time":"2024-01-31 10:20:30.000000","user_properties":{"a.b":1},"new":1}\n'
    )
    members = {f"1/1_2024-01-31_{hour}#0.json.gz": gzip.compress((event % f"z{hour}").encode()) for hour in range(3)}
    found.load("amp/pulled.zip", zipped(**members))
    found.load("amp/1/1_2024-01-31_10#0.json.gz", event % "h")
    merged = found.load("amp/-9/-9_2024-01-31_10.json.gz", '{"scope":1,"amplitude_id":5,"merged_amplitude_id":6}\n')
    assert merged.table == "raw.amp_merged_ids"
    columns = ("uuid", "insert_id", "event_time", "user_properties", "new")
    assert found.table("raw.amp", *columns) == [(uuid, "i", AT, {"a.b": 1}, "1") for uuid in ("h", "z0", "z1", "z2")]
    assert found.table("raw.amp_merged_ids", "amplitude_id", "merged_amplitude_id") == [(5, 6)]


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz", "snappy", "zstandard"])
def test_avro_of_plain_types_loads_whatever_its_codec(tmp_path: Path, codec: str) -> None:
    """DuckDB's extension reads few codecs; the others go the other way, and are not called damaged."""
    out = io.BytesIO()
    fastavro.writer(out, {"type": "record", "name": "Row", "fields": [{"name": "id", "type": "string"}]}, [{"id": "1"}, {"id": "2"}], codec)
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t"}})
    assert found.load("f/a.avro", out.getvalue()).status == "loaded"
    assert found.table("raw.t", "id") == [("1",), ("2",)]


@pytest.mark.parametrize("codec", ["deflate", "snappy", "zstandard"])
def test_a_damaged_avro_file_is_quarantined_whatever_its_codec(tmp_path: Path, codec: str) -> None:
    """Changed bytes are no crash: the file is put aside with a sentence."""
    out = io.BytesIO()
    schema = {"type": "record", "name": "Row", "fields": [{"name": "id", "type": "string"}]}
    fastavro.writer(out, schema, [{"id": f"{number:030}"} for number in range(500)], codec)
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t"}})
    body = bytearray(out.getvalue())
    body[-60:-20] = b"\xff" * 40
    loaded = found.load("f/a.avro", bytes(body))
    assert loaded.status == "quarantined"
    assert loaded.code in ("damaged", "truncated")


@pytest.mark.parametrize("kind", ["avro", "parquet"])
def test_a_zip_of_several_columnar_files_loads_all_rows(tmp_path: Path, kind: str) -> None:
    """Each file of an archive is read for itself: put together they would be one damaged file."""
    one = avro() if kind == "avro" else parquet(tmp_path)
    other = avro("deflate") if kind == "avro" else parquet(tmp_path, "SELECT 'x' AS id, 5 AS more")
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t", "columns": COLUMNS}})
    result = found.load("f/a.zip", zipped(a=one, b=other))
    assert (result.status, result.rows) == ("loaded", 6 if kind == "avro" else 4), result


def test_a_zip_with_two_files_of_one_name_loads_both(tmp_path: Path) -> None:
    """An archive that was added to may hold a name twice; by its name only the last one was found, and read twice."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.csv", "id\n1\n")
        archive.writestr("a.csv", "id\n2\n")
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t"}})
    assert found.load("f/a.zip", out.getvalue()).rows == 2
    assert found.table("raw.t", "id") == [("1",), ("2",)]


@pytest.mark.parametrize("number", ["1", "12345678901234567890"])
def test_half_an_emoji_costs_no_row(tmp_path: Path, number: str) -> None:
    """CleverTap may cut the pairs of UTF-16: in texts, nested ones and names, in lines and arrays, U+FFFD stands for the half."""
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t"}})
    row = '{"id":"x\\ud83d","n":N,"o":{"a":["\\udc00y","\\ud83d\\ude00"]},"k\\ud83d":1}'.replace("N", number)
    assert found.load("f/a.jsonl", row + '\n{"id":"z"}\n').rows == 2
    assert found.load("f/b.json", f"[{row}]").rows == 1
    texts = ("x\ufffd", '{"a":["\ufffdy","\U0001f600"]}')
    assert found.table("raw.t", "id", "o") == [texts, texts, ("z", None)]


def test_format_says_what_a_file_must_be(tmp_path: Path) -> None:
    """Where the feed names a format, another one is refused rather than loaded as something else."""
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t", "format": "csv", "columns": {"id": "STRING"}}})
    assert found.load("f/a.csv", '{"id":1}\n').code == "wrong_format"
    assert found.load("f/b.csv", "id\n1\n").status == "loaded"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"a": 1}\n[2]\n', "bad_json"),
        (b'[{"a": 1}, 2]', "bad_json"),
        (b'[{"a": 1}] x', "bad_json"),
        (b'{"a": "\xff"}\n', "wrong_encoding"),
        (b"<?xml version='1.0'?><a/>", "wrong_format"),
        (b"Obj\x01rubbish", "truncated"),
        (b"PAR1rubbish", "damaged"),
        (b'{"a": 1}\n{"b": ' + b"9" * 400 + b"}\n", None),
    ],
)
def test_broken_files_have_a_reason_and_never_crash(tmp_path: Path, content: bytes, code: str | None) -> None:
    """Every reader turns rubbish into a sentence."""
    found = Bench(tmp_path, {"f": {"path": "f/*", "table": "raw.t"}})
    result = found.load("f/a.dat", content)
    assert result.code == code, result
