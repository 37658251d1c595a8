"""Rules for every vendor's file: what the settings allow is there, and a vendor's file does nothing by itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from rowferry import pulls
from rowferry.feeds.preset import find_preset
from rowferry.feeds.routing import Match, match
from rowferry.pulls.feeds import own_feed, own_name
from rowferry.pulls.puller import export_key
from rowferry.pulls.windows import Calendar, whole
from rowferry.settings.hours import find_zone
from rowferry.settings.pull import REPORTS
from support.pulling import NOW
from support.reports import ALL, settings_of

IMPURE = {"httpx", "requests", "socket", "subprocess", "threading", "time", "os", "random", "pathlib"}
ENGINE = {"rowferry.http", "rowferry.clock", "rowferry.stores", "rowferry.warehouse", "rowferry.pulls.puller", "rowferry.pulls.asker"}


@pytest.mark.parametrize("vendor", REPORTS)
def test_what_the_settings_allow_is_what_there_is(vendor: str) -> None:
    """No report can be written into the settings that nobody can pull, and none is there that can't be written."""
    source = pulls.find(vendor)
    assert source.vendor == vendor
    assert set(source.reports) == set(REPORTS[vendor])


@pytest.mark.parametrize("vendor", REPORTS)
def test_a_vendor_s_file_does_nothing_by_itself(vendor: str) -> None:
    """No I/O, no clock, no thread, no dice, no environment: a vendor's file builds and reads values."""
    tree = ast.parse(Path(str(pulls.__path__[0]), f"{vendor}.py").read_text())
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name.split(".")[0] for name in names} & IMPURE
    assert not [name for name in names for engine in ENGINE if name == engine or name.startswith(f"{engine}.")]


def test_an_unknown_vendor_has_nothing() -> None:
    """Slack can't be pulled from."""
    with pytest.raises(KeyError):
        pulls.find("slack")


@pytest.mark.parametrize(("vendor", "report"), ALL)
def test_the_own_feed_takes_every_file(vendor: str, report: str) -> None:
    """Whatever the event is called and however time is cut: the pull's own feed takes its file, and each window has
    another one."""
    settings = settings_of(vendor, report)
    found, feed = pulls.find(vendor).reports[report], own_feed(settings, "my-pull")
    day = NOW.date()
    windows = [whole(NOW)] if found.unit is None else list(Calendar(find_zone("UTC")).between(day.replace(day=1), day))
    if found.unit == "hour":
        windows += list(Calendar(find_zone("UTC"), hours=1).between(day, day))
    keys = [export_key("my-pull", settings.pulls["my-pull"], found, window) for window in windows]
    assert len(set(keys)) == len(keys)
    assert all(isinstance(match(own_name("my-pull"), feed, key), Match) for key in keys)
    assert all(key.startswith("my-pull/") and len(key.encode()) < 1024 for key in keys)


@pytest.mark.parametrize(("vendor", "report"), ALL)
def test_a_report_has_columns_or_a_preset(vendor: str, report: str) -> None:
    """The table of a report without rows can be made all the same."""
    found = pulls.find(vendor).reports[report]
    assert bool(found.columns) != (found.preset is not None)
    assert found.preset is None or find_preset(found.preset).columns
