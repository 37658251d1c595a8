"""A feed's contract for one file: its settings, what its preset adds and what the file's name says, as one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from rowferry.feeds.names import SYSTEM_PREFIX, fit_column, snake_case
from rowferry.feeds.pattern import Part
from rowferry.feeds.preset import Column, Preset, find_preset
from rowferry.feeds.routing import Match
from rowferry.settings.feed import Feed

FILE_COLUMN = f"{SYSTEM_PREFIX}file"
LINE_COLUMN = f"{SYSTEM_PREFIX}line"
LOADED_AT_COLUMN = f"{SYSTEM_PREFIX}loaded_at"
# Every table of a feed ends in these, so that a person can trace a row to its file. The line is
# known only of rows that had a rejected cell.
SYSTEM_COLUMNS = {FILE_COLUMN: "STRING", LINE_COLUMN: "INT64", LOADED_AT_COLUMN: "TIMESTAMP"}

_PART = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Contract:
    """What a file's rows become. `columns` are declared, by the feed or its preset; `types` hold
    for columns that come without being declared."""

    feed: str
    settings: Feed
    table: str
    columns: tuple[Column, ...]
    types: Mapping[str, str]
    parts: Mapping[str, Part]
    fit: Callable[[str], str]
    nests: frozenset[str]
    key: tuple[str, ...]
    newest_by: str | None
    partition_by: str | None
    cluster_by: tuple[str, ...]

    def part_text(self, name: str) -> str | None:
        """A part of the file's name as text that any cast reads; None when the name has no such part."""
        value = self.parts.get(name)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC).isoformat()
        return value.isoformat() if isinstance(value, (date, datetime)) else value


def read_contract(match: Match) -> Contract:
    """The contract that a routed file falls under."""
    feed, preset = match.feed, find_preset(match.feed.preset) if match.feed.preset else None
    columns = _columns(feed, preset, match)
    names = {column.name for column in columns}
    return Contract(
        feed=match.name,
        settings=feed,
        table=table_name(feed.table, match.parts) + (f"_{match.variant}" if match.variant else ""),
        columns=columns,
        types=preset.types if preset else {},
        parts=match.parts,
        fit=preset.fit if preset else fit_column,
        nests=preset.nests if preset else frozenset(),
        key=feed.key or (preset.key if preset else ()),
        newest_by=feed.order_by or (preset.newest_by if preset else None),
        partition_by=feed.partition_by or (preset.partition_by if preset and preset.partition_by in names else None),
        cluster_by=feed.cluster_by or tuple(name for name in (preset.cluster_by if preset else ()) if name in names),
    )


def table_name(template: str, parts: Mapping[str, Part]) -> str:
    """`raw.clevertap_{event}` with the parts of a file's name in it, in snake case; a day as `20240131`."""
    return _PART.sub(lambda found: _in_table(parts[found[1]]), template)


def missing_parts(match: Match) -> list[str]:
    """The parts that the table's name needs and the file's name does not say."""
    return [name for name in _PART.findall(match.feed.table) if name not in match.parts]


def _in_table(part: Part) -> str:
    if isinstance(part, datetime):
        return part.strftime("%Y%m%d%H" if part.minute == part.second == 0 else "%Y%m%d%H%M%S")
    return part.strftime("%Y%m%d") if isinstance(part, date) else snake_case(part)


def _columns(feed: Feed, preset: Preset | None, match: Match) -> tuple[Column, ...]:
    """The preset's columns with the feed's types over them, then the feed's own."""
    declared = {name.lower(): kind for name, kind in feed.columns.items()}
    given = preset.variants.get(match.variant, preset.columns) if preset else ()
    kept = [Column(column.name, declared.pop(column.name.lower(), column.type), column.sources, column.part) for column in given]
    own = [Column(name, kind, part=name if name in match.parts else "") for name, kind in feed.columns.items() if name.lower() in declared]
    return (*kept, *own)
