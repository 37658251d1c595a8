"""A JSON Schema of the settings file, for editors: completion, help texts and a red line under a misspelling.

Nothing is required at the top, since a file in a folder may hold a part of the settings only;
`rowferry check` says what the whole is missing.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from rowferry.destinations import find, vendors
from rowferry.settings.model import SECTIONS, Settings

_REF = "#/$defs/{model}"
_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,62}$"


def json_schema() -> dict[str, Any]:
    """The schema (2020-12) as plain values, with each vendor's own keys. Imports all vendors."""
    models = {vendor: find(vendor).settings for vendor in vendors()}
    refs, whole = models_json_schema([(Settings, "validation"), *((model, "validation") for model in models.values())], ref_template=_REF)
    definitions = whole["$defs"]
    root = definitions.pop("Settings")
    root.pop("required", None)
    for section in SECTIONS:
        root["properties"][section]["propertyNames"] = {"pattern": _NAME}
    by_vendor = {vendor: refs[model, "validation"] for vendor, model in models.items()}
    root["properties"]["destinations"]["additionalProperties"] = _destination(by_vendor)
    definitions.pop("DestinationSettings", None)
    schema = {**root, "$defs": definitions}
    _tidy(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Rowferry settings", **schema}


def _destination(schemas: dict[str, Any]) -> dict[str, Any]:
    """The vendor decides which keys there are: `if`/`then` lets an editor name the very key that is wrong."""
    choices = [
        {"if": {"properties": {"vendor": {"const": vendor}}, "required": ["vendor"]}, "then": schema} for vendor, schema in schemas.items()
    ]
    return {"type": "object", "required": ["vendor"], "properties": {"vendor": {"enum": list(schemas)}}, "allOf": choices}


def _tidy(node: Any) -> None:
    """Titles made from names say nothing new; defaults of durations are written `30s` in the file."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        if "[smhd]" in str(node.get("pattern", "")) and isinstance(node.get("default"), float):
            node["default"] = _duration(node["default"])
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _tidy(part)


def _duration(seconds: float) -> str:
    """As a person would write it: `2h`, not `7200s`."""
    size, unit = next(((size, unit) for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)) if seconds and seconds % size == 0), (1, "s"))
    return f"{seconds / size:g}{unit}"
