"""The engine of pulls: killed at any write and repeated, it has every row once and asks for no page twice."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.errors import OutOfTime, TryLater
from rowferry.http import HttpClient
from rowferry.pulls.clevertap import SOURCE
from rowferry.pulls.port import Window
from rowferry.pulls.puller import Puller
from rowferry.pulls.windows import calendar
from rowferry.settings.hours import find_zone
from rowferry.settings.pull import Pull
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Store
from rowferry.twins.clevertap import CleverTapTwin
from support.killing import Killed, MortalStore
from support.pulling import NOW, Bench
from support.vendors import clevertap as example

EVENTS, PAGE_ROWS = 11, 4
NOTE = 4  # the write that notes a window as done; before it the query's answer and three pages were stored


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1") as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    """A clock at noon of 2026-02-02."""
    return ManualClock(NOW)


def day(text: str) -> Window:
    """One day in UTC."""
    return next(calendar("day", find_zone("UTC"), timedelta(days=1)).between(date.fromisoformat(text), date.fromisoformat(text)))


def puller(
    folder: Path, twin: CleverTapTwin, clock: ManualClock, state: Store | None = None, exports: Store | None = None, **more: Any
) -> Puller:
    """A puller of the event Charged, over two folders or other stores."""
    pull = Pull.model_validate({"from": "ct", "report": "events", "event": "Charged", "page_rows": PAGE_ROWS} | more.pop("pull", {}))
    stores = state or FolderStore(folder / "state"), exports or FolderStore(folder / "exports")
    return Puller("charged", pull, SOURCE, example.settings(twin.url), *stores, HttpClient(3), clock, **more)


def exported(folder: Path) -> list[dict[str, Any]]:
    """The rows of all export files."""
    files = sorted((folder / "exports").rglob("*.gz"))
    return [orjson.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]


def identities(folder: Path) -> list[str]:
    """Whose events they are, sorted."""
    return sorted(row["profile"]["identity"] for row in exported(folder))


def everybody(count: int = EVENTS) -> list[str]:
    return sorted(f"u{number}" for number in range(count))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("store", ["state", "exports"])
def test_a_kill_at_any_write_costs_nothing(tmp_path: Path, twin: CleverTapTwin, clock: ManualClock, store: str, after: bool) -> None:
    """For each write of either store: killed before or after it, then repeated. Every row is there once, and at most
    the page that was under way is asked for once more."""
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)
    at = 0
    while True:
        folder = tmp_path / f"{at}"
        stores: dict[str, Any] = {store: MortalStore(FolderStore(folder / store), at, after=after)}
        twin.log.clear()
        try:
            list(puller(folder, twin, clock, **stores).run([day("2026-01-30")]))
            break  # more than all writes: nobody was killed
        except Killed:
            list(puller(folder, twin, clock).run([day("2026-01-30")]))
        assert identities(folder) == everybody()
        was_done = store == "state" and after and at == NOTE
        assert len(twin.log) <= (2 * 4 if was_done else 4 + 1)
        at += 1
    assert at == (NOTE + 1 if store == "state" else 1)


def test_a_kill_at_each_page_still_comes_to_the_end(tmp_path: Path, twin: CleverTapTwin, clock: ManualClock) -> None:
    """A function that dies after each page gets one page further each time: progress never needs a whole window's time."""
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)
    for _ in range(NOTE):
        with pytest.raises(Killed):
            state = MortalStore(FolderStore(tmp_path / "state"), 0, after=True)
            list(puller(tmp_path, twin, clock, state=state).run([day("2026-01-30")]))
    list(puller(tmp_path, twin, clock).run([day("2026-01-30")]))
    assert identities(tmp_path) == everybody()
    assert len(twin.log) == 4


def test_an_attempt_of_other_settings_is_not_gone_on_with(tmp_path: Path, twin: CleverTapTwin, clock: ManualClock) -> None:
    """Pages of another query must not mix with ours: after a change of the pull the window begins anew."""
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)
    with pytest.raises(Killed):
        list(puller(tmp_path, twin, clock, state=MortalStore(FolderStore(tmp_path / "state"), 2)).run([day("2026-01-30")]))
    list(puller(tmp_path, twin, clock, pull={"page_rows": 5}).run([day("2026-01-30")]))
    assert identities(tmp_path) == everybody()
    assert len([call for call in twin.log if call.method == "POST"]) == 2


def test_an_old_attempt_is_not_gone_on_with(tmp_path: Path, twin: CleverTapTwin, clock: ManualClock) -> None:
    """After hours the day may have grown and the cursor died: the window begins anew, and the old pages go."""
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)
    with pytest.raises(Killed):
        list(puller(tmp_path, twin, clock, state=MortalStore(FolderStore(tmp_path / "state"), 2)).run([day("2026-01-30")]))
    clock.sleep(7 * 3600)
    Bench(tmp_path, twin).charge("2026-01-30", 2, start=EVENTS)
    list(puller(tmp_path, twin, clock).run([day("2026-01-30")]))
    assert identities(tmp_path) == everybody(EVENTS + 2)
    assert list((tmp_path / "state/pulls/charged/pages").rglob("*0")) == []


def test_rows_are_as_old_as_the_first_page(tmp_path: Path, twin: CleverTapTwin, clock: ManualClock) -> None:
    """A window that is gone on with holds what there was when it was begun: only later than that by `trailing` nothing is late."""
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)
    with pytest.raises(Killed):
        list(puller(tmp_path, twin, clock, state=MortalStore(FolderStore(tmp_path / "state"), 2)).run([day("2026-01-30")]))
    clock.sleep(5 * 3600)
    (found,) = puller(tmp_path, twin, clock).run([day("2026-01-30")])
    assert (found.rows, found.asked_at) == (EVENTS, NOW)
    (again,) = puller(tmp_path, twin, clock, began_at=NOW).run([day("2026-01-30")])
    assert again.asked_at == NOW


def test_time_that_is_nearly_up_hands_back_and_goes_on_later(tmp_path: Path, twin: CleverTapTwin, clock: ManualClock) -> None:
    """No request is begun that may not end in time; what is stored stays stored."""
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)

    def left_seconds() -> float:
        return 60.0 if len(twin.log) < 2 else 5.0

    with pytest.raises(OutOfTime):
        list(puller(tmp_path, twin, clock, left_seconds=left_seconds).run([day("2026-01-30")]))
    assert len(twin.log) == 2
    list(puller(tmp_path, twin, clock).run([day("2026-01-30")]))
    assert identities(tmp_path) == everybody()
    assert len(twin.log) == 4


def test_a_second_worker_on_the_same_attempt_gives_way(tmp_path: Path, twin: CleverTapTwin, clock: ManualClock) -> None:
    """When a claim was lost and another worker has stored the next page, ours stops instead of mixing two orders of pages."""
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)
    state = FolderStore(tmp_path / "state")

    def overtaken(_rows: int) -> None:
        [*_, last] = [found.key for found in state.list("pulls/charged/pages/")]
        state.create(f"{last[:-8]}{int(last[-8:]) + 1:08d}", b"{}")

    with pytest.raises(TryLater, match="somebody else"):
        list(puller(tmp_path, twin, clock, state=state, progress=overtaken).run([day("2026-01-30")]))
    assert exported(tmp_path) == []


def test_the_same_rows_make_the_same_file(tmp_path: Path, twin: CleverTapTwin, clock: ManualClock) -> None:
    """A window pulled twice without news is byte for byte the file it was, whatever its pages."""
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)
    files = []
    for _ in range(2):
        [found] = puller(tmp_path, twin, clock).run([day("2026-01-30")])
        files.append((tmp_path / "exports" / found.key).read_bytes())
        clock.sleep(100)
    assert files[0] == files[1]


def test_an_answer_too_large_for_memory_says_what_to_do(
    tmp_path: Path, twin: CleverTapTwin, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is cut off: the window fails, and the reason names the setting."""
    monkeypatch.setattr("rowferry.pulls.asker.PAGE_BYTES", 100)
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)
    [found] = puller(tmp_path, twin, clock).run([day("2026-01-30")])
    assert "page_rows" in str(found.failure)


def test_progress_counts_each_row_once(tmp_path: Path, twin: CleverTapTwin, clock: ManualClock) -> None:
    """What a person is shown adds up to what is in the file."""
    Bench(tmp_path, twin).charge("2026-01-30", EVENTS)
    told: list[int] = []
    tell: Callable[[int], None] = told.append
    list(puller(tmp_path, twin, clock, progress=tell).run([day("2026-01-30")]))
    assert sum(told) == EVENTS
