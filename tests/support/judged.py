"""An embedded warehouse that shows each statement to Google's analyzer before it runs it.

What the judge refuses would run in DuckDB and fail in BigQuery. `judged` counts the statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from rowferry.warehouse.duckdb import DuckDbWarehouse
from rowferry.warehouse.port import Params
from support.zetasql import Oracle, Refused

_DML = re.compile(r"(?:\s|--[^\n]*\n)*(INSERT|UPDATE|DELETE|MERGE|TRUNCATE)\b", re.IGNORECASE)
_TABLE = re.compile(r"`(\w+\.[\w-]+)`")


class NotBigQuery(AssertionError):
    """The statement that BigQuery would not take, and why."""


class JudgedWarehouse(DuckDbWarehouse):
    """`DuckDbWarehouse`, strict. Tables are declared to the analyzer as they are when the statement runs."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.judged = 0

    def query(self, sql: str, params: Params | None = None) -> Iterator[dict[str, Any]]:
        """Judge, then run."""
        self.judge(sql, params)
        return super().query(sql, params)

    def describe(self, sql: str) -> dict[str, str]:
        """Judge, then run; the analyzer must name the same columns."""
        found = super().describe(sql)
        named = self._oracle(sql).columns(sql)
        if named != list(found):
            raise NotBigQuery(f"BigQuery calls the columns {named}, DuckDB {list(found)}:\n{sql}")
        return found

    def create_as(self, table: str, sql: str, params: Params | None = None, **named: Any) -> None:
        """Judge, then run."""
        self.judge(sql, params)
        super().create_as(table, sql, params, **named)

    def apply(self, statements: Sequence[str], params: Params | None = None, *, once: str) -> bool:
        """Judge all, then run. A transaction of BigQuery's takes no DDL."""
        for statement in statements:
            self.judge(statement, params)
            if not _DML.match(statement):
                raise NotBigQuery(f"BigQuery takes only INSERT, UPDATE, DELETE, MERGE and TRUNCATE in a transaction:\n{statement}")
        return super().apply(statements, params, once=once)

    def replace_view(self, view: str, sql: str) -> None:
        """Judge, then run."""
        self.judge(sql, None)
        super().replace_view(view, sql)

    def judge(self, sql: str, params: Params | None) -> None:
        """Raises `NotBigQuery` with the statement and Google's words."""
        self.judged += 1
        try:
            self._oracle(sql).analyze(sql, {name: param.type for name, param in (params or {}).items()})
        except Refused as refused:
            raise NotBigQuery(f"{refused}\n\n{sql}") from None

    def _oracle(self, sql: str) -> Oracle:
        tables = {name: self.columns(name) for name in sorted(set(_TABLE.findall(sql)))}
        return Oracle({name: columns for name, columns in tables.items() if columns is not None})
