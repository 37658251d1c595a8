"""Rows that were read here, as a CSV the warehouse loads: every cell quoted, so that NULL and '' stay apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rowferry.loads.badlines import BAD_COLUMNS, BadLine
from rowferry.loads.csvrows import Cells
from rowferry.loads.textvalues import to_text

_ROWS_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Spooled:
    """A spool file: its columns' names in the source, and the physical line of each row as last column."""

    path: Path
    names: tuple[str, ...]
    rows: int


def spool_cells(rows: Iterable[tuple[int, Cells | BadLine]], names: Sequence[str], path: Path, *, keep_bad: bool = False) -> Spooled:
    """Write rows that have a cell for each name; with `keep_bad`, two columns more for lines that are none."""
    nothing: Cells = [None] * len(names)
    none: Cells = [None, None] if keep_bad else []
    cells = ([*nothing, row.reason, row.text, str(line)] if isinstance(row, BadLine) else [*row, *none, str(line)] for line, row in rows)
    return Spooled(path, (*names, *(BAD_COLUMNS if keep_bad else ())), _write(path, map(_line, cells)))


def spool_known(rows: Iterable[tuple[int, Mapping[str, Any]]], names: Sequence[str], path: Path) -> Spooled:
    """Write records whose names are known; a name that a record lacks is NULL."""
    count = _write(path, (_record_line(map(record.get, names), line) for line, record in rows))
    return Spooled(path, tuple(names), count)


def spool_records(open_rows: Callable[[], Iterator[tuple[int, Mapping[str, Any]]]], path: Path) -> Spooled:
    """Write records that may each have other names; a name that a record lacks is NULL.

    The first record's names are taken for all. Where that proves wrong, all are read once more.
    """
    names = {name: None for _, record in _first(open_rows()) for name in record}
    grown = dict(names)
    count = _write(path, _record_lines(open_rows(), names, grown))
    if len(grown) > len(names):
        count = _write(path, _record_lines(open_rows(), grown, grown))
    return Spooled(path, tuple(grown), count)


def _first(rows: Iterator[tuple[int, Mapping[str, Any]]]) -> list[tuple[int, Mapping[str, Any]]]:
    return [row for row in [next(rows, None)] if row is not None]


def _record_lines(rows: Iterator[tuple[int, Mapping[str, Any]]], names: Mapping[str, None], grown: dict[str, None]) -> Iterator[str]:
    """Lines with a cell for each of `names`; what else turns up is added to `grown`."""
    known = names.keys()
    for line, record in rows:
        if not record.keys() <= known:
            grown.update(dict.fromkeys(record))
        yield _record_line(map(record.get, names), line)


def _line(cells: Cells) -> str:
    return ",".join(["" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells])


def _record_line(values: Iterable[Any], line: int) -> str:
    return ",".join([_CELLS.get(type(value), _other)(value) for value in values]) + f',"{line}"'


def _other(value: Any) -> str:
    text = to_text(value)
    return "" if text is None else '"' + text.replace('"', '""') + '"'


# The types that nearly all values have, without the way through `to_text`.
_CELLS: dict[type, Callable[[Any], str]] = {
    str: lambda value: '"' + value.replace('"', '""') + '"',
    int: lambda value: f'"{value}"',
    float: lambda value: f'"{value!r}"',
    bool: lambda value: '"true"' if value else '"false"',
    type(None): lambda value: "",  # noqa: ARG005 (it is given the None)
}


def _write(path: Path, lines: Iterator[str]) -> int:
    count = 0
    block: list[str] = []
    with path.open("wb") as file:
        for line in lines:
            block.append(line)
            if len(block) == _ROWS_AT_ONCE:
                count += _flush(file.write, block)
        count += _flush(file.write, block)
    return count


def _flush(write: Callable[[bytes], int], block: list[str]) -> int:
    count = len(block)
    if block:
        write(("\n".join(block) + "\n").encode("utf-8", "replace"))
        block.clear()
    return count
