"""The mapping of a sync, compiled once and applied to every row.

A field of the payload is fed by one column, by a constant, or, where names nest (`address___city`),
by several columns that together make one object. Such an object is one field: vendors overwrite
nested objects whole, so it changes and leaves as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson

from rowferry.errors import RowRejected
from rowferry.mapping import transforms

NESTING = "___"
Getter = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One column's or constant's way into a field. `path` is empty, or the names below the field."""

    path: tuple[str, ...] = ()
    column: str | None = None
    value: Any = None
    transform: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A top-level field of the payload and the parts that make it."""

    name: str
    parts: tuple[Part, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return tuple(part.column for part in self.parts if part.column is not None)

    @property
    def salt(self) -> str:
        """Changes when the way from columns to field changes, so that a new mapping sends anew."""
        text = orjson.dumps([[part.path, part.value if part.column is None else None, part.transform] for part in self.parts], default=str)
        return hashlib.md5(text, usedforsecurity=False).hexdigest()[:12]


def fields_of(specs: Iterable[tuple[str, Part]]) -> tuple[Field, ...]:
    """Fields in the order of their first mention; `a___b` and `a___c` become one field `a`."""
    parts: dict[str, list[Part]] = {}
    for name, part in specs:
        top, *below = name.split(NESTING)
        parts.setdefault(top, []).append(Part(tuple(below), part.column, part.value, part.transform))
    return tuple(Field(name, tuple(found)) for name, found in parts.items())


class CompiledMapping:
    """Compiled fields: each takes its value out of a row's values, which are in the order of `columns`."""

    def __init__(self, fields: Sequence[Field], columns: Sequence[str]) -> None:
        self.fields = tuple(fields)
        position = {name: index for index, name in enumerate(columns)}
        self._getters = [_naming(field.name, _getter(field, position)) for field in self.fields]

    def getter(self, index: int) -> Getter:
        """The way to field `index`. It raises `RowRejected` when a transform can't do its work."""
        return self._getters[index]


def _naming(name: str, get: Getter) -> Getter:
    """Tell which field it was when a transform can't do its work; a plain column's value can't fail."""
    if isinstance(get, itemgetter):
        return get

    def named(row: Sequence[Any]) -> Any:
        try:
            return get(row)
        except ValueError as error:
            raise RowRejected("bad_value", f"the field {name}: {error}") from None
        except OverflowError:
            raise RowRejected("bad_value", f"the field {name}: a number or time within the usual range was expected") from None

    return named


def _getter(field: Field, position: Mapping[str, int]) -> Getter:
    if len(field.parts) == 1 and not field.parts[0].path:
        return _part_getter(field.parts[0], position)
    getters = [(part.path, _part_getter(part, position)) for part in field.parts]

    def nested(row: Sequence[Any]) -> Any:
        found: dict[str, Any] = {}
        for path, get in getters:
            value = get(row)
            if value is not None:
                _put(found, path, value)
        return found or None

    return nested


def _put(target: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    if not path:
        if not isinstance(value, dict):
            raise ValueError("it holds a plain value, and other columns nest below it")
        target.update(value)
        return
    for name in path[:-1]:
        below = target.setdefault(name, {})
        if not isinstance(below, dict):
            raise ValueError(f"{NESTING.join(path)} nests below a name that holds a plain value")
        target = below
    if isinstance(target.get(path[-1]), dict) and not isinstance(value, dict):
        raise ValueError(f"{NESTING.join(path)} holds a plain value, and other columns nest below it")
    target[path[-1]] = value


def _part_getter(part: Part, position: Mapping[str, int]) -> Getter:
    if part.column is None:
        constant = transforms.chain(part.transform)(part.value)
        return lambda _row: constant
    index = position[part.column]
    if not part.transform:
        return itemgetter(index)
    transform = transforms.chain(part.transform)
    return lambda row: transform(row[index])
