"""BigQuery's SQL for DuckDB: sqlglot translates, `duckdb_rewrites` puts right what it bends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rowferry.warehouse.duckdb_rewrites import REWRITES, strict_cast
from rowferry.warehouse.duckdb_types import to_duckdb
from rowferry.warehouse.port import Params, WarehouseError
from rowferry.warehouse.types import parse_type

# Our own tables whose names hold a hash, as they stand in a statement, up to their closing quote.
_PASSING_TABLE = re.compile(r"rowferry\.\w*[0-9a-f]{12}\w*`")
_UNDERLINED = re.compile(r"\x1b\[\d*m")  # sqlglot shows the place as a terminal would
_PASSING = "passing_table_of_rowferry_"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as DuckDB takes it, and the parameters it names."""

    sql: str
    params: tuple[str, ...]


def translate(sql: str, params: Params | None = None, *, macros: bool = True) -> Statement:
    """One statement of BigQuery's for DuckDB; parameters keep their declared types.

    Remembered by its text, but for the names of tables that are one file's or one run's: translating
    costs up to half a second. Without `macros` it runs in any program that opens the file, and casts of
    text are as lax as DuckDB's. Raises `WarehouseError` for what does not parse.
    """
    names = list(dict.fromkeys(_PASSING_TABLE.findall(sql)))
    for place, name in enumerate(names):
        sql = sql.replace(name, f"rowferry.{_PASSING}{place}`")
    found = _translate(sql, tuple((name, param.type) for name, param in (params or {}).items()), macros)
    text = found.sql
    for place, name in reversed(list(enumerate(names))):
        text = text.replace(f"{_PASSING}{place}", name[len("rowferry.") : -1])
    return Statement(text, found.params)


@lru_cache(maxsize=1024)
def _translate(sql: str, types: tuple[tuple[str, str], ...], macros: bool) -> Statement:
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="bigquery") if tree is not None]
    except SqlglotError as error:
        said = _UNDERLINED.sub("", " ".join(str(error).split()))
        raise WarehouseError(f"the statement is no BigQuery SQL: {said[:300]}") from None
    if len(trees) != 1:
        raise WarehouseError(f"expected one statement, found {len(trees)}")
    tree, named = trees[0], dict(types)
    used = _type_parameters(tree, named)
    for node in reversed(list(tree.walk())):  # children before parents
        rewrite = REWRITES.get(type(node))
        if rewrite and (macros or rewrite is not strict_cast):
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
