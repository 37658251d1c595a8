"""The settings file, or a folder of them, read and validated: all problems at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from rowferry.destinations import find, vendors
from rowferry.errors import Problem, SettingsError
from rowferry.settings.base import Frozen
from rowferry.settings.document import Document, read_document
from rowferry.settings.model import SECTIONS, Head, Settings
from rowferry.settings.names import check_entry_name
from rowferry.settings.place import Place, located
from rowferry.settings.problems import hidden_key, shown, suggest, to_problems

DEFAULT_PATH = Path("infra/pipelines")
_USUAL_NAME = "rowferry.yaml"


def read_settings(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a YAML file, or of all `*.yaml` in a folder. Raises `SettingsError` with every problem.

    Without a path: `ROWFERRY_CONFIG` of the environment, else `infra/pipelines`. `env:NAME` of addresses
    is looked up in `environment`; secrets stay references. Relative paths are below the file's folder.
    """
    place = path or Path(environment.get("ROWFERRY_CONFIG") or DEFAULT_PATH)
    draft = _Draft({"environment": environment, "folder": place if place.is_dir() else place.absolute().parent})
    documents = _documents(place)
    for document in documents:
        draft.problems += document.problems
        draft.places |= {name: found for name, found in document.places.items() if name not in draft.places}
        _merge(draft, document)
    if any(document.data is None and document.problems for document in documents):
        # What could not be read may hold what the rest seems to lack.
        raise SettingsError(located(draft.problems, draft.places))
    _validate(draft)
    return _finished(draft)


def parse_settings(data: Mapping[str, Any], environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Settings from plain values, as the YAML has them. Raises `SettingsError` with every problem."""
    draft = _Draft({"environment": environment or {}, "folder": folder}, data=dict(data))
    _validate(draft)
    return _finished(draft)


@dataclass
class _Draft:
    """Settings on their way: what the files say, where, what is wrong with it, and the parts that are right."""

    context: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    parts: dict[str, Any] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def is_broken(self, path: str) -> bool:
        """Whether something at or above this path was told of already, so that what follows from it need not be."""
        return any(path == found or path.startswith(f"{found}.") for found in self.broken)


def _documents(path: Path) -> list[Document]:
    try:
        return _listed(path)
    except OSError as error:
        return [Document(str(path), problems=[Problem(str(path), f"can't be read: {error.strerror}")])]


def _listed(path: Path) -> list[Document]:
    if path.is_file():
        return [read_document(path, path.name)]
    if not path.is_dir():
        example = f" {_USUAL_NAME}" if Path(_USUAL_NAME).is_file() else ""
        hint = f"name a file or folder: --config{example}, or in ROWFERRY_CONFIG"
        return [Document(str(path), problems=[Problem(str(path), "there is no such settings file or folder", hint)])]
    files = sorted(file for file in path.iterdir() if file.suffix == ".yaml" and not file.name.startswith("."))
    others = sorted(file.name for file in path.iterdir() if file.suffix == ".yml")
    wrong = [Problem(name, "is not read", "rename it to end in .yaml: Terraform reads no other") for name in others]
    if not files:
        wrong.append(Problem(str(path), "holds no *.yaml file", "name another folder with --config, or put the settings there"))
    return [Document(str(path), problems=wrong), *(read_document(file, file.name) for file in files)]


def _merge(draft: _Draft, document: Document) -> None:
    if document.data is None:
        return
    if not isinstance(document.data, dict):
        draft.problems.append(Problem(document.file, f"is {shown(document.data)}, expected sections such as destinations: and syncs:"))
        return
    for name, value in document.data.items():
        if name not in draft.data:
            draft.data[name] = dict(value) if isinstance(value, dict) else value
        elif name in SECTIONS and isinstance(value, dict) and isinstance(draft.data[name], dict):
            _merge_section(draft, document, name, value)
        elif value is not None and draft.data[name] != value:
            draft.problems.append(_twice(draft, document, name))


def _merge_section(draft: _Draft, document: Document, section: str, entries: Mapping[str, Any]) -> None:
    for name, value in entries.items():
        if name in draft.data[section]:
            draft.problems.append(_twice(draft, document, f"{section}.{name}"))
        else:
            draft.data[section][name] = value


def _twice(draft: _Draft, document: Document, path: str) -> Problem:
    first, second = draft.places.get(path), document.places.get(path)
    return Problem(path, f"stands in two places: {first} and {second}", "keep one of them, or rename it")


def _validate(draft: _Draft) -> None:
    version = draft.data.get("rowferry")
    if type(version) is not int or version != 1:
        draft.problems.append(_wrong_version(version, "rowferry" in draft.data))
    for name in draft.data:
        if name not in Settings.model_fields:
            draft.problems.append(Problem(hidden_key(str(name)), "is not a section", suggest(str(name), Settings.model_fields)))
    _validate_head(draft)
    for section, model in SECTIONS.items():
        draft.parts[section] = _validate_section(draft, section, model)


def _wrong_version(version: Any, given: bool) -> Problem:
    if not given:
        return Problem("rowferry", "is missing", "begin the file with rowferry: 1, the version of its form")
    hint = "write rowferry: 1, or use the Rowferry that the file was written for"
    return Problem("rowferry", f"is {shown(version)}, this program reads version 1", hint)


def _validate_head(draft: _Draft) -> None:
    data = {name: draft.data[name] for name in Head.model_fields if name in draft.data} | {"rowferry": 1}
    try:
        draft.parts |= dict(Head.model_validate(data, context=draft.context))
    except ValidationError as error:
        draft.problems += to_problems(error, data, "", Head)


def _validate_section(draft: _Draft, section: str, model: type[Frozen]) -> dict[str, Any]:
    entries = draft.data.get(section)
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        draft.problems.append(Problem(section, f"is {shown(entries)}, expected a mapping of names, each with its keys"))
        return {}
    found = {}
    for name, raw in entries.items():
        path = f"{section}.{hidden_key(name)}"
        try:
            check_entry_name(name)
        except ValueError as error:
            draft.problems.append(Problem(path, str(error)))
        entry = _destination(raw, path, draft) if section == "destinations" else _entry(model, raw, path, draft)
        if entry is not None:
            found[name] = entry
    return found


def _destination(raw: Any, path: str, draft: _Draft) -> Any:
    """Validated by its vendor's own model, which is imported only now."""
    if not isinstance(raw, dict) or "vendor" not in raw:
        problem = Problem(f"{path}.vendor", "is missing", f"allowed are {', '.join(vendors())}")
        draft.problems.append(problem if isinstance(raw, dict) else Problem(path, f"is {shown(raw)}, expected a mapping (key: value)"))
        return None
    vendor = raw["vendor"]
    if vendor not in vendors():
        draft.problems.append(Problem(f"{path}.vendor", f"{shown(vendor)} is not a vendor", suggest(vendor, vendors())))
        return None
    return _entry(find(vendor).settings, raw, path, draft)


def _entry(model: type[BaseModel], raw: Any, path: str, draft: _Draft) -> Any:
    """The entry; where something is wrong with it, what is left of it without the keys concerned, if anything."""
    try:
        return model.model_validate(raw, context=draft.context)
    except ValidationError as error:
        draft.problems += to_problems(error, raw, path, model)
        broken = {str(detail["loc"][0]) for detail in error.errors() if detail["type"] != "conflicts" and detail["loc"]}
    draft.broken |= {f"{path}.{key}" for key in broken}
    return _remains(model, raw, broken, path, draft)


def _remains(model: type[BaseModel], raw: Any, broken: set[str], path: str, draft: _Draft) -> Any:
    if not isinstance(raw, dict):
        return None
    rest = {key: value for key, value in raw.items() if key not in broken}
    try:
        entry = model.model_validate(rest, context={**draft.context, "lenient": True})
    except ValidationError:
        return None
    if broken and isinstance(entry, Frozen):
        found = (replace(problem, path=f"{path}.{problem.path}".rstrip(".")) for problem in entry.conflicts())
        draft.problems += [problem for problem in found if not draft.is_broken(problem.path)]
    return entry


def _finished(draft: _Draft) -> Settings:
    if not draft.problems:
        # Each part has been validated; to validate the whole would build every section's validators.
        return Settings.model_construct(**draft.parts).with_places(draft.places)
    from rowferry.settings.check import check_between  # the checks are for people: a function that starts does without
    from rowferry.settings.checks.scope import Scope

    names = {section: frozenset(found) for section in SECTIONS if isinstance(found := draft.data.get(section), dict)}
    # A head that could not be read was told of: whether there are exports is all that the checks ask of it.
    readable = Settings.model_construct(**{"exports": draft.data.get("exports"), **draft.parts})
    more = [problem for problem in check_between(Scope(readable, names)) if not draft.is_broken(problem.path)]
    raise SettingsError(located([*draft.problems, *more], draft.places))
