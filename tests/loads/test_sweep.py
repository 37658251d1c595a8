from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rowferry.loads.sweep import Missed, Stray, due, missed
from rowferry.settings.feed import Feed
from support.loading import Bench, ByContent

FEEDS: dict[str, dict[str, Any]] = {
    "crm": {"path": "crm/**.csv", "table": "crm.customers", "columns": {"id": "STRING"}},
    "vip": {"path": "crm/vip/*.csv", "table": "crm.vip", "columns": {"id": "STRING"}},
    "ct": {"path": "ct/", "preset": "clevertap_events", "table": "raw.ct_{event}"},
}


def found_by(bench: Bench, before: datetime | None = None) -> list[Missed | Stray]:
    feeds = {name: Feed.model_validate(feed) for name, feed in bench.feeds.items()}
    return list(missed(bench.exports, bench.loader.ledger, feeds, before))


def test_files_whose_event_never_came_are_found(tmp_path: Path) -> None:
    """What is not in the ledger, in any version, is missed; what is in quarantine is not, until the settings change."""
    bench = Bench(tmp_path, FEEDS)
    for number in range(5):
        bench.put(f"crm/{number}.csv", "id\n1\n")
    for key in ("crm/0.csv", "crm/2.csv", "crm/4.csv"):
        bench.loader.load(key)
    bench.put("crm/2.csv", "id\n2\n")
    bench.load("crm/bad.csv", "x\n1\n")
    assert [each.key for each in found_by(bench)] == ["crm/1.csv", "crm/2.csv", "crm/3.csv"]
    bench.feeds = FEEDS | {"crm": FEEDS["crm"] | {"columns": {"x": "STRING"}}}
    assert [each.key for each in found_by(bench)] == ["crm/1.csv", "crm/2.csv", "crm/3.csv", "crm/bad.csv"]


def test_content_that_came_back_is_missed(tmp_path: Path) -> None:
    """A file that holds again what it held two versions ago has to be loaded, though its version stands in the ledger."""
    bench = Bench(tmp_path, {"crm": FEEDS["crm"]}, other_exports=ByContent(tmp_path / "exports"))
    for content in ("id\n1\n", "id\n2\n"):
        bench.load("crm/1.csv", content)
        assert found_by(bench) == []
    bench.put("crm/1.csv", "id\n1\n")
    assert [each.key for each in found_by(bench)] == ["crm/1.csv"]
    bench.loader.load("crm/1.csv")
    assert found_by(bench) == []


def test_strays_in_a_feeds_folder_are_told(tmp_path: Path) -> None:
    """Two feeds or none: a sentence each. What lies outside of every feed's folder is somebody else's."""
    bench = Bench(tmp_path, FEEDS)
    for key in ("crm/vip/1.csv", "ct/readme.txt", "elsewhere/1.csv", "ct/1-1663785000-Charged-20220921-0-0.csv"):
        bench.put(key, "id\n1\n")
    found = {each.key: each for each in found_by(bench)}
    assert {key: type(each).__name__ for key, each in found.items()} == {
        "crm/vip/1.csv": "Stray",
        "ct/readme.txt": "Stray",
        "ct/1-1663785000-Charged-20220921-0-0.csv": "Missed",
    }


def test_young_files_are_left_to_their_event(tmp_path: Path) -> None:
    """A file that came a moment ago may be loading just now."""
    bench = Bench(tmp_path, FEEDS)
    bench.put("crm/1.csv", "id\n1\n")
    assert found_by(bench, before=datetime.now(UTC) - timedelta(minutes=5)) == []
    assert len(found_by(bench, before=datetime.now(UTC) + timedelta(minutes=5))) == 1


def test_files_wait_while_their_window_is_open(tmp_path: Path) -> None:
    """A sweep in the middle of a window would load a part of its files alone."""
    bench = Bench(tmp_path, {"crm": FEEDS["crm"] | {"window": "5m"}})
    bench.put("crm/1.csv", "id\n1\n")
    feeds = {"crm": Feed.model_validate(bench.feeds["crm"])}
    for minutes, count in ((0, 0), (6, 1)):
        now = datetime.now(UTC) + timedelta(minutes=minutes)
        assert len(list(missed(bench.exports, bench.loader.ledger, feeds, now=now))) == count


@pytest.mark.parametrize(
    ("expect", "loaded", "now", "is_late"),
    [
        ("daily by 03:00", "2024-01-10T02:30", "2024-01-10T03:10", False),
        ("daily by 03:00", "2024-01-09T02:30", "2024-01-10T02:59", False),
        ("daily by 03:00", "2024-01-09T02:30", "2024-01-10T03:10", True),
        ("daily by 03:00", None, "2024-01-10T03:10", True),
        ("weekdays by 09:00", "2024-01-05T08:00", "2024-01-07T23:00", False),
        ("weekdays by 09:00", "2024-01-05T08:00", "2024-01-08T09:01", True),
        ("monday by 09:00 Asia/Kolkata", "2024-01-01T03:00", "2024-01-08T03:31", True),
        ("every 6h", "2024-01-10T00:00", "2024-01-10T05:59", False),
        ("every 6h", "2024-01-10T00:00", "2024-01-10T06:01", True),
    ],
)
def test_a_silent_feed_is_late(tmp_path: Path, expect: str, loaded: str | None, now: str, is_late: bool) -> None:
    """A feed is late when nothing came for the last time it was due."""
    bench = Bench(tmp_path, {"crm": FEEDS["crm"] | {"expect": expect}})
    if loaded is not None:
        bench.set_clock(datetime.fromisoformat(loaded).replace(tzinfo=UTC))
        bench.load("crm/1.csv", "id\n1\n")
    feeds = {"crm": Feed.model_validate(bench.feeds["crm"])}
    (found,) = due(feeds, bench.loader.ledger, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found.is_late == is_late
