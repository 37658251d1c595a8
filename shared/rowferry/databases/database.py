"""One database: its connection, and what its errors mean to a sync."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, exc, make_url

from rowferry.errors import CredentialsError, SourceError, TryLater, UsageError

# The driver that we bring, where a URL names none: SQLAlchemy would take another one, and does not know `postgres:`,
# which is what hosting companies write.
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mssql": "mssql+pymssql",
}
_QUOTED = re.compile(r"('.*'|\".*\")")
_REFUSED = ("password authentication failed", "access denied", "login failed", "no pg_hba.conf entry", "role ")


class Database:
    """A database by its SQLAlchemy URL. The URL holds a password and shows in no error and no repr."""

    def __init__(self, name: str, url: str, *, page_rows: int = 5000, timeout_seconds: float = 60.0) -> None:
        """Raises `UsageError` when the URL is none, or its driver is not installed."""
        self.name = name
        self.page_rows = page_rows
        try:
            parsed = make_url(url)
            parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
            self._engine: Engine = create_engine(
                parsed, pool_pre_ping=True, connect_args=_timeout(parsed.get_backend_name(), timeout_seconds)
            )
        except exc.ArgumentError:
            raise UsageError(
                f"databases.{name}.url is no SQLAlchemy URL; expected e.g. postgresql://user:password@host/shop or sqlite:////srv/shop.db"
            ) from None
        except ImportError as error:
            raise UsageError(
                f"databases.{name} needs the driver {error.name}, which is not installed; rowferry[sql] brings psycopg, pymysql and pymssql"
            ) from None

    def __repr__(self) -> str:
        return f"<Database {self.name}>"

    @property
    def dialect(self) -> Any:
        """SQLAlchemy's dialect, for statements that differ."""
        return self._engine.dialect

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in a transaction that commits at the end of the block.

        Raises `TryLater` when the database is out of reach or busy, `CredentialsError` when it refuses
        us, `SourceError` for a statement or table that is wrong.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except exc.DBAPIError as error:
            raise self._meaning(error) from None
        except exc.NoSuchTableError as error:
            raise SourceError(f"databases.{self.name} has no table {error}") from None
        except exc.SQLAlchemyError as error:
            raise SourceError(f"databases.{self.name}: {type(error).__name__}: the statement can't be run") from None

    def table(self, name: str) -> Table:
        """A table with its columns as the database has them; `schema.table` or `table`."""
        schema, _, table = name.rpartition(".")
        with self.connection() as connection:
            return Table(table, MetaData(), schema=schema or None, autoload_with=connection)

    def _meaning(self, error: exc.DBAPIError) -> Exception:
        text = " ".join(str(error.orig).split())
        if any(word in text.lower() for word in _REFUSED) and isinstance(error, exc.OperationalError):
            return CredentialsError(f"databases.{self.name} refuses our user or password; check the secret")
        if isinstance(error, (exc.OperationalError, exc.InterfaceError)) and not _is_fault_of_statement(text):
            return TryLater(f"databases.{self.name} can't be used just now: {_first_words(text)}")
        if isinstance(error, exc.DataError):  # a value that Python or the database can't take; the engine quotes it
            told = _QUOTED.sub("a value", _first_words(text))
            return SourceError(f"databases.{self.name}: {told}; cast it, or leave it out, in the model")
        return SourceError(f"databases.{self.name}: {_first_words(text)}")

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def _is_fault_of_statement(text: str) -> bool:
    """SQLite tells of wrong statements as operational errors."""
    return any(words in text for words in ("no such table", "no such column", "syntax error"))


def _first_words(text: str) -> str:
    """The engine's own words without what follows: details quote values."""
    return text.partition("DETAIL")[0].partition("[SQL")[0].strip()[:300]


def _timeout(backend: str, seconds: float) -> dict[str, Any]:
    """How long to wait for the connection, in each driver's own word."""
    if backend in ("postgresql", "mysql", "mariadb"):
        return {"connect_timeout": max(1, round(seconds))}
    if backend == "mssql":
        return {"login_timeout": max(1, round(seconds))}
    return {"timeout": seconds} if backend == "sqlite" else {}
