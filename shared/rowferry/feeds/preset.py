"""What a vendor's export files need to be read without being described: the value a preset fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from rowferry.feeds.names import snake_case
from rowferry.feeds.pattern import Part


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table. `sources` are its names in the files, the first one found counts;
    a dot goes into an object (`profile.identity`). `part` takes it from the file's name instead
    when the file has none of the sources."""

    name: str
    type: str
    sources: tuple[str, ...] = ()
    part: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says. `variant` sets files apart that need a table of their own beside
    the feed's (`merged_ids`): it goes to the end of the table's name."""

    parts: Mapping[str, Part]
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that belongs to the export but holds no rows: a marker, a folder."""

    reason: str


@dataclass(frozen=True, slots=True)
class Preset:
    """One vendor's export. The file `feeds/presets/<name>.py` holds it under the name `PRESET`.

    `read_name(key)` reads a file's name; None when it is not one of this export.
    `columns` are in every table of the feed, `variants` those of the tables of files set apart;
    `types` are used for columns that come.
    `fit` turns a name in the file into a column's. `nests` are the objects in a JSON line whose
    members become columns of their own.
    `key` is what makes two rows the same row, for `<table>_latest` and for `write: merge`;
    the row with the greatest `newest_by` counts.
    """

    name: str
    title: str
    read_name: Callable[[str], Named | Ignored | None]
    columns: tuple[Column, ...]
    variants: Mapping[str, tuple[Column, ...]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    fit: Callable[[str], str] = snake_case
    nests: frozenset[str] = frozenset()
    key: tuple[str, ...] = ()
    newest_by: str | None = None
    partition_by: str | None = None
    cluster_by: tuple[str, ...] = ()


def find_preset(name: str) -> Preset:
    """The preset of this name. Raises `KeyError` when there is none; `preset_names` lists them."""
    if name not in preset_names():
        raise KeyError(name)
    preset: Preset = import_module(f"rowferry.feeds.presets.{name}").PRESET
    return preset


def preset_names() -> list[str]:
    """Every preset there is, by the files in its folder."""
    return sorted(path.stem for path in (Path(__file__).parent / "presets").glob("*.py") if path.stem != "__init__")
