"""Google Cloud's edges under the real functions-framework server: every form of an event, junk, and what comes again."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rowferry.delivery import rest
from rowferry.delivery.outbox import waiting
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.cloud_shop import Shop, customers
from support.gcp_cloud import TRIES, GcpCloud
from support.gcs_events import Form, event_request

FORMS: tuple[Form, ...] = ("binary", "structured", "pubsub", "push")
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> GcpCloud:
    return GcpCloud(tmp_path_factory.mktemp("gcp"), ("load_export", "start_sync", "deliver_chunk"))


@pytest.fixture(scope="module")
def shop(cloud: GcpCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Shop(cloud, tmp_path_factory.mktemp("shop"), (*FORMS, "down")) as shop:
        yield shop


def _statuses(cloud: GcpCloud, name: str) -> list[int]:
    return [attempt.status for attempt in cloud.storage.events.deliveries if name in attempt.name]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_event(cloud: GcpCloud, shop: Shop, form: Form) -> None:
    """Eventarc's two, a Pub/Sub message as a CloudEvent, and the plain push of our own subscriptions: the file is loaded."""
    cloud.subscribe(form)
    shop.drop(f"{form}/Müller & Söhne + 50%.csv.gz", customers(form, 3))
    cloud.settle()
    assert shop.query(f"SELECT COUNT(*) FROM crm.{form}") == [(3,)]
    assert _statuses(cloud, f"{form}/") == [200]


def test_a_bad_file_is_settled_and_its_neighbours_load(cloud: GcpCloud, shop: Shop) -> None:
    """What is no CSV goes to quarantine and its event is done with; one that no feed takes is tried again, then given up:
    without a fault in between, on which an alarm would ring each time, and without its traceback."""
    cloud.exports.write("binary/broken.csv.gz", b"\x1f\x8bnot really")
    cloud.exports.write("binary/other.xml", b"<a/>")
    shop.drop("binary/good.csv.gz", customers("binary", 2, first=100))
    cloud.settle()
    assert _statuses(cloud, "broken") == [200]
    assert _statuses(cloud, "good") == [200]
    assert _statuses(cloud, "other.xml") == [429] * TRIES
    assert "Traceback" not in cloud.functions["load_export"].log.read_text()
    assert shop.query("SELECT COUNT(*) FROM crm.binary") == [(5,)]
    assert [found.key.rpartition("/")[2] for found in cloud.state.list("quarantine/")].count("broken.csv.gz") == 1


def test_events_of_something_else_are_no_work(cloud: GcpCloud) -> None:
    """Another bucket, another folder, a deleted object: answered with 200, so that nobody sends them again."""
    resource = {"bucket": "other", "name": "binary/x.csv.gz", "generation": "1", "updated": "2026-01-01T00:00:00.000Z"}
    for form in FORMS:
        headers, body = event_request(resource, form, "1")
        assert cloud.functions["load_export"].call(json.dumps(body).encode(), headers)[0] == 200
    headers, body = event_request({**resource, "bucket": "exports"}, "push", "2")
    body["message"]["attributes"]["eventType"] = "OBJECT_DELETE"
    assert cloud.functions["load_export"].call(json.dumps(body).encode(), headers)[0] == 200


LIST = base64.b64encode(b"[]").decode()
UNREADABLE = {"data": "%%%", "messageId": "1", "publishTime": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize("body", [{}, {"message": {}}, {"message": UNREADABLE}, {"message": {"data": LIST}}, [1]])
def test_junk_is_refused_and_the_instance_lives_on(cloud: GcpCloud, body: Any) -> None:
    """A message of nobody is an error for the platform's dead letters, never a crash of the instance."""
    assert cloud.functions["load_export"].call(json.dumps(body).encode(), JSON)[0] in (400, 500)
    assert cloud.functions["load_export"].call(b"no json", JSON)[0] in (400, 500)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'"push"', b'{"sync": "nosuch"}', b'{"sync": ["push"]}'])
def test_a_timer_with_a_wrong_name_is_told_so(cloud: GcpCloud, body: bytes) -> None:
    """A schedule of a sync that is gone from the settings: 400, and a sentence."""
    assert cloud.functions["start_sync"].call(body, JSON) == (400, 'expected {"sync": name} with a sync of the settings')


def test_a_vendor_that_is_down_is_asked_again(cloud: GcpCloud, shop: Shop) -> None:
    """The chunk's event comes back until the vendor is up again, without an alarm; then every row goes out once."""
    cloud.subscribe("push")
    shop.drop("down/a.csv.gz", customers("down", 60, first=2))
    cloud.settle()
    down = Response(503, b"", {"retry-after": "0"})
    shop.braze.faults.extend(Fault(response=down, when=lambda call: b"down-" in call.body) for _ in range(30))
    assert shop.sync("down") == "open"
    cloud.settle()
    assert len(shop.people("down")) == 60
    assert _statuses(cloud, "outbox/braze/2/down/")[-1] == 200
    assert set(_statuses(cloud, "outbox/braze/2/down/")) == {200, 429}


@contextmanager
def by_hand(cloud: GcpCloud) -> Iterator[Callable[[str], int]]:
    """Without the buckets' own events: a call of `deliver_chunk` with the event of a chunk; the answer's status."""
    cloud.settle()
    kept, cloud.storage.events.subscriptions[:] = list(cloud.storage.events.subscriptions), []

    def deliver(key: str) -> int:
        resource = {"bucket": "state", "name": f"shop/{key}", "generation": "1", "updated": "2026-01-01T00:00:00.000Z"}
        headers, body = event_request(resource, "push", "1")
        return cloud.functions["deliver_chunk"].call(json.dumps(body).encode(), headers)[0]

    try:
        yield deliver
    finally:
        cloud.storage.events.subscriptions[:] = kept


def test_a_webhook_passes_a_backfill(cloud: GcpCloud, shop: Shop) -> None:
    """Its own event waits in the queue behind the backfill's: it leaves before it all the same, and its event finds it settled."""
    with by_hand(cloud) as deliver:
        backfill, hook = shop.backfill("lanes", 100), shop.hook("lanes")
        before = len(shop.braze.log)
        assert deliver(backfill) == 200
        order = [b'"hook-' in call.body for call in shop.braze.log[before:]]
        assert order == [True, False, False]
        assert deliver(hook) == 200
        assert len(shop.braze.log) == before + 3


def test_an_hourly_window_uses_up_no_tries(cloud: GcpCloud, shop: Shop) -> None:
    """The event of a chunk that is worth coming back for in an hour is done with; it is noted until when the sweep leaves it."""
    with by_hand(cloud) as deliver:
        chunk = shop.backfill("window", 50)
        shop.braze.faults.append(Fault(response=Response(429, b"{}", {"x-ratelimit-retry-after": "3000"})))
        assert deliver(chunk) == 200
        assert shop.people("window") == {}
        assert rest.is_on(cloud.state, "braze", datetime.now(UTC) + timedelta(seconds=2900), None)
        assert list(waiting(cloud.state, "braze", 3)) == [chunk]
