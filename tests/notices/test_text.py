"""Text that Slack shows as it is, cut where it may be cut."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.notices import text


def test_only_three_characters_are_escaped() -> None:
    """Slack knows no other entities, and shows them as they stand."""
    assert text.escape('<!channel> & "it\'s" <https://evil|here>') == '&lt;!channel&gt; &amp; "it\'s" &lt;https://evil|here&gt;'


def test_what_turns_the_line_around_is_left_out() -> None:
    """Controls that make a line read otherwise than it is don't get through."""
    assert text.escape("a\x00b\u202ec\u2066d\x1be\r") == "abcde"


@given(st.text(), st.integers(10, 60))
def test_no_entity_is_cut_in_half(raw: str, most: int) -> None:
    """However long and wherever the cut falls: within the limit, and every `&` begins a whole entity."""
    found = text.cut(text.escape(raw), most)
    assert len(found) <= most
    rest = found.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert not set("&<>") & set(rest)


def test_no_link_is_cut_in_half() -> None:
    """Half a link would swallow the rest of the message."""
    assert text.cut("see <https://example.com/a/long/way|the page> now", 20) == "see …"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"), (True, "true"), (False, "false"), (0.1 + 0.2, "0.3"), (1.0, "1"), (12, "12"), (Decimal("1.10"), "1.10"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "2026-01-02 03:04:05+00:00"), (date(2026, 1, 2), "2026-01-02"),
        ({"a": [1, None]}, '{"a":[1,null]}'), ("x" * 600, "x" * 499 + "…"), (b"raw", "bytes"),
    ],
)  # fmt: skip
def test_values_as_people_read_them(value: Any, expected: str) -> None:
    """Short, without Python's way of writing."""
    assert text.plain(value) == expected
