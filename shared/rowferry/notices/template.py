"""Jinja templates in a small box: values and filters in, text out, in bounded time.

Whoever writes a template is trusted with the settings; what flows into it comes from anybody. So there are
no calls, no macros, no Python attributes (`a.items` is the field `items`), loops see 100 items, and every
value is escaped as it is put in. What is missing shows as `–`, since a notice with a gap is better than none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from jinja2 import ChainableUndefined, TemplateError, Undefined, nodes
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rowferry import units
from rowferry.notices import text

_MAX_ITEMS = 100
_MAX_LOOPS = 2  # one within the other
_MAX_CHARACTERS = 12_000


def _given(convert: Callable[..., Any]) -> Callable[..., Any]:
    """The filter gives None for what is missing or no number, as text shows a gap."""

    def filtered(value: Any, *arguments: Any) -> Any:
        missing = isinstance(value, Undefined | str | bool) or any(isinstance(argument, Undefined) for argument in arguments)
        return None if missing else convert(value, *arguments)

    return filtered


_FILTERS = {
    name: FILTERS[name]
    for name in (
        *("abs", "capitalize", "count", "d", "default", "first", "float", "int", "join", "last", "length", "list", "lower"),
        *("max", "min", "round", "string", "sum", "title", "trim", "truncate", "upper"),
    )
} | {found.__name__: _given(found) for found in (units.iso_time, units.major_units, units.stripe_units)}
_NODES = frozenset(
    [
        *("Template", "Output", "TemplateData", "For", "If", "Assign", "Name", "Const", "Tuple", "List", "Dict", "Pair", "Getattr"),
        *("Getitem", "Slice", "Filter", "Test", "CondExpr", "Compare", "Operand", "And", "Or", "Not", "Neg", "Pos", "Add", "Sub"),
        *("Mul", "Div", "FloorDiv", "Mod", "Concat", "Keyword"),
    ]
)
# `truncate` asserts that its length has room for its dots.
_MISTAKES = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, AssertionError)


class Template:
    """A compiled template. Raises `ValueError` for what is not understood or not allowed.

    With `escape`, values are escaped for Slack; without, they are put in as they are (plain text, URLs).
    """

    def __init__(self, source: str, *, escape: bool = True) -> None:
        environment = _ESCAPING if escape else _PLAIN
        try:
            tree = environment.parse(source)
            _check(tree, 0)
            for loop in tree.find_all(nodes.For):
                loop.iter = nodes.Filter(loop.iter, "_start", [], [], None, None)
            self._template = environment.from_string(tree)
        except TemplateError as error:
            raise ValueError(f"not a template: {error.message or type(error).__name__}") from None
        self._fields = sorted({node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"})

    @property
    def fields(self) -> list[str]:
        """The top-level names it looks at."""
        return self._fields

    def render(self, values: Mapping[str, Any]) -> str:
        """The text, not cut to any place's limit yet. Raises `ValueError` where the values don't fit (a
        sum of texts), and names none of them."""
        parts: list[str] = []
        size = 0
        try:
            for part in self._template.generate(values):
                parts.append(part)
                if (size := size + len(part)) > _MAX_CHARACTERS:
                    break
        except _MISTAKES as error:
            raise ValueError(f"the template can't be filled in: {type(error).__name__}") from None
        return text.cut_plain("".join(parts), _MAX_CHARACTERS)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "%"})

    def __init__(self, finalize: Callable[[Any], str]) -> None:
        super().__init__(undefined=ChainableUndefined, finalize=finalize, autoescape=False, keep_trailing_newline=False)
        self.globals.clear()
        self.filters = {**_FILTERS, "_start": _start}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`a.items` is what JSON holds under `items`, never Python's method of that name."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, LoopContext):
            return super().getattr(obj, str(argument))
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
            raise TypeError("only numbers are multiplied")  # a text times a million is a text of a million
        return super().call_binop(context, operator, left, right)


def _start(items: Iterable[Any]) -> list[Any]:
    return list(islice(items, _MAX_ITEMS))


def _escaped(value: Any) -> str:
    return text.escape(_as_is(value))


def _as_is(value: Any) -> str:
    return text.NOTHING if isinstance(value, Undefined) else text.plain(value)


_ESCAPING = _Environment(_escaped)
_PLAIN = _Environment(_as_is)


def _check(node: nodes.Node, loops: int) -> None:
    kind = type(node).__name__
    if kind not in _NODES:
        raise ValueError(f"a template can't hold {kind}: it takes {{{{ values }}}}, filters, if and for")
    if isinstance(node, nodes.For):
        loops += 1
        if loops > _MAX_LOOPS or node.recursive:
            raise ValueError(f"a template's loops are at most {_MAX_LOOPS} deep, and not recursive")
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        raise ValueError(f"there is no filter {node.name}; there are {', '.join(sorted(_FILTERS))}. Values are escaped without one")
    for child in node.iter_child_nodes():
        _check(child, loops)
