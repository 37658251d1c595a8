"""People are told once for each change of state, whatever is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.outbox import Outbox
from rowferry.errors import TryLater
from rowferry.notices.group import MOST, WINDOW
from rowferry.notices.notice import OK, Notice
from rowferry.notices.notices import Notices
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Store
from support.killing import DownStore, Killed, MortalStore
from support.relayed import relayed

BAD, GOOD = Notice("Sync a failed", {"read": 12345}, "the key was refused", "rowferry sync a"), Notice("Sync a works again", is_good=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FolderStore]:
    found = FolderStore(tmp_path / "state")
    yield found
    found.close()


def _notices(store: Store, clock: ManualClock | None = None) -> Notices:
    return Notices(store, Outbox(store), clock or ManualClock())


def _texts(store: Store) -> list[str]:
    return [row["text"] for _, _, rows in relayed(store) for row in rows]


def _told(store: Store, title: str) -> int:
    """How often a notice of this title was told, by itself or in a group."""
    return sum(text.count(f"{title}*") + text.count(f"{title}\n") + text.endswith(title) for text in _texts(store))


def test_a_change_is_told_once_and_its_end_once(store: FolderStore) -> None:
    """Ten failures in a row are one notice, and the recovery is another."""
    notices = _notices(store)
    said = [notices.tell("sync/a", state, notice, ["ops"]) for state, notice in [("failed", BAD)] * 10 + [(OK, GOOD)] * 10]
    assert [index for index, news in enumerate(said) if news] == [0, 10]
    assert sorted(_texts(store)) == [
        ":rotating_light: *Sync a failed*\nread 12,345\nthe key was refused\n`rowferry sync a`",
        ":white_check_mark: *Sync a works again*",
    ]


def test_what_has_always_been_well_is_no_news(store: FolderStore) -> None:
    """The first good run of a new sync tells nobody, and writes nothing."""
    assert not _notices(store).tell("sync/a", OK, GOOD, ["ops"])
    assert list(store.list()) == []


def test_another_bad_state_is_news(store: FolderStore) -> None:
    """Failed, then refused by a guard: two things to know."""
    notices = _notices(store)
    assert [notices.tell("sync/a", state, BAD, ["ops"]) for state in ("failed", "refused", "failed")] == [True] * 3
    assert len(_texts(store)) == 3


def test_topics_and_destinations_are_apart(store: FolderStore) -> None:
    """Two channels are both told; a second topic has its own memory, however alike its name."""
    notices = _notices(store)
    for topic in ("sync/a", "sync-a", "sync/a "):
        assert notices.tell(topic, "failed", BAD, ["ops", "crm"])
    assert [destination for destination, _, _ in relayed(store)] == ["crm"] * 3 + ["ops"] * 3


def test_nobody_to_tell_is_remembered_all_the_same(store: FolderStore) -> None:
    """A sync without `notify` tells nobody, now and when it is over."""
    notices = _notices(store)
    assert notices.tell("sync/a", "failed", BAD, [])
    assert not notices.tell("sync/a", "failed", BAD, [])
    assert _texts(store) == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("way", ["again", "finish", "recovery"])
def test_killed_anywhere_it_is_told_once(store: FolderStore, at: int, after: bool, way: str) -> None:
    """Whoever comes next, the same word, a timer or the recovery, completes what the kill held up."""
    died = False
    try:
        _notices(MortalStore(store, at, after=after)).tell("sync/a", "failed", BAD, ["ops", "crm"])
    except Killed:
        died = True
    if way == "again":
        _notices(store).tell("sync/a", "failed", BAD, ["ops", "crm"])
    elif way == "finish":
        _notices(store).finish()
    else:
        _notices(store).tell("sync/a", OK, GOOD, ["ops", "crm"])
    was_written = not died or at > 0 or after
    expected = 2 if was_written or way == "again" else 0
    assert sum("failed" in text for text in _texts(store)) == expected
    assert sum("works again" in text for text in _texts(store)) == (2 if way == "recovery" and was_written else 0)


def test_a_store_out_of_reach_keeps_it_news(store: FolderStore) -> None:
    """What could not be told is told by the next who tries."""
    down = DownStore(store)
    with pytest.raises(TryLater):
        _notices(down).tell("sync/a", "failed", BAD, ["ops"])
    down.is_down = False
    assert _notices(down).tell("sync/a", "failed", BAD, ["ops"])
    assert len(_texts(store)) == 1


def test_many_at_the_same_time_tell_once(store: FolderStore) -> None:
    """Twenty workers that find the same key refused are one notice."""
    with ThreadPoolExecutor(8) as threads:
        news = list(threads.map(lambda _: _notices(store).tell("destination/braze", "refused", BAD, ["ops"]), range(20)))
    assert sum(news) == 1
    assert len(_texts(store)) == 1


def test_many_notices_become_one(store: FolderStore) -> None:
    """Two hundred files in quarantine are five notices and then one list, in which each has its line."""
    clock = ManualClock()
    notices = _notices(store, clock)
    for number in range(200):
        notices.tell(f"file/{number}", "quarantined", Notice(f"File {number:03} <x>"), ["ops"])
    assert len(_texts(store)) == MOST
    assert notices.finish() == 0
    clock.sleep(WINDOW.total_seconds())
    assert notices.finish() == 1
    assert notices.finish() == 0
    assert all(_told(store, f"File {number:03} &lt;x&gt;") == 1 for number in range(200))
    assert all(len(text) <= 3_500 for text in _texts(store))
    assert len(_texts(store)) < 15


def test_what_waits_leaves_with_the_next_notice_too(store: FolderStore) -> None:
    """Without a timer the next notice after the window takes the list along, and counts anew."""
    clock = ManualClock()
    notices = _notices(store, clock)
    for number in range(8):
        notices.tell(f"file/{number}", "quarantined", Notice(f"File {number}"), ["ops"])
    clock.sleep(WINDOW.total_seconds())
    notices.tell("file/8", "quarantined", Notice("File 8"), ["ops"])
    assert [_told(store, f"File {number}") for number in range(9)] == [1] * 9


class _OncePerSecond(MortalStore):
    """A store as Cloud Storage is: it takes one write a second to the same object, and answers 429 to others."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        super().__init__(store)
        self._clock, self._written_at = clock, dict[str, float]()

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        return self._spaced(key, lambda: super(_OncePerSecond, self).create(key, data))

    def replace(self, key: str, data: bytes, version: str) -> str:
        return self._spaced(key, lambda: super(_OncePerSecond, self).replace(key, data, version))

    def _spaced(self, key: str, write: Callable[[], str]) -> str:
        now = self._clock.monotonic()
        if key.startswith("notices/groups/"):  # a topic is written again within milliseconds, which the store's own retries outlast
            if now - self._written_at.get(key, -1.0) < 1:
                raise TryLater("Cloud Storage answers 429")
            self._written_at[key] = now
        return write()


def test_a_flood_beyond_what_the_store_takes_loses_no_notice(store: FolderStore) -> None:
    """Two hundred files in quarantine within a second, and some of them mended: nobody who tells fails, though the store
    takes one write a second to the group; the timers tell each of them once."""
    clock = ManualClock()
    notices = _notices(_OncePerSecond(store, clock), clock)
    for number in range(200):
        assert notices.tell(f"file/{number}", "quarantined", Notice(f"File {number:03}"), ["ops", "crm"])
    for number in range(20):
        assert notices.tell(f"file/{number}", OK, Notice(f"Mended {number:03}", is_good=True), ["ops", "crm"])
    for _ in range(5):
        clock.sleep(WINDOW.total_seconds() / 2)
        notices.finish()
    assert all(_told(store, f"File {number:03}") == 2 for number in range(200))
    assert all(_told(store, f"Mended {number:03}") == 2 for number in range(20))


def test_one_busy_channel_keeps_no_other_waiting(store: FolderStore) -> None:
    """The group of one destination can't be written; what waits for the other one leaves all the same."""

    class Busy(MortalStore):
        def replace(self, key: str, data: bytes, version: str) -> str:
            if key.startswith("notices/groups/crm"):
                raise TryLater("Cloud Storage answers 429")
            return store.replace(key, data, version)

    clock = ManualClock()
    for number in range(MOST + 1):
        _notices(store, clock).tell(f"file/{number}", "quarantined", Notice(f"File {number}"), ["crm", "ops"])
    clock.sleep(WINDOW.total_seconds())
    busy = _notices(Busy(store), clock)
    assert busy.tell("file/9", "quarantined", Notice("File 9"), ["crm", "ops"])
    assert busy.finish() > 0
    assert (_told(store, f"File {MOST}"), _told(store, "File 9")) == (1, 1)
    _notices(store, clock).finish()
    assert (_told(store, f"File {MOST}"), _told(store, "File 9")) == (2, 2)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(0, 45, 3))
def test_killed_while_many_are_told_each_is_told_once(store: FolderStore, at: int, after: bool) -> None:
    """In the middle of a flood, of grouping and of sending the group: no notice is lost and none doubled."""
    clock = ManualClock()

    def flood(notices: Notices) -> None:
        for number in range(9):
            notices.tell(f"file/{number}", "quarantined", Notice(f"File {number}"), ["ops"])
        clock.sleep(WINDOW.total_seconds())
        notices.finish()

    mortal = MortalStore(store, at, after=after)
    try:
        flood(_notices(mortal, clock))
    except Killed:
        flood(_notices(store, clock))
    assert [_told(store, f"File {number}") for number in range(9)] == [1] * 9


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("after", [False, True])
def test_killed_and_found_late_it_is_told_once(store: FolderStore, at: int, after: bool) -> None:
    """A notice waits for its group, its teller is killed, and the group has left by the next one when a timer looks."""
    clock = ManualClock()
    for number in range(MOST):
        _notices(store, clock).tell(f"file/{number}", "quarantined", Notice(f"File {number}"), ["ops"])
    died = False
    try:
        _notices(MortalStore(store, at, after=after), clock).tell("file/5", "quarantined", Notice("File 5"), ["ops"])
    except Killed:
        died = True
    for number in (6, 7):
        clock.sleep(WINDOW.total_seconds())
        _notices(store, clock).tell(f"file/{number}", "quarantined", Notice(f"File {number}"), ["ops"])
    _notices(store, clock).finish()
    was_written = not died or at > 0 or after
    assert [_told(store, f"File {number}") for number in range(8)] == [1] * 5 + [int(was_written)] + [1, 1]


def test_the_timer_looks_at_the_topics_of_late(store: FolderStore) -> None:
    """A day of ten thousand bad files must not slow down each sweep after it: what was told long ago is not read again."""
    clock = ManualClock(datetime.now(UTC))  # files bear the time of the machine
    for number in range(20):
        _notices(store, clock).tell(f"file/{number}", "quarantined", Notice(f"File {number}"), ["ops"])
    clock.sleep(timedelta(days=3).total_seconds())
    reads: list[str] = []

    class Counting(MortalStore):
        def read(self, key: str) -> tuple[bytes, str]:
            reads.append(key)
            return store.read(key)

    _notices(Counting(store), clock).finish()
    assert [key for key in reads if key.startswith("notices/topics/")] == []
    assert _told(store, "File 19") == 1
