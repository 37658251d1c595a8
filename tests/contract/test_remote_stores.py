"""The clouds' stores behind a bad line: lost answers, passing errors, refusals. One suite for both."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from rowferry.clock import ManualClock
from rowferry.errors import CredentialsError, TryLater, UsageError
from rowferry.stores.gcs import GcsStore
from rowferry.stores.port import Conflict, Exists, NotFound, Store
from rowferry.stores.s3 import S3Store
from rowferry.twins.server import Call, Fault
from rowferry.wire import Response
from support.aws import Aws
from support.gcs import GcsServer
from support.proxy import FaultProxy


class BusyClock(ManualClock):
    """A clock during whose waits something else happens."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.meanwhile()


@dataclass
class Line:
    """A store whose requests go through a proxy, and a rival's store whose don't."""

    store: Store
    rival: Store
    proxy: FaultProxy
    clock: BusyClock


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    with GcsServer(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws() as server:
        yield server


@pytest.fixture(params=["gcs", "s3"])
def open_at(request: pytest.FixtureRequest) -> Callable[..., Store]:
    """Opens a store of one new bucket (or of `bucket`), directly or through the given address."""
    if request.param == "gcs":
        gcs: GcsServer = request.getfixturevalue("gcs")
        made = gcs.make_bucket(f"bucket-{uuid.uuid4().hex}")
        return lambda url=gcs.url, bucket=made, clock=None: GcsStore(gcs.client(url), bucket, "p", clock or ManualClock())
    aws: Aws = request.getfixturevalue("aws")
    made = aws.make_bucket()
    return lambda url=aws.url, bucket=made, clock=None: S3Store(aws.s3(url), bucket, "p", clock or ManualClock())


@pytest.fixture
def line(open_at: Callable[..., Store], request: pytest.FixtureRequest) -> Iterator[Line]:
    server: Aws | GcsServer = request.getfixturevalue("gcs" if open_at().url.startswith("gs:") else "aws")
    clock = BusyClock()
    with FaultProxy(server.url) as proxy:
        yield Line(open_at(proxy.url, clock=clock), open_at(), proxy, clock)


def is_write(call: Call) -> bool:
    return call.method in {"POST", "PUT"}


def test_create_whose_answer_was_lost_is_not_refused_by_itself(line: Line) -> None:
    """The first try was applied, its answer lost: the second is refused, recognises its own object and succeeds."""
    line.proxy.faults.append(Fault(reset="after", when=is_write))
    version = line.store.create("claim", b"mine")
    assert line.rival.read("claim") == (b"mine", version)
    with pytest.raises(Exists):
        line.store.create("claim", b"mine")


def test_create_that_never_arrived_is_sent_again(line: Line) -> None:
    """A request that was cut on its way is repeated and creates the object."""
    line.proxy.faults.append(Fault(reset="before", when=is_write))
    version = line.store.create("claim", b"mine")
    assert line.rival.read("claim") == (b"mine", version)


def test_create_that_a_rival_wins_meanwhile_is_refused(line: Line) -> None:
    """The request never arrived, and before the second try a rival wrote the very same bytes: Exists."""
    line.proxy.faults.append(Fault(reset="before", when=is_write))
    line.clock.meanwhile = lambda: line.rival.create("claim", b"the same")
    with pytest.raises(Exists):
        line.store.create("claim", b"the same")


def test_replace_whose_answer_was_lost_succeeds(line: Line) -> None:
    """A compare and swap that was applied is not told as a conflict with itself."""
    first = line.store.create("checkpoint", b"1")
    line.proxy.faults.append(Fault(reset="after", when=is_write))
    second = line.store.replace("checkpoint", b"2", first)
    assert line.rival.read("checkpoint") == (b"2", second)


def test_replace_that_a_rival_overtakes_conflicts(line: Line) -> None:
    """A swap that never arrived and was overtaken is a conflict, and the rival's bytes stay."""
    first = line.store.create("checkpoint", b"1")
    line.proxy.faults.append(Fault(reset="before", when=is_write))
    line.clock.meanwhile = lambda: line.rival.write("checkpoint", b"rival")
    with pytest.raises(Conflict):
        line.store.replace("checkpoint", b"2", first)
    assert line.rival.read("checkpoint")[0] == b"rival"


def test_join_whose_answer_was_lost_is_not_refused_by_itself(line: Line) -> None:
    """Put together, and the answer lost on the way: it has succeeded, with the version that is there."""
    line.rival.create("part", b"x")
    part = line.rival.head("part")
    assert part is not None
    line.proxy.faults.append(Fault(reset="after", when=is_write))
    version = line.store.join("whole", [part, part])
    assert line.rival.read("whole") == (b"xx", version)
    with pytest.raises(Exists):
        line.store.join("whole", [part])


def test_write_and_delete_survive_lost_answers(line: Line) -> None:
    """Unconditional writes and deletes are simply repeated."""
    line.proxy.faults.append(Fault(reset="after", when=is_write))
    line.store.write("status", b"1")
    line.proxy.faults.append(Fault(reset="after", when=lambda call: call.method == "DELETE"))
    line.store.delete("status")
    assert line.rival.head("status") is None


def test_delete_of_a_version_whose_answer_was_lost_succeeds(line: Line) -> None:
    """A conditional delete that was applied is not told as a conflict with itself."""
    version = line.store.create("claim", b"1")
    line.proxy.faults.append(Fault(reset="after", when=lambda call: call.method == "DELETE"))
    line.store.delete("claim", version)
    assert line.rival.head("claim") is None


def test_delete_of_a_version_spares_a_rivals_new_object(line: Line) -> None:
    """When a rival took the name between the tries, its object stays and we are told."""
    version = line.store.create("claim", b"1")
    line.proxy.faults.append(Fault(reset="after", when=lambda call: call.method == "DELETE"))
    line.clock.meanwhile = lambda: line.rival.create("claim", b"rival")
    with pytest.raises(Conflict):
        line.store.delete("claim", version)
    assert line.rival.read("claim")[0] == b"rival"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_errors_are_outlasted(line: Line, status: int) -> None:
    """Three errors of the service in a row are waited out, with growing waits."""
    line.proxy.faults.extend(Fault(response=Response(status, b"<html>no</html>")) for _ in range(3))
    line.store.create("claim", b"1")
    assert len(line.clock.slept) == 3
    assert line.clock.slept[0] < line.clock.slept[2]


def test_lasting_errors_become_try_later(line: Line) -> None:
    """After six tries in a few seconds the caller is told, with the address and without a traceback of the client's."""
    line.proxy.faults.extend(Fault(response=Response(503)) for _ in range(50))
    with pytest.raises(TryLater, match="503"):
        line.store.read("claim")
    assert len(line.proxy.calls) == 6
    assert sum(line.clock.slept) < 10


def test_asked_wait_is_kept(line: Line) -> None:
    """A short Retry-After is waited for; a long one goes to the caller at once."""
    line.proxy.faults.append(Fault(response=Response(429, b"", {"Retry-After": "2"})))
    line.store.create("claim", b"1")
    assert line.clock.slept == [2.0]
    line.proxy.faults.append(Fault(response=Response(503, b"", {"Retry-After": "60"})))
    with pytest.raises(TryLater) as later:
        line.store.read("claim")
    assert later.value.wait_seconds == 60


@pytest.mark.parametrize("status", [401, 403])
def test_refusals_are_not_repeated(line: Line, status: int) -> None:
    """A refused key stops at once, in every method, and the sentence names the address."""
    calls: list[Callable[[], object]] = [
        lambda: line.store.read("a"),
        lambda: line.store.head("a"),
        lambda: list(line.store.list()),
        lambda: line.store.create("a", b""),
        lambda: line.store.delete("a"),
    ]
    for call in calls:
        line.proxy.faults.append(Fault(response=Response(status)))
        with pytest.raises(CredentialsError, match=r"refuse.* s3://bucket|refuse.* gs://bucket"):
            call()
    assert len(line.proxy.calls) == len(calls)


def test_unreachable_store_is_try_later(open_at: Callable[..., Store]) -> None:
    """Where nobody listens, the sentence says that the store can't be reached."""
    with FaultProxy("http://127.0.0.1:1") as closed:
        url = closed.url
    store = open_at(url)
    with pytest.raises(TryLater, match="can't be reached"):
        store.read("a")


def test_missing_bucket_is_named(open_at: Callable[..., Store]) -> None:
    """A bucket that is not there is a fault of the settings, not of an object."""
    store = open_at(bucket="no-such-bucket")
    with pytest.raises(UsageError, match="no bucket no-such-bucket"):
        store.create("a", b"")
    with pytest.raises(UsageError, match="no bucket no-such-bucket"):
        store.create("a", io.BytesIO(b"x" * (20 << 20)))
    with pytest.raises(UsageError, match="no bucket no-such-bucket"):
        list(store.list())


def test_reads_and_listings_survive_cuts(line: Line) -> None:
    """A download that breaks off in the middle, a cut listing and a cut head are read again."""
    line.store.create("file", b"0123456789")
    line.proxy.faults.append(Fault(response=Response(200, b"01234", {"Content-Length": "10", "ETag": '"x"'})))
    assert line.store.read("file")[0] == b"0123456789"
    line.proxy.faults.append(Fault(reset="after"))
    assert [found.key for found in line.store.list()] == ["file"]
    line.proxy.faults.append(Fault(reset="after"))
    assert line.store.head("file") is not None


def test_stream_survives_cuts(line: Line) -> None:
    """A cut in the middle of a long read costs one range request, not the stream."""
    body = os.urandom(10 << 20)
    version = line.rival.create("file", body)
    with line.store.open("file", version) as stream:
        start = stream.read(1000)
        line.proxy.faults.append(Fault(reset="after"))
        assert start + stream.read() == body


def test_stream_of_a_deleted_object_is_not_found(line: Line) -> None:
    """An object that vanishes under a reader ends the stream with NotFound, not with a short read."""
    line.rival.create("file", b"x" * (10 << 20))
    with line.store.open("file") as stream:
        stream.read(1000)
        line.rival.delete("file")
        with pytest.raises(NotFound):
            stream.read()


@pytest.mark.parametrize("number", range(4))
def test_large_upload_survives_lost_answers(line: Line, number: int) -> None:
    """Whichever answer of a large upload is lost (its start, a part, its end), the object is whole and ours."""
    body = os.urandom(1 << 20) * 33 + b"end"
    seen = iter(range(100))
    line.proxy.faults.append(Fault(reset="after", when=lambda call: is_write(call) and next(seen) == number))
    version = line.store.create("large", io.BytesIO(body))
    assert not line.proxy.faults
    assert line.rival.read("large") == (body, version)


def test_large_upload_that_a_rival_overtakes_is_refused(line: Line) -> None:
    """A rival who writes the name while our parts go up wins: the condition is checked at the end as well."""

    class Overtaken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() and line.rival.head("large") is None:
                line.rival.create("large", b"rival")
            return super().read(size)

    with pytest.raises(Exists):
        line.store.create("large", Overtaken(b"x" * (33 << 20)))
    assert line.rival.read("large")[0] == b"rival"
