"""Any answer to any step means something: nothing that a vendor sends breaks the reading of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowferry import pulls
from rowferry.destinations.port import Refused, SlowDown, TryAgain
from rowferry.pulls.answers import failed, member, objects, read_json, within
from rowferry.pulls.port import Archive, Failed, Page, Pending, Restart, Step
from rowferry.wire import Request, Response
from support.reports import ALL, ask_of

WORDS = (
    *("status", "code", "error", "cursor", "next_cursor", "records", "count", "req_id", "messages", "targets", "result", "by", "id"),
    *("data", "links", "next", "attributes", "results", "groupings", "statistics", "relationships", "metric", "name", "message", "success"),
    *("campaigns", "canvases", "segments", "stats", "total_stats", "time", "users", "invalid_user_ids", "series", "xValues", "request_id"),
    *("profile", "profileData", "ts", "partial", "fail", "updated"),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**18) | st.floats(allow_nan=False) | st.sampled_from(WORDS) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
STATUSES = st.sampled_from([200, 201, 202, 204, 302, 400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 504, 524])
# The kinds of steps that each report can come to, with a token as its own file makes them.
STEPS: dict[tuple[str, str], list[Step]] = {
    ("clevertap", "campaign_report"): [Step("query"), Step("result", '[{"id":1},{"id":2}]')],
    ("amplitude", "export"): [Step("export", "20260131T00-20260131T23,20260201T00-20260201T00"), Step("export", "20260131T00-20260131T00")],
    ("amplitude", "cohort"): [Step("query"), Step("status", "job"), Step("file", "job"), Step("link", "https://example.com/x")],
    ("braze", "segments"): [Step("list", "0")],
    ("braze", "users"): [Step("users", "0"), Step("users", "50")],
    ("klaviyo", "events"): [Step("metrics"), Step("events", '{"metric":"M1","cursor":"c"}')],
    ("klaviyo", "campaign_values"): [Step("query"), Step("query", '{"cursor":"c"}')],
    ("klaviyo", "profiles"): [Step("query"), Step("profiles", '{"cursor":"c"}')],
}
SERIES = [Step("list", "0"), Step("series", '{"left":[{"id":"a","name":null},{"id":"b","name":"B"}],"list":1}')]
DEFAULT = [Step("query"), Step("page", "a%2Fb"), Step("poll", "1")]


def steps_of(vendor: str, report: str) -> list[Step]:
    """Steps of a report."""
    return STEPS.get((vendor, report), SERIES if report.endswith("_series") else DEFAULT)


@pytest.mark.parametrize(("vendor", "report"), ALL)
@settings(max_examples=60, deadline=None)
@given(status=STATUSES, value=VALUES, cut=st.booleans())
def test_every_answer_means_something(vendor: str, report: str, status: int, value: Any, cut: bool) -> None:
    """JSON of any shape, cut off or whole, with any status: an answer, whose rows are objects and whose steps can be stored
    and built into a request."""
    found, ask = pulls.find(vendor).reports[report], ask_of(vendor, report)
    body = orjson.dumps(value)[: -1 if cut else None]
    for step in steps_of(vendor, report):
        assert isinstance(found.build(step, ask), Request)
        answer = found.read(Response(status, body, {"content-type": "application/json"}), step, ask)
        assert isinstance(answer, (Page, Archive, Pending, Restart, Failed, TryAgain, SlowDown, Refused))
        if isinstance(answer, Page):
            assert all(isinstance(row, dict) for row in answer.rows)
        following = answer.step if isinstance(answer, Pending) else getattr(answer, "next", None)
        if following is not None:
            assert isinstance(found.build(following, ask), Request)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":', b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_what_is_no_json_is_none(body: bytes) -> None:
    """Empty, a web page, cut off, another encoding, too deep, too long a number: none of it raises."""
    assert read_json(Response(200, body)) is None


def test_numbers_keep_their_digits() -> None:
    """Whole numbers of any length, and decimals that a float can't hold."""
    found = read_json(Response(200, b'{"a":123456789012345678901234567890,"b":0.12345678901234567890,"c":1.5}'))
    assert found == {"a": 123456789012345678901234567890, "b": Decimal("0.12345678901234567890"), "c": Decimal("1.5")}


@pytest.mark.parametrize("number", [b"1", b"1234567890123456789"])
def test_half_an_emoji_is_no_broken_answer(number: bytes) -> None:
    """An answer with a half of a pair in a text is JSON: taken for none, its page would be asked for again for ever."""
    found = read_json(Response(200, b'{"a": "x\\ud83d", "n": %s}' % number, {}))
    assert found == {"a": "x\ufffd", "n": int(number)}


def test_a_broken_list_is_none_at_all() -> None:
    """Of a list that holds something else than objects nothing is taken: half a page would be a gap."""
    assert objects([{"a": 1}, None]) is None
    assert objects({"a": 1}) is None
    assert objects([]) == []


def test_paths_that_end_early() -> None:
    """No vendor's answer is trusted to have the objects that its pages show."""
    assert member({"a": {"b": 1}}, "a", "b") == 1
    assert member({"a": [1]}, "a", "b") is None
    assert within({"a": 1}, "a") == {}


@pytest.mark.parametrize(
    ("status", "kind"), [(200, type(None)), (401, Refused), (403, Refused), (404, Failed), (422, Failed), (429, SlowDown), (500, TryAgain)]
)
def test_statuses(status: int, kind: type) -> None:
    """A key that is refused stops everything, a passing fault nothing, the rest this window alone."""
    assert isinstance(failed(Response(status), "Vendor"), kind)
