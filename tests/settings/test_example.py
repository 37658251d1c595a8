"""The settings of the design, gaps filled in: they read without a problem, and say what they look like they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rowferry.settings.check import check
from rowferry.settings.file import read_settings
from rowferry.settings.model import Settings
from rowferry.settings.schema import json_schema
from rowferry.settings.sync import ColumnField, Transform, ValueField
from support.settings_text import problems

EXAMPLE = Path(__file__).parent / "example.yaml"


@pytest.fixture(scope="module")
def example() -> Settings:
    """The example, read."""
    return read_settings(EXAMPLE, {})


def test_no_problems(example: Settings) -> None:
    """Nothing is wrong with the example, within its entries or between them."""
    assert check(example) == []


def test_map_is_normalised(example: Settings) -> None:
    """A column's name, a column with transforms and a constant become fields of one kind or the other."""
    found = example.syncs["customers_to_braze"].map
    assert found["email"] == ColumnField(column="email")
    assert found["loyalty_tier"] == ColumnField(column="tier", transform=(Transform(name="trim"), Transform(name="lower")))
    assert found["source"] == ValueField(value="warehouse")


def test_values_are_in_the_programs_units(example: Settings) -> None:
    """Durations are seconds, names are tuples, actions have their default."""
    sync = example.syncs["customers_to_braze"]
    assert (sync.every, sync.key, sync.notify) == (900.0, ("customer_id",), ("ops",))
    assert example.pulls["ct_charged"].from_ == "clevertap"
    assert example.alerts["orders_dropped"].every == 3600.0


def test_places(example: Settings) -> None:
    """Each part knows its file and line."""
    assert str(example.places["syncs.customers_to_braze.map.email"]) == "example.yaml, line 33"
    assert str(example.places["webhooks.stripe.routes.0.when"]) == "example.yaml, line 58"


def test_schema_takes_the_example() -> None:
    """The JSON Schema that editors use finds nothing wrong with it either."""
    assert not list(jsonschema.Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(EXAMPLE.read_text("utf-8"))))


def _keys(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = []
    for name, part in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        found += [(*path, name), *_keys(part, (*path, name))]
    return found


_FREE = {"map", "columns", "destinations", "feeds", "syncs", "pulls", "databases", "webhooks", "alerts"}


def test_schema_refuses_every_misspelling() -> None:
    """Each key of the example but names that are the user's own, misspelt, is refused by the schema and by us."""
    validator = jsonschema.Draft202012Validator(json_schema())
    for path in _keys(yaml.safe_load(EXAMPLE.read_text("utf-8"))):
        if isinstance(path[-1], int) or (len(path) > 1 and path[-2] in _FREE):
            continue
        data = yaml.safe_load(EXAMPLE.read_text("utf-8"))
        place = data
        for part in path[:-1]:
            place = place[part]
        place[f"{path[-1]}x"] = place.pop(path[-1])
        assert list(validator.iter_errors(data)), path
        assert problems(data), path
