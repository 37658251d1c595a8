"""Every secret and address that the settings leave to the environment or a secret store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from rowferry.settings.base import Secret
from rowferry.settings.url import UrlReference


def references(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and `secret:NAME` or `env:NAME` of each reference below this value, in its order."""
    if isinstance(value, Secret):
        yield path, value.reference
    elif isinstance(value, UrlReference):
        yield path, str(value)
    else:
        for name, part in _parts(value):
            yield from references(part, f"{path}.{name}" if path else str(name))


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield field.alias or name, getattr(value, name, None)
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, tuple | list):
        yield from enumerate(value)
