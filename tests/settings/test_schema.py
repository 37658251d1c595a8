"""The JSON Schema for editors: a right schema, with every vendor's own keys, that refuses what is misspelt."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from rowferry.destinations import find, vendors
from rowferry.settings.schema import json_schema
from support.settings_text import BASE, changed


@pytest.fixture(scope="module")
def validator() -> Any:
    """A validator over the whole schema."""
    return jsonschema.Draft202012Validator(json_schema())


def test_is_a_schema() -> None:
    """It is a valid JSON Schema of 2020-12, and can be printed."""
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json.loads(json.dumps(json_schema()))


def test_takes_what_is_right(validator: Any) -> None:
    """Settings without a problem are right for the schema too; so is a part of them, as one file of a folder has."""
    assert not list(validator.iter_errors(BASE))
    assert not list(validator.iter_errors({"rowferry": 1, "feeds": BASE["feeds"]}))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("feed", {}),
        ("rowferry", 2),
        ("warehouse.engine", "bigqueri"),
        ("destinations.braze_main.vendor", "braz"),
        ("destinations.braze_main.instanc", "EU-01"),
        ("destinations.braze_main.api_key", "hunter2"),
        ("destinations.ops.api_key", "secret:x"),
        ("destinations.braze_main.timeout", "ten"),
        ("feeds.crm.tabel", "a.b"),
        ("feeds.a b", {"path": "x/", "table": "a.b"}),
        ("syncs.customers.send", "chnaged"),
        ("syncs.customers.map.email", 5),
        ("syncs.customers.map.email", {"column": "a", "transform": ["lowr"]}),
        ("syncs.customers.map.email", {"column": "a", "transform": {"split": 5}}),
        ("syncs.customers.every", 15),
        ("pulls.charged.reprot", "events"),
        ("databases.shop.url", "postgresql://me:hunter2@db/shop"),
        ("webhooks.stripe.verify.secret", ["whsec_x"]),
        ("alerts.orders.fire", "x"),
    ],
)
def test_refuses(validator: Any, path: str, value: Any) -> None:
    """A misspelling, a wrong word or a secret's value is refused."""
    assert list(validator.iter_errors(changed(path, value)))


def test_each_vendors_keys_are_there() -> None:
    """Every vendor's own model is in the schema, and is chosen by `vendor`."""
    schema = json_schema()
    branches = schema["properties"]["destinations"]["additionalProperties"]["allOf"]
    found = {branch["if"]["properties"]["vendor"]["const"]: branch["then"]["$ref"].rpartition("/")[2] for branch in branches}
    assert list(found) == vendors()
    for vendor, name in found.items():
        assert set(schema["$defs"][name]["properties"]) == set(find(vendor).settings.model_fields)


def test_defaults_are_as_written_in_the_file() -> None:
    """A duration's default shows as a person would write it."""
    assert json_schema()["$defs"]["Database"]["properties"]["timeout"]["default"] == "1m"
