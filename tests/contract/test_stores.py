"""One suite over every store: what the port promises, under races, odd names and lost answers."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rowferry.clock import ManualClock
from rowferry.errors import UsageError
from rowferry.stores.address import open_store
from rowferry.stores.folder import FolderStore
from rowferry.stores.gcs import GcsStore
from rowferry.stores.port import MOST_PARTS, Conflict, Exists, NotFound, Object, Store
from rowferry.stores.s3 import S3Store
from support.aws import Aws
from support.gcs import GcsServer

ODD_NAMES = [
    "with blanks and + and %20 and %",
    "día/ünïcode/日本語/😀.csv",
    "~!@#$^&()[]{};'\",<>?|\\`=",
    "part=1/day=2026-01-01/.hidden",
    "a" * 255,
    "/".join(["b" * 100] * 10),
]
BAD_NAMES = ["", "/absolute", "a//b", "ends/", "../escape", "a/../b", "./a", "nul\0", "line\nbreak", "x" * 1025, "\ud800"]


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    with GcsServer(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws() as server:
        yield server


@pytest.fixture(params=["folder", "gcs", "s3"])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same, at first empty store; each call gives a client of its own."""
    if request.param == "folder":
        return lambda: FolderStore(tmp_path / "state")
    if request.param == "gcs":
        gcs: GcsServer = request.getfixturevalue("gcs")
        bucket = gcs.make_bucket(f"bucket-{uuid.uuid4().hex}")
        return lambda: GcsStore(gcs.client(), bucket, "some/prefix", ManualClock())
    aws: Aws = request.getfixturevalue("aws")
    bucket = aws.make_bucket()
    return lambda: S3Store(aws.s3(), bucket, "some/prefix", ManualClock())


@pytest.fixture
def store(open_again: Callable[[], Store]) -> Iterator[Store]:
    store = open_again()
    yield store
    store.close()


def keys(store: Store, prefix: str = "", after: str = "") -> list[str]:
    return [found.key for found in store.list(prefix, after)]


def test_created_object_is_read_back(store: Store) -> None:
    """What was created is read whole, with the version that create returned."""
    version = store.create("runs/1/manifest.json", b"{}")
    assert store.read("runs/1/manifest.json") == (b"{}", version)


def test_create_refuses_a_taken_name(store: Store) -> None:
    """The second create of a name fails and leaves the first one's bytes."""
    store.create("claim", b"first")
    with pytest.raises(Exists) as refused:
        store.create("claim", b"second")
    assert refused.value.key == "claim"
    assert store.read("claim")[0] == b"first"


def test_create_refuses_even_the_same_bytes(store: Store) -> None:
    """Two workers who write the same claim don't both believe they have it."""
    store.create("claim", b"mine")
    with pytest.raises(Exists):
        store.create("claim", b"mine")


def test_replace_writes_over_the_version_it_was_told(store: Store) -> None:
    """Replace returns a new version, under which the new bytes are found."""
    first = store.create("checkpoint", b"1")
    second = store.replace("checkpoint", b"2", first)
    assert second != first
    assert store.read("checkpoint") == (b"2", second)


def test_replace_refuses_another_version(store: Store) -> None:
    """Who read an older version can't overwrite what came after."""
    first = store.create("checkpoint", b"1")
    store.replace("checkpoint", b"2", first)
    with pytest.raises(Conflict) as refused:
        store.replace("checkpoint", b"3", first)
    assert refused.value.key == "checkpoint"
    assert store.read("checkpoint")[0] == b"2"


def test_replace_refuses_a_gone_object(store: Store) -> None:
    """Replace never brings back what somebody deleted."""
    version = store.create("checkpoint", b"1")
    store.delete("checkpoint")
    with pytest.raises(Conflict):
        store.replace("checkpoint", b"2", version)
    assert store.head("checkpoint") is None


def test_replace_refuses_the_version_before_a_write(store: Store) -> None:
    """An unconditional write counts as a change too."""
    version = store.create("checkpoint", b"1")
    store.write("checkpoint", b"2")
    with pytest.raises(Conflict):
        store.replace("checkpoint", b"3", version)


def test_write_takes_whatever_was_there(store: Store) -> None:
    """Write makes an object and writes over it, with a new version each time."""
    first = store.write("status", b"1")
    second = store.write("status", b"2")
    assert first != second
    assert store.read("status") == (b"2", second)


def test_versions_of_quick_writes_all_differ(store: Store) -> None:
    """Writes of the same size within one tick of the file system's clock have different versions."""
    versions = [store.write("status", b"%04d" % number) for number in range(60)]
    assert len(set(versions)) == 60


def test_delete_removes_and_repeats(store: Store) -> None:
    """A deleted object is gone, and deleting it once more does nothing."""
    store.create("a/b", b"")
    store.delete("a/b")
    store.delete("a/b")
    assert store.head("a/b") is None
    assert keys(store) == []


def test_delete_of_a_version_spares_the_next(store: Store) -> None:
    """A conditional delete removes only what it was told."""
    first = store.create("claim", b"1")
    second = store.replace("claim", b"2", first)
    with pytest.raises(Conflict):
        store.delete("claim", first)
    assert store.read("claim")[0] == b"2"
    store.delete("claim", second)
    assert store.head("claim") is None


def test_delete_of_a_version_that_is_gone_conflicts(store: Store) -> None:
    """Who deletes by version learns that somebody was faster."""
    version = store.create("claim", b"1")
    store.delete("claim")
    with pytest.raises(Conflict):
        store.delete("claim", version)


def test_name_is_free_again_after_delete(store: Store) -> None:
    """A deleted name can be created, and versions from before don't fit it."""
    first = store.create("claim", b"old")
    store.delete("claim")
    second = store.create("claim", b"new")
    assert first != second
    with pytest.raises(Conflict):
        store.delete("claim", first)


def test_missing_object_is_not_found(store: Store) -> None:
    """Read and open raise NotFound with the key, head returns None."""
    with pytest.raises(NotFound) as missing:
        store.read("no/such")
    assert missing.value.key == "no/such"
    with pytest.raises(NotFound):
        store.open("no/such")
    assert store.head("no/such") is None


def test_start_of_a_key_is_no_object(store: Store) -> None:
    """Where `a/b` exists, `a` does not, nor `a/b/c`."""
    store.create("a/b", b"1")
    assert store.head("a") is None
    assert store.head("a/b/c") is None
    with pytest.raises(NotFound):
        store.read("a")
    with pytest.raises(NotFound):
        store.open("a/b/c")
    store.delete("a")
    store.delete("a/b/c")
    assert keys(store) == ["a/b"]


def test_head_and_list_show_the_same(store: Store) -> None:
    """A listing, a head and a write agree on version and size, and the time is about now and aware."""
    version = store.create("exports/file.csv.gz", b"12345")
    [listed] = store.list()
    assert listed == store.head("exports/file.csv.gz")
    assert (listed.key, listed.version, listed.size_bytes) == ("exports/file.csv.gz", version, 5)
    assert abs(datetime.now(UTC) - listed.updated_at) < timedelta(hours=1)


def test_open_streams_and_seeks(store: Store) -> None:
    """A stream can be read in pieces, by line, from a place, and to its end."""
    store.create("file", b"first\nsecond\nthird")
    with store.open("file") as stream:
        assert stream.readline() == b"first\n"
        assert stream.read(3) == b"sec"
        stream.seek(-5, os.SEEK_END)
        assert stream.read() == b"third"
        assert stream.read() == b""


def test_empty_object(store: Store) -> None:
    """An object may be empty, from bytes and from a stream."""
    store.create("empty", b"")
    store.create("empty too", io.BytesIO())
    assert store.read("empty")[0] == store.read("empty too")[0] == b""
    with store.open("empty") as stream:
        assert stream.read() == b""


def test_open_of_a_version_serves_only_that(store: Store) -> None:
    """With a version, open serves the live one and says NotFound for any other."""
    first = store.create("file", b"1")
    with store.open("file", first) as stream:
        assert stream.read() == b"1"
    second = store.replace("file", b"2", first)
    with pytest.raises(NotFound):
        store.open("file", first)
    store.delete("file")
    with pytest.raises(NotFound):
        store.open("file", second)


def test_stream_never_mixes_two_versions(store: Store) -> None:
    """A stream whose object is overwritten goes on with the old bytes or says NotFound."""
    old, new = b"o" * (9 << 20), b"n" * (9 << 20)
    store.create("file", old)
    with store.open("file") as stream:
        start = stream.read(100)
        store.write("file", new)
        try:
            assert start + stream.read() == old
        except NotFound:
            assert not isinstance(store, FolderStore)


def test_listing_is_in_byte_order(store: Store) -> None:
    """Keys come in the order of their UTF-8 bytes, over folders of any depth."""
    names = ["a-b", "a.b", "a/b", "a/b-c", "a/c/d", "a0", "B", "b/z", "Z", "é", "ｚ", "😀", "a/é", "ab/c", "a b/c"]
    for name in reversed(names):
        store.create(name, b"")
    assert keys(store) == sorted(names, key=str.encode)


def test_listing_by_prefix(store: Store) -> None:
    """A prefix may end anywhere, in a folder's name too, and may match nothing."""
    for name in (
        ["runs/1/a", "runs/1/b", "runs/10/a", "runs", "rubs/1"]
        if not isinstance(store, FolderStore)
        else ["runs/1/a", "runs/1/b", "runs/10/a", "rubs/1"]
    ):
        store.create(name, b"")
    assert keys(store, "runs/1/") == ["runs/1/a", "runs/1/b"]
    assert keys(store, "runs/1") == ["runs/1/a", "runs/1/b", "runs/10/a"]
    assert keys(store, "runs/1/a") == ["runs/1/a"]
    assert keys(store, "ru")[0] == "rubs/1"
    assert keys(store, "nothing/here") == []


def test_listing_after_a_key(store: Store) -> None:
    """`after` leaves out a key and all before it, wherever it lies and whether or not it exists."""
    names = ["a/1", "a/2", "a/3/x", "a/3/y", "b", "c/1"]
    for name in names:
        store.create(name, b"")
    for after in [*names, "a", "a/", "a/2x", "a/3", "a/3/", "bb", "z", "A"]:
        assert keys(store, after=after) == [name for name in names if name > after], after
    assert keys(store, prefix="a/", after="a/2") == ["a/3/x", "a/3/y"]
    assert keys(store, prefix="a/", after="b") == []


def test_listing_of_many_pages(store: Store) -> None:
    """More objects than a page holds are listed once each."""
    names = [f"outbox/{number:05}.jsonl.gz" for number in range(1010)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.create(name, b""), names))
    assert keys(store, "outbox/") == names
    assert keys(store, "outbox/", names[999]) == names[1000:]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_work_everywhere(store: Store, name: str) -> None:
    """Any Unicode, blanks, plus and percent signs come back as they went in, in every method."""
    version = store.create(name, b"1")
    assert keys(store) == [name]
    assert keys(store, name[:-1]) == [name]
    version = store.replace(name, b"2", version)
    assert store.read(name) == (b"2", version)
    with store.open(name, version) as stream:
        assert stream.read() == b"2"
    assert store.head(name) is not None
    store.delete(name, version)
    assert keys(store) == []


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_refused(store: Store, name: str) -> None:
    """A name that some store could not hold is refused by all, with a sentence."""
    with pytest.raises(UsageError, match="can't be an object's name"):
        store.create(name, b"")
    with pytest.raises(UsageError, match="can't be an object's name"):
        store.write(name, b"")
    assert keys(store) == []


def test_sixteen_writers_race_for_one_key(open_again: Callable[[], Store]) -> None:
    """Of sixteen writers of a name exactly one wins, twenty times over, and its bytes stay."""
    store = open_again()
    with ThreadPoolExecutor(16) as pool:
        for round_ in range(20):
            start = threading.Barrier(16)
            won = list(
                pool.map(lambda number, round_=round_, start=start: _try_create(store, f"claims/{round_}", number, start), range(16))
            )
            assert won.count(True) == 1
            assert store.read(f"claims/{round_}")[0] == str(won.index(True)).encode()
    store.close()


def _try_create(store: Store, key: str, number: int, start: threading.Barrier) -> bool:
    start.wait()
    try:
        store.create(key, str(number).encode())
    except Exists:
        return False
    return True


def test_compare_and_swap_loses_no_update(open_again: Callable[[], Store]) -> None:
    """Eight workers who each add one twenty times, by compare and swap, end at 160."""
    store = open_again()
    store.create("counter", b"0")

    def add_twenty(_: int) -> None:
        for _ in range(20):
            while True:
                value, version = store.read("counter")
                try:
                    store.replace("counter", b"%d" % (int(value) + 1), version)
                except Conflict:
                    continue
                break

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_twenty, range(8)))
    assert store.read("counter")[0] == b"160"
    store.close()


def test_readers_never_see_half_an_object(store: Store) -> None:
    """While one writes over an object again and again, and creates new ones, readers see whole ones only."""
    bodies = [bytes([65 + number]) * (200_000 + number) for number in range(12)]
    store.write("object", bodies[0])
    done = threading.Event()
    seen: list[bytes] = []

    def look() -> None:
        while not done.is_set():
            seen.append(store.read("object")[0])
            for found in store.list("new/"):
                seen.append(store.read(found.key)[0])
                assert found.size_bytes == len(seen[-1])

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(look) for _ in range(3)]
        for number, body in enumerate(bodies):
            store.write("object", body)
            store.create(f"new/{number}", io.BytesIO(body) if number % 2 else body)
        done.set()
        for reader in readers:
            reader.result()
    assert set(seen) <= set(bodies)


def test_object_written_before_is_always_listed(store: Store) -> None:
    """An object that is replaced while it is listed is in every listing."""
    names = [f"claims/{number}" for number in range(5)]
    for name in names:
        store.create(name, b"")
    done = threading.Event()

    def replace() -> None:
        for number in itertools.count():
            if done.is_set():
                return
            store.write(names[number % 5], b"%d" % number)

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(replace) for _ in range(2)]
        listings = [keys(store, "claims/") for _ in range(40)]
        done.set()
        for writer in writers:
            writer.result()
    assert all(listing == names for listing in listings)


def test_large_stream_comes_back_whole(store: Store) -> None:
    """A stream larger than every part and piece is written on a condition and read back byte by byte the same."""
    body = os.urandom(1 << 20) * 37 + b"end"
    version = store.create("large", Trickle(body))
    found = store.head("large")
    assert found is not None
    assert (found.version, found.size_bytes) == (version, len(body))
    assert store.read("large")[0] == body
    with pytest.raises(Exists):
        store.create("large", Trickle(body))
    with store.open("large", version) as stream:
        digest = hashlib.sha256()
        while piece := stream.read(1 << 20):
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(body).digest()
    assert store.write("large", Trickle(body[::-1])) != version


def test_stream_that_breaks_leaves_nothing(store: Store) -> None:
    """When the bytes stop coming with an error, no object appears and the error comes out."""

    class Broken(Trickle):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 18 << 20:
                raise ZeroDivisionError
            return super().read(size)

    with pytest.raises(ZeroDivisionError):
        store.create("large", Broken(b"x" * (40 << 20)))
    assert keys(store) == []


class Trickle(io.BytesIO):
    """A stream that gives less than it is asked for, as a pipe or a decompressor does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size, 3_000_000) if size is not None and size >= 0 else size)


_CHILD = """
import io, json, os, resource, sys
from rowferry.stores.address import open_store

class Zeros(io.RawIOBase):
    def __init__(self, size): self.rest = size
    def readable(self): return True
    def readinto(self, buffer):
        size = min(len(buffer), self.rest)
        buffer[:size] = bytes(size)
        self.rest -= size
        return size

store = open_store(sys.argv[1])
store.write("warm", io.BufferedReader(Zeros(24 << 20)))
with store.open("warm") as stream:
    while stream.read(1 << 20): pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.create("large", io.BufferedReader(Zeros(int(sys.argv[2]))))
size = 0
with store.open("large") as stream:
    while piece := stream.read(1 << 20): size += len(piece)
print(json.dumps([size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def test_large_object_is_not_held_in_memory(open_again: Callable[[], Store], request: pytest.FixtureRequest) -> None:
    """A process that writes and reads 96 MB grows by less than a sixth of it over one that did 24 MB."""
    url = open_again().url
    environment = dict(os.environ)
    if url.startswith("gs:"):
        environment["STORAGE_EMULATOR_HOST"] = request.getfixturevalue("gcs").url
    if url.startswith("s3:"):
        environment |= request.getfixturevalue("aws").environment
    size = 96 << 20
    done = subprocess.run([sys.executable, "-c", _CHILD, url, str(size)], env=environment, capture_output=True, text=True, check=True)
    read_bytes, grown = json.loads(done.stdout)
    grown_bytes = grown * (1 if sys.platform == "darwin" else 1024)
    assert read_bytes == size
    assert grown_bytes < size / 6


def test_joined_parts_are_one_new_object(store: Store) -> None:
    """Parts come one after the other, an empty one and one twice as well, and stay as they are."""
    found = [_put(store, f"parts/{number}", body) for number, body in enumerate([b"one,", b"", os.urandom(5 << 20)])]
    version = store.join("whole", [*found, found[0]])
    assert store.read("whole") == (b"one," + store.read("parts/2")[0] + b"one,", version)
    with store.open("whole", version) as stream:
        assert stream.read(4) == b"one,"
    assert keys(store, "parts/") == ["parts/0", "parts/1", "parts/2"]


def test_join_takes_as_many_parts_as_the_port_says(store: Store) -> None:
    """32 parts are joined, joined ones too."""
    found = [_put(store, f"parts/{number:02d}", b"%d," % number) for number in range(MOST_PARTS)]
    store.join("first", found)
    first = store.head("first")
    assert first is not None
    store.join("both", [first, first])
    assert store.read("both")[0] == 2 * b"".join(b"%d," % number for number in range(32))


def test_join_refuses_a_taken_name(store: Store) -> None:
    """What was there first stays."""
    part = _put(store, "part", b"new")
    store.create("whole", b"first")
    with pytest.raises(Exists):
        store.join("whole", [part])
    assert store.read("whole")[0] == b"first"


@pytest.mark.parametrize("change", ["deleted", "written"])
def test_join_takes_the_versions_it_was_told(store: Store, change: str) -> None:
    """A part that is gone or was written over is not found, and nothing new stands there."""
    parts = [_put(store, "a", b"1"), _put(store, "b", b"2")]
    if change == "deleted":
        store.delete("b")
    else:
        store.write("b", b"3")
    with pytest.raises(NotFound):
        store.join("whole", parts)
    assert store.head("whole") is None


def test_one_of_many_who_join_wins(open_again: Callable[[], Store]) -> None:
    """Two workers who put the same object together don't both believe that they did."""
    store = open_again()
    parts = [_put(store, "a", b"1"), _put(store, "b", b"2")]

    def join(_: int) -> bool:
        try:
            store.join("whole", parts)
        except Exists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(join, range(8))) == 1
    assert store.read("whole")[0] == b"12"


def _put(store: Store, key: str, body: bytes) -> Object:
    store.create(key, body)
    found = store.head(key)
    assert found is not None
    return found


def test_addresses(open_again: Callable[[], Store], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A store's url opens the same store, and an object's uri begins with it."""
    store = open_again()
    if store.url.startswith("gs:"):
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", request.getfixturevalue("gcs").url)
    if store.url.startswith("s3:"):
        for name, value in request.getfixturevalue("aws").environment.items():
            monkeypatch.setenv(name, value)
    again = open_store(store.url)
    version = store.create("a/file name.csv", b"1")
    assert again.url == store.url
    assert again.read("a/file name.csv") == (b"1", version)
    assert store.uri("a/b") == f"{store.url}/a/b"
    path = store.path("a/file name.csv")
    assert path is None or path.read_bytes() == b"1"
    again.close()
