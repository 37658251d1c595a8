"""What a run does with its rows: written once, when the run starts, and carried by each of its chunks.

A chunk is delivered as its run was planned, whatever the settings file says by then: a mapping
that changed under way would mark as delivered what never left.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from rowferry.mapping.mapping import Field, Part

Kind = Literal["sync", "relay"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A run's plan. `columns` are the names and types of a chunk line's values, in order.

    `nulls`: "unset" sends a NULL that replaces a value as an explicit null, "ignore" leaves NULLs out.
    `unsets_removed`: a row of op "remove" unsets its fields; else it leaves the `audience`, or is one of
    the action that removes. `kind` "relay" is for rows that came by webhook or as a notice: they have no
    delivered state.
    """

    run: str
    sync: str
    destination: str
    action: str
    columns: tuple[tuple[str, str], ...]
    fields: tuple[Field, ...]
    kind: Kind = "sync"
    lane: int = 2
    nulls: Literal["ignore", "unset"] = "ignore"
    audience: str | None = None
    idempotency: str | None = None
    key_columns: tuple[str, ...] = ()
    unsets_removed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values; `from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Plan:
        """The plan that `to_dict` wrote."""
        fields = tuple(Field(f["name"], tuple(_part(p) for p in f["parts"])) for f in found["fields"])
        columns = tuple((name, kind) for name, kind in found["columns"])
        return cls(**{**found, "columns": columns, "fields": fields, "key_columns": tuple(found["key_columns"])})


def _part(found: dict[str, Any]) -> Part:
    return Part(tuple(found["path"]), found["column"], found["value"], tuple(found["transform"]))
