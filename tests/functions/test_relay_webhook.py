"""The webhooks' edge with what comes after it, on both clouds: a burst through real queues, and a kill right after the answer."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.delivery.outbox import URGENT, waiting
from support.aws_cloud import AwsCloud
from support.cloud_shop import BURSTS_PER_SECOND, Shop
from support.gcp_cloud import GcpCloud
from support.gcs_events import event_request

PATH = "/hooks/orders"
Send = Callable[[Shop, int], str]
NAMES = ("relay_webhook", "deliver_chunk")
CHANNEL = "bursts"


@pytest.fixture(scope="module")
def gcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(GcpCloud(tmp_path_factory.mktemp("gcp"), NAMES), tmp_path_factory.mktemp("shop"), ()) as shop:
        yield shop


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(AwsCloud(tmp_path_factory.mktemp("aws"), NAMES), tmp_path_factory.mktemp("shop"), ()) as shop:
        yield shop


def _at_gcp(shop: Shop, number: int) -> str:
    """A sender's call; what it is told. Raises `AssertionError` unless that is a 200."""
    assert isinstance(shop.cloud, GcpCloud)
    status, text = shop.cloud.functions["relay_webhook"].call(*shop.order(number), PATH)
    assert status == 200, text
    return str(json.loads(text)["status"])


def _at_aws(shop: Shop, number: int) -> str:
    """A sender's call by the HTTP API; what it is told. Raises `AssertionError` unless that is a 200."""
    assert isinstance(shop.cloud, AwsCloud)
    body, headers = shop.order(number)
    event = {
        "version": "2.0", "rawPath": PATH, "rawQueryString": "", "headers": headers, "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True, "requestContext": {"http": {"method": "POST", "path": PATH, "sourceIp": "203.0.113.9"}},
    }  # fmt: skip
    found = shop.cloud.invoke("relay_webhook", event)
    assert found.error is None, found.error
    assert found.payload["statusCode"] == 200, found.payload
    return str(json.loads(found.payload["body"])["status"])


@pytest.mark.parametrize(("cloud", "send", "burst"), [("gcp", _at_gcp, 300), ("aws", _at_aws, 40)])
def test_a_burst_is_told_in_few_messages(cloud: str, send: Send, burst: int, request: pytest.FixtureRequest) -> None:
    """Hundreds of webhooks at once, a channel that takes few messages a second: all are answered, all told, each once, many together."""
    shop: Shop = request.getfixturevalue(cloud)
    shop.slack.per_second = BURSTS_PER_SECOND
    with ThreadPoolExecutor(8) as senders:
        assert set(senders.map(lambda number: send(shop, number), range(burst))) == {"accepted"}
    shop.cloud.settle()
    assert sorted(shop.orders_told()) == list(range(burst))
    assert len(shop.slack.messages) < burst / 2
    assert list(waiting(shop.cloud.state, CHANNEL, URGENT)) == []


def _status(gcp: Shop, request: bytes) -> int:
    """The status that the server answers bytes with, from a caller who then hangs up; 0 where it hangs up itself."""
    assert isinstance(gcp.cloud, GcpCloud)
    with socket.create_connection(("127.0.0.1", gcp.cloud.functions["relay_webhook"].port), timeout=300) as connection:
        try:
            connection.sendall(request)
            with suppress(OSError):  # it has answered and hung up already
                connection.shutdown(socket.SHUT_WR)
            return int((connection.makefile("rb").readline().split() or [b"", b"0"])[1])
        except ConnectionError:
            return 0


@pytest.mark.parametrize("chunks", [b"zz\r\nabc\r\n0\r\n\r\n", b"-5\r\nabc\r\n0\r\n\r\n", b"5\r\nabc", b"3\r\nabcdef\r\n0\r\n\r\n", b""])
def test_chunks_that_are_none(gcp: Shop, chunks: bytes) -> None:
    """What the server itself can't read of a body is the caller's mistake: a 400, not an error of ours that rings an alarm."""
    head = b"POST /hooks/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert _status(gcp, head + chunks) == 400


@pytest.mark.parametrize("sent", [b"", b"{}", b"word=one&amount=1"])
def test_a_body_that_is_cut_short(gcp: Shop, sent: bytes) -> None:
    """From a caller who hung up it is none: what is signed would not match, but the start of a form is a form as well."""
    head = b"POST /hooks/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 50\r\n\r\n"
    assert _status(gcp, head + sent) == 400


@pytest.mark.parametrize(("lines", "status"), [(b"Content-Length: 2", 401), (b"X: " + b"\xff" * 3, 401), (b"Content-Encoding: gzip", 415)])
@pytest.mark.parametrize("target", [b"/hooks/orders", b"/hooks/sh%6frders/../orders", b"/hooks/orders?x=%ff", b"/hooks/%ff%00"])
def test_other_bytes_that_make_no_5xx(gcp: Shop, target: bytes, lines: bytes, status: int) -> None:
    """Bytes that are no text, odd paths: refused as what they are, or not found."""
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b\r\n\r\n" % (target, lines)
    assert _status(gcp, head + b"{}") == (status if b"orders" in target and b".." not in target else 404)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    target=st.sampled_from(["/hooks/orders", "/hooks/", "//hooks/orders", "*", "http://x/hooks/orders"])
    | st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=20).map(lambda text: f"/hooks/{text}"),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["Content-Type", "Content-Length", "Transfer-Encoding", "X-Hub-Signature-256", "Expect", "Host", "X_Y"]),
            st.sampled_from(["chunked", "0", "5", "sha256=", "100-continue", "application/json"])
            | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=10),
        ),
        max_size=4,
    ),
    body=st.binary(max_size=40) | st.sampled_from([b"5\r\nabcde\r\n0\r\n\r\n", b"0\r\n\r\n", b"5\r\nab", b"-1\r\n", b"f" * 20 + b"\r\n"]),
)
def test_no_bytes_make_a_5xx(gcp: Shop, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
    """Whatever comes over the wire: an answer that is meant, the server's own 501 for a coding it does not know, or a closed door."""
    lines = [f"POST {target} HTTP/1.1", "Host: x", "Connection: close", *(f"{name}: {value}" for name, value in headers), "", ""]
    assert _status(gcp, "\r\n".join(lines).encode("latin-1") + body) in (0, 100, 200, 308, 400, 401, 404, 413, 415, 417, 431, 501)


def test_killed_right_after_the_answer(gcp: Shop) -> None:
    """The server is gone once the sender has read its 200; after a restart the event is known, and told once."""
    cloud = gcp.cloud
    assert isinstance(cloud, GcpCloud)
    kept, cloud.storage.events.subscriptions[:] = list(cloud.storage.events.subscriptions), []
    function, number = cloud.functions["relay_webhook"], 1_000_000
    assert _at_gcp(gcp, number) == "accepted"
    function.kill()
    function.start()
    function.wait()
    assert _at_gcp(gcp, number) == "repeated"
    cloud.storage.events.subscriptions[:] = kept
    (key,) = waiting(cloud.state, CHANNEL, URGENT)
    resource = {"bucket": "state", "name": f"shop/{key}", "generation": "1", "updated": "2026-01-01T00:00:00.000Z"}
    headers, body = event_request(resource, "push", "1")
    for _ in range(2):
        assert cloud.functions["deliver_chunk"].call(json.dumps(body).encode(), headers)[0] == 200
    assert gcp.orders_told().count(number) == 1
