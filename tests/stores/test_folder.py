"""The folder store under kills, other processes, full disks and whatever else lies in a folder."""

from __future__ import annotations

import errno
import io
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from rowferry.errors import CredentialsError, RowferryError, TryLater, UsageError
from rowferry.stores import folder
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Exists, NotFound


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "state")


def keys(store: FolderStore, prefix: str = "") -> list[str]:
    return [found.key for found in store.list(prefix)]


def hidden_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "state" / ".rowferry" / "tmp").iterdir())


@contextmanager
def child(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code` and says `ready` when it is under way; killed at the end."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


_WRITER = """
import io, itertools, os, sys
from pathlib import Path
from rowferry.stores.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
bodies = [letter * 300_000 for letter in (b"a", b"b", b"c")]
print("ready", flush=True)
for number in itertools.count():
    body = bodies[number % 3]
    store.create(f"new/{os.getpid()}/{number}", body)
    store.create(f"streamed/{os.getpid()}/{number}", io.BytesIO(body))
    store.replace("shared", body, store.read("shared")[1])
    store.write("status", body)
    store.delete(f"new/{os.getpid()}/{number - 5}")
"""


def test_killed_writers_leave_whole_objects_and_no_lock(store: FolderStore, tmp_path: Path) -> None:
    """Writers killed at random moments leave no half object, and the next writer gets every lock."""
    chance = random.Random(7)
    store.write("shared", b"a" * 300_000)
    for _ in range(12):
        with child(_WRITER, tmp_path / "state"):
            time.sleep(chance.uniform(0, 0.04))
        for found in store.list():
            body, _ = store.read(found.key)
            assert len(body) == found.size_bytes == 300_000
            assert len(set(body)) == 1
        store.replace("shared", b"a" * 300_000, store.read("shared")[1])
        store.write("status", b"b" * 300_000)


_HOLDER = """
import sys, time
from pathlib import Path
from rowferry.stores.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
def hang(self, target):
    print("ready", flush=True)
    time.sleep(600)
Path.replace = hang
store.write("claim", b"from the dead")
"""


def test_lock_of_a_killed_holder_is_free(store: FolderStore, tmp_path: Path) -> None:
    """A writer killed between its check and its rename lets the lock go and has written nothing."""
    version = store.create("claim", b"1")
    with child(_HOLDER, tmp_path / "state") as holder, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.replace, "claim", b"2", version)
        time.sleep(0.05)
        assert not waiting.done()
        holder.kill()
        waiting.result()
    assert store.read("claim")[0] == b"2"
    assert keys(store) == ["claim"]
    assert [path.read_bytes() for path in hidden_files(tmp_path)] == [b"from the dead"]


_COUNTER = """
import sys
from pathlib import Path
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Conflict
store = FolderStore(Path(sys.argv[1]))
for _ in range(50):
    while True:
        value, version = store.read("counter")
        try:
            store.replace("counter", b"%04d" % (int(value) + 1), version)
        except Conflict:
            continue
        break
"""


def test_processes_lose_no_update(store: FolderStore, tmp_path: Path) -> None:
    """Four processes who each add one fifty times, by compare and swap on values of one size, end at 200."""
    store.create("counter", b"0000")
    processes = [subprocess.Popen([sys.executable, "-c", _COUNTER, str(tmp_path / "state")]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert store.read("counter")[0] == b"0200"


def test_old_leftovers_are_removed(store: FolderStore, tmp_path: Path) -> None:
    """What a killed writer left is removed when a store is opened an hour later, a living writer's file is not."""
    store.create("a", b"")
    hidden = tmp_path / "state" / ".rowferry" / "tmp"
    (hidden / "old").write_bytes(b"half")
    (hidden / "young").write_bytes(b"half")
    os.utime(hidden / "old", (time.time() - 3700, time.time() - 3700))
    assert keys(FolderStore(tmp_path / "state")) == ["a"]
    assert [path.name for path in hidden.iterdir()] == ["young"]


def test_writes_leave_no_hidden_files(store: FolderStore, tmp_path: Path) -> None:
    """Whether a write works, is refused or breaks, its hidden file goes."""
    store.create("a", b"1")
    store.write("a", io.BytesIO(b"2"))
    with pytest.raises(Exists):
        store.create("a", b"3")
    with pytest.raises(UsageError):
        store.create("a/b", b"4")
    assert hidden_files(tmp_path) == []


def test_disk_full_is_try_later(store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told with what to do, leaves what was there, and goes on once there is space."""
    version = store.create("checkpoint", b"1")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(TryLater, match=r"disk of .* is full: free some space"):
            store.replace("checkpoint", b"2", version)
        with pytest.raises(TryLater, match="full"):
            store.create("new", b"2")
    assert keys(store) == ["checkpoint"]
    assert hidden_files(tmp_path) == []
    store.replace("checkpoint", b"2", version)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EROFS, CredentialsError, "refuses us"),
        (errno.EACCES, CredentialsError, "let this user read and write it"),
        (errno.EIO, TryLater, "can't be used just now"),
        (errno.EMFILE, TryLater, "too many files are open"),
        (errno.EXDEV, UsageError, "another file system"),
    ],
)
def test_system_errors_become_sentences(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[RowferryError], words: str
) -> None:
    """Every method turns the system's errors into ours: what was found and what to do."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    store.create("a", b"1")
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    for call in (lambda: store.read("a"), lambda: store.create("b", b""), lambda: store.write("b", b""), lambda: list(store.list())):
        with pytest.raises(kind, match=words):
            call()


def test_short_writes_are_completed(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system takes only a part of the bytes, the rest follows."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:10]))
    store.create("a", bytes(range(100)))
    assert store.read("a")[0] == bytes(range(100))


def test_missing_root_is_told(store: FolderStore, tmp_path: Path) -> None:
    """A root that has gone (a disk not mounted) is no empty store, and is not made again by a write."""
    store.create("a", b"")
    (tmp_path / "state").rename(tmp_path / "elsewhere")
    for call in (lambda: store.read("a"), lambda: store.head("a"), lambda: store.create("b", b""), lambda: list(store.list())):
        with pytest.raises(TryLater, match="is not there"):
            call()
    assert not (tmp_path / "state").exists()


def test_root_that_is_a_file_is_told(tmp_path: Path) -> None:
    """A store can't be made where a file lies."""
    (tmp_path / "state").write_text("")
    with pytest.raises(UsageError, match="same name"):
        FolderStore(tmp_path / "state")


def test_no_hard_links(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without hard links one of sixteen writers wins all the same."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    start = threading.Barrier(16)

    def create(number: int) -> bool:
        start.wait()
        try:
            store.create("new/claim", b"%d" % number)
        except Exists:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(create, range(16)))
    assert won.count(True) == 1
    assert store.read("new/claim")[0] == b"%d" % won.index(True)


def test_object_and_folder_of_one_name_are_refused(store: FolderStore) -> None:
    """`a` and `a/b` can't both be files: the second one is refused with a sentence, not told to exist."""
    store.create("a/b", b"")
    calls: list[Callable[[], object]] = [
        lambda: store.create("a", b""),
        lambda: store.write("a", b""),
        lambda: store.create("a/b/c", b""),
        lambda: store.write("a/b/c/d", b""),
    ]
    for call in calls:
        with pytest.raises(UsageError, match=r"folder"):
            call()
    assert keys(store) == ["a/b"]


def test_part_of_a_name_may_be_too_long(store: FolderStore) -> None:
    """What the file system can't hold is told as such."""
    with pytest.raises(UsageError, match="255 bytes"):
        store.create("a" * 256, b"")
    with pytest.raises(UsageError, match="255 bytes"):
        store.read("a" * 256)


def test_own_folder_is_no_object(store: FolderStore) -> None:
    """The hidden folder can be neither read nor written through the store, nor listed."""
    store.create("a", b"")
    store.write("a", b"")
    for key in (".rowferry", ".rowferry/locks/00", ".rowferry/new"):
        with pytest.raises(UsageError, match="own"):
            store.read(key)
        with pytest.raises(UsageError, match="own"):
            store.create(key, b"")
    assert keys(store) == ["a"]
    assert keys(store, ".rowferry/") == []


def test_other_things_in_a_folder_are_passed_over(store: FolderStore, tmp_path: Path) -> None:
    """Pipes, broken links, links in a circle and linked folders are neither listed nor waited for."""
    root = tmp_path / "state"
    store.create("file.csv", b"1")
    os.mkfifo(root / "pipe")
    (root / "broken").symlink_to("nowhere")
    (root / "circle").symlink_to("circle")
    (root / "self").symlink_to(root, target_is_directory=True)
    (root / "linked.csv").symlink_to("file.csv")
    assert keys(store) == ["file.csv", "linked.csv"]
    with pytest.raises(NotFound):
        store.read("pipe")
    assert store.head("pipe") is None


def test_file_name_that_is_not_utf8_is_left_out_with_a_warning(
    store: FolderStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file whose name can't be a key is told in the log, and the files beside it are listed."""
    try:
        (tmp_path / "state" / os.fsdecode(b"caf\xe9.csv")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    store.create("good.csv", b"")
    with caplog.at_level(logging.WARNING):
        assert keys(store) == ["good.csv"]
    assert "rename it" in caplog.text


def test_dropped_file_is_an_object(store: FolderStore, tmp_path: Path) -> None:
    """A file that another program put there is listed, read and replaced like ours."""
    (tmp_path / "state" / "exports").mkdir()
    (tmp_path / "state" / "exports" / "day 1.csv").write_bytes(b"a,b\n")
    [found] = store.list()
    assert store.read("exports/day 1.csv") == (b"a,b\n", found.version)
    store.replace("exports/day 1.csv", b"", found.version)


def test_empty_folders_go_but_the_first(store: FolderStore, tmp_path: Path) -> None:
    """Deleting the last object removes its folders, except the top one, into which people drop files."""
    store.create("runs/1/chunks/a", b"")
    store.create("runs/1/b", b"")
    store.delete("runs/1/chunks/a")
    assert not (tmp_path / "state/runs/1/chunks").exists()
    assert (tmp_path / "state/runs/1").exists()
    store.delete("runs/1/b")
    assert not (tmp_path / "state/runs/1").exists()
    assert (tmp_path / "state/runs").exists()


def test_create_and_delete_race_in_one_folder(store: FolderStore) -> None:
    """A folder that is removed as empty while another writer needs it never fails that writer."""

    def come_and_go(number: int) -> None:
        for turn in range(100):
            store.create(f"a/b/c/{number}-{turn}", b"")
            store.delete(f"a/b/c/{number}-{turn}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert keys(store) == []


def test_listing_holds_few_names_at_once(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with more names than are held at once is listed in order, each name once."""
    names = sorted([f"a/{number}" for number in range(10)] + [f"a/x{number}/y" for number in range(4)])
    for name in names:
        store.create(name, b"")
    monkeypatch.setattr(folder, "_NAMES_AT_ONCE", 3)
    assert keys(store) == names


def test_version_has_our_own_nanoseconds(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's time is the clock's to the nanosecond, not the kernel's tick: a version can't come back within a tick."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_789)
    version = store.create("a", b"")
    path = store.path("a")
    assert path is not None
    assert path.stat().st_mtime_ns == 1_700_000_000_123_456_789
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_790)
    assert store.write("a", b"") != version


def test_files_are_for_the_user_and_readable_by_others(store: FolderStore, tmp_path: Path) -> None:
    """Objects have the rights of any new file, so that other programs of the machine can read them."""
    (tmp_path / "plain").write_bytes(b"")
    store.create("a", b"")
    path = store.path("a")
    assert path is not None
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_folder_names_with_odd_letters(tmp_path: Path) -> None:
    """Blanks and percent signs in the root's own name are encoded in its url."""
    store = FolderStore(tmp_path / "my state 100%")
    store.create("a b", b"")
    assert store.url.endswith("/my%20state%20100%25")
    assert store.uri("a b").endswith("/a%20b")
