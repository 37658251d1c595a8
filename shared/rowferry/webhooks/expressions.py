"""JMESPath as routes use it, with a few functions for what senders of webhooks write oddly.

    upper(text)  lower(text)  trim(text)
    major_units(amount, currency)   1999, 'usd' → 19.99; 1999, 'jpy' → 1999
    stripe_units(amount, currency)  the same of what Stripe writes, whose 500 in ISK are 5 krónur
    iso_time(number)                seconds or milliseconds since 1970 → '2026-11-21T08:00:00+00:00'

Each gives null for null, so that a field the sender left out is a field that is left out.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jmespath
from jmespath import exceptions, functions, visitor

from rowferry import units
from rowferry.webhooks.paths import is_true, plain_path

_NULLABLE_TEXT: Any = {"types": ["string", "null"]}
_NULLABLE_NUMBER: Any = {"types": ["number", "null"]}


class _Functions(functions.Functions):
    @functions.signature(_NULLABLE_TEXT)
    def _func_upper(self, text: str | None) -> str | None:
        return text and text.upper()

    @functions.signature(_NULLABLE_TEXT)
    def _func_lower(self, text: str | None) -> str | None:
        return text and text.lower()

    @functions.signature(_NULLABLE_TEXT)
    def _func_trim(self, text: str | None) -> str | None:
        return text and text.strip()

    @functions.signature(_NULLABLE_NUMBER)
    def _func_iso_time(self, number: float | None) -> str | None:
        return units.iso_time(number)

    @functions.signature(_NULLABLE_NUMBER, _NULLABLE_TEXT)
    def _func_major_units(self, amount: float | None, currency: str | None) -> float | None:
        return units.major_units(amount, currency)

    @functions.signature(_NULLABLE_NUMBER, _NULLABLE_TEXT)
    def _func_stripe_units(self, amount: float | None, currency: str | None) -> float | None:
        return units.stripe_units(amount, currency)


_FUNCTIONS = _Functions()
_WITH_TEXT = ("contains", "starts_with", "ends_with")
_INTERPRETER = visitor.TreeInterpreter(jmespath.Options(custom_functions=_FUNCTIONS))  # keeps nothing of what it interprets


class Expression:
    """A compiled JMESPath. Raises `ValueError` when the text is none, or can't mean what it was meant to."""

    def __init__(self, text: str) -> None:
        try:
            parsed = jmespath.compile(text).parsed
        except exceptions.JMESPathError as error:
            raise ValueError(f"not JMESPath: {' '.join(str(error).split())}") from None
        _check(parsed, text)
        self._find = plain_path(parsed, _FUNCTIONS.call_function) or partial(_INTERPRETER.visit, parsed)
        self.text = text

    def value(self, body: Any) -> Any:
        """What it finds in `body`; None also where a function meets a type that it does not take."""
        try:
            return self._find(body)
        except (exceptions.JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError):
            return None

    def holds(self, body: Any) -> bool:
        """Whether it finds something that JMESPath counts as true: not false, null or empty. 0 is true."""
        return is_true(self.value(body))


def _check(node: Any, text: str) -> None:
    """What JMESPath would only say when an event comes, or never."""
    if node["type"] == "function_expression" and node["value"] not in _Functions.FUNCTION_TABLE:
        raise ValueError(f"JMESPath has no function {node['value']}; there are {', '.join(sorted(_Functions.FUNCTION_TABLE))}")
    if node["type"] == "subexpression" and node["children"][0]["type"] == "not_expression":
        raise ValueError("in JMESPath `!a.b` is a field of `!a`, which has none; write !(a.b)")
    if node["type"] == "comparator" or (node["type"] == "function_expression" and node["value"] in _WITH_TEXT):
        _check_constant(node["children"][-1], text)
    for child in node["children"]:
        if isinstance(child, dict):
            _check(child, text)


def _check_constant(node: Any, text: str) -> None:
    """What is compared with was meant as a constant, and JMESPath takes it for a field: it would hold for no event."""
    name = node["value"] if node["type"] == "field" else ""
    if f'"{name}"' in text:
        raise ValueError(f"in JMESPath \"{name}\" is a field; a text is written '{name}'")
    if name in ("true", "false", "null"):
        raise ValueError(f"in JMESPath {name} is a field; the value is written `{name}`")
