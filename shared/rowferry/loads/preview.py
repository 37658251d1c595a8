"""What a feed makes of a sample file, before anything is loaded: for `rowferry check FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from rowferry.feeds.contract import read_contract
from rowferry.feeds.routing import Match
from rowferry.loads.limits import DEFAULT_LIMITS, FileLimits
from rowferry.loads.shape import fit_columns
from rowferry.loads.sniff import Sniffed
from rowferry.loads.staging import Staging
from rowferry.stores.port import Object, Store
from rowferry.warehouse.port import Warehouse


@dataclass(frozen=True, slots=True)
class PreviewColumn:
    """A column of the table: its type, and where it comes from in this file ("" when it would be NULL)."""

    name: str
    type: str
    comes_from: str
    is_declared: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """A sample file as its feed sees it. `parts` is what its name says, `left_out` are columns that go nowhere."""

    file: str
    feed: str
    table: str
    found: Sniffed
    parts: Mapping[str, str]
    columns: tuple[PreviewColumn, ...]
    left_out: tuple[str, ...]


def preview(store: Store, warehouse: Warehouse, object: Object, matched: Match, limits: FileLimits = DEFAULT_LIMITS) -> Preview:
    """Look at an object as a load would. Nothing is written. Raises `FileRejected` as the load would."""
    contract = read_contract(matched)
    staging = Staging(store, warehouse, object, contract, "rowferry.preview", "preview", limits)
    found = staging.look()
    with closing(staging.records(found)) as rows:
        first = next(rows, None)
    names = list(first[1]) if first else []
    targets = fit_columns(contract, names, {}, None) if names else []
    used = {target.source for target in targets}
    return Preview(
        file=object.key,
        feed=matched.name,
        table=contract.table,
        found=found,
        parts={name: contract.part_text(name) or "" for name in contract.parts},
        columns=tuple(
            PreviewColumn(
                target.name,
                target.type,
                names[target.source] if target.source is not None else f"{{{target.part}}}" if target.part else "",
                target.is_declared,
            )
            for target in targets
        ),
        left_out=tuple(name for place, name in enumerate(names) if place not in used),
    )
