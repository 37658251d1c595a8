"""A file's rows in a staging table, every cell as text in columns c_0, c_1 … The file itself is not changed.

A clean CSV goes straight into the warehouse, which reads it far faster than Python. Everything else
(other formats and encodings, archives) is read here and handed over as a CSV, with the physical
line of each row beside it; so is a CSV once some cell of it was refused, since a person who has to
correct it needs the line.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Literal

from rowferry.errors import FileRejected
from rowferry.feeds.contract import Contract
from rowferry.loads.avrorows import read_avro
from rowferry.loads.badlines import BadLine, with_good
from rowferry.loads.columnar import avro_to_csv, parquet_to_csv, parquet_to_json_lines
from rowferry.loads.csvrows import Cells, CsvDialect, read_rows
from rowferry.loads.jsonrows import read_json_array, read_json_lines
from rowferry.loads.limits import DEFAULT_LIMITS, MIB, FileLimits
from rowferry.loads.precheck import check_text
from rowferry.loads.sniff import Sniffed, sniff
from rowferry.loads.spool import Spooled, spool_cells, spool_records
from rowferry.loads.statements import LINE
from rowferry.loads.textvalues import flatten
from rowferry.loads.unpack import unpack
from rowferry.stores.port import Object, Store
from rowferry.warehouse.port import CsvFile, LoadFailed, LoadSource, Warehouse

_LINE_END = re.compile(r"\r\n|\r|\n")
_UTF8 = ("utf-8", "utf-8-sig")


@dataclass(frozen=True, slots=True)
class Staged:
    """A staging table: the names its columns have in the file, its rows, whether it knows their lines.

    `title` is what stood alone on the first line, where CleverTap writes the event's true name.
    """

    table: str
    names: tuple[str, ...]
    rows: int
    has_lines: bool
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Staging:
    """Puts one object of a store into a staging table. `job` names the work for the warehouse."""

    store: Store
    warehouse: Warehouse
    object: Object
    contract: Contract
    table: str
    job: str
    limits: FileLimits = DEFAULT_LIMITS

    def look(self) -> Sniffed:
        """What the file is. Raises `FileRejected`, and `NotFound` when this version is gone."""
        with closing(self._open()) as stream:
            return sniff(stream, self.object.size_bytes, self.contract.settings.encoding, self.contract.settings.format, self.limits)

    def stage(self, found: Sniffed, *, with_lines: bool = False) -> Staged:
        """Load the file into the staging table. Raises `FileRejected`, and `NotFound` when it is gone."""
        if found.kind == "empty":
            return Staged(self.table, (), 0, has_lines=False)
        if found.kind == "csv" and not with_lines and found.compression in (None, "gzip") and found.encoding in _UTF8:
            # What a warehouse can't read gets a second opinion: engines have their own faults with odd
            # but proper CSV, and our reader says on which line an improper one breaks.
            with suppress(LoadFailed):
                return self._load_directly(found)
        try:
            return self._load_spooled(found)
        except LoadFailed as error:
            raise FileRejected("unreadable", error.reason) from None

    def records(self, found: Sniffed) -> Generator[tuple[int, Mapping[str, Any]], None, None]:
        """Every row by the names in the file, with its line. Raises `FileRejected` where the file breaks."""
        with TemporaryDirectory(prefix="rowferry-load-") as folder:
            if found.kind == "parquet":
                parquet_to_json_lines(self._plain_files(Path(folder)), Path(folder) / "rows.json")
            if found.kind == "csv":
                yield from self._csv_records(found)
            elif found.kind != "empty":
                yield from self._records(found, Path(folder))

    def _csv_records(self, found: Sniffed) -> Iterator[tuple[int, Mapping[str, Any]]]:
        with closing(self._rows_of_csv(found)) as rows:
            names, _ = self._read_header(rows)
            # A name that a header has twice gets its place, as the names of columns do.
            unique = [name if name not in names[:place] else f"{name} {place + 1}" for place, name in enumerate(names)]
            for line, row in with_good(rows):
                yield line, row.record if isinstance(row, BadLine) else dict(zip(unique, row, strict=True))

    def _load_directly(self, found: Sniffed) -> Staged:
        with closing(self._rows_of_csv(found)) as rows:
            names, skip = self._read_header(rows)
        if skip != int(self.contract.settings.header):
            raise LoadFailed("lines stand before the first row that engines count each in their own way")
        shape = CsvFile(
            columns=[f"c_{place}" for place in range(len(names))],
            delimiter=self.contract.settings.delimiter,
            quote=self.contract.settings.quote,
            skip_lines=skip,
        )
        if self.warehouse.engine == "duckdb":
            self._check_text()
        count = self.warehouse.load_csv(self._source(found), self.table, shape, job=self.job)
        return Staged(self.table, names, count, has_lines=False)

    def _check_text(self) -> None:
        for plain in self._plain():
            check_text(plain, self.limits.row_bytes, self.contract.settings.quote)

    def _load_spooled(self, found: Sniffed) -> Staged:
        with TemporaryDirectory(prefix="rowferry-load-") as folder:
            spooled = self._spool(found, Path(folder) / "rows.csv")
            columns = [*(f"c_{place}" for place in range(len(spooled.names))), LINE]
            source = LoadSource(path=str(spooled.path))
            count = self.warehouse.load_csv(source, self.table, CsvFile(columns, skip_lines=0), job=f"{self.job}-lines")
        if count != spooled.rows:
            raise FileRejected("unreadable", f"{spooled.rows} rows were read and {count} arrived; please report this")
        return Staged(self.table, spooled.names, count, has_lines=True, title=found.title)

    def _spool(self, found: Sniffed, path: Path) -> Spooled:
        if found.kind == "csv":
            with closing(self._rows_of_csv(found)) as rows:
                names, _ = self._read_header(rows)
                return spool_cells(with_good(rows), names, path, keep_bad=self._keeps_bad)
        if found.kind in ("parquet", "avro") and not self.contract.nests:
            to_csv = parquet_to_csv if found.kind == "parquet" else avro_to_csv
            if (done := to_csv(self._plain_files(path.parent), path)) is not None:
                return Spooled(path, *done)
        if found.kind == "parquet":
            parquet_to_json_lines(self._plain_files(path.parent), path.with_name("rows.json"))
        return spool_records(lambda: self._records(found, path.parent), path)

    def _records(self, found: Sniffed, folder: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The rows of a file that has no header, nested objects flattened where the preset says so."""
        nests = self.contract.nests
        for plain in self._plain() if found.kind != "parquet" else _opened(folder / "rows.json"):
            for line, row in with_good(self._read(plain, found)):
                record = row.record if isinstance(row, BadLine) else row
                yield line, dict(flatten(record, nests)) if nests else record

    def _read(self, plain: IO[bytes], found: Sniffed) -> Iterator[tuple[int, Mapping[str, Any] | BadLine]]:
        if found.kind == "avro":
            return read_avro(plain)
        if found.kind == "json":
            return read_json_array(plain, found.encoding, self.limits.row_bytes)
        return read_json_lines(plain, found.encoding, found.bare_lines, self.limits.row_bytes, keep_bad=self._keeps_bad)

    @property
    def _keeps_bad(self) -> bool:
        return self.contract.settings.bad_line == "reject"

    def _plain_files(self, folder: Path) -> list[Path]:
        """The unpacked files under plain names, for libraries that read files by name."""
        paths = []
        for place, plain in enumerate(self._plain()):
            paths.append(folder / f"file-{place}")
            with paths[-1].open("wb") as file:
                shutil.copyfileobj(plain, file, MIB)
        return paths

    def _rows_of_csv(self, found: Sniffed) -> Generator[tuple[int, Cells | BadLine], None, None]:
        settings = self.contract.settings
        dialect = CsvDialect(
            delimiter=settings.delimiter,
            quote=settings.quote,
            encoding=found.encoding,
            skip_lines=settings.skip_lines,
            row_bytes=self.limits.row_bytes,
            keep_bad=self._keeps_bad,
            width=0 if settings.header else len(settings.columns),
        )
        header: Cells | BadLine | None = None
        for plain in self._plain():
            rows = read_rows(plain, dialect)
            first = next(rows, None)
            if header is not None and settings.header and first is not None and first[1] != header:
                raise FileRejected("mixed_archive", "the files in the archive have different headers; deliver them one by one")
            if first is not None and (header is None or not settings.header):
                yield first
            header = header or (first[1] if first else None)
            yield from rows

    def _read_header(self, rows: Iterator[tuple[int, Cells | BadLine]]) -> tuple[tuple[str, ...], int]:
        """The names of a CSV's columns, and the physical lines to skip to come to its first row."""
        settings = self.contract.settings
        if not settings.header:
            return tuple(settings.columns), settings.skip_lines
        first = next(rows, None)
        if first is None:
            return (), settings.skip_lines
        line, cells = first
        assert isinstance(cells, list)  # the first row says how wide the others are, and is no bad line itself
        names = tuple(cell or "" for cell in cells)
        return names, line + sum(len(_LINE_END.findall(name)) for name in names)

    def _plain(self) -> Iterator[IO[bytes]]:
        with closing(self._open()) as stream:
            for plain in unpack(stream, self.object.size_bytes, self.limits):
                with closing(plain):
                    yield plain

    def _open(self) -> IO[bytes]:
        return self.store.open(self.object.key, self.object.version)

    def _source(self, found: Sniffed) -> LoadSource:
        """The bytes as the warehouse gets at them best: where they lie, or through us, piece by piece."""
        compression: Literal["gzip"] | None = "gzip" if found.compression == "gzip" else None
        path = self.store.path(self.object.key)
        if path is not None:
            return LoadSource(path=str(path), compression=compression)
        if self.warehouse.engine == "bigquery" and self.store.url.startswith("gs://") and _can_be_named(self.object.key):
            return LoadSource(uri=self.store.uri(self.object.key), compression=compression)
        return LoadSource(stream=self._open, compression=compression)


def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as stream:
        yield stream


def _can_be_named(key: str) -> bool:
    """BigQuery takes `*` for a wildcard and several slashes for one (cloud.google.com/bigquery/docs/batch-loading-data)."""
    return "*" not in key and "//" not in key
