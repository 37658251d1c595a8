"""The recipes of `infra/pipelines/examples/maps.yaml`, each sent to its vendor's stand-in as it stands there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from rowferry import twins
from rowferry.app import App
from rowferry.destinations import find, vendors
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.twins.amplitude import AmplitudeTwin
from rowferry.twins.server import Twin

EXAMPLE = Path(__file__).parents[2] / "infra" / "pipelines" / "examples" / "maps.yaml"
SYNCS: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text("utf-8"))["syncs"]
TABLES = """
CREATE SCHEMA crm; CREATE SCHEMA shop;
CREATE TABLE crm.customers AS SELECT 'c-000001' AS customer_id, 'zoe@shop.example' AS email, '0170 1234567' AS phone,
  'Zoë' AS first_name, 'Ärger' AS last_name, 'Zoë Ärger' AS full_name, DATE '1990-05-17' AS born_on, 'Germany' AS country,
  'DE' AS country_code, 'gold' AS tier, TRUE AS wants_email, 'Köln' AS city;
CREATE TABLE crm.companies AS SELECT 'a-000001' AS company_id, 'Acme' AS company_name, 20 AS seats;
CREATE TABLE shop.orders AS SELECT 'o-000001' AS order_id, 'c-000001' AS customer_id, 'zoe@shop.example' AS email,
  CAST(1250.50 AS DECIMAL(38, 9)) AS total, 'EUR' AS currency, now() - INTERVAL 1 HOUR AS ordered_at, now() AS added_at,
  CAST('[{"Category": "Tea", "Quantity": 2}]' AS JSON) AS items;
CREATE TABLE shop.visits AS SELECT 'v-000001' AS visit_id, 'c-000001' AS customer_id, 'Köln' AS city, now() AS visited_at,
  now() AS added_at;
CREATE TABLE shop.order_lines AS SELECT 'l-000001' AS line_id, 'c-000001' AS customer_id, 'tea-1' AS sku,
  CAST(12.5 AS DECIMAL(38, 9)) AS price, 2 AS quantity, 'EUR' AS currency, now() AS ordered_at, now() AS added_at;
CREATE TABLE crm.consents AS SELECT 'c-000001' AS customer_id, 'zoe@shop.example' AS email, 'subscribed' AS state, TRUE AS wants_email,
  now() - INTERVAL 1 DAY AS consented_at;
CREATE TABLE crm.deletion_requests AS SELECT 'c-000001' AS customer_id, 'zoe@shop.example' AS email, now() AS requested_at;
"""


@pytest.fixture(scope="module")
def stand_ins() -> Iterator[dict[str, Twin]]:
    with ExitStack() as running:
        found = {vendor: running.enter_context(twins.find(vendor)()) for vendor in vendors()}
        amplitude = found["amplitude"]
        assert isinstance(amplitude, AmplitudeTwin)
        amplitude.cohorts.make("vip", 123456)
        yield found


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, stand_ins: dict[str, Twin]) -> Path:
    """The file itself, over an embedded warehouse with a row in each of its tables, and with the stand-ins."""
    folder = tmp_path_factory.mktemp("maps")
    settings = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    settings |= {"warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"}, "state": "state"}
    for destination in settings["destinations"].values():
        destination["base_url"] = stand_ins[destination["vendor"]].url
    (folder / "rowferry.yaml").write_text(yaml.safe_dump(settings))
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(TABLES)
    return folder / "rowferry.yaml"


def in_order() -> list[str]:
    """A cohort's members have to be known before, and who is deleted was there."""
    return sorted(SYNCS, key=lambda name: (name.startswith("deletions"), name.startswith("vips"), name))


@pytest.mark.parametrize("name", in_order())
def test_a_recipe_is_taken_by_its_vendor(config: Path, stand_ins: dict[str, Twin], name: str) -> None:
    """Its row is delivered by as many requests as were planned, and the stand-in finds nothing that the vendor would drop or spoil."""

    def secret(_reference: str) -> str:
        return "https://hooks.slack.com/services/T0/B0/twin"

    with App(read_settings(config), resolve_secret=secret) as app:
        planned, result = Machine(app).plan(name), Machine(app).sync(name)
    assert (result.reason, list(result.rejections), result.status, result.delivered) == ("", [], "closed", 1)
    assert (planned.creates, planned.requests) == (1, result.requests)
    assert [twin.violations for twin in stand_ins.values() if twin.violations] == []


def test_every_action_has_a_recipe() -> None:
    """Of every vendor but the one that is described in the settings, which has files of its own."""
    destinations = yaml.safe_load(EXAMPLE.read_text("utf-8"))["destinations"]
    told = {(destinations[sync["to"]]["vendor"], sync["action"]) for sync in SYNCS.values() if "action" in sync}
    assert told == {(vendor, action) for vendor in vendors() if vendor != "http" for action in find(vendor).actions}
