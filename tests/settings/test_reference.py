"""The page of all settings is what the models say, and says something of each key."""

from __future__ import annotations

from pathlib import Path

from rowferry.destinations import find, vendors
from rowferry.settings.reference import reference
from rowferry.settings.schema import json_schema

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_models_say() -> None:
    """Whoever changes a key writes the page anew: make settings."""
    assert (ROOT / "infra" / "SETTINGS.md").read_text("utf-8") == reference()


def test_every_key_has_a_sentence() -> None:
    """In the page and in editors; but for the word that chooses a part."""
    schema = json_schema()
    parts = {"": schema, **schema["$defs"]}
    silent = [f"{part}.{key}" for part, node in parts.items() for key, value in node["properties"].items() if not value.get("description")]
    assert [path for path in silent if not path.endswith((".vendor", ".scheme"))] == []


def test_every_key_and_action_is_on_the_page() -> None:
    """Nested parts, vendors and what they can do included."""
    page = reference()
    schema = json_schema()
    for node in schema["$defs"].values():
        for key in node["properties"]:
            assert f"| `{key}` |" in page or key == "vendor"
    for vendor in vendors():
        assert f"### vendor: {vendor}\n" in page
        assert all(f"* `{action}`" in page for action in find(vendor).actions)
