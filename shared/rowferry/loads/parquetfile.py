"""Parquet files as text, by DuckDB: the one library for it that is small enough to come along."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from rowferry.errors import FileRejected

_MEMORY = "512MB"
_NESTED = ("struct", "map", "list", "array", "union")


def parquet_to_csv(file: Path, out: Path) -> tuple[tuple[str, ...], int]:
    """Write a CSV without header of every column as text, and each row's number as last column.

    NULL is an empty cell, every other one is quoted; nested values are JSON, bytes Base64. Returns
    the columns' names and the rows. `file` must have a plain name. Raises `FileRejected`.
    """
    with _Reader() as reader:
        columns = reader.columns(file)
        texts = ", ".join(_text(name, kind) for name, kind in columns)
        select = f"SELECT {texts}, row_number() OVER () FROM read_parquet({_quoted(file)})"
        count = reader.run(f"COPY ({select}) TO {_quoted(out)} (FORMAT csv, HEADER false, FORCE_QUOTE *)")
    return tuple(name for name, _ in columns), count


def parquet_to_json_lines(file: Path, out: Path) -> None:
    """Write a line of JSON for each row, for files whose nested columns become columns of their own."""
    with _Reader() as reader:
        reader.run(f"COPY (SELECT * FROM read_parquet({_quoted(file)})) TO {_quoted(out)} (FORMAT json)")


class _Reader:
    """An empty DuckDB in bounded memory, its errors told as the file's."""

    def __enter__(self) -> Self:
        import duckdb

        self._error = duckdb.Error
        self._connection = duckdb.connect(config={"memory_limit": _MEMORY, "autoinstall_known_extensions": "false"})
        self._connection.execute("SET TimeZone = 'UTC'")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def columns(self, file: Path) -> list[tuple[str, Any]]:
        """Names and DuckDB's types."""
        self._execute(f"SELECT * FROM read_parquet({_quoted(file)}) LIMIT 0")
        return [(column[0], column[1]) for column in self._connection.description or ()]

    def run(self, statement: str) -> int:
        """Run a COPY; the rows it wrote."""
        self._execute(statement)
        row = self._connection.fetchone()
        return int(row[0]) if row else 0

    def _execute(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except self._error as error:
            if "No space" in str(error) or "Out of Memory" in str(error):
                raise
            raise FileRejected("damaged", "the Parquet file is cut off or damaged; deliver it again") from None


def _text(name: str, kind: Any) -> str:
    column = '"' + name.replace('"', '""') + '"'
    if str(kind.id) in _NESTED:
        return f"CAST(to_json({column}) AS VARCHAR)"
    return f"to_base64({column})" if str(kind.id) == "blob" else f"CAST({column} AS VARCHAR)"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
