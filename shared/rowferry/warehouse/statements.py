"""The SQL we ship: files under `sql/`, in BigQuery's dialect, with holes for names only.

Values never go through a template: they are parameters (`@since`). A hole must say what it
is, or rendering fails:

    {{ target | table }}             a table, as `Warehouse.quote` gave it
    {{ key | column }}               a column: `customer_id`
    {{ names | columns }}            columns, with commas; `columns('t')` puts t. before each
    {{ kind | type }}                a column type: NUMERIC
    {{ model | query }}              a SELECT from the settings, in brackets
    {{ '$.id' | text }}              a constant text of ours
    {{ 30 | number }}                a whole number of ours
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from rowferry.warehouse.names import quote_column
from rowferry.warehouse.port import WarehouseError
from rowferry.warehouse.types import parse_type

SQL_FOLDER = Path(__file__).parent / "sql"
_QUOTED_TABLE = re.compile(r"`[A-Za-z0-9_.:-]+`")
_TOKEN = re.compile(
    r"""(?P<long>'''|\"\"\")(?:\\.|.)*?(?P=long)"""  # strings over several lines
    r"""|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`"""  # strings and quoted names
    r"""|--[^\n]*|\#[^\n]*|/\*.*?\*/"""  # comments
    r"""|(?P<end>;)""",
    re.DOTALL,
)


class Sql(str):
    """Text that a filter has checked and that may stand in a statement as it is."""

    __slots__ = ()


def render(name: str, /, **names: Any) -> str:
    """The statement (or script) of `sql/<name>.sql` with its names filled in.

    Raises `WarehouseError` when a name is missing, is no proper name, or would go in unchecked.
    """
    try:
        return _environment().get_template(f"{name}.sql").render(**names).strip()
    except TemplateError as error:
        raise WarehouseError(f"sql/{name}.sql can't be rendered: {error}") from None


def split(script: str) -> list[str]:
    """The statements of a script, without the semicolons; those inside texts and comments part nothing."""
    parts, start = [], 0
    for token in _TOKEN.finditer(script):
        if token["end"]:
            parts.append(script[start : token.start()])
            start = token.end()
    parts.append(script[start:])
    return [part.strip() for part in parts if _TOKEN.sub(_without_comment, part).strip()]


def _without_comment(token: re.Match[str]) -> str:
    return "" if token[0].startswith(("--", "#", "/*")) else token[0]


@cache
def _environment() -> Environment:
    environment = Environment(  # noqa: S701 (this is SQL: `_checked` guards it, HTML's escapes would break it)
        loader=FileSystemLoader(SQL_FOLDER), undefined=StrictUndefined, finalize=_checked, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters = {
        "table": _table,
        "column": _column,
        "columns": _columns,
        "type": _type,
        "query": _query,
        "text": _text,
        "number": _number,
    }
    return environment


def _checked(value: Any) -> Any:
    if not isinstance(value, Sql | StrictUndefined):
        raise WarehouseError(f"a {type(value).__name__} may not stand in a statement unchecked; say what it is: {{{{ … | column }}}}")
    return value


def _table(quoted: str) -> Sql:
    if not _QUOTED_TABLE.fullmatch(str(quoted)):
        raise WarehouseError(f"{quoted!r} is no quoted table; use Warehouse.quote")
    return Sql(quoted)


def _column(name: str) -> Sql:
    return Sql(quote_column(str(name)))


def _columns(names: Iterable[str], alias: str = "") -> Sql:
    if alias and not alias.isidentifier():
        raise WarehouseError(f"{alias!r} is no alias")
    before = f"{alias}." if alias else ""
    return Sql(", ".join(before + quote_column(name) for name in names))


def _type(text: str) -> Sql:
    return Sql(parse_type(text))


def _query(sql: str) -> Sql:
    statements = split(sql)
    if len(statements) != 1:
        raise WarehouseError(f"expected one SELECT, found {len(statements)} statements")
    return Sql(f"(\n{statements[0]}\n)")  # the line break ends a comment that may stand last


def _text(value: str) -> Sql:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return Sql(f"'{escaped}'")


def _number(value: int) -> Sql:
    return Sql(int(value))
