"""The DuckDB file: opened when it is needed, let go of after work, waited for when another process has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from rowferry.clock import Clock
from rowferry.errors import RowferryError, TryLater
from rowferry.warehouse.duckdb_errors import meaning, translated
from rowferry.warehouse.duckdb_macros import MACROS
from rowferry.warehouse.duckdb_types import quote_text
from rowferry.warehouse.port import WarehouseError

_BUSY_SECONDS = 60.0  # how long a call waits for another process to let go of the file
_PAUSE_SECONDS = 0.05
_DATABASE = "_rowferry_file"  # a name that no schema has


class DuckDbFile:
    """Cursors over one database file. Safe for threads; only one process at a time holds the file.

    The file is opened by the first cursor. `release` closes it as soon as no cursor is in use.
    """

    def __init__(self, path: Path, options: dict[str, str], clock: Clock) -> None:
        self._path = path
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._root: duckdb.DuckDBPyConnection | None = None
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._in_use = 0
        self._let_go = False

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of one's own, with our macros. Raises `TryLater` while another process has the file."""
        cursor = self._take()
        try:
            yield cursor
        except BaseException:
            cursor.close()  # it may be in a transaction, or in the middle of a result
            self._give_back(None)
            raise
        self._give_back(cursor)

    def release(self) -> None:
        """Close the file now, or when the last cursor in use is given back."""
        with self._lock:
            self._let_go = True
            self._close_if_unused()

    def _take(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            self._let_go = False
            if self._root is None:
                self._root = self._open()
            cursor = self._idle.pop() if self._idle else _prepared(self._root.cursor())
            self._in_use += 1
            return cursor

    def _give_back(self, cursor: duckdb.DuckDBPyConnection | None) -> None:
        with self._lock:
            self._in_use -= 1
            if cursor is not None:
                self._idle.append(cursor)
            if self._let_go:
                self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._in_use or self._root is None:
            return
        for cursor in self._idle:
            cursor.close()
        self._idle.clear()
        self._root.close()
        self._root = None

    def _open(self) -> duckdb.DuckDBPyConnection:
        with translated():
            self._path.parent.mkdir(parents=True, exist_ok=True)
        until = self._clock.monotonic() + _BUSY_SECONDS
        while True:
            try:
                return self._attached()
            except duckdb.IOException as error:
                if not _is_lock(error):
                    raise self._unopened(error) from None
                if self._clock.monotonic() >= until:
                    raise TryLater(f"another process holds the warehouse file {self._path.name}; try again when it has ended") from None
            self._clock.sleep(_PAUSE_SECONDS)

    def _unopened(self, error: duckdb.Error) -> RowferryError:
        """No row has been read yet, so DuckDB's own words show nothing that stands in one."""
        found = meaning(error)
        return found if isinstance(found, TryLater) else WarehouseError(f"the warehouse can't be opened: {str(error).splitlines()[0]}")

    def _attached(self) -> duckdb.DuckDBPyConnection:
        """The file under a name of ours: opened directly, its database would be called as the file is, and
        `crm.customers` in a file `crm.duckdb` could mean two things. Objects of one process share it."""
        root = duckdb.connect(f":memory:{self._path.resolve()}", config=dict(self._options))
        try:
            root.execute(f"ATTACH IF NOT EXISTS {quote_text(str(self._path))} AS {_DATABASE}")
        except duckdb.Error:
            root.close()
            raise
        return root


def _prepared(cursor: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    cursor.execute(f"USE {_DATABASE}")
    cursor.execute("SET TimeZone = 'UTC'")
    for macro in MACROS:
        cursor.execute(macro)
    return cursor


def _is_lock(error: duckdb.Error) -> bool:
    text = str(error).lower()
    return "lock on file" in text or "used by another process" in text
