"""How load jobs are set up, and what their failures say to people."""

from __future__ import annotations

import codecs
from collections.abc import Mapping

from google.cloud import bigquery  # noqa: TID251 (this is the adapter)

from rowferry.errors import RowferryError
from rowferry.warehouse.bigquery_errors import masked
from rowferry.warehouse.bigquery_jobs import JobFailed
from rowferry.warehouse.bigquery_values import to_fields
from rowferry.warehouse.names import quote_column
from rowferry.warehouse.port import CsvFile, LoadFailed
from rowferry.warehouse.types import ColumnType

_STRING = ColumnType("STRING")
# The encodings of load jobs (cloud.google.com/bigquery/docs/reference/rest/v2/Job, read 2026-11-21), by Python's names.
_ENCODINGS = {
    "utf-8": "UTF-8",
    "iso8859-1": "ISO-8859-1",
    "utf-16-be": "UTF-16BE",
    "utf-16-le": "UTF-16LE",
    "utf-32-be": "UTF-32BE",
    "utf-32-le": "UTF-32LE",
}
_READING = "Error while reading data, error message: "


def csv_config(shape: CsvFile) -> bigquery.LoadJobConfig:
    """Every cell as text into a new table. BigQuery reads an unquoted empty cell as NULL and `""` as '' for STRING."""
    for name in shape.columns:
        quote_column(name)
    return bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.CSV,
        schema=to_fields(dict.fromkeys(shape.columns, _STRING)),
        skip_leading_rows=shape.skip_lines,
        field_delimiter=shape.delimiter,
        quote_character=shape.quote,
        encoding=_encoding(shape.encoding),
        allow_quoted_newlines=True,
        allow_jagged_rows=False,
        ignore_unknown_values=False,
        max_bad_records=0,
        preserve_ascii_control_characters=True,
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
    )


def json_config(columns: Mapping[str, ColumnType]) -> bigquery.LoadJobConfig:
    """JSON lines into a new table; what a line has beyond the columns is left out."""
    return bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
        schema=to_fields(columns),
        ignore_unknown_values=True,
        max_bad_records=0,
        write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
    )


def load_failure(failed: JobFailed) -> RowferryError:
    """`LoadFailed` when the file is at fault, else what the reason says."""
    if failed.trouble.reason != "invalid":
        return failed.trouble.error()
    said = [masked(str(error.get("message", ""))).removeprefix(_READING) for error in failed.job.errors or ()]
    return LoadFailed("; ".join(dict.fromkeys(said[:3])) or failed.trouble.message)


def _encoding(name: str) -> str:
    try:
        return _ENCODINGS[codecs.lookup(name).name]
    except LookupError:
        raise LoadFailed(f"BigQuery can't read the encoding {name!r}; it takes {', '.join(_ENCODINGS.values())}") from None
