"""With `send: changed` what changed leaves together with all that it means nothing without, at every vendor."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import duckdb
import orjson

from rowferry.app import App
from rowferry.machine import Machine
from rowferry.settings.check import check
from rowferry.settings.file import parse_settings
from rowferry.twins.amplitude import AmplitudeTwin
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.http import HttpTwin
from rowferry.twins.server import Twin

ENVIRONMENT = {"KEY": "key-1"}


def change(folder: Path, twin: Twin, destination: dict[str, Any], sync: dict[str, Any], rows: str, changed: str) -> Any:
    """Send these rows, then what of them has `changed`; the one request of the second run, which delivers its one row."""
    data: dict[str, Any] = {
        "rowferry": 1,
        "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
        "state": "state",
        "destinations": {"vendor": {"base_url": twin.url, **destination}},
        "syncs": {"people": {"model": {"table": "crm.people"}, "key": "id", "send": "changed", "to": "vendor", **sync}},
    }
    settings = parse_settings(data, ENVIRONMENT, folder)
    assert check(settings, ENVIRONMENT) == []
    for statement in (f"CREATE SCHEMA crm; CREATE TABLE crm.people AS {rows}", f"UPDATE crm.people SET {changed} WHERE id = 'u1'"):
        with duckdb.connect(str(folder / "warehouse.duckdb")) as warehouse:
            warehouse.execute(statement)
        twin.log.clear()
        with App(settings, environment=ENVIRONMENT) as app:
            found = Machine(app).sync("people")
        assert (found.status, found.rejections) == ("closed", ())
    assert (found.read, found.unchanged, found.delivered) == (2, 1, 1)
    [call] = twin.log
    return call


def test_brazes_subscription_state_leaves_with_its_group(tmp_path: Path) -> None:
    """A state says nothing without its group."""
    fields = {"external_id": "id", "subscription_group_id": "list", "subscription_state": "state"}
    rows = "SELECT 'u' || i AS id, 'weekly' AS list, 'subscribed' AS state FROM range(1, 3) t(i)"
    with BrazeTwin() as twin:
        destination = {"vendor": "braze", "api_key": "env:KEY"}
        change(tmp_path, twin, destination, {"action": "subscription", "map": fields}, rows, "state = 'unsubscribed'")
        assert twin.subscriptions == {("weekly", "u1"): "unsubscribed", ("weekly", "u2"): "subscribed"}


def test_clevertaps_status_leaves_with_its_address(tmp_path: Path) -> None:
    """A status says nothing without its address."""
    fields = {"email": "mail", "status": "wants"}
    rows = "SELECT 'u' || i AS id, 'u' || i || '@example.com' AS mail, TRUE AS wants FROM range(1, 3) t(i)"
    with CleverTapTwin(account_id="A", passcode="key-1") as twin:
        destination = {"vendor": "clevertap", "account_id": "A", "passcode": "env:KEY"}
        call = change(tmp_path, twin, destination, {"action": "subscription", "map": fields}, rows, "wants = FALSE")
    assert orjson.loads(call.body)["d"] == [{"type": "email", "value": "u1@example.com", "status": "Unsubscribe"}]


def test_amplitudes_group_property_leaves_with_its_group(tmp_path: Path) -> None:
    """A property says nothing without the group's type and name."""
    fields = {"group_type": {"value": "company"}, "group_value": "id", "plan": "plan", "seats": "seats"}
    rows = "SELECT 'u' || i AS id, 'free' AS plan, 3 AS seats FROM range(1, 3) t(i)"
    with AmplitudeTwin(api_key="key-1") as twin:
        destination = {"vendor": "amplitude", "api_key": "env:KEY"}
        call = change(tmp_path, twin, destination, {"action": "group", "map": fields}, rows, "plan = 'pro'")
    [sent] = [orjson.loads(found) for found in parse_qs(call.body.decode())["identification"]]
    assert sent == [{"group_type": "company", "group_value": "u1", "group_properties": {"$set": {"plan": "pro"}}}]


def test_what_a_body_is_made_of_leaves_as_a_whole(tmp_path: Path) -> None:
    """A name made of two fields is not cut to the one that changed; what stands by itself leaves only when it changed."""
    destination = {
        "vendor": "http", "url": "https://crm.example.com/people", "auth": {"scheme": "bearer", "token": "env:KEY"},
        "identifiers": ["id"], "batch": "wrapped", "wrap": "customers",
        "body": {"id": "{id}", "email": "{mail}", "name": "{first} {last}", "city": "{{ city | default('nowhere') }}"},
    }  # fmt: skip
    fields = {name: name for name in ("id", "mail", "first", "last", "city")}
    rows = "SELECT 'u' || i AS id, 'a@example.com' AS mail, 'Ada' AS first, 'Byron' AS last, 'Bath' AS city FROM range(1, 3) t(i)"
    (tmp_path / "names").mkdir()
    (tmp_path / "mails").mkdir()
    with HttpTwin() as twin:
        married = change(tmp_path / "names", twin, destination, {"map": fields}, rows, "last = 'Lovelace'")
        moved = change(tmp_path / "mails", twin, destination, {"map": fields}, rows, "mail = 'b@example.com'")
    whole = {"id": "u1", "name": "Ada Lovelace", "city": "Bath"}
    assert orjson.loads(married.body)["customers"] == [{**whole, "email": "a@example.com"}]
    assert orjson.loads(moved.body)["customers"] == [{**whole, "name": "Ada Byron", "email": "b@example.com"}]


def test_what_is_left_over_leaves_as_a_whole_where_it_becomes_a_text(tmp_path: Path) -> None:
    """All other fields as one JSON text: the vendor would store the part in the place of the whole."""
    destination = {
        "vendor": "http", "url": "https://crm.example.com/people", "auth": {"scheme": "bearer", "token": "env:KEY"},
        "identifiers": ["id"], "batch": "wrapped", "wrap": "customers", "body": {"id": "{id}", "about": "{{ rest | tojson }}"},
    }  # fmt: skip
    rows = "SELECT 'u' || i AS id, 'Ada' AS first, 'Byron' AS last FROM range(1, 3) t(i)"
    with HttpTwin() as twin:
        call = change(tmp_path, twin, destination, {"map": {"id": "id", "first": "first", "last": "last"}}, rows, "last = 'Lovelace'")
    [sent] = orjson.loads(call.body)["customers"]
    assert orjson.loads(sent["about"]) == {"first": "Ada", "last": "Lovelace"}
