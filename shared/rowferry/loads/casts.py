"""Text to typed values in SQL, the same in both engines, exact or not at all.

A cast gives NULL for what it can't read without changing it; the caller tells that from an empty
cell. An empty or blank cell is NULL for every type but STRING. Times without a zone are in the
feed's. What is read:

    INT64       12, -5, 12.0
    FLOAT64     1.5, -1e3, nan, inf
    NUMERIC     up to 29 digits before and 9 after the point; 1.10 and 1.1 are the same
    BOOL        true t yes y 1 / false f no n 0, in any case
    DATE        2024-01-31, 20240131, and a time stamp at midnight
    TIMESTAMP   2024-01-31 10:20:30.5, with T or a blank, with or without seconds, Z, +02, +0200 or
                +02:00; 20240131102030; 2024-01-31; seconds, milliseconds, microseconds or
                nanoseconds since 1970. Beyond microseconds digits are cut off, BigQuery has none
    DATETIME    the same forms without a zone, no epochs
    TIME        10:20, 10:20:30.5
    BYTES       Base64
    JSON        any JSON value
"""

from __future__ import annotations

from collections.abc import Callable

from rowferry.warehouse.statements import Sql

# BigQuery's years are 1 to 9999; 0001 is what .NET writes for "no date".
_DATE = r"(?:[1-9][0-9]{3}|0001)-[0-9]{2}-[0-9]{2}"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_SECONDS = r":[0-5][0-9]"
_OFFSET = r"(?:[Zz]| ?UTC|[+-][0-9]{2}(?::?[0-9]{2})?)"
_DECIMAL = r"[+-]?(?:[0-9]{1,%d}(?:\.[0-9]{0,%d}0*)?|\.[0-9]{1,%d}0*)"

TYPE_WORDS = {
    "INT64": "a whole number of at most 64 bits",
    "FLOAT64": "a number",
    "NUMERIC": "a number with at most 29 digits before and 9 after the point",
    "BIGNUMERIC": "a number with at most 38 digits before and 38 after the point",
    "BOOL": "true or false",
    "DATE": "a date such as 2024-01-31",
    "DATETIME": "a date and time without a zone, such as 2024-01-31 10:20:30",
    "TIME": "a time such as 10:20:30",
    "TIMESTAMP": "a time stamp such as 2024-01-31T10:20:30Z, or seconds since 1970",
    "BYTES": "Base64",
    "JSON": "JSON",
}


def cast(text: str, kind: str, zone: str) -> Sql:
    """An expression of type `kind` over the text column `text` (a name, it stands in it several times)."""
    if kind == "STRING":
        return Sql(text)
    return Sql(_timestamp(text, zone) if kind == "TIMESTAMP" else _CASTS[kind](text))


def is_bad(text: str, value: str, kind: str) -> Sql:
    """Whether the text holds something that the cast `value` could not read."""
    if kind == "STRING":
        return Sql("FALSE")
    return Sql(f"({value} IS NULL AND {text} IS NOT NULL AND TRIM({text}) != '')")


def matches(text: str, expression: str) -> str:
    """Whether the whole text matches, blanks around it aside."""
    return rf"REGEXP_CONTAINS({text}, r'^\s*(?:{expression})\s*$')"


def _int64(text: str) -> str:
    """`12.0` is what pandas writes for a whole number in a column that has gaps."""
    whole = rf"IF({matches(text, r'[+-]?[0-9]+[.]0*')}, SAFE_CAST(REGEXP_REPLACE(TRIM({text}), r'[.]0*$', '') AS INT64), NULL)"
    return f"COALESCE(IF({matches(text, '[+-]?[0-9]+')}, SAFE_CAST(TRIM({text}) AS INT64), NULL), {whole})"


def _float64(text: str) -> str:
    number = matches(text, r"[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?")
    value = f"SAFE_CAST(TRIM({text}) AS FLOAT64)"
    return (
        f"CASE WHEN {number} THEN IF(IS_INF({value}), NULL, {value}) WHEN {matches(text, '(?i:nan|[+-]?inf(?:inity)?)')} THEN {value} END"
    )


def _numeric(text: str) -> str:
    return f"IF({matches(text, _DECIMAL % (29, 9, 9))}, SAFE_CAST(TRIM({text}) AS NUMERIC), NULL)"


def _bignumeric(text: str) -> str:
    return f"IF({matches(text, _DECIMAL % (38, 38, 38))}, SAFE_CAST(TRIM({text}) AS BIGNUMERIC), NULL)"


def _bool(text: str) -> str:
    """Without IN: DuckDB (1.5.5) makes a join of each, and a hundred of them take minutes and all memory."""
    return f"CASE WHEN {matches(text, '(?i:true|t|yes|y|1)')} THEN TRUE WHEN {matches(text, '(?i:false|f|no|n|0)')} THEN FALSE END"


def _date(text: str) -> str:
    midnight = matches(text, rf"{_DATE}[T ]00:00(?::00(?:[.]0+)?)?{_OFFSET}?")
    return (
        f"CASE WHEN {matches(text, _DATE)} THEN SAFE_CAST(TRIM({text}) AS DATE)"
        f" WHEN {matches(text, '[0-9]{8}')} THEN SAFE_CAST({_compact_date(f'TRIM({text})')} AS DATE)"
        f" WHEN {midnight} THEN SAFE_CAST(SUBSTR(TRIM({text}), 1, 10) AS DATE) END"
    )


def _timestamp(text: str, zone: str) -> str:
    """The forms in the order of how often they come; the last ones are put into one form first."""
    local = "'+00:00'" if zone == "UTC" else f"' {zone}'"
    full = rf"{_DATE}[T ]{_TIME}{_SECONDS}(?:[.][0-9]{{1,6}})?"
    any_form = rf"{_DATE}(?:[T ]{_TIME}(?:{_SECONDS}(?:[.][0-9]+)?)?)?"
    return (
        f"CASE WHEN {matches(text, full)} THEN SAFE_CAST(CONCAT(TRIM({text}), {local}) AS TIMESTAMP)"
        f" WHEN {matches(text, full + '(?:Z|[+-][0-9]{2}:[0-9]{2})')} THEN SAFE_CAST(TRIM({text}) AS TIMESTAMP)"
        f" WHEN {matches(text, '[0-9]{14}')} THEN SAFE_CAST(CONCAT({_compact(f'TRIM({text})')}, {local}) AS TIMESTAMP)"
        f" WHEN {matches(text, any_form)} THEN SAFE_CAST(CONCAT({_full(text)}, {local}) AS TIMESTAMP)"
        f" WHEN {matches(text, any_form + _OFFSET)} THEN SAFE_CAST(CONCAT({_full(text)}, {_offset(text)}) AS TIMESTAMP)"
        f" WHEN {matches(text, '[0-9]{8}')} THEN SAFE_CAST(CONCAT({_compact_date(f'TRIM({text})')}, ' 00:00:00', {local}) AS TIMESTAMP)"
        f" WHEN {matches(text, '-?[0-9]{9,10}(?:[.][0-9]+)?')} THEN {_epoch(text, 1_000_000)}"
        f" WHEN {matches(text, '-?[0-9]{12,13}(?:[.][0-9]+)?')} THEN {_epoch(text, 1_000)}"
        f" WHEN {matches(text, '-?[0-9]{15,16}')} THEN {_epoch(text, 1)}"
        f" WHEN {matches(text, '-?[0-9]{18,19}')} THEN TIMESTAMP_MICROS(DIV(SAFE_CAST(TRIM({text}) AS INT64), 1000)) END"
    )


def _datetime(text: str) -> str:
    any_form = rf"{_DATE}(?:[T ]{_TIME}(?:{_SECONDS}(?:[.][0-9]+)?)?)?"
    return (
        f"CASE WHEN {matches(text, any_form)} THEN SAFE_CAST({_full(text)} AS DATETIME)"
        f" WHEN {matches(text, '[0-9]{14}')} THEN SAFE_CAST({_compact(f'TRIM({text})')} AS DATETIME) END"
    )


def _time(text: str) -> str:
    to_micros = f"REGEXP_EXTRACT({text}, r'[0-9:]+(?:[.][0-9]{{1,6}})?')"
    return (
        f"CASE WHEN {matches(text, _TIME + _SECONDS + '(?:[.][0-9]+)?')} THEN SAFE_CAST({to_micros} AS TIME)"
        f" WHEN {matches(text, _TIME)} THEN SAFE_CAST(CONCAT(TRIM({text}), ':00') AS TIME) END"
    )


def _bytes(text: str) -> str:
    return f"IF({matches(text, '[A-Za-z0-9+/]+={0,2}')}, SAFE.FROM_BASE64(TRIM({text})), NULL)"


def _json(text: str) -> str:
    return f"SAFE.PARSE_JSON({text}, wide_number_mode => 'round')"


def _compact_date(text: str) -> str:
    """`20240131` as `2024-01-31`."""
    return f"CONCAT(SUBSTR({text}, 1, 4), '-', SUBSTR({text}, 5, 2), '-', SUBSTR({text}, 7, 2))"


def _compact(text: str) -> str:
    """`20240131102030` as `2024-01-31 10:20:30`."""
    return f"CONCAT({_compact_date(text)}, ' ', SUBSTR({text}, 9, 2), ':', SUBSTR({text}, 11, 2), ':', SUBSTR({text}, 13, 2))"


def _full(text: str) -> str:
    """Date and time down to whole seconds or microseconds, whatever of them is written."""
    clock = _found(text, r"[T ]([0-9]{2}:[0-9]{2})")
    seconds = _found(text, r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(?:[.][0-9]{1,6})?)")
    return f"CONCAT(SUBSTR(TRIM({text}), 1, 10), ' ', COALESCE({clock}, '00:00'), COALESCE({seconds}, ':00'))"


def _offset(text: str) -> str:
    """The zone at the end as `+02:00`."""
    sign_and_hours = _found(text, r"([+-][0-9]{2}):?(?:[0-9]{2})?\s*$")
    minutes = _found(text, r"[+-][0-9]{2}:?([0-9]{2})\s*$")
    return f"CONCAT(COALESCE({sign_and_hours}, '+00'), ':', COALESCE({minutes}, '00'))"


def _found(text: str, expression: str) -> str:
    """The group of an expression; without a match NULL in BigQuery and '' in DuckDB, so NULL in both."""
    return f"NULLIF(REGEXP_EXTRACT({text}, r'{expression}'), '')"


def _epoch(text: str, micros: int) -> str:
    return f"TIMESTAMP_MICROS(CAST(TRUNC(SAFE_CAST(TRIM({text}) AS NUMERIC) * {micros}) AS INT64))"


_CASTS: dict[str, Callable[[str], str]] = {
    "INT64": _int64,
    "FLOAT64": _float64,
    "NUMERIC": _numeric,
    "BIGNUMERIC": _bignumeric,
    "BOOL": _bool,
    "DATE": _date,
    "DATETIME": _datetime,
    "TIME": _time,
    "BYTES": _bytes,
    "JSON": _json,
}
