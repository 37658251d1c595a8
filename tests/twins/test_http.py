"""The stand-in for described APIs keeps each API's rules and notes its silences."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from rowferry.twins.http import HttpTwin
from rowferry.twins.server import Call
from rowferry.wire import Response

BEARER = {"authorization": "Bearer key-1"}
EVENT = {"appsflyer_id": "af-1", "eventName": "n", "eventValue": "", "eventTime": "2026-01-31 12:00:00.000"}
FORM = {"s2s": "1", "app_token": "a", "event_token": "e", "idfa": "d1", "created_at_unix": "1769860800"}
RECORD = {"order_id": "o1"}
CUSTOMERS = {"source": "warehouse", "customers": [{"id": "c1", "email": "a@b.co"}]}


def ask(twin: HttpTwin, path: str, body: Any, **headers: str) -> Response:
    """One POST past the socket, JSON unless the body is bytes."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return twin.answer(Call("POST", path, {"content-type": "application/json", **headers}, raw))


def appsflyer(twin: HttpTwin, event: Any, app_id: str = "id1", **headers: str) -> Response:
    """An event to AppsFlyer."""
    return ask(twin, f"/inappevent/{app_id}", event, **{"authentication": "key-1", **headers})


def adjust(twin: HttpTwin, **fields: str) -> Response:
    """An event to Adjust; fields that are empty are left out."""
    form = urlencode({name: value for name, value in {**FORM, **fields}.items() if value})
    return ask(twin, "/event", form.encode(), **BEARER, **{"content-type": "application/x-www-form-urlencoded"})


def amperity(twin: HttpTwin, record: Any) -> Response:
    """A record into Amperity's stream."""
    return ask(twin, "/stream/v0/data/is-1", record, **BEARER, **{"x-amperity-tenant": "acme"})


def in_house(twin: HttpTwin, document: Any) -> Response:
    """Customers to the in-house API."""
    return ask(twin, "/v1/customers", document, **BEARER)


def test_each_takes_what_is_right() -> None:
    """A good request to each API is stored under its name, and nothing is noted."""
    twin = HttpTwin(key="key-1")
    answers = [appsflyer(twin, EVENT), adjust(twin), amperity(twin, RECORD), in_house(twin, CUSTOMERS)]
    assert [answer.status for answer in answers] == [200, 200, 202, 200]
    assert twin.stored == {"appsflyer": [EVENT], "adjust": [FORM], "amperity": [RECORD], "customers": CUSTOMERS["customers"]}
    assert twin.violations == []
    assert twin.state()["adjust"] == {"rows": 1, "last": [FORM]}


def test_each_asks_for_its_key() -> None:
    """A wrong key is refused by each in its own way; without a key of its own the twin takes any but none."""
    for twin in (HttpTwin(key="another"), HttpTwin(key="key-1")):
        expected = [400, 401, 401, 401] if twin.key == "another" else [200, 200, 202, 200]
        answers = [appsflyer(twin, EVENT), adjust(twin), amperity(twin, RECORD), in_house(twin, CUSTOMERS)]
        assert [answer.status for answer in answers] == expected
    assert ask(HttpTwin(), "/event", b"").status == 401


@pytest.mark.parametrize("event", [[EVENT], {**EVENT, "appsflyer_id": None}, {"appsflyer_id": "a", "eventName": "n"}, "text"])
def test_appsflyer_says_400(event: Any) -> None:
    """More than one event, no device, no value, no JSON."""
    assert appsflyer(HttpTwin(), event).status == 400


@pytest.mark.parametrize(
    ("event", "app_id"),
    [
        (EVENT, "123456789"),
        ({**EVENT, "eventValue": {"a": 1}}, "id1"),
        ({**EVENT, "eventValue": "text"}, "id1"),
        ({**EVENT, "eventTime": "2026-01-31T12:00:00Z"}, "id1"),
        ({**EVENT, "ip": "x" * 1024}, "id1"),
    ],
)
def test_appsflyer_loses_in_silence(event: Any, app_id: str) -> None:
    """It answers OK, and the twin notes what would be lost or misread."""
    twin = HttpTwin()
    assert appsflyer(twin, event, app_id) == Response(200, b"OK", {"content-type": "text/plain"})
    assert len(twin.violations) == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"s2s": ""}, 400), ({"app_token": ""}, 400), ({"event_token": ""}, 400), ({"idfa": ""}, 404), ({"idfa": "gone"}, 404)],
)
def test_adjust_says_why(fields: dict[str, str], status: int) -> None:
    """Missing tokens are 400, a missing or unknown device is 404."""
    answer = adjust(HttpTwin(unknown_devices={"gone"}), **fields)
    assert answer.status == status
    assert orjson.loads(answer.body)["error"].startswith("Event request failed (")


def test_adjust_takes_a_unique_event_once() -> None:
    """The second one is a 400 that says so; another device's is a first one."""
    twin = HttpTwin(unique_events={"e"})
    assert [adjust(twin).status, adjust(twin).status, adjust(twin, idfa="d2").status] == [200, 400, 200]


@pytest.mark.parametrize("fields", [{"created_at_unix": "1769860800000"}, {"revenue": "5"}, {"callback_params": "a=b"}])
def test_adjust_misreads_in_silence(fields: dict[str, str]) -> None:
    """Milliseconds, revenue without currency, parameters that are no JSON are noted."""
    twin = HttpTwin()
    assert adjust(twin, **fields).status == 200
    assert len(twin.violations) == 1


def test_adjust_reads_forms_only() -> None:
    """JSON is not what Adjust reads."""
    assert ask(HttpTwin(), "/event", FORM, **BEARER).status == 400


def test_amperity_takes_one_flat_object() -> None:
    """A list is a 400, 1 MB a 413, a nested value is noted."""
    twin = HttpTwin()
    assert [amperity(twin, [RECORD]).status, amperity(twin, {"a": "x" * 1_000_000}).status] == [400, 413]
    assert ask(twin, "/stream/v0/data/is-1", RECORD, **BEARER).status == 400
    assert amperity(twin, {"a": [1]}).status == 202
    assert len(twin.violations) == 2


def test_the_in_house_api_answers_row_by_row() -> None:
    """Bad rows are named by their number from 1, the others are stored."""
    twin = HttpTwin()
    rows = [{"id": "c1"}, {"id": "c2", "email": "nobody"}, {}]
    answer = orjson.loads(in_house(twin, {"source": "warehouse", "customers": rows}).body)
    assert answer == {"ok": True, "errors": [{"row": 2, "why": "email nobody has no @"}, {"row": 3, "why": "id is missing"}]}
    assert twin.stored == {"customers": [{"id": "c1"}]}
    assert in_house(twin, {"customers": rows}).status == 400
    assert in_house(twin, {"source": "warehouse", "customers": rows * 17}).status == 413


@pytest.mark.parametrize(
    ("kind", "body", "stored"),
    [
        ("application/json", b'{"a":1}', {"a": 1}),
        ("application/vnd.acme+json; charset=utf-8", b"[1]", [1]),
        ("application/x-ndjson", b'{"a":1}\n{"a":2}\n', [{"a": 1}, {"a": 2}]),
        ("application/x-www-form-urlencoded", b"a=1&b=", {"a": "1", "b": ""}),
        ("application/json", b"", ""),
        ("text/plain", b"hello", "hello"),
    ],
)
def test_an_unknown_api_takes_what_can_be_read(kind: str, body: bytes, stored: Any) -> None:
    """Anybody's description can be rehearsed; what was sent is kept under its path."""
    twin = HttpTwin()
    assert ask(twin, "/api/things?key=1", body, **{"content-type": kind}) == twin.reply
    assert twin.stored == {"/api/things": [stored]}


@pytest.mark.parametrize(
    ("kind", "body"), [("application/json", b"{"), ("application/x-ndjson", b"{}\n{"), ("application/x-www-form-urlencoded", b"\xff")]
)
def test_an_unknown_api_still_wants_a_readable_body(kind: str, body: bytes) -> None:
    """What is not what its content type says is a 400, and noted."""
    twin = HttpTwin()
    assert ask(twin, "/api/things", body, **{"content-type": kind}).status == 400
    assert len(twin.violations) == 1


def test_looking_changes_nothing() -> None:
    """A GET shows that an API is there, or that it takes no GET."""
    twin = HttpTwin()
    assert twin.answer(Call("GET", "/event", {}, b"")).status == 405
    assert twin.answer(Call("GET", "/health", {}, b"")) == twin.reply
    assert twin.stored == {}
