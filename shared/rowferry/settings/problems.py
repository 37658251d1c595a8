"""What pydantic found wrong, as problems that a person can act on and that never show a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rowferry.errors import Problem, UsageError

_SENSITIVE = re.compile(r"(?i)api_?key|secret|token|passw|passcode|passphrase|credential|private|signature|webhook_url|\burl$|auth")
# How keys of well-known services begin, and addresses with something in them.
_TOKEN = re.compile(r"(?i)(\b|_)(sk|pk|rk|whsec|xox[a-z]|ghp|akia|eyj)[_-]?(?=\w*\d)\w{8,}|bearer\s|basic\s|://")
_KINDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "date_type": "a day such as 2026-01-31",
    "date_parsing": "a day such as 2026-01-31",
    "date_from_datetime_parsing": "a day such as 2026-01-31",
}
_UNSHOWN = {"this text", "a mapping", "a list", "a number"}


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed word that was most likely meant, or None when none is near."""
    import difflib

    by_lower = {known.lower(): known for known in sorted(allowed, reverse=True)}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that the settings do not have."""
    words = list(known)
    meant = nearest(name, words)
    hint = f"did you mean {meant!r}?" if meant else f"the settings have {', '.join(words) or 'none'}"
    return UsageError(f"there is no {kind} {name!r}; {hint}")


def suggest(word: Any, allowed: Iterable[str], what: str = "allowed are") -> str:
    """A hint: `did you mean send? allowed are …`. The word itself is not in it."""
    words = list(allowed)
    meant = nearest(word, words) if isinstance(word, str) else None
    listing = f"{what} {', '.join(words)}" if words else ""
    return " ".join(part for part in (f"did you mean {meant}?" if meant else "", listing) if part)


def shown(value: Any, path: str = "") -> str:
    """What was found, for people: words and small numbers as they are, of the rest only what kind of thing it is.

    Nothing at a path that sounds like a secret's is ever shown, nor anything that looks like one.
    """
    if isinstance(value, str):
        return _shown_text(value, path)
    if isinstance(value, bool) or value is None:
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return "a number" if _SENSITIVE.search(path) or len(repr(value)) > 8 else repr(value)


def _shown_text(text: str, path: str) -> str:
    if not text.strip():
        return "an empty text"
    return "this text" if _SENSITIVE.search(path) or not _is_plain(text) else repr(text)


def _is_plain(text: str) -> bool:
    """Whether a text can hardly be a secret: a few short words of letters, or of few digits."""
    if len(text) > 60 or _TOKEN.search(text) or not re.fullmatch(r"[\w .,:*/{}%<>=+-]+", text, re.ASCII):
        return False
    words = re.split(r"[ .,:/{}<>=+%*_-]+", text)
    return all(len(word) <= (16 if word.isalpha() else 6) for word in words)


def hidden_key(key: str) -> str:
    """A key for a path: as it is, or … when it looks like a secret in the wrong place."""
    looks_secret = _TOKEN.search(key) or (len(key) >= 20 and sum(character.isdigit() for character in key) >= 4)
    return "…" if looks_secret or len(key) > 300 or not key.isprintable() else key or "''"


def to_problems(error: ValidationError, data: Any, prefix: str, model: type[BaseModel]) -> list[Problem]:
    """Every problem in a validation error. `data` is what was validated, `prefix` its path in the settings."""
    found: list[Problem] = []
    for path, details in _by_path(error, data).items():
        conflicts = [problem for detail in details if detail["type"] == "conflicts" for problem in detail["ctx"]["problems"]]
        found += [_below(prefix, [*path, *([problem.path] if problem.path else [])], problem) for problem in conflicts]
        value = _at(data, path)
        # Where one of several kinds may stand, each kind has its own error: together they are one problem.
        kinds = dict.fromkeys(_KINDS[detail["type"]] for detail in details if detail["type"] in _KINDS)
        others = [detail for detail in details if detail["type"] not in {"conflicts", *_KINDS}]
        if kinds and not isinstance(value, str):
            others = [detail for detail in others if detail["type"] != "value_error"]
        found += [_below(prefix, path, _problem(detail, path, value, model)) for detail in others]
        if kinds and not others:
            wanted = Problem("", f"is {shown(value, '.'.join(map(str, path)))}, expected {' or '.join(kinds)}")
            found.append(_below(prefix, path, wanted))
    return found


def _by_path(error: ValidationError, data: Any) -> dict[tuple[str | int, ...], list[ErrorDetails]]:
    found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        found.setdefault(tuple(_path(detail, data)), []).append(detail)
    return found


def _below(prefix: str, path: Sequence[str | int], problem: Problem) -> Problem:
    parts = [part for part in (prefix, *map(str, path)) if part]
    return Problem(".".join(hidden_key(part) if part != prefix else part for part in parts), problem.problem, problem.hint)


def _problem(detail: ErrorDetails, path: Sequence[str | int], value: Any, model: type[BaseModel]) -> Problem:
    """One of pydantic's errors in our words; its path is filled in by the caller."""
    kind, found = detail["type"], shown(value, ".".join(str(part) for part in path))
    if kind == "missing":
        return Problem("", "is missing", _describe(model, path))
    if kind == "extra_forbidden":
        return Problem("", "is not a key here", suggest("".join(map(str, path[-1:])), _keys_at(model, path[:-1])))
    if kind == "literal_error":
        return Problem("", f"{found} is not allowed", suggest(value, re.findall(r"'([^']*)'", detail["ctx"]["expected"])))
    return Problem("", _sentence(detail, value, found))


def _sentence(detail: ErrorDetails, value: Any, found: str) -> str:
    if detail["type"] == "value_error":
        message = without_quotes(str(detail["ctx"]["error"]), value)
        return message if found in _UNSHOWN else f"{found}: {message}"
    return f"is {found}: {re.sub('^(Input|Value|String|List|Tuple|Dictionary) should', 'must', detail['msg'])}"


def without_quotes(message: str, value: Any) -> str:
    """The message of a library or validator; what it quotes of a text that is not to be shown is left out."""
    if not isinstance(value, str) or _is_plain(value):
        return message
    if len(value) > 3:
        message = message.replace(value, "…")
    return re.sub(r"""(['"`])(.+?)\1""", lambda quoted: quoted[0] if _is_plain(quoted[2]) or quoted[2] not in value else "…", message)


def _path(detail: ErrorDetails, data: Any) -> list[str | int]:
    """The error's place without pydantic's own marks (names of union members), by walking the data."""
    path: list[str | int] = []
    parts = [part for part in detail["loc"] if not (isinstance(part, str) and part.startswith(("<", "[")))]
    for index, part in enumerate(parts):
        if _has(data, part):
            data = data[part]
            path.append(part)
        elif detail["type"] == "missing" and index == len(parts) - 1:
            path.append(part)
    return path


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)


def _at(data: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        if not _has(data, part):
            return None
        data = data[part]
    return data


def _keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that the models at this place know."""
    return [field.alias or name for found in _models_at([model], path) for name, field in found.model_fields.items()]


def _describe(model: type[BaseModel], path: Sequence[str | int]) -> str:
    for found in _models_at([model], path[:-1]):
        for name, field in found.model_fields.items():
            if (field.alias or name) == path[-1] and field.description:
                return field.description
    return f"add {path[-1]}: …"


def _models_at(models: list[type[BaseModel]], path: Sequence[str | int]) -> list[type[BaseModel]]:
    """The models a value at this path may be read by. A key of a mapping or a list's index leads to its items' models."""
    for part in path:
        fields = [field for model in models for name, field in model.model_fields.items() if (field.alias or name) == part]
        if fields:
            models = [found for field in fields for found in _models_in(field.annotation)]
    return models


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
