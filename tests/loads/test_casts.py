import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rowferry.loads.casts import TYPE_WORDS, cast
from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.warehouse.port import Param
from support.zetasql import Oracle

GOOD: Mapping[str, Mapping[str, Any]] = {
    "INT64": {"12": 12, " -5 ": -5, "12.0": 12, "+7": 7, "007": 7, "9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63)},
    "FLOAT64": {"1.5": 1.5, "-1e3": -1000.0, ".5": 0.5, "5.": 5.0, "Infinity": float("inf"), "-inf": float("-inf"), "1E-3": 0.001},
    "NUMERIC": {
        "1.10": Decimal("1.1"),
        "-.5": Decimal("-0.5"),
        "12345678901234567890123456789.123456789": Decimal("12345678901234567890123456789.123456789"),
        "1.12345678900": Decimal("1.123456789"),
        "0.000000001": Decimal("0.000000001"),
    },
    "BOOL": {"TRUE": True, "t": True, "Yes": True, "1": True, "false": False, "N": False, "0": False},
    "DATE": {
        "2024-02-29": date(2024, 2, 29),
        "20240131": date(2024, 1, 31),
        "2024-01-31T00:00:00Z": date(2024, 1, 31),
        "0001-01-01": date(1, 1, 1),
        "9999-12-31": date(9999, 12, 31),
    },
    "DATETIME": {
        "2024-01-31 10:20": datetime.fromisoformat("2024-01-31 10:20"),
        "2024-01-31T10:20:30.1234567": datetime.fromisoformat("2024-01-31 10:20:30.123456"),
        "20240131102030": datetime.fromisoformat("2024-01-31 10:20:30"),
        "2024-01-31": datetime.fromisoformat("2024-01-31"),
    },
    "TIME": {"10:20": time(10, 20), "23:59:59.999999": time(23, 59, 59, 999999)},
    "TIMESTAMP": {
        "2024-01-31 10:20:30": "2024-01-31T10:20:30+00:00",
        "2024-01-31T10:20:30.123456789Z": "2024-01-31T10:20:30.123456+00:00",
        "2024-01-31T10:20:30+05:30": "2024-01-31T04:50:30+00:00",
        "2024-01-31T10:20:30-0530": "2024-01-31T15:50:30+00:00",
        "2024-01-31 10:20+02": "2024-01-31T08:20:00+00:00",
        "2024-01-31 10:20:30 UTC": "2024-01-31T10:20:30+00:00",
        "2024-01-31": "2024-01-31T00:00:00+00:00",
        "20240131": "2024-01-31T00:00:00+00:00",
        "20240131102030": "2024-01-31T10:20:30+00:00",
        "1700000000": "2023-11-14T22:13:20+00:00",
        "1700000000.25": "2023-11-14T22:13:20.250000+00:00",
        "1700000000123": "2023-11-14T22:13:20.123000+00:00",
        "1700000000123456": "2023-11-14T22:13:20.123456+00:00",
        "1700000000123456789": "2023-11-14T22:13:20.123456+00:00",
        "-100000000": "1966-10-31T14:13:20+00:00",
        "9999-12-31 23:59:59": "9999-12-31T23:59:59+00:00",
    },
    "BYTES": {"YWI=": b"ab"},
    "JSON": {'{"a": [1, null]}': {"a": [1, None]}, '"x"': "x", "12": 12},
}
BAD: Mapping[str, list[str]] = {
    "INT64": ["1.5", "1e3", "9223372036854775808", "0x1F", "1_000", "abc", "1,000", "--1"],
    "FLOAT64": ["1e400", "1_000", "abc", "1,5", "1.5.5"],
    "NUMERIC": ["1.1234567891", "1e3", "123456789012345678901234567890", "1,5", "abc", "."],
    "BOOL": ["maybe", "2", "tr"],
    "DATE": ["2024-02-30", "2024-13-01", "2024-01-31 10:00:00", "31.01.2024", "01/31/2024"],
    "DATETIME": ["2024-01-31T10:20:30Z", "2024-01-31 24:00:00", "2024-02-30 10:00"],
    "TIME": ["24:00:00", "10", "10:60"],
    "TIMESTAMP": ["2024-01-31 24:00:00", "2024-02-30 10:00:00", "20241399102030", "yesterday", "12345", "2024-01-31 10:20:30 Mars/Base"],
    "BYTES": ["a!", "YW"],
    "JSON": ["{", "[1,2", "abc"],
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbWarehouse]:
    made = DuckDbWarehouse(tmp_path_factory.mktemp("casts") / "w.duckdb")
    yield made
    made.release()


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    """Google's reference engine."""
    return Oracle()


def cast_here(warehouse: DuckDbWarehouse, text: str, kind: str, zone: str = "UTC") -> Any:
    sql = f"SELECT {cast('t', kind, zone)} AS v FROM (SELECT @t AS t) AS texts"
    return next(warehouse.query(sql, {"t": Param("STRING", text)}))["v"]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in GOOD.items() for text in texts])
def test_every_written_form_is_read_exactly(warehouse: DuckDbWarehouse, kind: str, text: str) -> None:
    """The forms of the table at the top of `casts`, to the last digit and the right moment."""
    found = cast_here(warehouse, text, kind)
    assert (found.isoformat() if kind == "TIMESTAMP" else found) == GOOD[kind][text]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD.items() for text in texts])
def test_what_can_not_be_read_exactly_is_not_read_at_all(warehouse: DuckDbWarehouse, kind: str, text: str) -> None:
    """No rounding, no wrapping, no guess at a day."""
    assert cast_here(warehouse, text, kind) is None


def test_a_time_without_a_zone_is_in_the_feeds(warehouse: DuckDbWarehouse) -> None:
    """Also over a change to summer time; a written zone counts more."""
    for text, moment in {
        "2024-07-31 10:00:00": "2024-07-31T08:00:00+00:00",
        "2024-01-31 10:00": "2024-01-31T09:00:00+00:00",
        "20240731000000": "2024-07-30T22:00:00+00:00",
        "2024-07-31": "2024-07-30T22:00:00+00:00",
        "2024-07-31T10:00:00Z": "2024-07-31T10:00:00+00:00",
        "1700000000": "2023-11-14T22:13:20+00:00",
    }.items():
        assert cast_here(warehouse, text, "TIMESTAMP", "Europe/Berlin").isoformat() == moment


def test_every_type_can_be_cast_and_explained() -> None:
    """A new type needs both a cast and words for its rejected cells."""
    assert set(GOOD) | {"BIGNUMERIC"} == set(TYPE_WORDS)
    for kind in TYPE_WORDS:
        assert cast("t", kind, "UTC")


# ── BigQuery's own answers ──────────────────────────────────────────────────────────────────

_DIGITS = st.text("0123456789", max_size=22)
_TEXTS = st.one_of(
    st.builds("{}{}{}{}".format, st.sampled_from(["", "-", "+", " "]), _DIGITS, st.sampled_from(["", ".", ".5", "e3", ".0", "%"]), _DIGITS),
    st.datetimes().map(str),
    st.datetimes().map(lambda moment: f"{moment:%Y%m%d%H%M%S}"),
    st.dates().map(str),
    st.times().map(str),
    st.builds(
        "{:%Y-%m-%dT%H:%M:%S}{}".format, st.datetimes(datetime.fromisoformat("1900-01-01")), st.sampled_from(["Z", "+01", "-0930", " UTC"])
    ),
    st.sampled_from(["true", "F", "NO", "y", "", " ", "NaN", "inf", "{}", "[1]", "null", "YWI="]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
)
_COMPARED = ("INT64", "NUMERIC", "BOOL", "DATE", "DATETIME", "TIMESTAMP", "TIME")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(texts=st.lists(_TEXTS, min_size=20, max_size=60))
def test_both_engines_read_any_text_alike(warehouse: DuckDbWarehouse, oracle: Oracle, zone: str, texts: list[str]) -> None:
    """DuckDB's answer is that of Google's reference engine, for whatever stands in a cell."""
    literals = ", ".join(_literal(text) for text in texts)
    for kind in _COMPARED:
        shown = "FORMAT_TIMESTAMP('%F %H:%M:%E6S', v)" if kind == "TIMESTAMP" else "CAST(v AS STRING)"
        typed = f"SELECT place, {cast('t', kind, zone)} AS v FROM (SELECT place, t FROM UNNEST(%s) AS t WITH OFFSET AS place)"
        theirs = oracle.value(f"TO_JSON_STRING(ARRAY(SELECT {shown} FROM ({typed % f'[{literals}]'}) ORDER BY place))")
        given_texts = {"texts": Param("ARRAY<STRING>", texts)}
        ours = [row["v"] for row in warehouse.query(f"SELECT v FROM ({typed % '@texts'}) ORDER BY place", given_texts)]
        for text, mine, other in zip(texts, ours, json.loads(theirs or "[]"), strict=True):
            assert _same(kind, mine, other), (kind, text, mine, other)


def _literal(text: str) -> str:
    return "'" + "".join(f"\\U{ord(letter):08x}" for letter in text) + "'"


def _same(kind: str, mine: Any, other: str | None) -> bool:
    if mine is None or other is None:
        return mine is None and other is None
    read: Mapping[str, Any] = {
        "INT64": int,
        "NUMERIC": Decimal,
        "BOOL": lambda text: text == "true",
        "DATE": date.fromisoformat,
        "DATETIME": datetime.fromisoformat,
        "TIMESTAMP": lambda text: datetime.fromisoformat(f"{text}+00:00"),
        "TIME": time.fromisoformat,
    }
    return bool(read[kind](other) == mine)
