"""BigQuery's SQL for DuckDB: sqlglot does most, what it lacks or bends is put right here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rowferry.warehouse.duckdb_types import to_duckdb
from rowferry.warehouse.port import Params, WarehouseError
from rowferry.warehouse.types import parse_type

# Functions of BigQuery that DuckDB has not, or has with other rules. They live as long as a connection.
MACROS = (
    # Not Google's value (that is FarmHash Fingerprint64), but as stable: a signed 64-bit number from MD5.
    "CREATE TEMP MACRO farm_fingerprint(v) AS (md5_number_lower(v)::HUGEINT - 9223372036854775808)::BIGINT",
    "CREATE TEMP MACRO safe_convert_bytes_to_string(v) AS TRY(decode(v))",
    # BigQuery reads text as a whole number only when it is one; DuckDB would round '1.5' and '1e3'.
    r"""CREATE TEMP MACRO rowferry_int64(v) AS CASE
    WHEN typeof(v) = 'VARCHAR' AND NOT regexp_full_match(CAST(v AS VARCHAR), '\s*[+-]?(\d+|0[xX][0-9a-fA-F]+)\s*') THEN NULL
    ELSE TRY_CAST(v AS BIGINT) END""",
    # true and false only; DuckDB also takes t, yes, 1 …
    """CREATE TEMP MACRO rowferry_bool(v) AS CASE
    WHEN typeof(v) = 'VARCHAR' AND lower(CAST(v AS VARCHAR)) NOT IN ('true', 'false') THEN NULL
    ELSE TRY_CAST(v AS BOOLEAN) END""",
)

# Our own tables whose names hold a hash, as they stand in a statement, up to their closing quote.
_PASSING_TABLE = re.compile(r"rowferry\.\w*[0-9a-f]{12}\w*`")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as DuckDB takes it, and the parameters it names."""

    sql: str
    params: tuple[str, ...]


def translate(sql: str, params: Params | None = None) -> Statement:
    """One statement of BigQuery's for DuckDB; parameters keep their declared types.

    Remembered by its text, but for the names of tables that are one file's or one run's: translating
    costs up to half a second. Raises `WarehouseError` for what does not parse.
    """
    names = list(dict.fromkeys(_PASSING_TABLE.findall(sql)))
    for place, name in enumerate(names):
        sql = sql.replace(name, f"rowferry.passing_{place}`")
    found = _translate(sql, tuple((name, param.type) for name, param in (params or {}).items()))
    text = re.sub(r"\bpassing_(\d+)\b", lambda place: names[int(place[1])][len("rowferry.") : -1], found.sql) if names else found.sql
    return Statement(text, found.params)


@lru_cache(maxsize=1024)
def _translate(sql: str, types: tuple[tuple[str, str], ...]) -> Statement:
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="bigquery") if tree is not None]
    except SqlglotError as error:
        raise WarehouseError(f"the statement is no BigQuery SQL: {' '.join(str(error).split())[:300]}") from None
    if len(trees) != 1:
        raise WarehouseError(f"expected one statement, found {len(trees)}")
    tree, named = trees[0], dict(types)
    used = _type_parameters(tree, named)
    for node in reversed(list(tree.walk())):  # children before parents
        rewrite = _REWRITES.get(type(node))
        if rewrite:
            node.replace(rewrite(node))
    return Statement(tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.IGNORE), used)


def _type_parameters(tree: exp.Expr, types: dict[str, str]) -> tuple[str, ...]:
    used: dict[str, None] = {}
    for node in list(tree.find_all(exp.Parameter)):
        name = node.name
        if name not in types:
            raise WarehouseError(f"the statement names the parameter @{name}, which was not given")
        used[name] = None
        kind = exp.DataType.build(to_duckdb(parse_type(types[name])), dialect="duckdb")
        node.replace(exp.Cast(this=node.copy(), to=kind))
    return tuple(used)


def _numeric(node: exp.Expr) -> exp.Expr:
    """NUMERIC has 9 digits after the point, DuckDB's bare DECIMAL only 3."""
    if node.expressions or node.this not in (exp.DType.DECIMAL, exp.DType.BIGDECIMAL):
        return node
    return exp.DataType.build("DECIMAL(38, 9)" if node.this == exp.DType.DECIMAL else "DECIMAL(38, 18)", dialect="duckdb")


_STRICT = {exp.DType.BIGINT: "rowferry_int64", exp.DType.BOOLEAN: "rowferry_bool"}


def _safe_cast(node: exp.Expr) -> exp.Expr:
    if not isinstance(node, exp.TryCast):
        return node
    if node.to.sql(dialect="duckdb") == "DECIMAL(38, 9)":
        # DuckDB reads a decimal of more than 64 bits a hundred times slower: few need it.
        short = exp.TryCast(this=node.this.copy(), to=exp.DataType.build("DECIMAL(18, 9)", dialect="duckdb"))
        return exp.Coalesce(this=short, expressions=[node.copy()])
    macro = _STRICT.get(node.to.this)
    return exp.Anonymous(this=macro, expressions=[node.this]) if macro else node


def _as_timestamp(node: exp.Expr) -> exp.Expr:
    """What BigQuery makes a TIMESTAMP, DuckDB makes without a zone."""
    return exp.Cast(this=node.copy(), to=exp.DataType.build("TIMESTAMPTZ", dialect="duckdb"))


def _as_date(node: exp.Expr) -> exp.Expr:
    """A DATE moved by days stays a DATE; DuckDB makes a TIMESTAMP of it."""
    return exp.Cast(this=node.copy(), to=exp.DataType.build("DATE", dialect="duckdb"))


def _safe_function(node: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="TRY", expressions=[node.this])


def _printf(node: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="PRINTF", expressions=[node.this, *node.expressions])


_REWRITES: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.DataType: _numeric,
    exp.TryCast: _safe_cast,
    exp.StrToTime: _as_timestamp,
    exp.UnixToTime: _as_timestamp,
    exp.DateAdd: _as_date,
    exp.DateSub: _as_date,
    exp.SafeFunc: _safe_function,
    exp.Format: _printf,
}
