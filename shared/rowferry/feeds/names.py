"""Names of events and columns, made fit for tables: readable, stable, and never two for one."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

# Names that our own columns bear in every table a feed fills.
SYSTEM_PREFIX = "_rowferry_"

# cloud.google.com/bigquery/docs/schemas#column_names: at most 300 characters, and none of these at the start.
_RESERVED_PREFIXES = ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", "_change_", SYSTEM_PREFIX)
_MOST_LETTERS = 200

_WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_IN_A_WORD = re.compile(r"[^A-Za-z0-9]+")
_NOT_IN_A_COLUMN = re.compile(r"\W+", re.UNICODE)


def snake_case(name: str) -> str:
    """`Order Placed`, `Order-Placed` and `OrderPlaced` as `order_placed`; letters ASCII lacks as their code.

    Never empty: a name without a letter or digit is `unnamed`.
    """
    words = _NOT_IN_A_WORD.sub("_", _WORD_BOUNDARY.sub("_", _to_ascii(name)))
    return _cut(words.strip("_").lower(), name) or "unnamed"


def fit_column(name: str) -> str:
    """A column's name as BigQuery takes it: `Campaign id` is `Campaign_id`. Empty when nothing is left."""
    fit = _NOT_IN_A_COLUMN.sub("_", unicodedata.normalize("NFC", name.strip())).rstrip("_")
    if not fit.strip("_"):
        return ""
    if fit[0].isdigit():
        fit = f"_{fit}"
    if fit.lower().startswith(_RESERVED_PREFIXES):
        fit = f"x{fit}"
    return _cut(fit, name)


def fit_header(header: Sequence[str], known: Mapping[str, str], fit: Callable[[str], str] = fit_column) -> list[str]:
    """A column name for each name of a header, in its order, no two alike (BigQuery ignores case).

    `known` says what names of earlier files became, so that two spellings which would fall
    together keep their columns whatever the order they come in. A name given twice in one header
    gets its place at the end (`amount_2`), and so does one without a letter (`column_2`).
    """
    owners = {column.lower(): name for name, column in known.items()}
    seen: set[str] = set()
    columns: list[str] = []
    for place, name in enumerate(header, start=1):
        column, owner = known.get(name) or fit(name) or f"column_{place}", name
        if name in seen:
            column, owner = f"{column}_{place}", f"{name}\0{place}"
        if owners.get(column.lower(), owner) != owner:
            column = f"{column}_{_short_hash(owner)}"
        owners[column.lower()] = owner
        seen.add(name)
        columns.append(column)
    return columns


def _to_ascii(name: str) -> str:
    """Accents dropped; what is still no ASCII letter or digit but is one elsewhere becomes `_u8d2d_`."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return "".join(f"_u{ord(letter):x}_" if ord(letter) > 127 and letter.isalnum() else letter for letter in plain)


def _cut(fit: str, name: str) -> str:
    return fit if len(fit) <= _MOST_LETTERS else f"{fit[: _MOST_LETTERS - 9]}_{_short_hash(name)}"


def _short_hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
