"""One YAML file as plain values, with the place of each: YAML 1.2's scalars, as Terraform reads them too.

Plain YAML libraries let a key stand twice and keep the last, read `12:30` as a number and `no`
as false. Here a repeated key is a problem, and only true, false, null and numbers are not text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rowferry.errors import Problem
from rowferry.settings.place import Place

_MOST_VALUES = 100_000  # a file of a few kilobytes can unfold to billions by aliases
_SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]{1,300}",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
}


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (PyYAML declares it so)


for _kind, _form in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_form})$"), None)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])


@dataclass
class Document:
    """What a file says. `data` is None when nothing could be read; `problems` says why."""

    file: str
    data: Any = None
    places: dict[str, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_document(path: Path, file: str) -> Document:
    """Read one YAML file; `file` is its name for people. Whatever is wrong is in `problems`, nothing is raised."""
    document = Document(file)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            document.problems.append(Problem(file, "is empty", "begin with rowferry: 1, warehouse: and state:"))
        else:
            document.data = _Reader(document).value(node, "")
    except OSError as error:
        document.problems.append(Problem(file, f"can't be read: {error.strerror}"))
    except UnicodeDecodeError:
        document.problems.append(Problem(file, "is not UTF-8 text", "save it as UTF-8"))
    except yaml.YAMLError as error:
        document.problems.append(_syntax_problem(file, error))
    except RecursionError:
        document.problems.append(Problem(file, "is nested too deeply to be settings"))
    if document.problems and document.data is None:
        document.places.clear()
    return document


class _Reader:
    """Turns nodes into values, noting where each stands. Raises `yaml.YAMLError` for what is not plain data."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._values = 0
        self._open: set[int] = set()  # nodes being read: an alias to one of them would never end

    def value(self, node: yaml.Node, path: str) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _refused(f"more than {_MOST_VALUES:,} values, counting aliases", node)
        if id(node) in self._open:
            raise _refused("an alias to what it is itself a part of", node)
        if path:
            self._document.places.setdefault(path, self._place(node))
        self._open.add(id(node))
        try:
            return self._plain(node, path)
        finally:
            self._open.discard(id(node))

    def _plain(self, node: yaml.Node, path: str) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, f"{path}.{index}" if path else str(index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        raise _refused("a tag (!) that settings have no use for", node)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = {**self._merged(value_node, path), **merged}
                continue
            key = _key(key_node)
            inner = f"{path}.{key}" if path else key
            if key in found:
                first = self._document.places[inner].line
                hint = f"in line {first} and in line {self._place(key_node).line}; keep one of them"
                self._document.problems.append(Problem(inner, "stands here twice", hint))
                continue
            self._document.places[inner] = self._place(key_node)
            found[key] = self.value(value_node, inner)
        return {**merged, **found}

    def _merged(self, node: yaml.Node, path: str) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for part in reversed(parts):
            value = self.value(part, path)
            if not isinstance(value, dict):
                raise _refused("<< expects a mapping, or a list of mappings", part)
            found.update(value)
        return found

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._document.file, node.start_mark.line + 1)


def _refused(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or len(node.value) > 300:
        raise _refused("a key that is not a plain text", node)
    return str(node.value)


def _scalar(node: yaml.ScalarNode) -> Any:
    kind = node.tag.rpartition(":")[2]
    text: str = node.value
    if node.tag == "tag:yaml.org,2002:str":
        return text
    if kind not in _SCALARS or not re.fullmatch(_SCALARS[kind], text):
        raise _refused("a tag (!) that settings have no use for", node)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    return int(text) if kind == "int" else float(text)


def _syntax_problem(file: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = str(getattr(error, "problem", None) or "holds characters that YAML does not allow")
    if "'\\t'" in what:
        return Problem(file, _at("is indented with a tab", mark), "YAML allows spaces only; replace each tab by two spaces")
    # The library quotes pieces of the file, which can be pieces of a secret: only its own <words> stay.
    what = re.sub(r"""(['"])(?!<[a-z ]+>\1)(?!.\1).*\1""", "…", what)
    return Problem(file, _at(f"is not YAML: {what}", mark), "texts with : # { [ & * ! in them need quotes")


def _at(text: str, mark: Any) -> str:
    return text if mark is None else f"{text} in line {mark.line + 1}, column {mark.column + 1}"
