"""Amplitude's twin keeps Amplitude's rules; what we send keeps the twin content; the engine brings every row through."""

from __future__ import annotations

import base64
import dataclasses
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.receipts import Receipts
from rowferry.destinations.amplitude import DESTINATION
from rowferry.destinations.port import Action
from rowferry.stores.folder import FolderStore
from rowferry.twins.amplitude import AmplitudeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.chunks import account_of, deliver, plan_of, put_chunk, receipts_of
from support.vendors import amplitude

AT = 1_772_368_200_000
KEY, SECRET = "amplitude-key", "amplitude-secret"


@pytest.fixture
def clock() -> ManualClock:
    """The twin's clock and the engine's."""
    return ManualClock()


@pytest.fixture
def twin(clock: ManualClock) -> Iterator[AmplitudeTwin]:
    """A running project that knows its keys."""
    with AmplitudeTwin(api_key=KEY, secret_key=SECRET, clock=clock) as running:
        yield running


def call(twin: AmplitudeTwin, path: str, body: bytes = b"", headers: dict[str, str] | None = None, method: str = "POST") -> tuple[int, Any]:
    """One request over a real connection; status and body, read when it is JSON."""
    raw = urllib.request.Request(twin.url + path, body or None, {"content-type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(raw) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        status, text = refused.code, refused.read()
    return status, orjson.loads(text) if text.startswith(b"{") else text.decode()


def event(**fields: Any) -> dict[str, Any]:
    """An event that is right but for these fields."""
    return {"user_id": "user-1", "event_type": "Viewed", "time": AT, **fields}


def send(twin: AmplitudeTwin, *events: Any, path: str = "/2/httpapi", **more: Any) -> tuple[int, Any]:
    """Events as they are, past our own checks."""
    return call(twin, path, orjson.dumps({"api_key": KEY, "events": events, **more}))


def identify(twin: AmplitudeTwin, *found: Any, path: str = "/identify", key: str = KEY) -> tuple[int, Any]:
    """Identifications as they are."""
    form = urlencode({"api_key": key, "identification": orjson.dumps(found).decode()}).encode()
    return call(twin, path, form, {"content-type": "application/x-www-form-urlencoded"})


# ── Events ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/2/httpapi", "/batch"])
def test_good_events_are_counted(twin: AmplitudeTwin, path: str) -> None:
    """A 200 has the four documented fields."""
    status, body = send(twin, event(), event(device_id="device-1"), path=path)
    assert (status, body["code"], body["events_ingested"]) == (200, 200, 2)
    assert body.keys() == {"code", "events_ingested", "payload_size_bytes", "server_upload_time"}
    assert twin.violations == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "Invalid JSON request body"),
        (b"[]", "Invalid JSON request body"),
        (b'{"events": [{}]}', "Request missing required field"),
        (b'{"api_key": "wrong", "events": [{}]}', "Invalid API key"),
        (b'{"api_key": "amplitude-key", "events": []}', "Request missing required field"),
        (b'{"api_key": "amplitude-key"}', "Request missing required field"),
        (b'{"api_key": "amplitude-key", "events": [7]}', "Invalid event JSON"),
    ],
)
def test_a_wrong_envelope_is_a_400(twin: AmplitudeTwin, body: bytes, error: str) -> None:
    """Broken JSON, keys and events are refused with the documented texts."""
    status, said = call(twin, "/2/httpapi", body)
    assert (status, said["error"]) == (400, error)


def test_other_paths_and_methods_are_unknown(twin: AmplitudeTwin) -> None:
    """Nothing answers at the old path, or to GET."""
    assert call(twin, "/httpapi", b"{}")[0] == 404
    assert call(twin, "/2/httpapi", method="GET")[0] == 404


@pytest.mark.parametrize(
    ("fields", "name", "field"),
    [
        ({"event_type": ""}, "events_with_missing_fields", "event_type"),
        ({"user_id": None}, "events_with_missing_fields", "user_id"),
        ({"time": "2026-03-01T12:30:00Z"}, "events_with_invalid_fields", "time"),
        ({"price": "9.90"}, "events_with_invalid_fields", "price"),
        ({"session_id": "17"}, "events_with_invalid_fields", "session_id"),
        ({"event_properties": "{}"}, "events_with_invalid_fields", "event_properties"),
        ({"platform": 7}, "events_with_invalid_fields", "platform"),
        ({"user_id": "Anonymous"}, "events_with_invalid_fields", "user_id"),
        ({"user_id": ["u"]}, "events_with_invalid_fields", "user_id"),
        ({"user_id": "abcd"}, "events_with_invalid_id_lengths", "user_id"),
        ({"device_id": "abcd"}, "events_with_invalid_id_lengths", "device_id"),
    ],
)
def test_one_bad_event_refuses_all(twin: AmplitudeTwin, fields: dict[str, Any], name: str, field: str) -> None:
    """The answer lists the event's place under the field at fault, and nothing was stored."""
    status, body = send(twin, event(), event(**fields))
    assert (status, body[name]) == (400, {field: [1]})
    assert twin.events == []


def test_http_v2_lists_the_first_and_batch_all(twin: AmplitudeTwin) -> None:
    """The pages differ on it, and so do the endpoints here; it can be set."""
    bad = event(time="now")
    assert send(twin, event(), bad, bad)[1]["events_with_invalid_fields"] == {"time": [1]}
    assert send(twin, event(), bad, bad, path="/batch")[1]["events_with_invalid_fields"] == {"time": [1, 2]}
    twin.first_only = False
    assert send(twin, event(), bad, bad)[1]["events_with_invalid_fields"] == {"time": [1, 2]}


def test_min_id_length_holds_for_the_request(twin: AmplitudeTwin) -> None:
    """Five characters, unless options say otherwise."""
    assert send(twin, event(user_id="u1"))[0] == 400
    assert send(twin, event(user_id="u1"), options={"min_id_length": 1})[0] == 200


@pytest.mark.parametrize(("path", "most"), [("/2/httpapi", 1_000_000), ("/batch", 20_000_000)])
def test_bytes_and_events_of_a_request(twin: AmplitudeTwin, path: str, most: int) -> None:
    """One byte or one event over the limit is a 413, and a violation."""
    one = len(orjson.dumps({"api_key": KEY, "events": [event(filler="")]}))
    assert send(twin, event(filler="x" * (most - one)), path=path)[0] == 200
    assert send(twin, event(filler="x" * (most - one + 1)), path=path)[0] == 413
    assert send(twin, *[event()] * 2000, path=path)[0] == 200
    assert send(twin, *[event()] * 2001, path=path)[0] == 413
    assert sum("in a request" in text or "bytes at" in text for text in twin.violations) == 2


def test_a_repeat_is_known_for_seven_days_within_its_device(twin: AmplitudeTwin, clock: ManualClock) -> None:
    """The same insert_id counts once for a device, or for the device that a user stands for; then again."""
    for found in (
        event(insert_id="i"),
        event(insert_id="i"),
        event(insert_id="i", user_id="user-2"),
        event(insert_id="i", device_id="dev-1"),
    ):
        assert send(twin, found)[1]["events_ingested"] == 1
    assert len(twin.events) == 3
    clock.sleep(7 * 86_400 - 1)
    send(twin, event(insert_id="i"))
    assert len(twin.events) == 3
    clock.sleep(1)
    twin.counts_repeats = False
    assert send(twin, event(insert_id="i"))[1]["events_ingested"] == 1
    assert send(twin, event(insert_id="i"))[1]["events_ingested"] == 0
    assert len(twin.events) == 4


def test_a_noisy_user_is_throttled_by_the_clock(twin: AmplitudeTwin, clock: ManualClock) -> None:
    """More than the threshold on average is a 429 for the request as a whole, which names user, device and places."""
    twin.eps_threshold, twin.eps_window_seconds = 2, 10.0
    assert send(twin, *[event(device_id="device-1")] * 20)[0] == 200
    status, body = send(twin, event(user_id="user-2"), event(device_id="device-1"))
    assert (status, body["eps_threshold"], body["throttled_events"]) == (429, 2, [1])
    assert (body["throttled_users"], body["throttled_devices"]) == ({"user-1": 21}, {"device-1": 21})
    assert send(twin, *[event(user_id="user-2")] * 20)[0] == 200
    clock.sleep(10)
    assert send(twin, event(device_id="device-1"))[0] == 200


def test_the_daily_quota_is_batchs(twin: AmplitudeTwin, clock: ManualClock) -> None:
    """It counts over 24 hours, and only there."""
    twin.daily_quota = 2
    assert send(twin, event(), event(), path="/batch")[0] == 200
    status, body = send(twin, event(), path="/batch")
    assert (status, body["exceeded_daily_quota_users"]) == (429, {"user-1": 3})
    assert send(twin, event())[0] == 200
    clock.sleep(86_400)
    assert send(twin, event(), path="/batch")[0] == 200


def test_silenced_devices_firewall_and_project(twin: AmplitudeTwin, clock: ManualClock) -> None:
    """Each has its answer: 400 with lists, 403, and a 429 that names nobody."""
    twin.silenced_devices.add("device-1")
    status, body = send(twin, event(), event(device_id="device-1"))
    assert (status, body["silenced_devices"], body["silenced_events"]) == (400, ["device-1"], [1])
    twin.firewall = b"<script>"
    assert send(twin, event(event_properties={"note": "<script>"}))[0] == 403
    twin.requests_per_second = 1
    assert [send(twin, event())[0] for _ in range(2)] == [200, 429]
    clock.sleep(1)
    assert send(twin, event())[0] == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"user_id": 12345},
        {"colour": "red"},
        {"event_type": "[Amplitude] Revenue"},
        {"group_properties": {"a": 1}},
        {"time": 1_772_368_200},
        {"ip": "$remote"},
        {"insert_id": ""},
        {"user_properties": {"$add": {"n": 1}}},
        {"productId": "sku"},
        {"price": 10, "quantity": 2, "revenue": 10},
        {"price": 10, "currency": "eur"},
        {"groups": {str(n): "a" for n in range(6)}},
        {"groups": {"a": [str(n) for n in range(11)]}},
        {"event_properties": {"a": "x" * 1025}},
    ],
)
def test_what_a_200_hides_is_noted(twin: AmplitudeTwin, fields: dict[str, Any]) -> None:
    """What Amplitude would cut, drop or misread is taken, and put on a list for tests."""
    assert send(twin, event(**fields))[0] == 200
    assert len(twin.violations) == 1


# ── Users, groups, cohorts ──────────────────────────────────────────────────────────────────


def test_operators_work_on_what_is_there(twin: AmplitudeTwin) -> None:
    """Each operator as its page says; the user need not exist."""
    one = {"$set": {"a": 1, "tags": ["x"]}, "$setOnce": {"first": "shop"}, "$add": {"n": 2}}
    two = {"$setOnce": {"first": "web"}, "$add": {"n": 3}, "$append": {"tags": "y"}, "$unset": {"a": "-"}}
    three = {"$prepend": {"tags": "w"}, "$postInsert": {"other": ["z", "z"]}}
    four = {"$remove": {"tags": "x"}, "$preInsert": {"other": ["z", "q"]}}
    for properties in (one, two, three, four):
        assert identify(twin, {"user_id": "user-1", "user_properties": properties}) == (200, "success")
    assert twin.users == {"user-1": {"first": "shop", "n": 5, "tags": ["w", "y"], "other": ["q", "z", "z"]}}
    assert twin.violations == []


@pytest.mark.parametrize("path", ["/identify", "/groupidentify"])
def test_identifications_are_forms(twin: AmplitudeTwin, path: str) -> None:
    """JSON, nothing, nonsense and a wrong key are refused."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert call(twin, path, b'{"api_key": "amplitude-key"}') == (400, {"code": 400, "error": "missing_event"})
    for body in (b"api_key=amplitude-key", b"api_key=amplitude-key&identification=%7B", b"api_key=amplitude-key&identification=7"):
        assert call(twin, path, body, form)[1]["error"] == "missing_event"
    assert identify(twin, {}, path=path, key="other")[1]["error"] == "Invalid API key"
    assert call(twin, path, b"x" * 1_000_001, form)[0] == 413


def test_short_ids_of_users_are_refused_as_well(twin: AmplitudeTwin) -> None:
    """The field `options`, which Segment sends, holds here too."""
    assert identify(twin, {"user_id": "u1", "user_properties": {}})[0] == 400
    assert twin.users == {}


@pytest.mark.parametrize(
    "item",
    [
        {"user_properties": {"a": 1, "$add": {"b": 1}}},
        {"user_properties": {"$clearAll": {"a": 1}}},
        {"user_properties": {"$set": {"a": 1}, "$setOnce": {"a": 1}}},
        {"user_properties": {"$add": {"a": "1"}}},
        {"user_properties": {"$set": {"a": "x" * 1025}}},
        {"tier": "gold"},
    ],
)
def test_what_is_lost_of_a_user_is_noted(twin: AmplitudeTwin, item: dict[str, Any]) -> None:
    """Mixed, unknown and doubled operators, cut text, unknown fields."""
    assert identify(twin, {"user_id": "user-1", **item})[0] == 200
    assert len(twin.violations) == 1


def test_updates_beyond_an_hours_are_dropped(twin: AmplitudeTwin, clock: ManualClock) -> None:
    """With 200, as Amplitude does it."""
    twin.hourly_updates = 1
    for value in (1, 2):
        assert identify(twin, {"user_id": "user-1", "user_properties": {"$set": {"a": value}}})[0] == 200
    assert twin.users == {"user-1": {"a": 1}}
    assert len(twin.violations) == 1
    clock.sleep(3600)
    identify(twin, {"user_id": "user-1", "user_properties": {"$set": {"a": 3}}})
    assert twin.users == {"user-1": {"a": 3}}


def test_groups_have_type_and_value(twin: AmplitudeTwin) -> None:
    """1,024 a request, one value each."""
    acme = {"group_type": "company", "group_value": "Acme", "group_properties": {"$set": {"seats": 5}}}
    assert identify(twin, *[acme] * 1024, path="/groupidentify") == (200, "success")
    assert twin.groups == {("company", "Acme"): {"seats": 5}}
    assert identify(twin, *[acme] * 1025, path="/groupidentify")[0] == 413
    assert identify(twin, {**acme, "group_value": ["Acme"]}, path="/groupidentify")[0] == 400
    twin.violations.clear()
    identify(twin, {**acme, "group_properties": {"$remove": {"a": 1}}, "user_id": "u"}, path="/groupidentify")
    assert len(twin.violations) == 2


def test_cohorts_need_both_keys(twin: AmplitudeTwin) -> None:
    """Basic auth of key and secret."""
    for pair, status in ((f"{KEY}:{SECRET}", 200), (f"{KEY}:other", 401), (f"{KEY}:", 401)):
        basic = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        assert call(twin, "/api/3/cohorts", headers=basic, method="GET")[0] == status
    assert call(twin, "/api/3/cohorts", method="GET")[0] == 401


# ── Through our own file and the engine ─────────────────────────────────────────────────────


def run(
    folder: Path, twin: AmplitudeTwin, clock: ManualClock, rows: Sequence[dict[str, Any]], name: str = "event", **more: Any
) -> Receipts:
    """Rows through the engine to the twin; a row of an event that has `raw` goes out as it is, past our own checks."""
    columns = [(column, "JSON") for column in dict.fromkeys(key for row in rows for key in row)]
    plan = plan_of(columns, name, idempotency=DESTINATION.actions[name].idempotency, audience="vip" if name == "audience" else None)
    known = DESTINATION.actions[name]

    def to_payload(fields: Any, settings: Any) -> bytes:
        return orjson.dumps({**fields["raw"], "insert_id": fields["insert_id"]}) if "raw" in fields else known.to_payload(fields, settings)

    actions: dict[str, Action[Any]] = {**DESTINATION.actions, name: dataclasses.replace(known, to_payload=to_payload)}
    account = account_of(dataclasses.replace(DESTINATION, actions=actions), amplitude.settings(twin.url, **more), clock)
    store = FolderStore(folder)
    key = put_chunk(store, plan, [[row.get(column) for column, _ in columns] for row in rows])
    assert deliver(store, key, account, clock).status == "settled"
    return receipts_of(store)


def rows_of(count: int, bad: Sequence[int] = (), **more: Any) -> list[dict[str, Any]]:
    """Events of as many users; those at `bad` have a time that Amplitude refuses."""
    return [{"raw": event(user_id=f"user-{n}", time="now" if n in bad else AT, **more)} for n in range(count)]


@pytest.mark.parametrize(("endpoint", "first_only"), [("http_v2", True), ("batch", False)])
@pytest.mark.parametrize("bad", [[], [0], [7, 8, 9, 30], list(range(0, 60, 3)), list(range(60))])
def test_bad_rows_are_rejected_and_all_others_delivered_once(
    tmp_path: Path, twin: AmplitudeTwin, clock: ManualClock, endpoint: str, first_only: bool, bad: list[int]
) -> None:
    """However many are bad, and whether the lists are whole or not: no good row is lost, none is stored twice, no bad one stays."""
    found = run(tmp_path, twin, clock, rows_of(60, bad), endpoint=endpoint, batch_rows=60)
    assert (found.delivered, len(found.rejected)) == (60 - len(bad), len(bad))
    assert [row.id for row in found.rejected] == [f"row-{n}" for n in bad]
    assert {row.code for row in found.rejected} <= {"invalid_field"}
    assert len({kept["user_id"] for kept in twin.events}) == len(twin.events) == 60 - len(bad)
    assert found.requests <= (2 if not first_only else 3 * len(bad) + 5)


def test_a_noisy_user_holds_nobody_back(tmp_path: Path, twin: AmplitudeTwin, clock: ManualClock) -> None:
    """The others go out at once; the user's own events wait as long as it takes and none is rejected."""
    twin.eps_threshold, twin.eps_window_seconds = 1, 40.0
    rows = [{"raw": event(user_id="noisy-1" if n % 2 else f"user-{n}")} for n in range(100)]
    found = run(tmp_path, twin, clock, rows, batch_rows=30)
    assert (found.delivered, len(found.rejected)) == (100, 0)
    assert len(twin.events) == 100
    assert max(clock.slept) <= 30


def test_one_user_with_more_events_than_fit_into_a_second(tmp_path: Path, twin: AmplitudeTwin, clock: ManualClock) -> None:
    """A batch that no pause would get through is sent in smaller ones: all arrive, and none is rejected."""
    twin.eps_threshold, twin.eps_window_seconds = 30, 1.0
    found = run(tmp_path, twin, clock, [{"raw": event()} for _ in range(200)], endpoint="http_v2")
    assert (found.delivered, len(found.rejected), len(twin.events)) == (200, 0, 200)


def test_quota_silence_and_firewall_cost_their_rows_alone(tmp_path: Path, twin: AmplitudeTwin, clock: ManualClock) -> None:
    """Three rows that Amplitude will not have, each for its own reason, and their neighbours delivered."""
    twin.silenced_devices.add("device-1")
    twin.firewall = b"<script>"
    twin.daily_quota = 3
    rows = rows_of(20)
    rows[3]["raw"]["device_id"] = "device-1"
    rows[5]["raw"]["event_properties"] = {"note": "<script>"}
    rows += [{"raw": event(user_id="noisy-1")} for _ in range(4)]
    found = run(tmp_path, twin, clock, rows, endpoint="batch")
    codes = {row.id: row.code for row in found.rejected}
    assert codes["row-3"] == "silenced"
    assert codes["row-5"] == "blocked_by_firewall"
    assert set(codes.values()) == {"silenced", "blocked_by_firewall", "daily_quota"}
    assert {row for row, code in codes.items() if code == "daily_quota"} <= {f"row-{n}" for n in range(20, 24)}
    assert found.delivered == 24 - len(codes)


def test_rows_that_are_taken_and_not_counted_are_found(tmp_path: Path, twin: AmplitudeTwin, clock: ManualClock) -> None:
    """A 200 that counts fewer is no success for all: the event that never counts is rejected, once the others are through."""
    twin.drops.add("Lost")
    rows = rows_of(20)
    rows[11]["raw"]["event_type"] = "Lost"
    found = run(tmp_path, twin, clock, rows)
    assert [(row.id, row.code) for row in found.rejected] == [("row-11", "not_ingested")]
    assert (found.delivered, len(twin.events)) == (19, 19)


def test_a_lost_answer_stores_nothing_twice(tmp_path: Path, twin: AmplitudeTwin, clock: ManualClock) -> None:
    """The engine fills insert_id, so a request whose answer was lost is a no-op the second time."""
    twin.faults.append(Fault(reset="after"))
    twin.faults.append(Fault(response=Response(504, b"<html>")))
    found = run(tmp_path, twin, clock, rows_of(10))
    assert (found.delivered, len(twin.events)) == (10, 10)


def test_too_large_a_batch_is_halved_to_the_row(tmp_path: Path, twin: AmplitudeTwin, clock: ManualClock) -> None:
    """413 halves until the row is alone that is too large by itself."""
    rows = rows_of(4)
    rows[2]["raw"]["event_properties"] = {"a": "x" * 1_000_000}
    found = run(tmp_path, twin, clock, rows, endpoint="http_v2")
    assert [(row.id, row.code) for row in found.rejected] == [("row-2", "too_large")]
    assert found.delivered == 3


def test_an_audience_follows_its_rows(tmp_path: Path, twin: AmplitudeTwin, clock: ManualClock) -> None:
    """The cohort is made of those whom Amplitude has seen, others are named, and a busy cohort is waited for."""
    for n in range(3):
        identify(twin, {"user_id": f"user-{n}", "user_properties": {}})
    twin.cohorts.busy = 2
    found = run(tmp_path, twin, clock, [{"user_id": f"user-{n}"} for n in range(5)], name="audience")
    assert twin.cohorts.sizes() == {"vip": 3}
    assert [(row.id, row.code) for row in found.rejected] == [("row-3", "unknown_user"), ("row-4", "unknown_user")]
    assert found.delivered == 3


def test_our_good_rows_are_taken_unspoiled(twin: AmplitudeTwin) -> None:
    """What our file makes of the suite's rows breaks no rule, spoken or silent."""
    settings = amplitude.settings(twin.url)
    for name in ("event", "profile", "group"):
        action = DESTINATION.actions[name]
        batch = [action.to_payload(fields, settings) for fields in amplitude.ROWS[name]]
        request = action.build(batch, settings)
        assert call(twin, request.url.removeprefix(twin.url), request.body, dict(request.headers))[0] == 200
    assert twin.violations == []


def test_the_state_tells_no_key(twin: AmplitudeTwin) -> None:
    """A person may look at what it holds."""
    send(twin, event())
    shown = orjson.dumps(call(twin, "/_twin/state", method="GET")[1]).decode()
    assert KEY not in shown
    assert SECRET not in shown
