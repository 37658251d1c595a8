"""Rows that a warehouse has written into a bucket by itself: an object a line, NULLs left out.

What an export makes of a type is documented for some alone (INT64 becomes text; exporting-data), so the statement
behind it writes all but the plainest as text, by functions whose results are: CAST, TO_BASE64 and, for what has
parts, TO_JSON_STRING (cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#json_encodings, 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import orjson

from rowferry.mapping import values

FOLDER = "exported/"  # in the state store; nothing is delivered from it
Form = Literal["plain", "text", "base64", "json"]
_FORMS: dict[str, Form] = {
    **dict.fromkeys(("FLOAT64", "NUMERIC", "BIGNUMERIC", "DATE", "TIME", "DATETIME", "TIMESTAMP"), "text"),
    "BYTES": "base64",
    **dict.fromkeys(("JSON", "ARRAY", "STRUCT"), "json"),
}


def form_of(column_type: str) -> Form:
    """How a column of this BigQuery type leaves in an export: as it is, by CAST to text, by TO_BASE64, or as JSON text."""
    return _FORMS.get(_base(column_type), "plain")


def reader(column_types: Sequence[str]) -> Callable[[dict[str, Any]], list[Any]]:
    """What turns an exported object's cells `c_0`, `c_1` … into the values of these types."""
    names = [f"c_{index}" for index in range(len(column_types))]
    decoders = [(index, decode) for index, kind in enumerate(column_types) if (decode := _decoder(kind))]

    def read(found: dict[str, Any]) -> list[Any]:
        cells = list(map(found.get, names))
        for index, decode in decoders:
            cells[index] = decode(cells[index])
        return cells

    return read


def _decoder(kind: str) -> values.Decode | None:
    decode = values.decoder(kind)
    if form_of(kind) != "json":
        return decode
    absent: Any = [] if _base(kind) == "ARRAY" else None  # BigQuery keeps no NULL arrays: they come out empty

    def from_text(text: str | None) -> Any:
        found = None if text is None else orjson.loads(text)
        if found is None:
            return absent
        return found if decode is None else decode(found)

    return from_text


def _base(kind: str) -> str:
    return kind.replace("(", "<").partition("<")[0].strip().upper()
