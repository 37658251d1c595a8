"""What DuckDB's errors mean for us. Their texts quote cells of the data: those are masked."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from rowferry.errors import RowferryError, TryLater
from rowferry.warehouse.port import WarehouseError

# These speak of the statement alone; all others may quote what stands in a row.
_ABOUT_THE_STATEMENT = (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException)
_QUOTED = re.compile(r"'.*'|\".*\"|'.*|\".*", re.DOTALL)
_NUMBER = re.compile(r"(?<![A-Za-z_\d])[-+]?\d[\d.eE+:-]*")
_FULL = "the disk is full: make room where warehouse.path lies, then run the same again; nothing was half written"
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
_DISK_FULL = ("no space left", "max_temp_directory_size", "not enough space", "disk quota")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors, a full disk and one that refuses us into ours."""
    try:
        yield
    except duckdb.Error as error:
        raise meaning(error) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TryLater(_FULL) from None
        if error.errno in _REFUSALS and error.filename is not None:
            where = f"{error.filename} can't be written ({str(error.strerror).lower()})"
            raise WarehouseError(f"{where}: let this user write where warehouse.path lies") from None
        raise


def meaning(error: duckdb.Error) -> RowferryError:
    """The error a caller should see: `TryLater` for what passes, `WarehouseError` for what does not."""
    text = str(error)
    if any(sign in text.lower() for sign in _DISK_FULL):
        return TryLater(_FULL)
    if isinstance(error, duckdb.OutOfMemoryException):
        return WarehouseError("the embedded warehouse ran out of memory; raise warehouse.memory_limit")
    if is_conflict(error):
        return TryLater("another piece of work changed the same rows at the same time; try again")
    if isinstance(error, duckdb.FatalException):
        return TryLater(f"the embedded warehouse had to stop and opens anew: {masked(text)}")
    if isinstance(error, _ABOUT_THE_STATEMENT):
        return WarehouseError(_first_line(text))
    return WarehouseError(masked(text))


def is_conflict(error: duckdb.Error) -> bool:
    """Whether two transactions met on the same rows, so that the same again can work."""
    text = str(error).lower()
    return isinstance(error, duckdb.TransactionException) or "conflict" in text or "duplicate key" in text


def masked(text: str) -> str:
    """The text's kind and sentence without anything that could be a cell's content. On further lines the cell may stand
    once more, without quotes."""
    kind, colon, rest = text.partition(": ")
    said = " ".join(_NUMBER.sub("…", _QUOTED.sub("'…'", rest or kind).partition("\n")[0]).split())[:300]
    return f"{kind}{colon}{said}" if rest else said


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")[:300]
