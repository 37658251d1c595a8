"""The same expression means the same in DuckDB as in GoogleSQL: Google's own engine is asked."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.warehouse.duckdb_dialect import translate
from rowferry.warehouse.port import Param, WarehouseError
from support.zetasql import Oracle

EXPRESSIONS = """
CONCAT('a', 'b', CAST(1 AS STRING))
CONCAT('a', NULL)
GREATEST(1, NULL)
SUBSTR('abcdef', -2)
LENGTH('Zoë')
REGEXP_CONTAINS('abc', r'b.')
REGEXP_EXTRACT('a=12;', r'=(\\d+)')
REGEXP_EXTRACT('abc', r'z')
REGEXP_EXTRACT('abc', r'z?')
REGEXP_REPLACE('a1b22', r'\\d+', '#')
SPLIT('a,b', ',')[OFFSET(1)]
ARRAY_TO_STRING(['a', NULL, 'b'], ',')
[1, 2, 3][SAFE_OFFSET(7)]
(SELECT ARRAY_AGG(x ORDER BY x DESC LIMIT 1)[OFFSET(0)] FROM UNNEST([1, 3, 2]) AS x)
(SELECT ARRAY_TO_STRING(ARRAY_AGG(x IGNORE NULLS ORDER BY x LIMIT 2), ',') FROM UNNEST(['c', NULL, 'a', 'b']) AS x)
(SELECT ARRAY_TO_STRING(ARRAY_AGG(DISTINCT x ORDER BY x), ',') FROM UNNEST(['b', 'a', 'b']) AS x)
(SELECT STRING_AGG(x, '-' ORDER BY x) FROM UNNEST(['c', NULL, 'a']) AS x)
(SELECT AVG(x) FROM UNNEST([1, 2]) AS x)
(SELECT COUNTIF(x > 1) FROM UNNEST([1, 2]) AS x)
(SELECT LOGICAL_OR(x > 1) FROM UNNEST([1, 2]) AS x)
(SELECT MAX(x) FROM UNNEST([NUMERIC '1.50', NUMERIC '2']) AS x)
SAFE_DIVIDE(1, 0)
7 / 2
DIV(-7, 2)
MOD(-7, 3)
ROUND(2.5)
ROUND(NUMERIC '2.345', 2)
CAST(2.5 AS INT64)
CAST(NUMERIC '1.10' AS STRING)
CAST(NUMERIC '100' AS STRING)
CAST(NUMERIC '-0.5' AS STRING)
CAST(1.0 AS STRING)
CAST(0.1 AS STRING)
CAST(1e20 AS STRING)
CAST(TRUE AS STRING)
CAST(DATE '2024-01-01' AS STRING)
CAST(TIMESTAMP '2024-01-01 10:00:00+02' AS STRING)
NUMERIC '0.1' + NUMERIC '0.2'
TIMESTAMP_MICROS(1700000000123456)
TIMESTAMP_MILLIS(1700000000123)
TIMESTAMP_SECONDS(1700000000)
UNIX_SECONDS(TIMESTAMP '2024-01-01 00:00:00.900+00')
UNIX_MILLIS(TIMESTAMP '2024-01-01 00:00:00.900+00')
TIMESTAMP_ADD(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 90 MINUTE)
TIMESTAMP_SUB(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 1 DAY)
TIMESTAMP_DIFF(TIMESTAMP '2024-01-02 00:00:00+00', TIMESTAMP '2024-01-01 12:30:00+00', HOUR)
TIMESTAMP_DIFF(TIMESTAMP '2024-01-02 00:00:00+00', TIMESTAMP '2024-01-01 12:30:00+00', DAY)
TIMESTAMP_TRUNC(TIMESTAMP '2024-01-02 12:30:00+00', DAY)
TIMESTAMP_TRUNC(TIMESTAMP '2024-01-31 12:30:00+00', WEEK)
DATE_ADD(DATE '2024-01-31', INTERVAL 1 MONTH)
DATE_SUB(DATE '2024-01-31', INTERVAL 1 DAY)
DATE_DIFF(DATE '2024-01-31', DATE '2024-01-01', DAY)
DATE_TRUNC(DATE '2024-01-31', MONTH)
DATE_TRUNC(DATE '2024-01-31', WEEK)
DATE_TRUNC(DATE '2024-01-28', WEEK)
DATE_TRUNC(DATE '2024-01-28', ISOWEEK)
EXTRACT(DAYOFWEEK FROM DATE '2024-01-28')
EXTRACT(HOUR FROM TIMESTAMP '2024-01-01 10:00:00+00' AT TIME ZONE 'Europe/Berlin')
DATE(TIMESTAMP '2024-01-01 23:30:00+00', 'Europe/Berlin')
DATETIME(TIMESTAMP '2024-01-01 23:30:00+00', 'Europe/Berlin')
TIMESTAMP('2024-01-01 10:00:00', 'Europe/Berlin')
TIMESTAMP(DATE '2024-01-01')
PARSE_TIMESTAMP('%Y-%m-%d %H:%M:%S', '2024-01-01 10:00:00')
PARSE_TIMESTAMP('%Y-%m-%d %H:%M:%S', '2024-01-01 10:00:00', 'Europe/Berlin')
PARSE_DATE('%Y%m%d', '20240131')
SAFE.PARSE_DATE('%Y%m%d', 'x')
SAFE.PARSE_TIMESTAMP('%Y-%m-%d', 'x')
PARSE_DATETIME('%Y-%m-%d %H:%M:%S', '2024-01-01 10:00:00')
FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%SZ', TIMESTAMP '2024-01-01 10:00:00+00')
FORMAT_TIMESTAMP('%Y-%m-%d %H', TIMESTAMP '2024-01-01 23:00:00+00', 'Europe/Berlin')
FORMAT_DATE('%d.%m.%Y', DATE '2024-01-31')
FORMAT('%05d-%s', 5, 'x')
JSON_VALUE('{"a": {"b": "x"}}', '$.a.b')
JSON_VALUE('{"a": 1}', '$.a')
JSON_VALUE('{"a": {}}', '$.a')
JSON_VALUE('no JSON', '$[0]')
JSON_QUERY('no JSON', '$[0]')
JSON_QUERY('{"a": {"b": 1}}', '$.a')
TO_JSON_STRING('a"b')
TO_JSON_STRING(CAST(NULL AS STRING))
TO_JSON_STRING(STRUCT(1 AS a, 'x' AS b))
TO_HEX(SHA256('a'))
TO_HEX(MD5('a'))
SAFE_CONVERT_BYTES_TO_STRING(FROM_BASE64('YWJj'))
'a' IN UNNEST(['a', 'b'])
NULL IN (1, 2)
1 IS DISTINCT FROM NULL
NORMALIZE_AND_CASEFOLD('ÀB')
REGEXP_EXTRACT_ALL('a1b2', r'\\d')[OFFSET(1)]
(SELECT x FROM UNNEST([3, 1, 2]) AS x WITH OFFSET AS o ORDER BY o LIMIT 1)
""".strip().splitlines()

TEXTS = (
    "1|1.5|1e3| 12 |+5|-5|9223372036854775807|9223372036854775808|1,5||abc|true|TRUE|t|yes|false|nan|.5|5.|2024-01-01|2024-1-5"
    "|2024/01/01|20240101|2024-13-01|2024-02-30|epoch|today|infinity|2024-01-01 10:00|2024-01-01 10:00:00|2024-01-01T10:00:00Z"
    "|2024-01-01 10:00:00 UTC|2024-01-01 10:00:00+02|2024-01-01 10:00:00+02:00|2024-01-01 10:00:00.123456"
    "|2024-01-01 10:00:00 Europe/Berlin|2024-01-01 10:00:00 X/Y|10:00|10:00:00|25:00:00| 2024-01-01 |{}|null|Ã©"
)
SIMPLE = ("INT64", "FLOAT64", "NUMERIC", "BOOL", "DATE", "DATETIME", "TIME", "TIMESTAMP")


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    """Google's analyzer and engine."""
    return Oracle()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbWarehouse]:
    """An empty embedded warehouse."""
    made = DuckDbWarehouse(tmp_path_factory.mktemp("dialect") / "warehouse.duckdb")
    yield made
    made.release()


def value(warehouse: DuckDbWarehouse, expression: str, **params: Param) -> Any:
    """What the expression is, as text, in DuckDB."""
    (row,) = warehouse.query(f"SELECT CAST({expression} AS STRING) AS x", params)
    return row["x"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_what_google_says(oracle: Oracle, warehouse: DuckDbWarehouse, expression: str) -> None:
    """Functions, casts, rounding, weeks, zones, NULLs: the text of the result is the same."""
    assert value(warehouse, expression) == oracle.value(expression)


def same(kind: str, found: str | None, wanted: str | None) -> bool:
    """Equal texts, or equal numbers (the engines print a FLOAT64's last digit in different ways)."""
    if kind == "FLOAT64" and None not in (found, wanted):
        return float(found or 0) == float(wanted or 0) or found == wanted == "nan"
    return found == wanted


@pytest.mark.parametrize("kind", SIMPLE)
def test_a_text_is_castable_where_google_says(oracle: Oracle, warehouse: DuckDbWarehouse, kind: str) -> None:
    """SAFE_CAST takes the same texts and gives the same values: no '1.5' becomes 2, no 'epoch' a date."""
    found = {text: value(warehouse, f"SAFE_CAST(@t AS {kind})", t=Param("STRING", text)) for text in TEXTS.split("|")}
    wanted = {text: oracle.value(f"SAFE_CAST({text!r} AS {kind})") for text in TEXTS.split("|")}
    assert {text: value for text, value in found.items() if not same(kind, value, wanted[text])} == {}


def test_a_zone_in_one_row_does_not_touch_the_next(warehouse: DuckDbWarehouse) -> None:
    """DuckDB alone reads all rows after one with a zone's name in that zone."""
    texts = [
        "2024-01-01 10:00:00",
        "2024-01-01 10:00:00 Europe/Berlin",
        "2024-01-01 10:00:00",
        "2024-01-01 10:00:00 CET",
        "2024-01-01 10:00:00",
    ]
    sql = "SELECT CAST(SAFE_CAST(t AS TIMESTAMP) AS STRING) AS x FROM UNNEST(@texts) AS t WITH OFFSET AS o ORDER BY o"
    found = [row["x"] for row in warehouse.query(sql, {"texts": Param("ARRAY<STRING>", texts)})]
    assert found == ["2024-01-01 10:00:00+00", "2024-01-01 09:00:00+00", "2024-01-01 10:00:00+00", None, "2024-01-01 10:00:00+00"]


def test_a_fingerprint_stays_what_it_is(warehouse: DuckDbWarehouse) -> None:
    """The delivered state holds fingerprints: a new release must not make all rows look changed."""
    assert value(warehouse, "FARM_FINGERPRINT('a')") == "-2222958069403761871"
    assert value(warehouse, "FARM_FINGERPRINT(b'a')") == "-2222958069403761871"
    assert value(warehouse, "FARM_FINGERPRINT(NULL)") is None


def test_numeric_keeps_nine_digits(warehouse: DuckDbWarehouse) -> None:
    """NUMERIC without a scale is not DuckDB's DECIMAL(18,3)."""
    (row,) = warehouse.query("SELECT CAST('12345678901234567890.123456789' AS NUMERIC) AS n, NUMERIC '0.000000001' AS small")
    assert row == {"n": Decimal("12345678901234567890.123456789"), "small": Decimal("1e-9")}


def test_a_statement_is_translated_once_for_all_passing_tables() -> None:
    """Tables whose names hold a file's or run's hash don't make another statement; their names are put in afterwards."""
    one, other = (translate(f"SELECT 'passing_0' AS x FROM `rowferry.run_{mark * 12}`").sql for mark in "ab")
    assert one == 'SELECT \'passing_0\' AS x FROM "rowferry"."run_aaaaaaaaaaaa"'
    assert other == one.replace("a" * 12, "b" * 12)


@pytest.mark.parametrize("sql", ["", "SELECT 1; SELECT 2", "SELECT FROM WHERE", "SELECT @missing AS x"])
def test_what_is_no_statement_is_refused(sql: str) -> None:
    """Nothing, two statements, wrong SQL and a parameter that was not given are told in one line, without colours."""
    with pytest.raises(WarehouseError) as caught:
        translate(sql)
    assert str(caught.value).isprintable()


def test_without_macros_any_program_can_run_it(tmp_path: Path) -> None:
    """A view's text uses only what DuckDB has."""
    import duckdb

    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    warehouse.replace_view("crm.v", "SELECT SAFE_CAST('5' AS INT64) AS n, SAFE_CAST('2024-01-01' AS DATE) AS d, CAST(1.5 AS STRING) AS t")
    assert warehouse.columns("crm.v") == {"n": "INT64", "d": "DATE", "t": "STRING"}
    warehouse.release()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as other:
        assert other.execute("SELECT n, t FROM crm.v").fetchall() == [(5, "1.5")]
