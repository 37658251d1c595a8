"""A feed: files of one shape under one path, and the table they go to."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from rowferry.errors import Problem
from rowferry.feeds.names import SYSTEM_PREFIX
from rowferry.settings.base import Frozen, Seconds
from rowferry.settings.hours import ExpectText, Zone
from rowferry.settings.names import ColumnName, ColumnType, Names, TableName
from rowferry.settings.pattern import PathPattern

Preset = Literal["clevertap_events", "clevertap_profiles", "braze_currents", "amplitude_export"]

# What each preset reads from a file's name, for use in `table`.
PRESET_PARTS: dict[str, frozenset[str]] = {
    "clevertap_events": frozenset({"event", "day", "request", "run", "index", "database"}),
    "clevertap_profiles": frozenset({"account", "request", "run", "day", "database"}),
    "braze_currents": frozenset({"event", "day", "hour", "version"}),
    "amplitude_export": frozenset({"project", "day", "hour", "index"}),
}


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError("this is not a text encoding; expected one such as utf-8, utf-16, latin-1 or cp1252") from None


def _delimiter(value: Any) -> Any:
    return {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}.get(value, value) if isinstance(value, str) else value


class Feed(Frozen):
    """Export files and their contract. `columns` are BigQuery types; undeclared columns follow `new_columns`."""

    path: PathPattern = Field(description="Where the files are below `exports`: a folder ending in /, or a pattern with *, ** and {parts}.")
    table: TableName = Field(description="The table, as dataset.table; {parts} of the file's name may stand in it.")
    preset: Preset | None = Field(None, description="A vendor's export, whose names, columns and keys are known.")
    format: Literal["csv", "jsonl", "json", "avro", "parquet"] | None = Field(None, description="Found from the content when left out.")
    columns: dict[ColumnName, ColumnType] = Field({}, description="Column names and types, e.g. {customer_id: STRING, ltv: NUMERIC}.")
    write: Literal["append", "merge", "replace"] = Field("append", description="merge needs `key`.")
    replace: Literal["table", "partition"] = Field("table", description="With write: replace, what a file takes the place of.")
    key: Names = Field((), description="The column, or columns, that make a row the same row.")
    order_by: ColumnName | None = Field(
        None, description="With write: merge, the column whose largest value is the newest row; without it, the row that is loaded last."
    )
    new_columns: Literal["add", "ignore", "reject"] = Field("add", description="What happens to columns that are not declared.")
    bad_value: Literal["null", "reject_row", "fail_file"] = Field("null", description="What happens where a value can't be cast.")
    bad_line: Literal["quarantine", "reject"] = Field(
        "quarantine",
        description="CSV and JSON lines: what happens where a line is no row. reject keeps it with its reason and loads the others, "
        "where it is sure on which line the next row begins.",
    )
    on_overwrite: Literal["replace_rows", "append", "ignore"] = Field("replace_rows", description="When a file of a name comes again.")
    partition_by: ColumnName | None = Field(None, description="A DATE, DATETIME or TIMESTAMP column; one partition a day.")
    cluster_by: Annotated[Names, Field(max_length=4, description="Up to four columns by which BigQuery sorts the table.")] = ()
    delimiter: Annotated[str, BeforeValidator(_delimiter, json_schema_input_type=str), Field(min_length=1, max_length=1)] = Field(
        ",", description="CSV: one character, or comma, semicolon, tab, pipe."
    )
    quote: Annotated[str, Field(max_length=1)] = Field('"', description="CSV: what stands around a cell; empty for none.")
    encoding: Annotated[str, AfterValidator(_encoding)] = Field("utf-8", description="CSV and JSON: utf-8, utf-16, latin-1, cp1252 …")
    header: bool = Field(True, description="CSV: the first line names the columns; without, `columns` does, in the file's order.")
    skip_lines: int = Field(0, ge=0, le=1000, description="CSV: lines before the header.")
    null_values: tuple[str, ...] = Field((), description="Texts that mean NULL besides an empty cell, e.g. [NULL, '\\N'].")
    timezone: Zone = Field("UTC", description="The zone of times that have none.")
    window: Seconds | None = Field(None, description="Small files that come within this time load together.")
    expect: ExpectText | None = Field(None, description="When a file is due; a notice goes out when none came.")
    notify: Names = Field((), description="The destination, or destinations, that notices go to.")

    def conflicts(self) -> Iterator[Problem]:
        """What `write`, `key`, `columns` and the CSV keys need of each other."""
        if self.write == "merge" and not self.key and not self.preset:
            yield Problem("key", "is missing", "write: merge needs the column that makes a row the same row, e.g. key: [customer_id]")
        if self.order_by and self.write != "merge":
            yield Problem("order_by", f"has no meaning with write: {self.write}", "it picks the newest row of a key; write: merge")
        if "replace" in self.model_fields_set and self.write != "replace":
            yield Problem("replace", f"has no meaning with write: {self.write}", "write: replace")
        if self.replace == "partition" and not (self.partition_by or self.preset):
            yield Problem("partition_by", "is missing", "replace: partition needs the column that says which partition a row is in")
        if self.delimiter == self.quote or {self.delimiter, self.quote} & {"\n", "\r", "\0"}:
            yield Problem("delimiter", "can't be told from the quote or a line's end", "write another character")
        if not self.header and not self.columns:
            yield Problem("columns", "is missing", "a file without a header needs its columns named, in the file's order")
        yield from self._unknown_columns()
        yield from self._unknown_parts()

    def _unknown_columns(self) -> Iterator[Problem]:
        lower = [name.lower() for name in self.columns]
        for name in self.columns:
            if lower.count(name.lower()) > 1:
                yield Problem(f"columns.{name}", "stands here twice but for upper and lower case", "BigQuery holds both for the same name")
            if name.lower().startswith(SYSTEM_PREFIX):
                yield Problem(f"columns.{name}", f"begins with {SYSTEM_PREFIX}, as columns do that Rowferry adds", "give it another name")
        if self.preset or not self.columns or self.new_columns == "add":
            return
        named = {"key": self.key, "cluster_by": self.cluster_by, "order_by": self.order_by, "partition_by": self.partition_by}
        for setting, found in named.items():
            for column in (found,) if isinstance(found, str) else found or ():
                if column.lower() not in lower:
                    yield Problem(setting, f"{column} is not among the columns", f"declared are {', '.join(self.columns)}")

    def _unknown_parts(self) -> Iterator[Problem]:
        known = set(re.findall(r"\{(\w+)", self.path)) | PRESET_PARTS.get(self.preset or "", frozenset())
        for part in re.findall(r"\{(\w+)\}", self.table):
            if part not in known:
                hint = f"known are {', '.join(sorted(known))}" if known else "name it in path, e.g. path: orders/{country}/*.csv"
                yield Problem("table", f"{{{part}}} is not a part of the path", hint)
