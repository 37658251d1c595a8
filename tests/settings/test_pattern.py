"""Paths of feeds: what may stand there, and when two of them could take the same file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.feeds.pattern import parse_pattern
from rowferry.settings.pattern import check_pattern, overlaps


@pytest.mark.parametrize(
    ("one", "two", "meet"),
    [
        ("a/", "b/", False),
        ("a/", "a/b/", True),
        ("a/*.csv", "a/*.json", False),
        ("a/*.csv", "a/b*", True),
        ("a/*.csv", "a/b/*.csv", False),
        ("a/**.csv", "a/b/*.csv", True),
        ("a/**/x.csv", "a/x.csv", True),
        ("crm/customers-*.csv", "crm/orders-*.csv", False),
        ("crm/{name}.csv", "crm/x.csv", True),
        ("crm/{name}x.csv", "crm/x.csv", False),
        ("crm/{day:%Y%m%d}.csv", "crm/latest.csv", False),
        ("crm/{day:%Y%m%d}.csv", "crm/20260131.csv", True),
        ("crm/{day:%Y%m%d}.csv", "crm/{day:%Y-%m-%d}.csv", False),
        ("crm/{day:%Y%m%d}.csv", "crm/{hour:%Y%m%d%H}.csv", False),
        ("crm/{day:%Y%m%d}*.csv", "crm/{hour:%Y%m%d%H}.csv", True),
    ],
)
def test_overlaps(one: str, two: str, meet: bool) -> None:
    """Two paths meet exactly when some key fits both, whichever comes first."""
    assert overlaps(one, two) is meet
    assert overlaps(two, one) is meet


_PIECES = st.sampled_from(["a", "b", "/", "*", "**", "1", ".csv"])
_PATHS = st.lists(_PIECES, min_size=1, max_size=6).map("".join).filter(lambda text: not text.startswith("/") and "***" not in text)


@given(_PATHS, _PATHS, st.text("ab/1.csv", max_size=8))
def test_a_key_that_fits_both_is_an_overlap(one: str, two: str, key: str) -> None:
    """Whenever the matcher takes a key for both paths, they are said to overlap."""
    if parse_pattern(one).match(key) is not None and parse_pattern(two).match(key) is not None:
        assert overlaps(one, two)


@pytest.mark.parametrize("text", ["crm/", "crm/*.csv", "**", "a/{x}/{day:%Y%m%d}-*.csv.gz", "clevertap"])
def test_paths_that_are_taken(text: str) -> None:
    """Folders, wildcards and named parts."""
    assert check_pattern(text) == text


@pytest.mark.parametrize(
    "text",
    ["", " ", "/crm", "../crm", "a/../b", "a/./b", "a\\b", "gs://b/x", "{", "a}", "{1x}", "{a:}", "{a:%Q}", "{a}{a}", "a***"],
)
def test_paths_that_are_refused(text: str) -> None:
    """What leads out of the exports, or is no pattern, is refused."""
    with pytest.raises(ValueError, match=r".+"):
        check_pattern(text)
