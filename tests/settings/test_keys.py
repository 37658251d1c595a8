"""Every key of every section, wrong in some way: each is told with its path and what would be right."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from rowferry.settings.alert import Alert
from rowferry.settings.base import DestinationSettings
from rowferry.settings.database import Database
from rowferry.settings.feed import Feed
from rowferry.settings.model import Settings
from rowferry.settings.pull import Pull
from rowferry.settings.sync import ColumnField, Guards, Model, Sync
from rowferry.settings.warehouse import Warehouse
from rowferry.settings.webhook import Route, RouteNotify, RouteSend, Verify, Webhook
from support.settings_text import BASE, GONE, changed, problems

C, S, P, W = "syncs.customers", "feeds.crm", "pulls.charged", "webhooks.stripe"
V, R, A, B = f"{W}.verify", f"{W}.routes.0", "alerts.orders", "destinations.braze_main"
ALERT = {"sql": "SELECT 1 AS orders", "fire_when": "orders < 100", "every": "1h", "notify": "ops"}
SEND = {"to": "ct", "action": "event", "map": {"identity": "id", "name": "'x'"}}

# Where, what stands there, the path the problem is told at, and a part of what is said.
CASES: list[tuple[str, Any, str, str]] = [
    ("rowferry", 2, "rowferry", "this program reads version 1"),
    ("rowferry", True, "rowferry", "this program reads version 1"),
    ("rowferry", GONE, "rowferry", "is missing"),
    ("warehouse", GONE, "warehouse", "is missing"),
    ("warehouse", "bigquery", "warehouse", "expected a mapping"),
    ("warehouse.engine", "bigqueri", "warehouse.engine", "did you mean bigquery?"),
    ("warehouse.project", "acme", "warehouse.project", "has no meaning with engine: duckdb"),
    ("warehouse", {"engine": "bigquery"}, "warehouse.project", "is missing"),
    ("warehouse", {"engine": "bigquery", "project": ""}, "warehouse.project", "at least 1 character"),
    ("warehouse.location", 5, "warehouse.location", "expected a text"),
    ("warehouse.dataset", "row-ferry", "warehouse.dataset", "letters, digits and _ only"),
    ("warehouse.path", GONE, "warehouse.path", "DuckDB needs the file"),
    ("warehouse.path", 5, "warehouse.path", "path of a file"),
    ("warehouse.memory_limit", "lots", "warehouse.memory_limit", "512MB"),
    ("warehouse.threads", 0, "warehouse.threads", "greater than 0"),
    ("warehouse.export_rows", 0, "warehouse.export_rows", "greater than 0"),
    ("warehouse.export_rows", 5, "warehouse.export_rows", "has no meaning with engine: duckdb"),
    ("warehouse", {"engine": "bigquery", "project": "acme", "export_rows": 5}, "warehouse.export_rows", "state is not in Cloud Storage"),
    ("state", GONE, "state", "is missing"),
    ("state", "gs://UPPER", "state", "expected gs://bucket"),
    ("state", "ftp://host/x", "state", "expected gs://bucket"),
    ("exports", 5, "exports", "expected gs://bucket"),
    ("exports", GONE, "exports", "is missing"),
    ("destinations", ["braze"], "destinations", "expected a mapping of names"),
    ("destinations.braze_main", "braze", B, "expected a mapping"),
    (f"{B}.vendor", GONE, f"{B}.vendor", "is missing"),
    (f"{B}.vendor", "braz", f"{B}.vendor", "did you mean braze?"),
    (f"{B}.vendor", 5, f"{B}.vendor", "is not a vendor"),
    (f"{B}.instance", "EU-1", f"{B}.instance", "did you mean"),
    (f"{B}.api_key", "hunter2", f"{B}.api_key", "write secret:NAME or env:NAME"),
    (f"{B}.base_url", "http://example.com", f"{B}.base_url", "on loopback only"),
    (f"{B}.per_second", 0, f"{B}.per_second", "greater than 0"),
    (f"{B}.in_flight", 1001, f"{B}.in_flight", "less than or equal to 1000"),
    (f"{B}.instances", 0, f"{B}.instances", "greater than 0"),
    (f"{B}.timeout", "0s", f"{B}.timeout", "greater than 0"),
    (f"{B}.retry_for", "ten minutes", f"{B}.retry_for", "30s, 15m, 1h or 1d"),
    (f"{B}.reject_after", "two hours", f"{B}.reject_after", "30s, 15m, 1h or 1d"),
    (f"{B}.attempts", "many", f"{B}.attempts", "a whole number"),
    (f"{B}.quiet_hours", "at night", f"{B}.quiet_hours", "22:00-07:00"),
    (f"{B}.notify", "opss", f"{B}.notify", "did you mean ops?"),
    ("destinations.ops.notify", "ops", "destinations.ops.notify", "can't be told that it does"),
    (f"{B}.price_per_data_point", -1, f"{B}.price_per_data_point", "greater than or equal to 0"),
    (f"{S}.path", "/crm/*.csv", f"{S}.path", "without a / in front"),
    (f"{S}.path", "crm/{day:%Q}.csv", f"{S}.path", "%Q"),
    (f"{S}.path", "crm/../x", f"{S}.path", "below the exports"),
    (f"{S}.table", "customers", f"{S}.table", "expected dataset.table"),
    (f"{S}.table", "crm.{even}", f"{S}.table", "{even} is not a part of the path"),
    (f"{S}.preset", "clevertap_event", f"{S}.preset", "did you mean clevertap_events?"),
    (f"{S}.format", "cvs", f"{S}.format", "did you mean csv?"),
    (f"{S}.columns", {"a b": "STRING"}, f"{S}.columns.a b", "letters, digits and _ only"),
    (f"{S}.columns", {"_partition_x": "STRING"}, f"{S}.columns._partition_x", "reserved"),
    (f"{S}.columns", {"customer_id": "STRIN"}, f"{S}.columns.customer_id", "STRING, INT64"),
    (f"{S}.columns", {"email": "STRING", "Email": "STRING"}, f"{S}.columns.Email", "upper and lower case"),
    (f"{S}.columns", {"_rowferry_file": "STRING"}, f"{S}.columns._rowferry_file", "that Rowferry adds"),
    (f"{S}.write", "upsert", f"{S}.write", "append, merge, replace"),
    (f"{S}.write", "merge", f"{S}.key", "is missing"),
    (f"{S}.replace", "partition", f"{S}.replace", "has no meaning with write: append"),
    (f"{S}.key", [], f"{S}.key", "expected a name"),
    (f"{S}.key", ["a", "A"], f"{S}.key", "stands here twice"),
    (f"{S}.order_by", "email", f"{S}.order_by", "has no meaning with write: append"),
    (f"{S}.new_columns", "addd", f"{S}.new_columns", "did you mean add?"),
    (f"{S}.bad_value", "nul", f"{S}.bad_value", "did you mean null?"),
    (f"{S}.bad_line", "rejct", f"{S}.bad_line", "did you mean reject?"),
    (f"{S}.on_overwrite", "replace", f"{S}.on_overwrite", "did you mean replace_rows?"),
    (f"{S}.partition_by", "a-b", f"{S}.partition_by", "letters, digits and _ only"),
    (f"{S}.cluster_by", ["a", "b", "c", "d", "e"], f"{S}.cluster_by", "at most 4"),
    (f"{S}.delimiter", "ab", f"{S}.delimiter", "at most 1"),
    (f"{S}.delimiter", '"', f"{S}.delimiter", "can't be told from the quote"),
    (f"{S}.quote", "''", f"{S}.quote", "at most 1"),
    (f"{S}.encoding", "utf-9", f"{S}.encoding", "not a text encoding"),
    (f"{S}.header", "perhaps", f"{S}.header", "true or false"),
    (f"{S}.skip_lines", -1, f"{S}.skip_lines", "greater than or equal to 0"),
    (f"{S}.null_values", "NULL", f"{S}.null_values", "a list"),
    (f"{S}.timezone", "Mars/Base", f"{S}.timezone", "not a time zone"),
    (f"{S}.window", 5, f"{S}.window", "30s, 15m, 1h or 1d"),
    (f"{S}.expect", "soon", f"{S}.expect", "daily by 03:00"),
    (f"{S}.notify", "opss", f"{S}.notify", "did you mean ops?"),
    (f"{C}.model", GONE, f"{C}.model", "is missing"),
    (f"{C}.model.table", "customers", f"{C}.model.table", "expected dataset.table"),
    (f"{C}.model.sql", "SELECT 1", f"{C}.model", "has table and sql"),
    (f"{C}.model", {}, f"{C}.model", "neither a table nor sql"),
    (f"{C}.model.database", "shopp", f"{C}.model.database", "did you mean shop?"),
    (f"{C}.model", {"procedure": "dbo.people"}, f"{C}.model.database", "is missing"),
    (f"{C}.model.parameters", {"a": 1}, f"{C}.model.parameters", "without a procedure"),
    (f"{C}.to", GONE, f"{C}.to", "is missing"),
    (f"{C}.to", "braze_man", f"{C}.to", "did you mean braze_main?"),
    (f"{C}.send", "chnaged", f"{C}.send", "did you mean changed?"),
    (f"{C}.key", GONE, f"{C}.key", "is missing"),
    (f"{C}.action", "profil", f"{C}.action", "did you mean profile?"),
    (f"{C}.map", {}, f"{C}.map", "is missing"),
    (f"{C}.map.email", 5, f"{C}.map.email", "a column's name"),
    (f"{C}.map.email", {"colum": "email"}, f"{C}.map.email.colum", "did you mean column?"),
    (f"{C}.map.email", {"value": None}, f"{C}.map.email.value", ""),
    (f"{C}.map.email", {"column": ""}, f"{C}.map.email.column", "at least 1 character"),
    (f"{C}.map.email", {"column": "email", "transform": "lowr"}, f"{C}.map.email.transform", "did you mean lower?"),
    (f"{C}.map.email", {"column": "email", "transform": [{"split": 5}]}, f"{C}.map.email.transform.0", "split needs the text"),
    (f"{C}.map.email", {"column": "email", "transform": ["split"]}, f"{C}.map.email.transform.0", "split"),
    (f"{C}.map.email", {"column": "email", "transform": {"trim": 1}}, f"{C}.map.email.transform", "trim"),
    (f"{C}.map.email", {"column": "email", "default": float("nan")}, f"{C}.map.email.default", ""),
    (f"{C}.rest", "everything", f"{C}.rest", "attributes, properties"),
    (f"{C}.cursor", "updated_at", f"{C}.cursor", "has no meaning with send: changed"),
    (f"{C}.lag", "5 min", f"{C}.lag", "30s, 15m, 1h or 1d"),
    (f"{C}.audience", "vip", f"{C}.audience", "has no meaning with send: changed"),
    (f"{C}.mark", "sent_at", f"{C}.mark", "has no meaning with send: changed"),
    (f"{C}.on_remove", "drop", f"{C}.on_remove", "ignore, unset, delete"),
    (f"{C}.nulls", "unsett", f"{C}.nulls", "did you mean unset?"),
    (f"{C}.every", "15", f"{C}.every", "30s, 15m, 1h or 1d"),
    (f"{C}.cron", "61 * * * *", f"{C}.cron", "is not a cron expression"),
    (f"{C}.cron", "0 0 31 2 *", f"{C}.cron", "never comes"),
    (f"{C}.cron", "* * * * * *", f"{C}.cron", "five fields"),
    (f"{C}.timezone", "Europe", f"{C}.timezone", "not a time zone"),
    (f"{C}.after", "crn", f"{C}.after", "did you mean crm?"),
    (f"{C}.guards", "strict", f"{C}.guards", "expected a mapping"),
    (f"{C}.guards", {"max_changed_percent": 101}, f"{C}.guards.max_changed_percent", "less than or equal to 100"),
    (f"{C}.guards", {"max_removed": -1}, f"{C}.guards.max_removed", "greater than or equal to 0"),
    (f"{C}.guards", {"empty_source": 7}, f"{C}.guards.empty_source", "true or false"),
    (f"{C}.guards", {"min_rows": "few"}, f"{C}.guards.min_rows", "a whole number"),
    (f"{C}.guards", {"duplicate_keys": "refused"}, f"{C}.guards.duplicate_keys", "did you mean refuse?"),
    (f"{C}.notify", "braze_main", f"{C}.notify", "no action notice"),
    (f"{C}.notify_rejected_percent", 101, f"{C}.notify_rejected_percent", "less than or equal to 100"),
    (f"{C}.chunk_rows", 0, f"{C}.chunk_rows", "greater than 0"),
    (f"{P}.from", "cte", f"{P}.from", "did you mean ct?"),
    (f"{P}.report", "event", f"{P}.report", "did you mean events?"),
    (f"{P}.report", "export", f"{P}.report", "clevertap has no report export"),
    (f"{P}.event", GONE, f"{P}.event", "the report events needs it"),
    (f"{P}.id", "7", f"{P}.id", "has no meaning with report: events"),
    (f"{P}.model", {"table": "a.b"}, f"{P}.model", "has no meaning with report: events"),
    (f"{P}.fields", ["email"], f"{P}.fields", "has no meaning with report: events"),
    (f"{P}.query", [], f"{P}.query", "a mapping"),
    (f"{P}.groups", {"a": {"property_type": "event_properties"}}, f"{P}.groups", "has no meaning with report: events"),
    (f"{P}.page_rows", 0, f"{P}.page_rows", "greater than 0"),
    (f"{P}.path", "pulled/*.json", f"{P}.path", "without * or {}"),
    (f"{P}.table", "charged", f"{P}.table", "expected dataset.table"),
    (f"{P}.every", "daily", f"{P}.every", "30s, 15m, 1h or 1d"),
    (f"{P}.cron", "at two", f"{P}.cron", "is not a cron expression"),
    (f"{P}.timezone", "IST-5:30", f"{P}.timezone", "not a time zone"),
    (f"{P}.window", "1w", f"{P}.window", "30s, 15m, 1h or 1d"),
    (f"{P}.trailing", "-1d", f"{P}.trailing", "30s, 15m, 1h or 1d"),
    (f"{P}.since", "last week", f"{P}.since", "2026-01-31"),
    (f"{P}.columns", ["a b"], f"{P}.columns.0", "letters, digits and _ only"),
    (f"{P}.expect", "by 3", f"{P}.expect", "daily by 03:00"),
    (f"{P}.notify", ["ops", "ops"], f"{P}.notify", "stands here twice"),
    ("databases.shop.url", "postgresql://me:hunter2@db/shop", "databases.shop.url", "write secret:NAME or env:NAME"),
    ("databases.shop.page_rows", 0, "databases.shop.page_rows", "greater than 0"),
    ("databases.shop.timeout", "0s", "databases.shop.timeout", "greater than 0"),
    (V, GONE, V, "is missing"),
    (f"{V}.scheme", "strip", f"{V}.scheme", "did you mean stripe?"),
    (f"{V}.secret", "whsec_abc", f"{V}.secret", "write secret:NAME or env:NAME"),
    (f"{V}.secret", [], f"{V}.secret", "is missing"),
    (V, {"scheme": "basic", "password": "secret:p"}, f"{V}.username", "is missing"),
    (V, {"scheme": "basic", "username": 5, "password": "secret:p"}, f"{V}.username", "expected a text"),
    (V, {"scheme": "basic", "username": "me"}, f"{V}.password", "is missing"),
    (V, {"scheme": "hmac", "secret": "env:S"}, f"{V}.header", "is missing"),
    (V, {"scheme": "hmac", "secret": "env:S", "header": "a b"}, f"{V}.header", "name of a header"),
    (V, {"scheme": "token", "secret": "env:S"}, f"{V}.header", "one header, or in one parameter"),
    (V, {"scheme": "token", "secret": "env:S", "header": "X", "parameter": "t"}, f"{V}.header", "stands beside parameter"),
    (V, {"scheme": "hmac", "secret": "env:S", "header": "X", "message": "{timestamp}"}, f"{V}.message", "{timestamp}.{body}"),
    (V, {"scheme": "hmac", "secret": "env:S", "header": "X", "message": "{timestamp}.{body}"}, f"{V}.timestamp_header", "is missing"),
    (V, {"scheme": "hmac", "secret": "env:S", "header": "X", "timestamp_header": "T"}, f"{V}.message", "leaves the time out"),
    (f"{V}.encoding", "hexx", f"{V}.encoding", "did you mean hex?"),
    (f"{V}.algorithm", "md5", f"{V}.algorithm", "sha256, sha1, sha512"),
    (f"{V}.prefix", "sha256=", f"{V}.prefix", "has no meaning with scheme: stripe"),
    (f"{V}.tolerance", 300, f"{V}.tolerance", "30s, 15m, 1h or 1d"),
    (f"{V}.id_header", "", f"{V}.id_header", "name of a header"),
    (f"{V}.id_path", "a..b", f"{V}.id_path", "is not JMESPath"),
    (f"{W}.routes", [], f"{W}.routes", "at least 1"),
    (f"{W}.max_body_bytes", 0, f"{W}.max_body_bytes", "greater than 0"),
    (f"{W}.per_second", 0, f"{W}.per_second", "greater than 0"),
    (f"{R}.when", "type ==", f"{R}.when", "is not JMESPath"),
    (f"{R}.when", 'type == "paid"', f"{R}.when", "a text is written 'paid'"),
    (f"{R}.when", "!data.object", f"{R}.when", "write !(a.b)"),
    (f"{R}.topic", "orders/paid", f"{R}.topic", "stands in no header that is known"),
    (f"{R}.topic", [], f"{R}.topic", "a name, or a list of names"),
    (f"{V}.topic_header", "a b", f"{V}.topic_header", "name of a header"),
    (f"{R}.notify", GONE, R, "leads nowhere"),
    (f"{R}.notify.to", "oops", f"{R}.notify.to", "did you mean ops?"),
    (f"{R}.notify.text", GONE, f"{R}.notify.text", "is missing"),
    (f"{R}.notify.text", "{{ a }", f"{R}.notify.text", "not a template"),
    (f"{R}.notify.blocks", [{"type": "section", "text": {"type": "mrkdwn", "text": "{% x %}"}}], f"{R}.notify.blocks", "not a template"),
    (f"{R}.send", {**SEND, "to": "ctt"}, f"{R}.send.to", "did you mean ct?"),
    (f"{R}.send", {**SEND, "action": "events"}, f"{R}.send.action", "did you mean event?"),
    (f"{R}.send", {**SEND, "map": {}}, f"{R}.send.map", "at least 1"),
    (f"{R}.send", {**SEND, "map": {"identity": 5}}, f"{R}.send.map", "is not JMESPath"),
    (f"{R}.send", {**SEND, "map": {**SEND["map"], "x": "a["}}, f"{R}.send.map.x", "is not JMESPath"),  # type: ignore[dict-item]  # a mapping
    (f"{R}.send", {**SEND, "each": "a["}, f"{R}.send.each", "is not JMESPath"),
    (f"{A}.sql", "", f"{A}.sql", "at least 1 character"),
    (f"{A}.fire_when", "orders is low", f"{A}.fire_when", "orders < 100"),
    (f"{A}.fire_when", "1 < 2", f"{A}.fire_when", "looks at no column"),
    (f"{A}.fire_when", "orders_before < 2", f"{A}.compare", "is missing"),
    (f"{A}.recover_when", "__import__('os')", f"{A}.recover_when", "orders < 100"),
    (f"{A}.every", GONE, f"{A}.every", "is missing"),
    (A, {**ALERT, "every": "2d", "compare": "same_weekday"}, f"{A}.every", "never falls on the same weekday"),
    (f"{A}.cron", "0 9 * * *", f"{A}.cron", "stands beside every"),
    (f"{A}.timezone", "", f"{A}.timezone", "not a time zone"),
    (f"{A}.notify", GONE, f"{A}.notify", "is missing"),
    (f"{A}.text", "{% for %}", f"{A}.text", "not a template"),
    (f"{A}.compare", "yesterday", f"{A}.compare", "previous, same_weekday"),
    (f"{A}.trend", "maybe", f"{A}.trend", "true or false"),
]
_OWNERS: dict[str, type[BaseModel]] = {
    "": Settings, "warehouse": Warehouse, B: DestinationSettings, S: Feed, C: Sync, f"{C}.model": Model, f"{C}.guards": Guards,
    f"{C}.map.email": ColumnField, P: Pull, "databases.shop": Database, W: Webhook, V: Verify, R: Route, f"{R}.notify": RouteNotify,
    f"{R}.send": RouteSend, A: Alert,
}  # fmt: skip
_SECTIONS = {"feeds", "syncs", "pulls", "databases", "webhooks", "alerts"}


def test_base_is_right() -> None:
    """The settings that all cases start from have no problem: what a case finds is its own doing."""
    assert problems(BASE) == []


@pytest.mark.parametrize(("where", "value", "path", "said"), CASES)
def test_wrong_key(where: str, value: Any, path: str, said: str) -> None:
    """A key that is wrong is told with its path, and with what would be right."""
    found = problems(changed(where, value))
    assert path in [problem.path for problem in found]
    assert any(said in f"{problem.problem} {problem.hint}" for problem in found if problem.path == path)


def test_every_key_has_a_case() -> None:
    """A key that is added to a model without a row in the table above fails here."""
    told = {path for where, _, path, _ in CASES} | {where for where, _, _, _ in CASES}
    told |= {f"{where}.{key}" for where, value, _, _ in CASES if isinstance(value, dict) for key in value}
    wanted = {
        f"{owner}.{field.alias or name}".lstrip(".")
        for owner, model in _OWNERS.items()
        for name, field in model.model_fields.items()
        if not (owner == "" and name in _SECTIONS)
    }
    assert not wanted - told


@pytest.mark.parametrize("section", sorted(_SECTIONS | {"destinations"}))
def test_section_that_is_no_mapping(section: str) -> None:
    """A section that is a list or a text is told, and so is an entry that is none."""
    assert any(problem.path == section and "expected a mapping" in problem.problem for problem in problems(changed(section, ["x"])))
    assert any(
        problem.path == f"{section}.x" and "expected a mapping" in problem.problem for problem in problems(changed(f"{section}.x", "y"))
    )


@pytest.mark.parametrize("section", sorted(_SECTIONS | {"destinations"}))
def test_unknown_key_of_an_entry(section: str) -> None:
    """A key that no model knows is told at every kind of entry."""
    name = next(iter(BASE[section]))
    found = problems(changed(f"{section}.{name}.colour", "blue"))
    assert [(problem.path, problem.problem) for problem in found] == [(f"{section}.{name}.colour", "is not a key here")]


@pytest.mark.parametrize("name", ["1a", "a b", "a.b", "ü", "x" * 64, ""])
def test_wrong_entry_name(name: str) -> None:
    """An entry's name becomes a table's, a queue's and a folder's: only what all of them take is right."""
    data = {**BASE, "databases": {**BASE["databases"], name: {"url": "secret:x"}}}
    assert any("a name has letters" in problem.problem for problem in problems(data))
