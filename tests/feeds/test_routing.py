from datetime import date

import pytest

from rowferry.feeds.contract import read_contract
from rowferry.feeds.routing import Ambiguous, Match, Skipped, Unrouted, explain, route
from rowferry.settings.feed import Feed


def feeds(**paths: str) -> dict[str, Feed]:
    return {name: Feed(path=path, table=f"raw.{name}") for name, path in paths.items()}


def test_a_file_goes_to_the_one_feed_that_fits() -> None:
    """The match holds what the name says, typed."""
    found = route(feeds(crm="crm/c-{day:%Y%m%d}.csv", pos="pos/*.csv"), "crm/c-20240131.csv")
    assert isinstance(found, Match)
    assert (found.name, found.parts) == ("crm", {"day": date(2024, 1, 31)})


def test_two_feeds_or_none_is_a_problem_not_a_guess() -> None:
    """Both say which feeds are meant, so that a person can mend the settings."""
    both = route(feeds(a="x/*.csv", b="x/y*.csv"), "x/y.csv")
    assert both == Ambiguous(("a", "b"))
    assert "a and b" in explain(both, "x/y.csv")
    none = route(feeds(a="x/*.csv", b="z/*.csv"), "x/y.json")
    assert none == Unrouted(("a",))
    assert "folder of a" in explain(none, "x/y.json")
    assert route(feeds(a="x/*.csv"), "elsewhere/y.csv") == Unrouted(())


def test_a_preset_tells_its_files_from_others_in_the_folder() -> None:
    """A folder with a preset takes only what bears the vendor's names, and passes over its markers."""
    both = {
        "events": Feed(path="ct/", table="raw.ct_{event}", preset="clevertap_events"),
        "profiles": Feed(path="ct/", table="raw.ct_profiles", preset="clevertap_profiles"),
        "amplitude": Feed(path="amp/", table="raw.amp", preset="amplitude_export"),
    }
    event = route(both, "ct/1663664837-1663785000-Order-Placed-20220921-0-0.csv.gz")
    assert isinstance(event, Match)
    assert event.name == "events"
    profile = route(both, "ct/100000000-1761651721-1761651721-0.csv.gz")
    assert isinstance(profile, Match)
    assert profile.name == "profiles"
    assert isinstance(route(both, "amp/123/123_2024-01-31_7_complete"), Skipped)
    assert route(both, "ct/readme.txt") == Unrouted(("events", "profiles"))
    assert isinstance(route(both, "ct/"), Skipped)


@pytest.mark.parametrize("day", ["20220921", "20220922", "20231231"])
def test_all_days_of_one_event_are_one_table(day: str) -> None:
    """CleverTap's run, day, index and shard change with every file; the table does not."""
    events = {"events": Feed(path="ct/", table="raw.clevertap_{event}", preset="clevertap_events")}
    found = route(events, f"ct/1663664837-1663785000-Order-Placed-{day}-3-17.csv.gz")
    assert isinstance(found, Match)
    assert read_contract(found).table == "raw.clevertap_order_placed"
