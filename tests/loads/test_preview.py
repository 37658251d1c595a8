from pathlib import Path

import pytest

from rowferry.errors import FileRejected
from rowferry.feeds.routing import Match, route
from rowferry.loads.preview import preview
from rowferry.settings.feed import Feed
from support.loading import Bench

FEEDS = {"ct": {"path": "ct/", "preset": "clevertap_events", "table": "raw.ct_{event}", "new_columns": "ignore"}}


def test_a_sample_shows_what_the_preset_made_of_it(tmp_path: Path) -> None:
    """Table, columns and where each comes from, what the name says, what goes nowhere; and nothing is written."""
    bench = Bench(tmp_path, FEEDS)
    key = bench.put("ct/1-1663785000-Order-Placed-20220921-0-0.csv.gz", "ts,profile.identity,eventProps.Amount\n20220921101112,u1,5\n")
    matched, found = route({"ct": Feed.model_validate(FEEDS["ct"])}, key), bench.exports.head(key)
    assert isinstance(matched, Match)
    assert found is not None
    shown = preview(bench.exports, bench.warehouse, found, matched)
    assert (shown.table, shown.found.kind, shown.found.compression, shown.parts["day"]) == (
        "raw.ct_order_placed",
        "csv",
        "gzip",
        "2022-09-21",
    )
    columns = {column.name: (column.type, column.comes_from) for column in shown.columns}
    assert columns["ts"] == ("TIMESTAMP", "ts")
    assert columns["event_name"] == ("STRING", "{event}")
    assert columns["profile_email"] == ("STRING", "")
    assert shown.left_out == ("eventProps.Amount",)
    assert bench.warehouse.columns("raw.ct_order_placed") is None


def test_a_sample_that_would_be_refused_says_why(tmp_path: Path) -> None:
    """The same sentence as in quarantine."""
    bench = Bench(tmp_path, FEEDS)
    key = bench.put("ct/1-1663785000-Order-Placed-20220921-0-0.csv.gz", "a,b\n1,2\n")
    matched, found = route({"ct": Feed.model_validate(FEEDS["ct"])}, key), bench.exports.head(key)
    assert isinstance(matched, Match)
    assert found is not None
    with pytest.raises(FileRejected, match="none of its columns"):
        preview(bench.exports, bench.warehouse, found, matched)
