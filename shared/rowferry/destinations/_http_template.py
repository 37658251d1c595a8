"""Templates of the generic HTTP destination: a row's fields in, a JSON document or a text out.

    "{email}"                       the field itself, with its type; the key is left out when the row has none
    "{first_name} {last_name}"      a text, without blanks around it; left out when the row has none of them
    "{{ total * 100 }}"             a Jinja expression, with its type; left out when it yields nothing
    "{{ a }}-{{ b }}"               a Jinja text
    "{rest}", "{{ rest | tojson }}" all fields that nothing else uses, as one object

Whoever writes a template is trusted with the settings, the values are not: they are data, never a
template, and a template calls no functions. Filters beside Jinja's own: `epoch`, `epoch_millis`, `iso`,
`strftime('%Y-%m-%d')` for times, and `tojson`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from jinja2 import ChainableUndefined, TemplateError, Undefined, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rowferry.destinations.port import Fields, Value
from rowferry.destinations.values import dumps, instant, iso, plain
from rowferry.errors import RowRejected

REST = "rest"
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_EXPRESSION = re.compile(r"\s*\{\{((?:(?!\{\{|\}\}).)*)\}\}\s*", re.DOTALL)
_MISTAKES = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


class _Absent:
    """Stands for a value that the row does not have: its key is left out."""


_ABSENT: Final = _Absent()
Fill = Callable[[Mapping[str, Any]], Any]


def as_text(value: Value, name: str) -> str:
    """A value as text for forms, addresses and headers: texts and times as they are, the rest as JSON, NULL as nothing.

    Raises `RowRejected` like `values.plain`.
    """
    found = plain(value, name)
    if found is None or isinstance(found, str):
        return found or ""
    return dumps(found).decode()


class Template:
    """A compiled document, of texts, mappings, lists and constants. Raises `ValueError` for what is no template.

    `names` are the fields it uses. Unless it uses `rest`, a document that is a mapping takes all
    other fields as they are: nothing that a sync maps stays behind. `elsewhere` are the names of
    fields that have their place outside of the document, `hidden` those that never go by themselves.
    """

    def __init__(self, document: Any, elsewhere: Iterable[str] = (), hidden: Iterable[str] = ()) -> None:
        self._used: set[str] = set()
        self._mixed: set[str] = set()
        self._fill = self._compile(document, "body")
        self.names = frozenset(self._used - {REST})
        self.takes_rest = isinstance(document, dict) or REST in self._used
        self._adds_rest = isinstance(document, dict) and REST not in self._used
        self._placed = self.names | frozenset(elsewhere) | frozenset(hidden)

    def mixed_of(self, names: Iterable[str]) -> frozenset[str]:
        """Which of these fields must all be there for what is made of them to be right."""
        all_names = frozenset(names)
        return (all_names & self._mixed) | (all_names - self._placed if REST in self._mixed else frozenset())

    def fill(self, fields: Fields) -> Any:
        """The document for one row, of plain JSON values. Raises `RowRejected`."""
        rest = {name: value for name, value in fields.items() if name not in self._placed}
        found = self._fill({**fields, REST: rest})
        if self._adds_rest:
            return {**{name: plain(value, name) for name, value in rest.items()}, **found}
        return None if found is _ABSENT else found

    def _compile(self, part: Any, path: str) -> Fill:
        if isinstance(part, dict):
            return self._compile_mapping(part, path)
        if isinstance(part, list | tuple):
            fills = [self._compile(item, f"{path}.{index}") for index, item in enumerate(part)]
            return lambda fields: [value for fill in fills if (value := fill(fields)) is not _ABSENT]
        if not isinstance(part, str):
            return lambda _fields: part
        if "{{" in part or "{%" in part:
            return self._compile_jinja(part, path)
        return self._compile_text(part)

    def _compile_mapping(self, part: dict[str, Any], path: str) -> Fill:
        fills = {name: self._compile(value, f"{path}.{name}") for name, value in part.items()}

        def fill(fields: Mapping[str, Any]) -> Any:
            found = {name: value for name, each in fills.items() if (value := each(fields)) is not _ABSENT}
            return found if found or not fills or path == "body" else _ABSENT

        return fill

    def _compile_text(self, part: str) -> Fill:
        names = _PLACEHOLDER.findall(part)
        self._used.update(names)
        if not names:
            return lambda _fields: part
        if part == f"{{{names[0]}}}":
            name = names[0]
            return lambda fields: plain(fields[name], name) if name in fields else _ABSENT
        self._mixed.update(names)
        return lambda fields: fill_text(part, fields).strip() if any(name in fields for name in names) else _ABSENT

    def _compile_jinja(self, part: str, path: str) -> Fill:
        try:
            tree = _JINJA.parse(part)
            if next(tree.find_all((nodes.Call, nodes.CallBlock, nodes.Macro, nodes.Pow)), None) is not None:
                raise ValueError("a template calls no functions and raises to no power; use a filter")
            whole = _EXPRESSION.fullmatch(part)
            evaluate = _JINJA.compile_expression(whole[1]) if whole else _JINJA.from_string(part).render
        except TemplateError as error:
            raise ValueError(f"{path} is not a template: {error.message or type(error).__name__}") from None
        self._used |= meta.find_undeclared_variables(tree)
        self._mixed |= meta.find_undeclared_variables(tree)

        def fill(fields: Mapping[str, Any]) -> Any:
            try:
                value = evaluate(fields)
            except _MISTAKES as error:
                raise RowRejected("template_failed", f"{path} can't be filled in for this row: {type(error).__name__}") from None
            return _ABSENT if value is None else plain(value, path)

        return fill


def placeholders(text: str) -> frozenset[str]:
    """The names in `{braces}`."""
    return frozenset(_PLACEHOLDER.findall(text))


def fill_text(text: str, fields: Fields, quote: Callable[[str], str] = str) -> str:
    """The text with each `{field}` replaced by its value; a field that the row lacks by nothing."""
    return _PLACEHOLDER.sub(lambda found: quote(as_text(fields.get(found[1]), found[1])), text)


class _Environment(ImmutableSandboxedEnvironment):
    """Data and filters only: `a.b` is what stands under `b`, never Python's attribute of that name."""

    intercepted_binops = frozenset({"*"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=str(argument))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
            raise TypeError("only numbers are multiplied")  # a text times a million is a text of a million
        return super().call_binop(context, operator, left, right)


def _of_time(convert: Callable[..., Any]) -> Callable[..., Any]:
    """A filter on a moment (TIMESTAMP, DATETIME or DATE as UTC, ISO text); nothing stays nothing."""

    def filtered(value: Any, *arguments: Any) -> Any:
        return None if value is None or isinstance(value, Undefined) else convert(instant(value, "a time"), *arguments)

    return filtered


def _finalize(value: Any) -> str:
    return "" if isinstance(value, Undefined) else as_text(value, "a value in a template")


_JINJA = _Environment(undefined=ChainableUndefined, finalize=_finalize, autoescape=False)
_JINJA.globals.clear()
_JINJA.filters |= {
    "epoch": _of_time(lambda moment: int(moment.timestamp())),
    "epoch_millis": _of_time(lambda moment: int(moment.timestamp() * 1000)),
    "iso": _of_time(iso),
    "strftime": _of_time(lambda moment, form: moment.strftime(form)),
    "tojson": lambda value: None if isinstance(value, Undefined) else dumps(plain(value, "a value in a template")).decode(),
}
