"""The type of a column that nobody declared, from every value loaded so far: widened, never narrowed.

Such a column is text in the table, exactly as it came, so nothing of it is ever lost; its type is
what the view `<table>_latest` casts it to. `007` and `+49170…` are no numbers: they would lose their
first characters. Decimals are NUMERIC and stay exact.
"""

from __future__ import annotations

from collections.abc import Iterable

from rowferry.warehouse.statements import Sql

# What one value can be; a column's values together are the sum of these bits.
_INT, _DECIMAL, _FLOAT, _BOOL, _DATE, _TIMESTAMP, _JSON, _TEXT = (1 << bit for bit in range(8))

_YEAR = r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})?"

_TYPES = (
    (_INT, "INT64"),
    (_INT | _DECIMAL, "NUMERIC"),
    (_INT | _DECIMAL | _FLOAT, "FLOAT64"),
    (_BOOL, "BOOL"),
    (_DATE, "DATE"),
    (_DATE | _TIMESTAMP, "TIMESTAMP"),
    (_JSON, "JSON"),
)


def value_kinds(text: str) -> Sql:
    """An aggregate over the text column `text`: the bits of all its values. NULL when all are empty.

    A letter at the start decides most texts without a regular expression.
    """
    exact = {
        _INT: "0|-?[1-9][0-9]{0,17}",
        _DECIMAL: "-?(?:0|[1-9][0-9]{0,28})[.][0-9]{1,9}",
        _FLOAT: "-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?[eE][+-]?[0-9]{1,3}",
        _DATE: _YEAR,
        _TIMESTAMP: f"{_YEAR}[T ]{_CLOCK}",
    }
    tests = " ".join(f"WHEN REGEXP_CONTAINS({text}, r'^(?:{expression})$') THEN {bit}" for bit, expression in exact.items())
    starts = f"SUBSTR({text}, 1, 1)"
    return Sql(
        f"BIT_OR(CASE WHEN {text} = '' THEN NULL"
        f" WHEN {starts} IN ('{{', '[') THEN IF(SAFE.PARSE_JSON({text}, wide_number_mode => 'round') IS NULL, {_TEXT}, {_JSON})"
        f" WHEN {starts} > '9' THEN IF(REGEXP_CONTAINS({text}, r'^(?:true|false|True|False|TRUE|FALSE)$'), {_BOOL}, {_TEXT})"
        f" {tests} ELSE IF({text} IS NULL, NULL, {_TEXT}) END)"
    )


def type_of(kinds: Iterable[int | None]) -> str:
    """The narrowest type that holds every value of these sums of bits; STRING when none does, or none came."""
    bits = 0
    for kind in kinds:
        bits |= kind or 0
    return next((name for allowed, name in _TYPES if bits and bits & ~allowed == 0), "STRING")


def is_settled(kinds: int) -> bool:
    """Whether no further value can change the type any more."""
    return bool(kinds & _TEXT)


def read_inferred(text: str, kind: str, zone: str) -> Sql:
    """The text column as the type inferred for it: every value is known to fit.

    For views that other programs read as well, so with nothing but what every engine has.
    """
    local = "+00:00" if zone == "UTC" else f" {zone}"
    expressions = {
        "STRING": text,
        "INT64": f"CAST(SAFE_CAST(NULLIF({text}, '') AS NUMERIC) AS INT64)",
        "BOOL": f"CASE LOWER({text}) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END",
        "JSON": f"SAFE.PARSE_JSON({text}, wide_number_mode => 'round')",
        "TIMESTAMP": (
            f"CASE WHEN LENGTH({text}) = 10 THEN SAFE_CAST(CONCAT({text}, ' 00:00:00{local}') AS TIMESTAMP)"
            f" WHEN REGEXP_CONTAINS({text}, r'(Z|[+-][0-9]{{2}}:[0-9]{{2}})$') THEN SAFE_CAST({text} AS TIMESTAMP)"
            f" ELSE SAFE_CAST(CONCAT({text}, '{local}') AS TIMESTAMP) END"
        ),
    }
    return Sql(expressions.get(kind, f"SAFE_CAST({text} AS {kind})"))
