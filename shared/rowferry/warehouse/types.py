"""BigQuery's column types as values: read from text once, then walked by both adapters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rowferry.warehouse.port import WarehouseError

SIMPLE = frozenset(
    "STRING INT64 FLOAT64 NUMERIC BIGNUMERIC BOOL BYTES DATE DATETIME TIME TIMESTAMP JSON".split()  # noqa: SIM905 (reads as the port's list)
)
# Older names that BigQuery's API still answers with.
_ALIASES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC", "RECORD": "STRUCT"}


@dataclass(frozen=True, slots=True)
class ColumnType:
    """One type. ARRAY has an `element`, STRUCT has `fields`, the others have neither."""

    kind: str
    element: ColumnType | None = None
    fields: tuple[tuple[str, ColumnType], ...] = ()

    def __str__(self) -> str:
        if self.element is not None:
            return f"ARRAY<{self.element}>"
        if self.kind == "STRUCT":
            return f"STRUCT<{', '.join(f'{name} {kind}' for name, kind in self.fields)}>"
        return self.kind

    def holds(self, *kinds: str) -> bool:
        """Whether this type is one of `kinds`, or has one inside."""
        return self.kind in kinds or any(part.holds(*kinds) for part in self._parts())

    def _parts(self) -> Iterator[ColumnType]:
        if self.element is not None:
            yield self.element
        yield from (kind for _, kind in self.fields)


def array_of(element: ColumnType) -> ColumnType:
    """ARRAY<element>."""
    return ColumnType("ARRAY", element=element)


def struct_of(fields: tuple[tuple[str, ColumnType], ...]) -> ColumnType:
    """STRUCT of named fields, in their order."""
    return ColumnType("STRUCT", fields=fields)


@lru_cache(maxsize=4096)
def parse_type(text: str) -> ColumnType:
    """`ARRAY<STRUCT<a INT64>>` as a value. Raises `WarehouseError` for a type the port does not know."""
    body = text.strip()
    head, bracket, rest = body.partition("<")
    kind = head.strip().upper()
    if not bracket:
        kind = _ALIASES.get(kind, kind)
        if kind not in SIMPLE:
            raise WarehouseError(f"{text!r} is no column type; known are {', '.join(sorted(SIMPLE))}, ARRAY<…> and STRUCT<…>")
        return ColumnType(kind)
    if not rest.endswith(">"):
        raise WarehouseError(f"{text!r} is no column type: a > is missing")
    inner = rest[:-1]
    if kind == "ARRAY":
        return array_of(parse_type(inner))
    if _ALIASES.get(kind, kind) == "STRUCT":
        return struct_of(tuple(_field(part, text) for part in _split(inner)))
    raise WarehouseError(f"{text!r} is no column type: only ARRAY and STRUCT take <…>")


def _field(part: str, whole: str) -> tuple[str, ColumnType]:
    name, _, kind = part.strip().partition(" ")
    if not kind:
        raise WarehouseError(f"{whole!r} is no column type: every field of a STRUCT needs a name and a type")
    return name.strip("`"), parse_type(kind)


def _split(inner: str) -> Iterator[str]:
    """The parts between commas that stand in no inner bracket."""
    depth, start = 0, 0
    for at, letter in enumerate(inner):
        depth += (letter == "<") - (letter == ">")
        if letter == "," and depth == 0:
            yield inner[start:at]
            start = at + 1
    yield inner[start:]
