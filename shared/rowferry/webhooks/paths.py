"""The plain part of JMESPath, which most of what routes say is written in, without its interpreter: several times as fast.

Fields, indexes, constants, `==`, `!=`, `&&`, `||` and functions of these. An expression with anything else in it is left to
JMESPath as a whole, and what is found here is what it would have found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

Find = Callable[[Any], Any]
Call = Callable[[str, list[Any]], Any]


def plain_path(node: Any, call: Call) -> Find | None:
    """What finds the value that a parsed expression names; None where only JMESPath knows. `call` does functions."""
    make = partial(_function, call) if node["type"] == "function_expression" else _PLAIN.get(node["type"])
    if make is None:
        return None
    parts = [plain_path(child, call) for child in node["children"]]
    known = [part for part in parts if part is not None]
    return make(node.get("value"), known) if len(known) == len(parts) else None


def is_true(found: Any) -> bool:
    """What JMESPath counts as true: all but false, null and what is empty. 0 is true."""
    return found is not None and found is not False and found not in ("", [], {})


def _field(name: Any, _parts: Sequence[Find]) -> Find:
    return lambda value: value.get(name) if isinstance(value, dict) else None


def _index(place: Any, _parts: Sequence[Find]) -> Find:
    return lambda value: value[place] if isinstance(value, list) and -len(value) <= place < len(value) else None


def _literal(constant: Any, _parts: Sequence[Find]) -> Find:
    return lambda _value: constant


def _function(call: Call, name: Any, arguments: Sequence[Find]) -> Find:
    return lambda value: call(name, [find(value) for find in arguments])


def _chain(_name: Any, steps: Sequence[Find]) -> Find:
    def find(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return find


def _comparator(name: Any, sides: Sequence[Find]) -> Find | None:
    if name not in ("eq", "ne"):
        return None
    left, right = sides
    return lambda value: _equal(left(value), right(value)) is (name == "eq")


def _equal(one: Any, other: Any) -> bool:
    """As JSON has it: 1 and true are two things."""
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


def _and(_name: Any, sides: Sequence[Find]) -> Find:
    left, right = sides
    return lambda value: right(value) if is_true(found := left(value)) else found


def _or(_name: Any, sides: Sequence[Find]) -> Find:
    left, right = sides
    return lambda value: found if is_true(found := left(value)) else right(value)


_PLAIN: Mapping[str, Callable[[Any, Sequence[Find]], Find | None]] = {
    "field": _field, "index": _index, "literal": _literal, "subexpression": _chain, "index_expression": _chain,
    "comparator": _comparator, "and_expression": _and, "or_expression": _or,
}  # fmt: skip
