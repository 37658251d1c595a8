"""Avro files, row by row. The file says its own types; they arrive as text like all others."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import IO, Any

from rowferry.errors import FileRejected
from rowferry.loads.textvalues import shortest_float32

_CUT_OFF = "the Avro file ends in the middle, or is damaged (after row {rows}); deliver it again"


def read_avro(stream: IO[bytes]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each record with its number in the file, from 1 (a line has no meaning there).

    The codecs null, deflate, bzip2, xz, snappy and zstandard. Raises
    `FileRejected` for a file that is cut off or damaged: an export's broken upload leaves such
    objects, and the sender writes a whole one beside it (braze.com/docs, Currents to GCS).
    """
    import fastavro

    rows = 0
    with _explained(lambda: rows):
        reader = fastavro.reader(stream)
        floats = _float32_fields(reader.writer_schema)
        for record in reader:
            rows += 1
            if not isinstance(record, dict):
                raise FileRejected("wrong_format", "the Avro file holds no records")
            for name in floats:
                if record.get(name) is not None:
                    record[name] = shortest_float32(record[name])
            yield rows, record


def read_header(stream: IO[bytes]) -> tuple[Any, str]:
    """The schema and the codec at the file's start. Raises `FileRejected`."""
    import fastavro

    with _explained(lambda: 0):
        reader = fastavro.reader(stream)
        return reader.writer_schema, str(reader.codec)


def count_rows(stream: IO[bytes]) -> int:
    """The rows that the file's blocks say they have; the rows themselves are not decoded. Raises `FileRejected`."""
    import fastavro

    rows = 0
    with _explained(lambda: rows):
        for block in fastavro.block_reader(stream):
            rows += block.num_records
    return rows


@contextmanager
def _explained(rows: Callable[[], int]) -> Iterator[None]:
    """Turn what the decoder raises into a sentence; `rows` says how far it came."""
    import fastavro

    try:
        yield
    except _damage() as error:
        if "codec" in str(error):
            raise FileRejected("codec", f"its Avro codec can't be read here: {error}") from None
        raise FileRejected("truncated", _CUT_OFF.format(rows=rows())) from None
    except fastavro.schema.SchemaParseException:
        raise FileRejected("damaged", "the Avro file's own schema is damaged; deliver it again") from None


@cache
def _damage() -> tuple[type[Exception], ...]:
    """What is raised where bytes are missing or changed: by the decoder, and by the packages of snappy and zstandard."""
    found: list[type[Exception]] = [EOFError, IndexError, KeyError, TypeError, ValueError, OverflowError, MemoryError, zlib.error]
    for module, name in (("cramjam", "DecompressionError"), ("backports.zstd", "ZstdError"), ("compression.zstd", "ZstdError")):
        with suppress(ImportError):
            found.append(getattr(import_module(module), name))
    return tuple(found)


def _float32_fields(schema: Any) -> list[str]:
    """Top-level fields of 32 bits: widened to 64 they would show digits that nobody wrote."""
    fields = schema.get("fields", []) if isinstance(schema, dict) else []
    return [field["name"] for field in fields if _holds_float(field["type"])]


def _holds_float(kind: Any) -> bool:
    if isinstance(kind, list):
        return any(_holds_float(branch) for branch in kind)
    return kind == "float" or (isinstance(kind, dict) and kind.get("type") == "float")
