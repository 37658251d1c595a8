"""The SQL that takes a file from its staging table into its table. Rendered from `warehouse/sql/load_*.sql`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rowferry.feeds.contract import SYSTEM_COLUMNS, Contract
from rowferry.loads.badlines import REASON, TEXT
from rowferry.loads.casts import TYPE_WORDS, cast, is_bad
from rowferry.loads.inference import value_kinds
from rowferry.loads.shape import Target
from rowferry.warehouse.port import Param
from rowferry.warehouse.statements import Sql, render

Quote = Callable[[str], str]  # `Warehouse.quote`

LOADS = "rowferry.loads"
REJECTED_CELLS = "rowferry.rejected_cells"
FEED_COLUMNS = "rowferry.feed_columns"

_FILE, _VERSION = Sql("@file"), Sql("@version")
LINE = "line"  # the staging table's column for the physical line, where it has one


@dataclass(frozen=True, slots=True)
class LoadColumn:
    """A target with its SQL: `text` and `value` as expressions, `bad` where a cell can be refused,
    `kinds` where the type has to be inferred."""

    name: str
    type: str
    text: Sql
    value: Sql
    bad: Sql | None
    kinds: Sql | None
    place: int
    source: int | None
    known_as: str

    @property
    def text_name(self) -> Sql:
        return Sql(f"t_{self.place}")

    @property
    def value_name(self) -> Sql:
        return Sql(f"v_{self.place}")

    @property
    def bad_name(self) -> Sql:
        return Sql(f"bad_{self.place}")

    @property
    def kinds_name(self) -> Sql:
        return Sql(f"kinds_{self.place}")

    @property
    def reason(self) -> str:
        """Why a cell of this column was refused; the value itself stands beside it."""
        return f"expected {TYPE_WORDS[self.type]} ({self.type})" if self.type != "STRING" else "the key is empty"

    @property
    def complaint(self) -> str:
        """The reason with the column's name, for a list of them."""
        return f"{self.name}: {self.reason}; "


@dataclass(frozen=True, slots=True)
class LoadSql:
    """The statements of one file, or of several that load together. `staging` holds the cells as text
    in columns c_0, c_1 …; `line`, `file` and `version` are expressions over it, and so are the reason and
    the text of `bad_line`, where lines that hold no row are kept. With `only_new`, files that the ledger
    has as loaded are left out."""

    contract: Contract
    columns: tuple[LoadColumn, ...]
    staging: str
    line: Sql
    quote: Quote
    file: Sql = _FILE
    version: Sql = _VERSION
    only_new: bool = False
    bad_line: tuple[Sql, Sql] | None = None

    @property
    def knows_lines(self) -> bool:
        """Whether the physical line of each row is known."""
        return self.line != line_from(None)

    @property
    def names(self) -> list[str]:
        """The table's columns that are written, in the order of `rows`."""
        return [column.name for column in self.columns] + list(SYSTEM_COLUMNS)

    def typed(self) -> Sql:
        """Every row as text, as values, and whether its cells are bad."""
        text = render(
            "load_typed",
            columns=self.columns,
            staging=self.quote(self.staging),
            file=self.file,
            version=self.version,
            line=self.line,
            dropped=self._dropped(),
            only_new=self.only_new,
            loads=self.quote(LOADS),
            bad_line=self.bad_line,
        )
        return Sql(text)

    def rows(self) -> Sql:
        """The rows as they go into the table; needs @file and @loaded_at."""
        return Sql(render("load_rows", columns=self.columns, typed=self.typed()))

    def profile(self) -> str:
        """Counts of rows and bad cells, and what undeclared columns look like."""
        return render("load_profile", columns=self.columns, typed=self.typed(), order=self._order(), bad_line=self.bad_line)

    def rejected_cells(self, columns: Sequence[LoadColumn]) -> str:
        """Each bad cell of these columns into its table, and each bad line."""
        return render(
            "load_rejected_cells",
            columns=columns,
            places=len(columns),
            typed=self.typed(),
            rejected_cells=self.quote(REJECTED_CELLS),
            bad_line=self.bad_line,
        )

    def rejected_rows(self, columns: Sequence[LoadColumn], shown: Sequence[LoadColumn]) -> str:
        """The rows that have a bad cell in one of these columns, as text: the line and the cells `shown`; and each bad line."""
        return render("load_rejected_rows", shown=shown, bad_columns=columns, typed=self.typed(), bad_line=self.bad_line)

    def record_window(self) -> str:
        """The ledger's row of each of several files."""
        bad = [column for column in self.columns if column.bad]
        return render("load_record_window", loads=self.quote(LOADS), typed=self.typed(), bad_columns=bad)

    def from_file(self) -> list[LoadColumn]:
        """One column for each of the file's that is used."""
        return list({column.source: column for column in reversed(self.columns) if column.source is not None}.values())[::-1]

    def write(self, *, is_correction: bool, clear_file: bool, is_empty: bool) -> list[str]:
        """What changes the table, in order. An empty file takes the place of its own earlier rows, and of no others."""
        target, rows = self.quote(self.contract.table), self.rows()
        append = render("load_append", target=target, names=self.names, rows=rows)
        if is_empty:
            clears = clear_file and not is_correction and self.contract.settings.write == "append"
            return [render("load_clear_file", target=target)] if clears else []
        if self.contract.settings.write == "merge":
            return [self._merge(target, rows)]
        if is_correction:
            return [render("load_clear_lines", target=target, typed=self.typed()), append]
        if self.contract.settings.write == "replace":
            return [self._clear(target, rows), append]
        if not clear_file:
            return [append]
        name = "load_clear_files" if self.only_new else "load_clear_file"
        return [render(name, target=target, typed=self.typed()), append]

    def _merge(self, target: str, rows: Sql) -> str:
        key = self.contract.key
        lower = {name.lower() for name in key}
        filled = [column.name for column in self.columns if column.name.lower() not in lower]
        newest_by = self.contract.newest_by if self.contract.newest_by in self.names else None
        return render(
            "load_merge", target=target, rows=rows, names=self.names, key=key, newest_by=newest_by, updates=filled + list(SYSTEM_COLUMNS)
        )

    def _order(self) -> list[LoadColumn]:
        """The columns that tell which row of a key counts, before it is the last line; none where there is no key, or lines are known."""
        names = {name.lower() for name in (*self.contract.key, self.contract.newest_by or "")}
        return [column for column in self.columns if self.contract.key and not self.knows_lines and column.name.lower() in names]

    def _clear(self, target: str, rows: Sql) -> str:
        if self.contract.settings.replace == "table":
            return render("load_clear_table", target=target)
        return render("load_clear_days", target=target, rows=rows, partition_by=self.contract.partition_by)

    def _dropped(self) -> Sql:
        """A row without its key can't be merged; others are dropped only where the feed says so."""
        key = {name.lower() for name in self.contract.key} if self.contract.settings.write == "merge" else set()
        rejects = self.contract.settings.bad_value == "reject_row"
        reasons = [column.bad_name for column in self.columns if column.bad and (rejects or column.name.lower() in key)]
        return Sql(" OR ".join([*reasons, *(["bad_line IS NOT NULL"] if self.bad_line else [])]) or "FALSE")


def build_columns(contract: Contract, targets: Sequence[Target], settled: Collection[str]) -> tuple[LoadColumn, ...]:
    """The SQL of each column that the file fills. `settled` holds the undeclared ones whose type can't widen any more."""
    key = {name.lower() for name in contract.key} if contract.settings.write == "merge" else set()
    return tuple(
        _column(contract, target, place, is_key=target.name.lower() in key, infer=not target.is_declared and target.name not in settled)
        for place, target in enumerate(targets)
        if target.is_filled or target.name.lower() in key
    )


def _column(contract: Contract, target: Target, place: int, *, is_key: bool, infer: bool) -> LoadColumn:
    text = f"t_{place}"
    value = cast(text, target.type, contract.settings.timezone)
    bad = is_bad(text, f"v_{place}", target.type) if target.type != "STRING" else None
    return LoadColumn(
        name=target.name,
        type=target.type,
        text=_text(target, contract),
        value=value,
        bad=Sql(f"(v_{place} IS NULL)") if is_key else bad,
        kinds=value_kinds(text) if infer and target.type == "STRING" else None,
        place=place,
        source=target.source,
        known_as=target.known_as,
    )


def _text(target: Target, contract: Contract) -> Sql:
    if target.source is None:
        return Sql(f"CAST(@part_{target.part} AS STRING)" if target.part else "CAST(NULL AS STRING)")
    cell = f"c_{target.source}"
    for text in contract.settings.null_values:
        cell = f"NULLIF({cell}, {_literal(text)})"
    return Sql(cell)


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r") + "'"


def bad_line_from(names: Sequence[str]) -> tuple[Sql, Sql] | None:
    """The reason and the text of lines that hold no row, from a staging table with these names; None where none were kept."""
    if REASON not in names:
        return None
    return Sql(f"c_{names.index(REASON)}"), Sql(f"c_{names.index(TEXT)}")


def line_from(column: str | None) -> Sql:
    """The physical line of a row, from this column of the staging table; NULL without one."""
    return Sql(f"SAFE_CAST({column} AS INT64)" if column else "CAST(NULL AS INT64)")


def part_params(contract: Contract, targets: Sequence[Target]) -> dict[str, Param]:
    """The parameters for columns that come from the file's name."""
    return {f"part_{target.part}": Param("STRING", contract.part_text(target.part)) for target in targets if target.part}
