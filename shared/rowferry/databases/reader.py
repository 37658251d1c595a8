"""A model's rows out of a database, page by page, in bounded memory.

With a key, pages follow each other by the key (`WHERE key > last ORDER BY key`), so that no page is read
twice and none skipped whatever is inserted meanwhile. Without one, or from a procedure, the rows stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, FromClause, Select, and_, column, literal_column, or_, select, text

from rowferry.databases.database import Database
from rowferry.settings.sync import Model

Row = Mapping[str, Any]


def read_rows(
    database: Database,
    model: Model,
    key: Sequence[str],
    *,
    columns: Sequence[str] = (),
    cursor: str | None = None,
    above: Any = None,
    upto: Any = None,
) -> Iterator[Row]:
    """Every row of the model, with these columns as the database spells them; without any, or from a procedure, with all.
    With a `cursor`, only rows between `above` (None: no bound) and `upto`, or without one. Raises what `Database.connection` raises."""
    if model.procedure is not None:
        yield from _stream(database, _call(database, model), dict(model.parameters))
        return
    source = _source(database, model)
    wanted: list[Any] = [column(name) for name in columns] or [literal_column("*")]
    statement: Select[Any] = select(*wanted).select_from(source)
    names = column_names(database, model) if cursor or key else []
    if cursor is not None:
        statement = statement.where(_within(_spelled(cursor, names), above, upto))
    if not key:
        yield from _stream(database, statement, {})
        return
    yield from _pages(database, statement, [column(_spelled(name, names)) for name in key])


def column_names(database: Database, model: Model) -> list[str]:
    """The names of the model's columns, in its order; none for a procedure, whose rows tell."""
    if model.procedure is not None:
        return []
    with database.connection() as connection:
        return list(connection.execute(select(literal_column("*")).select_from(_source(database, model)).limit(0)).keys())


def _spelled(name: str, names: Sequence[str]) -> str:
    """The column's name as the database spells it: in the settings, as in BigQuery, names have no case."""
    return name if name in names else next((found for found in names if found.lower() == name.lower()), name)


def _source(database: Database, model: Model) -> FromClause:
    if model.table is not None:
        return database.table(model.table)
    sql = str(model.sql).strip().rstrip(";").replace(":", r"\:")  # a colon is no parameter here: '12:30', x::date
    return text(f"{sql}\n").columns().subquery("model")  # the line break ends a comment that may stand last


def _within(cursor: str, above: Any, upto: Any) -> Any:
    field: Any = column(cursor)
    bounds = [field <= upto] if upto is not None else []
    bounds += [field >= above] if above is not None else []
    return or_(field.is_(None), and_(*bounds)) if bounds else text("1 = 1")


def _pages(database: Database, statement: Select[Any], key: list[Any]) -> Iterator[Row]:
    # Rows without a key come first and once: no page can follow them.
    missing = or_(*(part.is_(None) for part in key))
    yield from _stream(database, statement.where(missing), {})
    present = statement.where(and_(*(part.is_not(None) for part in key))).order_by(*key).limit(database.page_rows)
    last: list[Any] | None = None
    while True:
        with database.connection() as connection:
            page = _page(connection, present if last is None else present.where(_after(key, last)))
        if len(page) < database.page_rows:
            yield from page
            return
        # Rows that share the last key may go on behind the page's end, and only the database knows which do, for it
        # may compare without case or accents: those are read by themselves.
        last, spelled = _key_of(page[-1], key), set[str]()
        for row in _stream(database, statement.where(and_(*(part == value for part, value in zip(key, last, strict=True)))), {}):
            spelled.add(repr(_key_of(row, key)))
            yield row
        yield from (row for row in page if repr(_key_of(row, key)) not in spelled)


def _key_of(row: Row, key: list[Any]) -> list[Any]:
    return [row[part.name] for part in key]


def _after(key: list[Any], last: list[Any]) -> Any:
    """`(a, b) > (x, y)` spelled out: not every database compares rows."""
    alternatives = []
    for place, (part, value) in enumerate(zip(key, last, strict=True)):
        before = [earlier == reached for earlier, reached in zip(key[:place], last[:place], strict=True)]
        alternatives.append(and_(*before, part > value))
    return or_(*alternatives)


def _page(connection: Connection, statement: Any) -> list[Row]:
    return [dict(row) for row in connection.execute(statement).mappings()]


def _stream(database: Database, statement: Any, parameters: dict[str, Any]) -> Iterator[Row]:
    with database.connection() as connection:
        options = {"stream_results": True, "yield_per": database.page_rows}
        for row in connection.execution_options(**options).execute(statement, parameters).mappings():
            yield dict(row)


def _call(database: Database, model: Model) -> Any:
    name = database.dialect.identifier_preparer.quote(str(model.procedure)) if "." not in str(model.procedure) else str(model.procedure)
    names = list(model.parameters)
    if database.dialect.name == "mssql":
        return text(f"EXEC {name} {', '.join(f'@{n} = :{n}' for n in names)}".strip())
    if database.dialect.name in ("mysql", "mariadb"):
        return text(f"CALL {name}({', '.join(f':{n}' for n in names)})")
    return text(f"SELECT * FROM {name}({', '.join(f':{n}' for n in names)})")
