"""`rowferry pull --out`: the rows of export files as one CSV that a spreadsheet opens as it is meant.

Columns stand in an order that does not depend on the rows: those the pull names, filled or not, those that are known
of the report, then the others by name. Text that a spreadsheet would run as a formula gets an apostrophe in front; numbers
don't, whatever their sign. See OWASP, "CSV Injection". A time of 14 digits, which a spreadsheet would round, is written
out; it stays in the zone it came in.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import IO, Any

from rowferry.feeds.contract import Contract
from rowferry.feeds.names import fit_header
from rowferry.loads.badlines import BadLine
from rowferry.loads.jsonrows import read_json_lines
from rowferry.loads.textvalues import flatten, to_text
from rowferry.loads.unpack import unpack
from rowferry.stores.port import Store

_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d ().-]*\d$)")
_COMPACT_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)")


def write_csv(store: Store, keys: Sequence[str], contract: Contract, first: Sequence[str], file: IO[str]) -> int:
    """Write the rows of these export files, in their order; how many. The files are read twice, in bounded memory."""
    header = _Header(contract, first)
    for row in _rows(store, keys, contract):
        header.add(row)
    columns = header.columns()
    times = {column.name for column in contract.columns if column.type == "TIMESTAMP"}
    cells = [(name, _time if column in times else _cell) for column, name in columns.items()]
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    count = 0
    for row in _rows(store, keys, contract):
        writer.writerow([write(row.get(name)) for name, write in cells])
        count += 1
    return count


def _rows(store: Store, keys: Iterable[str], contract: Contract) -> Iterator[dict[str, Any]]:
    for key in keys:
        found = store.head(key)
        assert found is not None, key
        with closing(store.open(key, found.version)) as stream:
            for plain in unpack(stream, found.size_bytes):
                for _, record in read_json_lines(plain, "utf-8"):
                    assert not isinstance(record, BadLine)  # what we wrote is no bad line
                    yield dict(flatten(record, contract.nests))


class _Header:
    """The names that come in the files, and the column each of them is in the table."""

    def __init__(self, contract: Contract, first: Sequence[str]) -> None:
        self._contract, self._first = contract, first
        self._names: dict[str, None] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Learn the names of a row."""
        if not row.keys() <= self._names.keys():
            self._names.update(dict.fromkeys(row))

    def columns(self) -> dict[str, str]:
        """The name in the files of each column, in the CSV's order."""
        declared = {source: column.name for column in self._contract.columns for source in column.sources or (column.name,)}
        names = sorted(self._names)
        fitted = zip(names, fit_header(names, {}, self._contract.fit), strict=True)
        found = {declared.get(name, column): name for name, column in fitted}
        known = [column.name for column in self._contract.columns if column.name in found]
        order = dict.fromkeys([*self._first, *known, *sorted(found)])
        return {column: found.get(column, "") for column in order}


def _cell(value: Any) -> str:
    text = to_text(value) or ""
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) else text


def _time(value: Any) -> str:
    text = to_text(value) or ""
    found = _COMPACT_TIME.fullmatch(text)
    return "{}-{}-{} {}:{}:{}".format(*found.groups()) if found else _cell(value)
