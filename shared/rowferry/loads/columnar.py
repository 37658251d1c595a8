"""Parquet and Avro files as text, by DuckDB: the one library for both that is small enough to come along.

For Avro it needs its extension, which is a package of its own; where that is missing, and for the
types it does not know as we do, `avrorows` reads the file, at a seventh of the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from rowferry.errors import FileRejected
from rowferry.loads.avrorows import count_rows, read_header

_MEMORY = "512MB"
_NESTED = ("struct", "map", "list", "array", "union")
_CODECS = ("null", "deflate")  # what the extension reads of those that Avro has
_SIMPLE_AVRO = frozenset({"null", "boolean", "int", "long", "float", "double", "string"})


def parquet_to_csv(files: Sequence[Path], out: Path) -> tuple[tuple[str, ...], int]:
    """Write a CSV without header of every column of the files as text, and each row's number as last column.

    NULL is an empty cell, every other one is quoted; nested values are JSON, bytes Base64. Returns
    the columns' names and the rows. Raises `FileRejected`.
    """
    with _Reader() as reader:
        return reader.to_csv(_read_parquet(files), out)


def parquet_to_json_lines(files: Sequence[Path], out: Path) -> None:
    """Write a line of JSON for each row, for files whose nested columns become columns of their own."""
    with _Reader() as reader:
        reader.run(f"COPY (SELECT * FROM {_read_parquet(files)}) TO {_quoted(out)} (FORMAT json)")


def avro_to_csv(files: Sequence[Path], out: Path) -> tuple[tuple[str, ...], int] | None:
    """As `parquet_to_csv`; None when they have to be read another way. Raises `FileRejected`.

    DuckDB takes the end of a cut-off file for its end (extension of 1.5.5), so the rows that the
    file's own blocks promise are counted first.
    """
    if len(files) > 1 or find_spec("duckdb_extensions") is None:
        return None
    file = files[0]
    with file.open("rb") as stream:
        schema, codec = read_header(stream)
        if not _is_simple(schema) or codec not in _CODECS:
            return None
        stream.seek(0)
        promised = count_rows(stream)
    with _Reader() as reader:
        if not reader.load_avro():
            return None
        names, count = reader.to_csv(f"read_avro({_quoted(file)})", out)
    if count != promised:
        raise FileRejected("damaged", f"the Avro file promises {promised} rows and has {count}; deliver it again")
    return names, count


class _Reader:
    """An empty DuckDB in bounded memory, its errors told as the file's."""

    def __enter__(self) -> Self:
        try:
            import duckdb
        except ImportError:
            raise FileRejected("codec", "a Parquet file needs the package duckdb, which is not installed here") from None
        self._error = duckdb.Error
        self._connection = duckdb.connect(config={"memory_limit": _MEMORY, "autoinstall_known_extensions": "false"})
        self._connection.execute("SET TimeZone = 'UTC'")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def load_avro(self) -> bool:
        """Whether the extension for Avro is there."""
        import duckdb_extensions

        try:
            duckdb_extensions.import_extension("avro")
            self._connection.execute("LOAD avro")
        except (self._error, ImportError, OSError, ValueError):
            return False
        return True

    def to_csv(self, source: str, out: Path) -> tuple[tuple[str, ...], int]:
        """Every column of a table function as text; names and rows."""
        self._execute(f"SELECT * FROM {source} LIMIT 0")
        columns = [(column[0], column[1]) for column in self._connection.description or ()]
        texts = ", ".join(_text(name, kind) for name, kind in columns)
        select = f"SELECT {texts}, row_number() OVER () FROM {source}"
        count = self.run(f"COPY ({select}) TO {_quoted(out)} (FORMAT csv, HEADER false, FORCE_QUOTE *)")
        return tuple(name for name, _ in columns), count

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
            raise FileRejected("damaged", "the file is cut off or damaged; deliver it again") from None


def _is_simple(schema: Any) -> bool:
    """Whether a schema has nothing but what Currents has: plain types, none of them logical, and lists of texts."""
    fields = schema.get("fields", []) if isinstance(schema, dict) else []
    return bool(fields) and all(_is_plain(field["type"]) for field in fields)


def _is_plain(kind: Any) -> bool:
    if isinstance(kind, list):
        return len(kind) == 2 and "null" in kind and all(_is_plain(branch) for branch in kind)
    if isinstance(kind, dict):
        if kind.get("type") == "array":
            return kind["items"] in ("string", ["null", "string"])
        return "logicalType" not in kind and kind.get("type") in _SIMPLE_AVRO
    return kind in _SIMPLE_AVRO


def _text(name: str, kind: Any) -> str:
    column = '"' + name.replace('"', '""') + '"'
    if str(kind.id) in _NESTED:
        return f"CAST(to_json({column}) AS VARCHAR)"
    return f"to_base64({column})" if str(kind.id) == "blob" else f"CAST({column} AS VARCHAR)"


def _read_parquet(files: Sequence[Path]) -> str:
    """A table function over the files of an archive, whose columns may differ."""
    return f"read_parquet([{', '.join(map(_quoted, files))}], union_by_name = true)"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
