from datetime import date, datetime

import pytest

from rowferry.feeds.pattern import parse_pattern


def test_named_parts_and_typed_dates_are_read() -> None:
    """A part is text, a part with a form is a date, with a time of day a datetime."""
    assert parse_pattern("crm/{what}-{day:%Y%m%d}*.csv.gz").match("crm/customers-20240131-2.csv.gz") == {
        "what": "customers",
        "day": date(2024, 1, 31),
    }
    assert parse_pattern("x/{at:%Y-%m-%d_%H}.csv").match("x/2024-01-31_07.csv") == {"at": datetime.fromisoformat("2024-01-31T07:00")}


def test_an_impossible_date_does_not_match() -> None:
    """A number that looks like a date but is none belongs to no feed, rather than to a wrong day."""
    assert parse_pattern("crm/{day:%Y%m%d}.csv").match("crm/20241399.csv") is None


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("a/*.csv", "a/b.csv", True),
        ("a/*.csv", "a/.csv", True),
        ("a/*.csv", "a/b/c.csv", False),
        ("a/**.csv", "a/b/c.csv", True),
        ("a/**/c.csv", "a/c.csv", True),
        ("a/**/c.csv", "a/b/d/c.csv", True),
        ("a/**/c.csv", "a/bc.csv", False),
        ("a/{x}.csv", "a/.csv", False),
        ("a/{x}.csv", "a/b/c.csv", False),
        ("a/", "a/b/c.csv", True),
        ("a/", "ab/c.csv", False),
        ("a+(b)/*.csv", "a+(b)/x.csv", True),
        ("a/{x}.csv", "a/line\nbreak.csv", True),
        ("a/{x}-{y}.csv", "a/1-2-3.csv", True),
        ("Ä/*.csv", "Ä/ü.csv", True),
    ],
)
def test_wildcards_stay_in_their_folder(pattern: str, key: str, fits: bool) -> None:
    """`*` and a named part stop at a slash, `**` does not, and text is taken as it stands."""
    assert (parse_pattern(pattern).match(key) is not None) == fits


@pytest.mark.parametrize(
    ("pattern", "folder"), [("crm/c-*.csv", "crm/"), ("crm/", "crm/"), ("*.csv", ""), ("a/b{x}/c.csv", "a/"), ("a/b/c.csv", "a/b/")]
)
def test_folder_is_what_a_listing_has_to_look_at(pattern: str, folder: str) -> None:
    """The watched folder is all that stands before the first wildcard, up to a slash."""
    assert parse_pattern(pattern).folder == folder


@pytest.mark.parametrize("pattern", ["/a.csv", "a/{x}-{x}.csv", "a/{x:abc}.csv", "a/{x:%q}.csv", "a/{1x}.csv", "a/{x.csv"])
def test_a_wrong_pattern_is_refused_with_a_sentence(pattern: str) -> None:
    """Nothing is guessed from a pattern that has more than one reading, or none."""
    with pytest.raises(ValueError, match=r"."):
        parse_pattern(pattern)
