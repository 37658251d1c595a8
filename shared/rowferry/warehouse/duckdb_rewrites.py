"""Parts of a statement that mean something else in DuckDB, each with what means the same.

Found by running the same expressions through Google's own engine (`tests/warehouse/test_duckdb_dialect.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

Rewrite = Callable[[exp.Expr], exp.Expr]


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def _cast(node: exp.Expr, kind: str) -> exp.Expr:
    return exp.Cast(this=node.copy(), to=exp.DataType.build(kind, dialect="duckdb"))


def _numeric(node: exp.Expr) -> exp.Expr:
    """NUMERIC has 9 digits after the point, DuckDB's bare DECIMAL only 3."""
    if node.expressions or node.this not in (exp.DType.DECIMAL, exp.DType.BIGDECIMAL):
        return node
    return exp.DataType.build("DECIMAL(38, 9)" if node.this == exp.DType.DECIMAL else "DECIMAL(38, 18)", dialect="duckdb")


_STRICT = {
    exp.DType.BIGINT: "rowferry_int64",
    exp.DType.DOUBLE: "rowferry_float64",
    exp.DType.BOOLEAN: "rowferry_bool",
    exp.DType.DATE: "rowferry_date",
    exp.DType.TIME: "rowferry_time",
    exp.DType.TIMESTAMP: "rowferry_datetime",
    exp.DType.TIMESTAMPTZ: "rowferry_timestamp",
    exp.DType.TEXT: "rowferry_text",
}


def strict_cast(node: exp.Expr) -> exp.Expr:
    """SAFE_CAST, and CAST to STRING, by BigQuery's rules (needs the macros)."""
    if not isinstance(node, exp.Cast) or isinstance(node.this, exp.Parameter):
        return node
    if node.to.sql(dialect="duckdb") == "DECIMAL(38, 9)":
        # DuckDB reads a decimal of more than 64 bits ten times slower: few need it.
        short = exp.TryCast(this=node.this.copy(), to=exp.DataType.build("DECIMAL(18, 9)", dialect="duckdb"))
        return exp.Coalesce(this=short, expressions=[node.copy()])
    macro = _STRICT.get(node.to.this) if isinstance(node, exp.TryCast) or node.to.this == exp.DType.TEXT else None
    return _call(macro, node.this) if macro else node


def _array_agg(node: exp.Expr) -> exp.Expr:
    """DuckDB's ARRAY_AGG knows no LIMIT and no IGNORE NULLS."""
    body, limit = node.this, None
    if isinstance(body, exp.Limit):
        body, limit = body.this, body.expression
    made: exp.Expr = exp.ArrayAgg(this=body.copy())
    if isinstance(node.parent, exp.IgnoreNulls):
        value = body.this if isinstance(body, exp.Order) else body
        value = value.expressions[0] if isinstance(value, exp.Distinct) else value
        made = exp.Filter(this=made, expression=exp.Where(this=exp.not_(exp.Is(this=value.copy(), expression=exp.null()))))
    return _call("ARRAY_SLICE", made, exp.Literal.number(1), limit) if limit else made


def _ignore_nulls(node: exp.Expr) -> exp.Expr:
    """What `_array_agg` has seen to; other functions have their IGNORE NULLS in DuckDB as well."""
    return node.this if isinstance(node.this, exp.Filter | exp.Anonymous) else node


def _as_timestamp(node: exp.Expr) -> exp.Expr:
    """What BigQuery makes a TIMESTAMP, DuckDB makes without a zone; a zone given to PARSE_TIMESTAMP would be dropped."""
    zone = node.args.get("zone")
    if zone is None:
        return _cast(node, "TIMESTAMPTZ")
    node.set("zone", None)
    return _call("TIMEZONE", zone, _cast(node, "TIMESTAMP"))


def _as_date(node: exp.Expr) -> exp.Expr:
    """A DATE moved or cut stays a DATE; DuckDB makes a TIMESTAMP of it."""
    return _cast(_sunday_week(node), "DATE")


def _sunday_week(node: exp.Expr) -> exp.Expr:
    """BigQuery's WEEK begins on Sunday, DuckDB's (and ISOWEEK) on Monday."""
    unit = node.args.get("unit")
    name = unit.name.upper() if unit is not None else ""
    if name == "ISOWEEK":
        node.set("unit", exp.Literal.string("WEEK"))
    if name != "WEEK" or not isinstance(node, exp.DateTrunc | exp.TimestampTrunc | exp.DatetimeTrunc):
        return node
    day = exp.Interval(this=exp.Literal.string("1"), unit=exp.Var(this="DAY"))
    node.set("this", exp.Add(this=exp.paren(node.this.copy()), expression=day.copy()))
    return exp.paren(exp.Sub(this=node.copy(), expression=day))


def _whole_intervals(node: exp.Expr) -> exp.Expr:
    """TIMESTAMP_DIFF counts whole hours; DuckDB's DATE_DIFF counts the full hours passed on the clock."""
    return _call("DATE_SUB", exp.Literal.string(node.args["unit"].name), node.expression, node.this)


def _unix_seconds(node: exp.Expr) -> exp.Expr:
    """Cut, not rounded."""
    return _cast(exp.Floor(this=_call("EPOCH", node.this)), "BIGINT")


def _regexp_extract(node: exp.Expr) -> exp.Expr:
    """NULL where nothing matches, not ''."""
    return exp.If(this=_call("REGEXP_MATCHES", node.this, node.expression), true=node.copy())


def _extract(node: exp.Expr) -> exp.Expr:
    """Sunday is 1, in DuckDB 0."""
    if node.name.upper() != "DAYOFWEEK":
        return node
    return exp.paren(exp.Add(this=node.copy(), expression=exp.Literal.number(1)))


def _format_time(node: exp.Expr) -> exp.Expr:
    """The zone of FORMAT_TIMESTAMP, which sqlglot drops."""
    zone = node.args.get("zone")
    if zone is None:
        return node
    return _call("STRFTIME", _call("TIMEZONE", zone, _cast(node.this.this, "TIMESTAMPTZ")), node.args["format"])


def _parse_datetime(node: exp.Expr) -> exp.Expr:
    return _cast(_call("STRPTIME", node.this, node.args["format"]), "TIMESTAMP")


def _json_text(node: exp.Expr) -> exp.Expr:
    """TO_JSON_STRING of NULL is the text null."""
    return exp.Coalesce(this=node.copy(), expressions=[exp.Literal.string("null")])


def _normalize(node: exp.Expr) -> exp.Expr:
    normal = _call("NFC_NORMALIZE", node.this)
    return exp.Lower(this=normal) if node.args.get("is_casefold") else normal


def _safe_function(node: exp.Expr) -> exp.Expr:
    return _call("TRY", node.this)


def _lenient_json(node: exp.Expr) -> exp.Expr:
    """What is read out of a text that is no JSON is NULL, no error."""
    return _call("TRY", node)


def _printf(node: exp.Expr) -> exp.Expr:
    return _call("PRINTF", node.this, *node.expressions)


REWRITES: dict[type[exp.Expr], Rewrite] = {
    exp.ArrayAgg: _array_agg,
    exp.Cast: strict_cast,
    exp.DataType: _numeric,
    exp.DateAdd: _as_date,
    exp.DateSub: _as_date,
    exp.DateTrunc: _as_date,
    exp.DatetimeTrunc: _sunday_week,
    exp.Extract: _extract,
    exp.Format: _printf,
    exp.IgnoreNulls: _ignore_nulls,
    exp.JSONExtract: _lenient_json,
    exp.JSONExtractScalar: _lenient_json,
    exp.JSONFormat: _json_text,
    exp.Normalize: _normalize,
    exp.ParseDatetime: _parse_datetime,
    exp.RegexpExtract: _regexp_extract,
    exp.SafeFunc: _safe_function,
    exp.StrToTime: _as_timestamp,
    exp.TimeToStr: _format_time,
    exp.TimestampDiff: _whole_intervals,
    exp.TimestampTrunc: _sunday_week,
    exp.TryCast: strict_cast,
    exp.UnixSeconds: _unix_seconds,
    exp.UnixToTime: _as_timestamp,
}
