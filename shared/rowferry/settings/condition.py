"""Conditions of alerts: `orders < 100 and errors > 5`, over the columns of the alert's one row.

Comparisons, `and or not`, brackets, + - * / and numbers or 'texts'. A condition in which a
NULL takes part does not hold. Nothing else of Python is understood.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_COMPUTE: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_HINT = "expected a condition such as `orders < 100` or `errors > 5 and orders > 0`"


@dataclass(frozen=True)
class Condition:
    """A condition that has been read. `names` are the columns it looks at."""

    text: str
    names: frozenset[str]
    _body: ast.expr

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether it holds for this row. False where a NULL or a division by zero decides; raises as `verdict`."""
        return self.verdict(row) is True

    def verdict(self, row: Mapping[str, Any]) -> bool | None:
        """Whether it holds for this row; None where a NULL, a division by zero or a number without bounds decides.

        Raises `ValueError` when a column is not in the row or can't be compared so.
        """
        try:
            found = _value(self._body, row)
            return None if found is None else bool(found)
        except ArithmeticError:  # an integer of hundreds of digits times 1.5
            return None
        except TypeError:
            raise ValueError(f"the condition `{self.text}` compares things that have no order") from None


def read_condition(text: str) -> Condition:
    """Read a condition. Raises `ValueError` saying what was expected."""
    if len(text) > 1000:
        raise ValueError("a condition has 1,000 characters at most; put the rest into sql")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SyntaxWarning)  # Python only warns of `5and x`, and prints the text
            body = ast.parse(text.strip().replace("<>", "!="), mode="eval").body
        _check(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(_HINT) from None
    if not isinstance(body, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Name):
        raise ValueError(_HINT)
    names = frozenset(node.id for node in ast.walk(body) if isinstance(node, ast.Name))
    if not names:
        raise ValueError("the condition looks at no column; " + _HINT)
    return Condition(text, names, body)


def _check(node: ast.AST) -> None:
    allowed = (
        isinstance(node, ast.Name | ast.Load | ast.BoolOp | ast.boolop | ast.Compare | ast.BinOp | ast.UnaryOp)
        or (isinstance(node, ast.Constant) and isinstance(node.value, int | float | str))
        or type(node) in _COMPARE
        or type(node) in _COMPUTE
        or isinstance(node, ast.Not | ast.USub | ast.UAdd)
    )
    if not allowed:
        raise ValueError(_HINT)
    for child in ast.iter_child_nodes(node):
        _check(child)


def _value(node: ast.expr, row: Mapping[str, Any]) -> Any:
    """The value of a part; None where a NULL decides, as in SQL."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return _column(name, row)
        case ast.BoolOp(op=op, values=parts):
            return _joined(type(op), [_value(part, row) for part in parts])
        case ast.UnaryOp(op=op, operand=part):
            return _signed(type(op), _value(part, row))
        case ast.BinOp(left=left, op=sign, right=right):
            return _computed(_value(left, row), type(sign), _value(right, row))
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [_value(part, row) for part in (left, *others)]
            return _all([_compared(a, type(op), b) for op, a, b in zip(ops, values, values[1:], strict=False)])
    raise ValueError(_HINT)


def _joined(op: type[ast.boolop], values: Sequence[Any]) -> Any:
    return _all(values) if op is ast.And else _not(_all([_not(value) for value in values]))


def _signed(op: type[ast.unaryop], value: Any) -> Any:
    if op is ast.Not:
        return _not(value)
    return -value if op is ast.USub and value is not None else value


def _not(value: Any) -> Any:
    return None if value is None else not value


def _all(values: Sequence[Any]) -> Any:
    if any(value is not None and not value for value in values):
        return False
    return None if any(value is None for value in values) else True


def _compared(left: Any, sign: type[ast.cmpop], right: Any) -> Any:
    return None if left is None or right is None else _COMPARE[sign](*_alike(left, right))


def _computed(left: Any, sign: type[ast.operator], right: Any) -> Any:
    if left is None or right is None or (sign is ast.Div and right == 0):
        return None
    return _COMPUTE[sign](*_alike(left, right))


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """A Decimal and a float compare, but do not add up: both become floats."""
    if {type(left), type(right)} == {Decimal, float}:
        return float(left), float(right)
    return left, right


def _column(name: str, row: Mapping[str, Any]) -> Any:
    if name not in row:
        raise ValueError(f"the condition looks at {name}, which is not a column of the alert's sql")
    return row[name]
