import os
from datetime import date
from pathlib import Path

from rowferry.loads.backfill import files_between
from rowferry.settings.feed import Feed
from support.loading import Bench


def test_days_are_those_of_the_names(tmp_path: Path) -> None:
    """Both ends are included, and only the feed's own files count."""
    bench = Bench(tmp_path, {})
    feed = Feed.model_validate({"path": "ct/", "preset": "clevertap_events", "table": "raw.ct_{event}"})
    for day in range(20, 25):
        bench.put(f"ct/1-1663785000-Charged-202209{day}-0-0.csv", "ts\n")
    bench.put("ct/readme.txt", "")
    found = [each.key[-16:-8] for each in files_between(bench.exports, "ct", feed, date(2022, 9, 21), date(2022, 9, 23))]
    assert found == ["20220921", "20220922", "20220923"]


def test_a_name_without_a_day_goes_by_when_it_was_written(tmp_path: Path) -> None:
    """The day is that of the feed's zone."""
    bench = Bench(tmp_path, {})
    feed = Feed.model_validate({"path": "crm/*.csv", "table": "crm.customers", "timezone": "Asia/Kolkata"})
    bench.put("crm/1.csv", "id\n")
    os.utime(tmp_path / "exports/crm/1.csv", (1663785000, 1663785000))  # 2022-09-22 00:00 in Kolkata
    assert len(list(files_between(bench.exports, "crm", feed, date(2022, 9, 22), date(2022, 9, 22)))) == 1
    assert len(list(files_between(bench.exports, "crm", feed, date(2022, 9, 21), date(2022, 9, 21)))) == 0
