"""The stand-ins for Cloud Storage and AWS: what other tests build on is itself proven."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import Conflict, NotFound, NotModified, PreconditionFailed

from rowferry.stores.gcs import GcsStore
from rowferry.stores.s3 import S3Store
from support.aws import Aws
from support.gcs import GcsServer
from support.gcs_events import Subscription, repeated, shuffled
from support.gcs_objects import Objects


@pytest.fixture
def gcs(tmp_path: Path) -> Iterator[GcsServer]:
    with GcsServer(tmp_path) as server:
        yield server


class Listener:
    """An endpoint that keeps what it is sent and answers with the given statuses, then with 200."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], Any]] = []
        self.statuses: list[int] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                listener.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()


def test_gcs_enforces_preconditions(gcs: GcsServer) -> None:
    """Create-only, stale generations, metagenerations and generations gone are refused as the service does."""
    blob = gcs.client().create_bucket("b").blob("a")
    blob.upload_from_string(b"1", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"2", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        blob.delete(if_generation_match=1)
    with pytest.raises(PreconditionFailed):
        blob.patch(if_metageneration_match=9)
    with pytest.raises(NotModified):
        blob.download_as_bytes(if_generation_not_match=blob.generation)
    with pytest.raises(NotFound):
        blob.bucket.blob("a", generation=1).download_as_bytes()
    with pytest.raises(Conflict):
        gcs.client().create_bucket("b")
    with pytest.raises(NotFound):
        gcs.client().get_bucket("c")


def test_gcs_serves_what_the_client_can_do(gcs: GcsServer) -> None:
    """Ranges, own metadata, copies, a resumable upload and a bounded listing work with the real client."""
    bucket = gcs.client().create_bucket("b")
    blob = bucket.blob("a b/ü", chunk_size=256 * 1024)
    blob.metadata = {"k": "v"}
    with blob.open("wb") as stream:
        stream.write(b"0123456789" * 100_000)
    blob.reload()
    assert (blob.size, blob.metadata) == (1_000_000, {"k": "v"})
    assert blob.download_as_bytes(start=5, end=14) == b"5678901234"
    copy = bucket.copy_blob(blob, bucket, "copy")
    assert copy.generation != blob.generation
    assert copy.md5_hash == blob.md5_hash
    assert [found.name for found in bucket.list_blobs(start_offset="b", end_offset="d")] == ["copy"]


def test_gcs_keeps_bytes_where_the_warehouse_reads_them(gcs: GcsServer, tmp_path: Path) -> None:
    """An object is a file at ROOT/bucket/name, and files that another program put there can be taken in."""
    store = GcsStore(gcs.client(), gcs.make_bucket("exports"))
    store.create("crm/customers.csv", b"id\n1\n")
    assert (tmp_path / "exports/crm/customers.csv").read_bytes() == b"id\n1\n"
    (tmp_path / "exports/out").mkdir()
    (tmp_path / "exports/out/000000000000.avro").write_bytes(b"rows")
    gcs.objects.adopt("exports")
    assert store.read("out/000000000000.avro")[0] == b"rows"
    assert [found.key for found in store.list()] == ["crm/customers.csv", "out/000000000000.avro"]


def test_gcs_holds_names_that_no_folder_can(gcs: GcsServer) -> None:
    """A bucket has no folders: `a` beside `a/b`, `x//y` and a part of 1,000 bytes are objects like others."""
    bucket = gcs.client().create_bucket("b")
    names = ["a", "a/b", "x//y", "../up", "n" * 1000]
    for name in names:
        bucket.blob(name).upload_from_string(name.encode())
    assert {name: bucket.blob(name).download_as_bytes() for name in names} == {name: name.encode() for name in names}


def test_gcs_takes_in_files_of_others_alone(tmp_path: Path) -> None:
    """While files of another program are taken in, what the server writes and removes itself stays as it is."""
    objects = Objects(tmp_path)
    objects.make_bucket("b")
    is_done = threading.Event()

    def adopt() -> None:
        while not is_done.is_set():
            objects.adopt("b")

    with ThreadPoolExecutor(1) as thread:
        adopting = thread.submit(adopt)
        try:
            for number in range(500):
                staged = objects.stage()
                staged.write(b"1")
                made = objects.put("b", f"own/{number}", {}, staged, {})
                assert objects.find("b", f"own/{number}", {}).resource["generation"] == made["generation"]
                objects.delete("b", f"own/{number}", {"generation": made["generation"]})
            (tmp_path / "b" / "others").write_bytes(b"2")
        finally:
            is_done.set()
        adopting.result()
    objects.adopt("b")
    assert objects.names("b") == ["others"]


def test_events_in_every_form(gcs: GcsServer, listener: Listener) -> None:
    """A new object is told as binary and structured CloudEvent, as Pub/Sub CloudEvent and as plain push."""
    bucket = gcs.make_bucket("exports")
    for form in ("binary", "structured", "pubsub", "push"):
        gcs.subscribe(Subscription(listener.url, form=form, bucket=bucket, prefix="crm/"))
    store = GcsStore(gcs.client(), bucket)
    store.create("other/file", b"")
    version = store.create("crm/día 1.csv", b"12")
    gcs.events.wait()
    by_type = {headers.get("ce-type", headers["content-type"]): (headers, body) for headers, body in listener.received}
    headers, resource = by_type["google.cloud.storage.object.v1.finalized"]
    assert (resource["bucket"], resource["name"], resource["generation"], resource["size"]) == ("exports", "crm/día 1.csv", version, "2")
    assert headers["ce-subject"] == "objects/crm/d%C3%ADa%201.csv"
    _, envelope = by_type["application/cloudevents+json"]
    assert envelope["data"] == resource
    assert envelope["subject"] == "objects/crm/día 1.csv"
    _, published = by_type["google.cloud.pubsub.topic.v1.messagePublished"]
    _, pushed = by_type["application/json"]
    for message in (published["message"], pushed["message"]):
        assert message["attributes"]["objectId"] == "crm/día 1.csv"
        assert message["attributes"]["eventType"] == "OBJECT_FINALIZE"
    assert len(listener.received) == 4


def test_failed_event_comes_again_with_its_id(gcs: GcsServer, listener: Listener) -> None:
    """An answer other than 2xx brings the same event again, until it is given up."""
    listener.statuses = [500, 503]
    bucket = gcs.make_bucket("exports")
    gcs.subscribe(Subscription(listener.url, attempts=3))
    store = GcsStore(gcs.client(), bucket)
    store.create("a", b"")
    gcs.events.wait()
    assert [delivery.status for delivery in gcs.events.deliveries] == [500, 503, 200]
    assert len({headers["ce-id"] for headers, _ in listener.received}) == 1
    listener.statuses = [500] * 9
    store.create("b", b"")
    gcs.events.wait()
    assert len(listener.received) == 6


def test_events_are_repeated_and_shuffled_on_order(gcs: GcsServer, listener: Listener) -> None:
    """A plan repeats every event with ids of its own and changes the order, as the cloud may."""
    bucket = gcs.make_bucket("exports")
    gcs.subscribe(Subscription(listener.url, plan=repeated(3, apart_seconds=0.01)))
    gcs.subscribe(Subscription(listener.url, plan=shuffled(seed=1, within_seconds=0.2), prefix="many/"))
    gcs.subscribe(Subscription(listener.url, plan=lambda resource: []))
    store = GcsStore(gcs.client(), bucket)
    store.create("one", b"")
    gcs.events.wait()
    assert len({headers["ce-id"] for headers, _ in listener.received}) == len(listener.received) == 3
    gcs.events.subscriptions.pop(0)
    for number in range(10):
        store.create(f"many/{number}", b"")
    gcs.events.wait()
    order = [resource["name"] for _, resource in listener.received[3:]]
    assert sorted(order) == [f"many/{number}" for number in range(10)]
    assert order != sorted(order)


def test_s3_objects_are_told_to_queues() -> None:
    """A new object's event waits in each queue whose prefix it has, with the key encoded as S3 does."""
    with Aws() as aws:
        bucket = aws.make_bucket()
        exports = aws.make_queue("exports", fed_by=bucket, prefix="exports/")
        everything = aws.make_queue("everything", fed_by=bucket)
        store = S3Store(aws.s3(), bucket)
        store.create("exports/a b+c.csv", b"1")
        store.create("other", b"2")
        [record] = [record for body in aws.receive(exports) for record in body.get("Records", [])]
        assert record["s3"]["object"]["key"].replace("%2F", "/") == "exports/a+b%2Bc.csv"
        assert len([record for body in aws.receive(everything) for record in body.get("Records", [])]) == 2
