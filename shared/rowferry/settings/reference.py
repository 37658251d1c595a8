"""The page `infra/SETTINGS.md`: every key of the settings file, from the schema that editors use.

`make settings` writes it: python -m rowferry.settings.reference > infra/SETTINGS.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rowferry.destinations import find, vendors
from rowferry.settings.base import DestinationSettings
from rowferry.settings.feed import PRESET_PARTS
from rowferry.settings.model import SECTIONS
from rowferry.settings.pull import REPORTS
from rowferry.settings.schema import json_schema

Node = Mapping[str, Any]
_REF = "#/$defs/"
_MAPS = "[`pipelines/examples/maps.yaml`](pipelines/examples/maps.yaml)"
_HEAD = """\
# The settings, key by key

Made by `make settings` from the models that read the file; don't edit it here. How things fit together is in
[`pipelines/`](pipelines): a commented start, and worked examples. The same for your editor: `rowferry check --schema`.

The settings are one YAML file or a folder of them; a section's entries may stand in several. Each entry has a name of its
own, `NAME` below. A duration is `30s`, `15m`, `1h` or `1d`. A secret is `secret:NAME` or `env:NAME`, and an address may be
`env:NAME`.
"""


def reference() -> str:
    """The page, as Markdown."""
    return "\n".join(_page(json_schema()))


def _page(schema: Node) -> Iterator[str]:
    yield _HEAD
    page = _Page(schema["$defs"])
    head = {name: part for name, part in schema["properties"].items() if name not in SECTIONS}
    yield from page.table(head, required=["warehouse", "state"])
    yield from page.part("warehouse", schema["$defs"]["Warehouse"])
    for name in SECTIONS:
        yield f"## {name}\n"
        yield f"{schema['properties'][name]['description']}\n"
        if name == "destinations":
            yield from _destinations(page)
        else:
            yield from page.part(f"{name}.NAME", page.definition(schema["properties"][name]["additionalProperties"]))
        yield from _extra(name)


def _destinations(page: _Page) -> Iterator[str]:
    """What all vendors have once, then each vendor's own keys and what it can do."""
    models = {vendor: find(vendor) for vendor in vendors()}
    common = frozenset(DestinationSettings.model_fields)
    yield "### Of every vendor\n"
    some = page.definitions[next(iter(models.values())).settings.__name__]
    yield from page.table({name: part for name, part in some["properties"].items() if name in common - {"vendor"}})
    for vendor, destination in models.items():
        yield from page.part(f"vendor: {vendor}", page.definitions[destination.settings.__name__], without=common)
        yield f"What it can do (`action`); maps for each are in {_MAPS}:\n"
        for name in destination.actions:
            note = f": {destination.notes[name]}" if name in destination.notes else ""
            yield f"* `{name}`{note}"
        yield ""


def _extra(section: str) -> Iterator[str]:
    """What the schema can't say."""
    if section == "feeds":
        yield "Parts of a file's name that a preset knows, for use in `table`:\n"
        yield "| preset | parts |\n|---|---|"
        yield from (f"| `{preset}` | {', '.join(f'`{part}`' for part in sorted(parts))} |" for preset, parts in PRESET_PARTS.items())
        yield ""
    if section == "pulls":
        yield "| Vendor | `report` | needs | takes |\n|---|---|---|---|"
        for vendor, reports in REPORTS.items():
            for report, keys in reports.items():
                yield f"| {vendor} | `{report}` | {_names(keys.needs)} | {_names(keys.takes)} |"
        yield ""


class _Page:
    """Writes parts of the schema as tables, each part that is used by several once."""

    def __init__(self, definitions: Node) -> None:
        self.definitions = definitions
        self._told: set[str] = set()

    def definition(self, reference: Node) -> Node:
        """What a reference stands for."""
        found: Node = self.definitions[reference["$ref"].removeprefix(_REF)]
        return found

    def part(self, path: str, node: Node, *, without: frozenset[str] = frozenset()) -> Iterator[str]:
        """A part under its path, and then the parts within it."""
        yield f"### {path}\n"
        yield " ".join(node["description"].split()) + "\n"
        own = {name: part for name, part in node["properties"].items() if name not in without}
        yield from self.table(own, node.get("required", ()))
        for name, part in own.items():
            for inner in _references(part):
                if inner not in self._told:
                    self._told.add(inner)
                    yield from self.part(_inner_path(path, name, part, self.definitions[inner]), self.definitions[inner])

    def table(self, properties: Node, required: Sequence[str] = ()) -> Iterator[str]:
        """A line for each key."""
        yield "| Key | What | Values | Default |\n|---|---|---|---|"
        for name, part in properties.items():
            default = "required" if name in required else _default(part.get("default"))
            cells = (f"`{name}`", part.get("description", ""), " or ".join(dict.fromkeys(self._kinds(part))), default)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        yield ""

    def _kinds(self, part: Node) -> Iterator[str]:
        if "const" in part or "enum" in part:
            yield ", ".join(f"`{word}`" for word in part.get("enum", [part.get("const")]))
        elif "$ref" in part or "oneOf" in part:
            yield "see below"
        elif "anyOf" in part:
            for choice in part["anyOf"]:
                yield from self._kinds(choice)
        elif part.get("type") != "null":
            yield _kind(part)


def _kind(part: Node) -> str:
    if "[smhd]" in str(part.get("pattern", "")):
        return "duration"
    if "secret|env" in str(part.get("pattern", "")):
        return "secret"
    if part.get("type") == "array":
        return f"list of {_kind(part['items'])}s" if part.get("items", {}).get("type") == "string" else "list"
    return {"string": "text", "integer": "number", "number": "number", "boolean": "`true`, `false`", "object": "mapping"}.get(
        str(part.get("type")), "any"
    )


def _default(value: Any) -> str:
    if value in (None, "", []) or isinstance(value, dict):
        return ""
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _references(part: Any) -> Iterator[str]:
    """Every definition that a part leads to, in its order."""
    if isinstance(part, Mapping):
        if "$ref" in part:
            yield part["$ref"].removeprefix(_REF)
        for name, inner in part.items():
            if name not in ("discriminator", "default"):
                yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _inner_path(path: str, name: str, part: Node, inner: Node) -> str:
    """`syncs.NAME.model`; an entry of a mapping or list has a name or a number."""
    through = ".FIELD" if "additionalProperties" in part else "[]" if part.get("type") == "array" else ""
    scheme = inner["properties"].get("scheme", {}).get("const")
    return f"{path}.{name}{through}" + (f", scheme: {scheme}" if scheme else "")


def _names(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "–"


if __name__ == "__main__":
    sys.stdout.write(reference())
