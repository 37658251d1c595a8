"""What answers of vendors have in common."""

from __future__ import annotations

import pytest

from rowferry.destinations import answers
from rowferry.destinations.port import Refused, SlowDown, Split, TryAgain
from rowferry.wire import Response

NOW = "Sun, 01 Mar 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Refused),
        (400, Split),
        (401, Refused),
        (403, Refused),
        (404, Refused),
        (405, Refused),
        (408, TryAgain),
        (413, Split),
        (415, Refused),
        (418, Refused),
        (422, Split),
        (425, TryAgain),
        (429, SlowDown),
        (500, TryAgain),
        (502, TryAgain),
        (599, TryAgain),
    ],
)
def test_a_status_says_what_happens_next(status: int, kind: type) -> None:
    """A row's fault splits, a passing fault is tried again, what a person must mend stops the run."""
    answer = answers.by_status(Response(status, b"<html>no</html>"), "Vendor")
    assert isinstance(answer, kind)
    assert answer is not None and f"Vendor answered {status}: <html>no</html>" in answer.reason  # type: ignore[union-attr]  # Settled and Follow are no such answers


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_2xx_is_left_to_the_vendors_file(status: int) -> None:
    """Success has no common reading: many vendors hide errors inside."""
    assert answers.by_status(Response(status), "Vendor") is None


def test_only_413_makes_later_batches_smaller() -> None:
    """A 400 says nothing about size."""
    assert answers.by_status(Response(413), "Vendor") == Split("too_large", "Vendor answered 413", too_large=True)
    assert answers.by_status(Response(400), "Vendor") == Split("refused_by_vendor", "Vendor answered 400")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Sun, 01 Mar 2026 10:01:30 GMT", "date": NOW}, 90.0),
        ({"retry-after": "Sun, 01 Mar 2026 09:00:00 GMT", "date": NOW}, 0.0),
        ({"retry-after": "Sun, 01 Mar 2026 10:01:30 GMT"}, None),
        ({"retry-after": "Sun, 01 Mar 2026 10:01:30", "date": NOW}, 90.0),
        ({"retry-after": "Sun, 01 Mar 2096 10:01:30 GMT", "date": NOW}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "999999999"}, None),
    ],
)
def test_how_long_to_wait_is_read_or_left_open(headers: dict[str, str], expected: float | None) -> None:
    """Seconds or a date; a header that makes no sense counts as none."""
    assert answers.retry_after(Response(429, b"", headers)) == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"message": "succ', b"[]", b'"ok"', b"\xff"])
def test_a_body_that_is_no_json_object_is_none(body: bytes) -> None:
    """HTML, cut-off JSON and other JSON are all the same to a reader that wants an object."""
    assert answers.json_object(Response(200, body)) is None
