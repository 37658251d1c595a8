"""CleverTap's twin keeps CleverTap's rules, and what we send keeps the twin content."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from rowferry.destinations.clevertap import DESTINATION
from rowferry.destinations.port import DELIVERED, Answer, Refused, Rejected, Settled, SlowDown, Split
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.wire import Request, Response
from support.vendors import clevertap


def send(request: Request) -> Response:
    """One request over a real connection."""
    raw = urllib.request.Request(request.url, request.body, dict(request.headers), method=request.method)
    try:
        with urllib.request.urlopen(raw) as answer:
            return Response(answer.status, answer.read())
    except urllib.error.HTTPError as refused:
        return Response(refused.code, refused.read())


def deliver(twin: CleverTapTwin, action: str, rows: list[dict[str, Any]], **more: Any) -> Answer:
    """Rows through CleverTap's own file to the twin and back."""
    settings = clevertap.settings(twin.url, **more)
    chosen = DESTINATION.actions[action]
    batch = [chosen.to_payload(fields, settings) for fields in rows]
    return chosen.read(send(chosen.build(batch, settings)), batch, settings, "")


def upload(twin: CleverTapTwin, *records: Any) -> dict[str, Any]:
    """Hand-made records to the twin, past our own checks; its answer."""
    request = DESTINATION.actions["event"].build([orjson.dumps(record) for record in records], clevertap.settings(twin.url))
    body: dict[str, Any] = orjson.loads(send(request).body)
    return body


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project that knows one passcode."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1") as running:
        yield running


@pytest.mark.parametrize("action", ["profile", "event", "subscription"])
def test_all_our_rows_are_taken_unspoiled(twin: CleverTapTwin, action: str) -> None:
    """What our file makes of the suite's rows breaks no rule, spoken or silent."""
    answer = deliver(twin, action, clevertap.ROWS[action])
    assert answer == Settled([DELIVERED] * len(clevertap.ROWS[action]))
    assert twin.violations == []


def test_profiles_merge_and_operators_count(twin: CleverTapTwin) -> None:
    """A second upload changes what it names, operators work on what is there, NULL removes."""
    deliver(twin, "profile", [{"identity": "u1", "tier": "gold", "points": 5, "tags": ["a"]}])
    deliver(twin, "profile", [{"identity": "u1", "tier": None, "points": {"$incr": 2}, "tags": {"$add": ["b"]}}])
    assert twin.profiles == {"u1": {"points": 7, "tags": ["a", "b"]}}


def test_a_bad_record_among_good_ones_is_named(twin: CleverTapTwin) -> None:
    """The twin answers `partial`, and our file rejects just the second row."""
    answer = deliver(twin, "profile", [{"identity": "u1", "tier": "a"}, {"identity": "u2", "Email": "no mail"}, {"identity": "u3"}])
    assert isinstance(answer, Settled)
    assert [outcome.code if isinstance(outcome, Rejected) else None for outcome in answer.outcomes] == [None, "email_invalid", None]
    assert "no mail" not in str(answer)
    assert set(twin.profiles) == {"u1", "u3"}


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"type": "event", "identity": "u1", "evtData": {}}, 509),
        ({"type": "event", "identity": "u1", "evtName": "A"}, 512),
        ({"type": "event", "identity": "u1", "evtName": "app launched", "evtData": {}}, 513),
        ({"type": "profile", "identity": "u1", "profileData": {"Gender": "X"}}, 514),
        ({"type": "profile", "identity": "u1", "profileData": {"Email": "nobody"}}, 515),
        ({"type": "profile", "identity": "u1", "profileData": {"Phone": "+44+441234"}}, 516),
        ({"type": "profile", "identity": "u1", "profileData": {"Employed": "yes"}}, 517),
        ({"type": "profile", "identity": "u1", "profileData": {"Education": "Some"}}, 518),
        ({"type": "profile", "identity": "u1", "profileData": {"Married": "no"}}, 519),
        ({"type": "profile", "identity": "u1", "profileData": {"Age": "old"}}, 520),
        ({"type": "event", "identity": "u1", "evtName": "A", "evtData": {str(n): n for n in range(257)}}, 522),
        ({"type": "event", "evtName": "A", "evtData": {}}, 523),
        ({"type": "other", "identity": "u1"}, 524),
        ({"type": "event", "identity": "u1", "evtName": "A", "evtData": {}, "ts": 0}, 525),
        ({"type": "event", "identity": "u1", "evtName": "thrown away", "evtData": {}}, 528),
    ],
)
def test_each_record_code_is_earned(twin: CleverTapTwin, record: dict[str, Any], code: int) -> None:
    """Every code of the vendor's list that can be earned by a record is earned by one."""
    twin.discarded.add("Thrown Away")
    answer = upload(twin, record)
    assert answer["status"] == "fail"
    assert [entry["code"] for entry in answer["unprocessed"]] == [code]
    assert answer["unprocessed"][0]["error"].endswith("Skipped record number : 1")


def test_what_would_be_spoiled_is_noted(twin: CleverTapTwin) -> None:
    """Silent damage is taken like CleverTap takes it, and put on a list for tests."""
    upload(twin, {"type": "profile", "identity": "u1", "profileData": {"a.b": "x" * 513, "DOB": "1990-01-01", "MSG-sms": "no"}})
    assert len(twin.violations) == 4


def test_a_dry_run_judges_and_stores_nothing(twin: CleverTapTwin) -> None:
    """With dry_run the answer is the usual one and the project stays as it was."""
    answer = deliver(twin, "profile", [{"identity": "u1", "Gender": "M"}, {"identity": "u2", "Gender": "?"}], dry_run=True)
    assert isinstance(answer, Settled)
    assert isinstance(answer.outcomes[1], Rejected)
    assert twin.profiles == {}


def test_a_repeated_event_is_stored_twice(twin: CleverTapTwin) -> None:
    """CleverTap has no idempotency key, which is why our file says that events do not repeat safely."""
    for _ in range(2):
        deliver(twin, "event", clevertap.ROWS["event"][:1])
    assert len(twin.events) == 2
    assert DESTINATION.actions["event"].repeats_safely is False
    assert DESTINATION.actions["event"].idempotency is None


def test_a_wrong_passcode_is_refused(twin: CleverTapTwin) -> None:
    """401 stops the run; nothing is stored."""
    twin.passcode = "another"
    assert isinstance(deliver(twin, "event", clevertap.ROWS["event"]), Refused)
    assert twin.events == []


def test_a_full_batch_fits_and_one_more_does_not(twin: CleverTapTwin) -> None:
    """1,000 records a request."""
    record = {"type": "event", "identity": "u1", "evtName": "A", "evtData": {}}
    assert upload(twin, *[record] * 1000)["status"] == "success"
    assert upload(twin, *[record] * 1001)["code"] == 400


def test_the_sixteenth_open_request_is_told_to_wait(twin: CleverTapTwin) -> None:
    """15 requests may be open at once; more earn a 429, which is no failed attempt to us."""
    inside, release = threading.Semaphore(0), threading.Event()
    known = twin.answer

    def hold(call: Any) -> Response:
        inside.release()
        release.wait()
        return known(call)

    twin.answer = hold  # type: ignore[method-assign]  # the test holds the first request inside the vendor
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(deliver(twin, "event", clevertap.ROWS["event"][:1]))) for _ in range(15)]
    for thread in threads:
        thread.start()
    inside.acquire()
    while twin.most_open < 15:
        threading.Event().wait(0.001)
    assert isinstance(deliver(twin, "event", clevertap.ROWS["event"][:1]), SlowDown)
    release.set()
    for thread in threads:
        thread.join()
    assert answers == [Settled([DELIVERED])] * 15


def test_deletions_are_few_and_delete(twin: CleverTapTwin) -> None:
    """The person is gone afterwards; 101 at once are too many."""
    deliver(twin, "profile", [{"identity": "u1", "tier": "gold"}, {"identity": "u2", "tier": "blue"}])
    assert deliver(twin, "delete", [{"identity": "u1"}]) == Settled([DELIVERED])
    assert set(twin.profiles) == {"u2"}
    assert isinstance(deliver(twin, "delete", [{"identity": f"u{index}"} for index in range(101)]), Split)


def test_unknown_paths_answer_200_and_nothing(twin: CleverTapTwin) -> None:
    """The API's own trap, kept so that nobody takes a status for an outcome."""
    request = DESTINATION.probe(clevertap.settings(twin.url))
    assert send(Request("POST", twin.url + "/1/uploads", b"{}", request.headers)) == Response(200)
    assert DESTINATION.read_probe(send(request)) is None
