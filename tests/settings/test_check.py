"""What has to fit between entries: names, actions, maps, tables, paths, reports, and what is still waiting for its variable."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rowferry.settings.check import check
from rowferry.settings.file import parse_settings
from support.settings_text import BASE, ENTRIES, changed, problems


def _with(section: str, name: str, **changes: Any) -> dict[str, Any]:
    """The base with one more entry: a copy of the section's own one with some keys changed (None: left out)."""
    data = copy.deepcopy(BASE)
    entry = {**copy.deepcopy(ENTRIES[section]), **changes}
    data[section][name] = {key: value for key, value in entry.items() if value is not None}
    return data


def _told(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [(problem.path, problem.problem) for problem in problems(data)]


# ── Feeds ───────────────────────────────────────────────────────────────────────────────────


def test_two_feeds_with_one_table() -> None:
    """Two feeds can't fill one table, whatever its case."""
    data = _with("feeds", "again", path="other/", table="CRM.Customers")
    assert ("feeds.again.table", "feeds.crm has the same table") in _told(data)


def test_two_feeds_that_could_take_one_file() -> None:
    """Paths that meet are told at the second feed; with presets the file's name decides."""
    data = _with("feeds", "again", path="crm/x*.csv", table="crm.again")
    assert _told(data) == [("feeds.again.path", "a file could fit feeds.crm as well")]
    data = _with("feeds", "again", path="crm/", table="crm.again_{event}", preset="clevertap_events")
    assert _told(data) == []


# ── Syncs ───────────────────────────────────────────────────────────────────────────────────


def test_map_is_checked_by_the_vendor() -> None:
    """What the vendor says of the fields is told below the sync's map."""
    told = _told(_with("syncs", "more", map={"loyalty": "email"}, key="email"))
    assert told and all(path.startswith("syncs.more.map") for path, _ in told)


def test_rest_may_bring_the_identifier() -> None:
    """With `rest`, columns that nobody knows of yet may hold what the vendor asks for: nothing is missing."""
    assert _told(_with("syncs", "more", model={"sql": "SELECT * FROM a.b"}, map=None, rest="attributes")) == []


def test_columns_of_a_closed_feed() -> None:
    """Where a feed's columns are all there can be, one that is not among them is told at its place."""
    data = changed("feeds.crm.new_columns", "reject")
    data["syncs"]["customers"] |= {"key": "costumer_id", "map": {"external_id": "customer_id", "email": {"column": "e_mail"}}}
    assert _told(data) == [
        ("syncs.customers.map.email", "crm.customers has no column 'e_mail'"),
        ("syncs.customers.key", "crm.customers has no column 'costumer_id'"),
    ]


def test_types_of_columns_reach_the_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's check is given each field's type: of the feed's column, after transforms, or of the constant."""
    seen: list[dict[str, str | None]] = []
    _spy(monkeypatch, seen)
    data = changed("feeds.crm.columns", {"customer_id": "STRING", "tier": "STRING", "ltv": "NUMERIC", "at": "TIMESTAMP", "x": "JSON"})
    data["syncs"]["customers"] |= {
        "map": {
            "external_id": "customer_id",
            "tags": {"column": "tier", "transform": {"split": ","}},
            "seen": {"column": "AT", "transform": "epoch_seconds"},
            "home___city": "tier",
            "source": {"value": "shop"},
            "vip": {"value": True},
            "kind": {"column": "tier", "transform": {"map": {"a": 1}}},
            "what": "unheard_of",
        },
        "rest": "attributes",
    }
    assert _told(data) == []
    assert seen == [
        {
            "ltv": "NUMERIC", "x": "JSON", "external_id": "STRING", "tags": "ARRAY<STRING>", "seen": "INT64", "home": "JSON",
            "source": "STRING", "vip": "BOOL", "kind": None, "what": None,
        }
    ]  # fmt: skip


def _spy(monkeypatch: pytest.MonkeyPatch, seen: list[dict[str, str | None]]) -> None:
    """Let Braze's profile action note what its check is given."""
    import dataclasses

    from rowferry.destinations import braze
    from rowferry.destinations import port as _port

    profile = braze.DESTINATION.actions["profile"]

    def note(names: Any, _settings: Any) -> list[Any]:
        seen.append(dict(names))
        return []

    actions: dict[str, _port.Action[Any]] = {**braze.DESTINATION.actions, "profile": dataclasses.replace(profile, check=note)}
    monkeypatch.setattr(braze, "DESTINATION", dataclasses.replace(braze.DESTINATION, actions=actions))


def test_new_rows_need_a_cursor_of_their_own() -> None:
    """`send: new` needs a cursor, and the event's own time is none: rows that arrive late would be skipped."""
    new = {"send": "new", "to": "ct", "map": {"identity": "id", "name": {"value": "Paid"}, "time": "paid_at"}, "key": "id"}
    model = {"sql": "SELECT 1"}
    assert ("syncs.more.cursor", "is missing") in _told(_with("syncs", "more", model=model, **new))
    told = _told(_with("syncs", "more", model=model, cursor="Paid_At", **new))
    assert told == [("syncs.more.cursor", "Paid_At is the event's own time as well")]
    assert _told(_with("syncs", "more", model=model, cursor="added_at", lag="5m", **new)) == []


def test_queue_is_a_table_of_a_database() -> None:
    """`send: queue` needs a table of a database, a mark and an action."""
    told = _told(_with("syncs", "more", send="queue", model={"sql": "SELECT 1"}))
    assert {"syncs.more.mark", "syncs.more.action", "syncs.more.model"} <= {path for path, _ in told}
    queue = {"send": "queue", "model": {"database": "shop", "table": "outbox"}, "mark": "sent_at", "action": "profile"}
    assert _told(_with("syncs", "more", **queue)) == []


def test_audience_needs_its_name_and_a_vendor_that_has_them() -> None:
    """`send: audience` needs `audience`, and a destination with attributes, lists or cohorts."""
    people = {"send": "audience", "map": {"external_id": "customer_id"}}
    assert ("syncs.more.audience", "is missing") in _told(_with("syncs", "more", **people))
    assert _told(_with("syncs", "more", audience="vip", **people)) == []
    assert ("syncs.more.send", "slack has no audiences") in _told(_with("syncs", "more", audience="vip", to="ops", **people))


@pytest.mark.parametrize("action", ["event", "purchase"])
def test_what_happens_is_not_sent_by_what_changed(action: str) -> None:
    """An event of `send: changed` would leave in parts, and the vendor would drop the next one as a repeat of the first."""
    told = dict(_told(_with("syncs", "more", send="changed", action=action, map={"external_id": "customer_id", "name": "email"})))
    assert "the next change would count as a repeat" in told["syncs.more.send"]


def test_removing_needs_a_vendor_that_can() -> None:
    """`on_remove: delete` needs a destination with a way to delete."""
    told = _told(_with("syncs", "more", to="ops", on_remove="delete", action="notice", map={"text": "email"}))
    assert ("syncs.more.on_remove", "slack can't delete by this way") in told


@pytest.mark.parametrize(
    ("vendor", "account", "fields", "told"),
    [
        ("amplitude", {}, ["user_id", "language", "plan", "$append"], ["language", "$append"]),
        ("clevertap", {"account_id": "A", "region": "in1", "passcode": "env:KEY"}, ["identity", "Name", "tier"], []),
        ("clevertap", {"account_id": "A", "region": "in1", "passcode": "env:KEY", "unset": "reject"}, ["identity", "tier"], ["tier"]),
        ("braze", {"instance": "EU-01"}, ["external_id", "email", "first_name", "dob", "tier"], []),
        ("klaviyo", {}, ["email", "first_name", "tier"], []),
    ],
)
def test_what_a_removal_can_not_unset(vendor: str, account: dict[str, Any], fields: list[str], told: list[str]) -> None:
    """`on_remove: unset` of a field that the vendor can't unset is told before a row leaves, and stops no sync."""
    key = {} if "passcode" in account else {"api_key": "env:KEY"}
    for on_remove in ("unset", "ignore"):
        data = _with("syncs", "more", to="there", on_remove=on_remove, key="customer_id", map=dict.fromkeys(fields, "customer_id"))
        data["destinations"]["there"] = {"vendor": vendor, **key, **account}
        found = [problem for problem in problems(data) if "can't be unset" in problem.problem]
        assert [problem.path for problem in found] == [f"syncs.more.map.{name}" for name in told if on_remove == "unset"]
        assert all(problem.is_advice for problem in found)


def test_an_empty_settings_has_nothing_to_choose_from() -> None:
    """A name is told as unknown also where there is no entry at all to name."""
    data = {key: BASE[key] for key in ("rowferry", "warehouse", "state", "syncs")}
    assert ("there are no destinations") in [problem.hint for problem in problems(data)]


# ── Pulls ───────────────────────────────────────────────────────────────────────────────────


def test_a_pull_with_a_table_keeps_away_from_feeds() -> None:
    """A pull's files would load twice when it has a table and a feed takes its folder; without a table the feed loads them."""
    assert ("pulls.more.path", "its files would load by feeds.crm as well") in _told(_with("pulls", "more", path="crm/", table="raw.x"))
    assert _told(_with("pulls", "more", path="crm/")) == []


def test_two_pulls_in_one_folder() -> None:
    """Two pulls can't write to one folder, each other's default included."""
    assert _told(_with("pulls", "more", path="charged/")) == [("pulls.more.path", "pulls.charged writes there as well")]


def test_a_vendor_without_reports() -> None:
    """A destination that has no reports says from which they can be pulled."""
    found = problems(_with("pulls", "more", **{"from": "ops"}))
    assert [(problem.path, problem.problem) for problem in found] == [("pulls.more.report", "slack has no report events")]
    assert "clevertap, amplitude" in found[0].hint


# ── Webhooks and alerts ─────────────────────────────────────────────────────────────────────


def test_a_routes_map_is_checked_by_the_vendor() -> None:
    """What a route sends is held against the vendor's action as a sync's map is."""
    send = {"to": "ct", "action": "event", "map": {"name": "'x'"}}
    told = _told(changed("webhooks.stripe.routes.0.send", send))
    assert told and all(path.startswith("webhooks.stripe.routes.0.send.map") for path, _ in told)


def test_jmespath_says_where_it_goes_wrong() -> None:
    """The column is told, the expression is not repeated: it may hold anything."""
    found = problems(changed("webhooks.stripe.routes.0.when", "type == 'hunter2' ]"))
    assert [problem.problem for problem in found] == ["is not JMESPath: it goes wrong at column 19"]


def test_a_statement_may_have_its_own_comparison() -> None:
    """A column that the statement itself names `…_before` needs no `compare`."""
    sql = "SELECT 1 AS orders, 2 AS orders_before"
    assert _told(_with("alerts", "more", sql=sql, fire_when="orders < orders_before")) == []


# ── The whole ───────────────────────────────────────────────────────────────────────────────


def test_check_does_not_resolve() -> None:
    """Checking asks for no secret and changes nothing."""
    settings = parse_settings(BASE)
    assert check(settings) == [] == check(settings)


def test_broken_entries_still_count_as_names() -> None:
    """What names an entry that could not be read is not told of as well; a wrong name beside it is."""
    data = changed("destinations.braze_main", {"vendor": "braze"})
    data["syncs"]["customers"]["notify"] = "opps"
    assert [path for path, _ in _told(data)] == ["destinations.braze_main.api_key", "syncs.customers.notify"]


def test_a_wrong_key_does_not_hide_the_rest_of_its_entry() -> None:
    """A misspelling, a conflict and a wrong reference in one entry are told together, and nothing that follows from them."""
    data = _with("syncs", "more", send="new", to="cte", colour="blue", cursor=5, every="1h", cron="0 9 * * *")
    assert sorted(path for path, _ in _told(data)) == [
        "syncs.more.colour",
        "syncs.more.cron",
        "syncs.more.cursor",
        "syncs.more.to",
    ]
