"""The two clouds' edges: the same calls, the same answers, byte for byte what the sender signed."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import functions_framework
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry import edge
from support.relayed import relayed
from support.senders import SECRET, call

FUNCTIONS = Path(__file__).parents[2] / "functions"
SETTINGS = """
rowferry: 1
warehouse: {engine: duckdb, path: w.duckdb}
state: ./state
destinations:
  clevertap: {vendor: clevertap, region: eu1, account_id: A, passcode: "env:SECRET"}
  ops: {vendor: slack, webhook_url: "env:SLACK"}
webhooks:
  shop:
    verify: {scheme: stripe, secret: "env:SECRET"}
    routes:
      - send: {to: clevertap, action: event, map: {identity: user, name: type, time: created}}
      - notify: {to: ops, text: "{{ type }}"}
  clicks:
    verify: {scheme: slack, secret: "env:SECRET"}
    routes:
      - notify: {to: ops, text: "{{ command }}"}
alerts:
  orders:
    sql: "SELECT 5 AS orders"
    fire_when: "orders < 10"
    every: 1h
    notify: ops
"""
Send = Callable[..., tuple[int, bytes, dict[str, str]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("edge")
    (found / "rowferry.yaml").write_text(SETTINGS.replace("./state", f"file://{found}/state").replace("w.duckdb", f"{found}/w.duckdb"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROWFERRY_CONFIG", str(found / "rowferry.yaml"))
        patch.setenv("SECRET", SECRET)
        patch.setenv("SLACK", "https://hooks.slack.com/services/T/B/x")
        edge.app.cache_clear()
        yield found
        edge.app().close()
        edge.app.cache_clear()


def _gcp(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
    found = _client("relay_webhook").open(path, method=method, headers=headers, data=body)
    return found.status_code, found.data, {name.lower(): value for name, value in found.headers.items()}


def _client(function: str) -> Any:
    create_app: Any = functions_framework.create_app  # it has no types
    return create_app(function, str(FUNCTIONS / function / "gcp.py")).test_client()


def _aws(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
    raw_path, _, query = path.partition("?")
    event = {
        "version": "2.0", "rawPath": raw_path, "rawQueryString": query, "headers": headers, "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True, "requestContext": {"http": {"method": method, "path": raw_path, "sourceIp": "203.0.113.9"}},
    }  # fmt: skip
    found = _handler("relay_webhook")(event, None)
    return found["statusCode"], found["body"].encode(), found["headers"]


def _handler(function: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"{function}_aws", FUNCTIONS / function / "aws.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


@pytest.fixture(params=[_gcp, _aws], ids=["gcp", "aws"])
def send(request: pytest.FixtureRequest, folder: Path) -> Send:
    found: Send = request.param
    return found


def _signed(event: Any, scheme: str = "stripe", name: str = "shop", **headers: str) -> tuple[str, str, dict[str, str], bytes]:
    found = call(scheme, name, event, datetime.now(UTC), **headers)
    return found.method, found.path, dict(found.headers), found.body


def test_a_call_and_its_repeat(send: Send, request: pytest.FixtureRequest) -> None:
    """Bytes that a parser would write otherwise (spaces, escapes, key order) verify, and count once."""
    body = b'{ "type":"x\\u00fc",  "user":"u1", "created": 1.0e9, "id":"evt_%s" }' % request.node.callspec.id.encode()
    assert send(*_signed(body))[:2] == (200, b'{"status":"accepted"}')
    assert send(*_signed(body))[:2] == (200, b'{"status":"repeated"}')


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"method": "GET"}, 405), ({"path": "/hooks/nosuch"}, 404), ({"path": "/"}, 404), ({"body": b"{}"}, 401), ({"headers": {}}, 401),
        ({"body": b"x" * 1_000_001}, 413), ({"body": b"x" * 7_000_000}, 413), ({"headers": {"content-type": "application/xml"}}, 415),
    ],
)  # fmt: skip
def test_refusals(send: Send, change: dict[str, Any], status: int) -> None:
    """Each with its own code, and in the shape of every other answer."""
    method, path, headers, body = _signed({"id": "evt_2"})
    wanted = {"method": method, "path": path, "headers": headers, "body": body, **change}
    found, text, answered = send(wanted["method"], wanted["path"], wanted["headers"], wanted["body"])
    assert found == status
    assert answered["content-type"].startswith("application/json")
    assert set(orjson.loads(text)) == {"status"}


def test_a_signed_call_that_is_not_sane(send: Send) -> None:
    """Forms and JSON alike are read after the signature, strictly."""
    assert send(*_signed(b'{"a":1,"a":2}'))[0] == 400
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert send(*_signed(b"command=%2Fgo&text=", "slack", "clicks", **form))[:2] == (200, b"")
    assert send(*_signed(b"command=1&command=2", "slack", "clicks", **form))[0] == 400


def test_header_names_in_any_case(send: Send) -> None:
    """Senders write `Stripe-Signature`; HTTP does not care."""
    method, path, headers, body = _signed({"id": "evt_3", "type": "x"})
    assert send(method, f"{path}?x=1", {name.title(): value for name, value in headers.items()}, body)[0] == 200


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/hooks/shop", "/hooks/clicks"])
    | st.text(st.characters(codec="ascii", exclude_categories=["Cc"])).map(lambda text: f"/hooks/{text}"),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "stripe-signature", "x-slack-signature", "x-slack-request-timestamp", "content-encoding"]),
        st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=30),
    ),
    body=st.binary(max_size=100),
    is_signed=st.booleans(),
)
def test_no_call_is_a_500(folder: Path, path: str, headers: dict[str, str], body: bytes, is_signed: bool) -> None:
    """Whatever a framework makes of path, headers and body, there is an answer that is meant."""
    wanted = _signed(body, **headers) if is_signed else ("POST", path, headers, body)
    for send in (_gcp, _aws):
        assert send(*wanted)[0] in (200, 308, 400, 401, 404, 415)


def test_what_was_taken_in_is_there(folder: Path, send: Send) -> None:
    """Each accepted event is two objects: one for the vendor, one for the channel."""
    send(*_signed({"id": "evt_last", "type": "last", "user": "u9", "created": 1_000_000_000}))
    found = [(to, rows) for to, _, rows in relayed(edge.app().state) if "last" in str(rows)]
    row = {"identity": "u9", "name": "last", "time": "2001-09-09T01:46:40+00:00"}
    assert found == [("clevertap", [row]), ("ops", [{"text": "last"}])]


@pytest.mark.parametrize(
    ("asked", "status", "said"), [({"alert": "orders"}, 200, "firing"), ({"alert": "x"}, 400, "expected"), (None, 400, "expected")]
)
def test_the_alerts_timer_on_gcp(folder: Path, asked: Any, status: int, said: str) -> None:
    """The timer names its alert; the answer is its state."""
    client = _client("check_alerts")
    found = client.post("/", json=asked) if asked else client.post("/", data=b"junk")
    assert found.status_code == status
    assert said in found.text


def test_the_alerts_timer_on_aws(folder: Path) -> None:
    """The same event, the same state."""
    assert _handler("check_alerts")({"alert": "orders"}, None) == "firing"
