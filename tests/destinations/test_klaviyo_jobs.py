"""Klaviyo's chains against its stand-in, driven by the engine: jobs that are polled, people that are looked up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.deliver import Delivery
from rowferry.destinations.klaviyo import DESTINATION
from rowferry.destinations.port import DELIVERED, Follow, Settled, Split, TryAgain
from rowferry.stores.folder import FolderStore
from rowferry.twins.klaviyo import KlaviyoTwin
from rowferry.twins.server import Call, Fault
from rowferry.wire import Request, Response
from support.chunks import account_of, deliver, plan_of, put_chunk, receipts_of
from support.klaviyo import validate
from support.vendors import klaviyo as example

PROFILE = DESTINATION.actions["profile"]
JOBS = "/api/profile-bulk-import-jobs"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def twin(clock: ManualClock) -> Iterator[KlaviyoTwin]:
    with KlaviyoTwin(api_key="klaviyo-key-1", clock=clock) as running:
        yield running


class Engine:
    """Delivers chunks by the real engine, over a clock that sleeping moves on."""

    def __init__(self, folder: Path, twin: KlaviyoTwin, clock: ManualClock) -> None:
        self.store, self.twin, self.clock = FolderStore(folder), twin, clock
        self.chunks = 0

    def send(self, action: str, columns: str, rows: list[list[Any]], *, left: float = 1e9, options: Any = None, **plan: Any) -> Delivery:
        """One chunk with these columns, all of them text or as they are."""
        account = account_of(DESTINATION, example.settings(self.twin.url, **(options or {})), self.clock)
        masks = [(name, "JSON") for name in columns.split()]
        key = put_chunk(self.store, plan_of(masks, action, idempotency=DESTINATION.actions[action].idempotency, **plan), rows, self.chunks)
        self.chunks += 1
        end = self.clock.monotonic() + left
        delivery = deliver(self.store, key, account, self.clock, left_seconds=lambda: end - self.clock.monotonic())
        for call in dict(zip(self.paths(), self.twin.log, strict=True)).values():
            if len(call.body) < 100_000:  # the official models take seconds for more
                validate(Request(call.method, self.twin.url + call.path, call.body))
        return delivery

    def outcome(self) -> tuple[int, list[tuple[str, str]]]:
        """Of the last chunk: how many rows were delivered, and the key and code of each that was rejected."""
        found = receipts_of(self.store, self.chunks - 1)
        assert found.rows == found.delivered + len(found.rejected)
        return found.delivered, [(str(row.key), row.code) for row in found.rejected]

    def paths(self) -> list[str]:
        """Method and path of what the twin was asked, in order."""
        return [f"{call.method} {urlsplit(call.path).path}" for call in self.twin.log]


@pytest.fixture
def engine(tmp_path: Path, twin: KlaviyoTwin, clock: ManualClock) -> Engine:
    return Engine(tmp_path, twin, clock)


def people(count: int) -> list[list[Any]]:
    return [[f"u{index}", "gold"] for index in range(count)]


# ── Profiles by jobs ────────────────────────────────────────────────────────────────────────


def test_a_job_is_polled_until_it_is_complete(engine: Engine, twin: KlaviyoTwin, clock: ManualClock) -> None:
    """Rows count as delivered when the job has ended, not when it was queued."""
    twin.job_seconds = 60
    assert engine.send("profile", "external_id tier", people(3)).status == "settled"
    assert engine.outcome() == (3, [])
    assert clock.slept == [5.0] * 12
    assert len(twin.log) == 13 and twin.violations == []
    assert sorted(found["properties"]["tier"] for found in twin.profiles.values()) == ["gold"] * 3


def test_many_profiles_are_few_requests(engine: Engine, twin: KlaviyoTwin) -> None:
    """10,000 a job: one request to start it and one to see that it is done."""
    engine.send("profile", "external_id tier", people(20_001))
    assert engine.outcome() == (20_001, [])
    assert len(twin.log) == 6


def test_late_failures_reject_their_rows_alone(engine: Engine, twin: KlaviyoTwin) -> None:
    """A job that is complete has failures in it: all pages of errors are read and joined back by what they echo."""
    twin.late_fault = lambda profile: "is banned" if int(profile["attributes"]["external_id"][1:]) % 4 == 0 else None
    engine.send("profile", "external_id tier", people(1000))
    delivered, rejected = engine.outcome()
    assert delivered == 750
    assert rejected == [(f"key-{index}", "refused_by_vendor") for index in range(0, 1000, 4)]
    cursors = [parse_qs(urlsplit(call.path).query).get("page[cursor]") for call in twin.log if "import-errors" in call.path]
    assert cursors == [None, ["100"], ["200"]]
    reasons = {row.reason for row in receipts_of(engine.store).rejected}
    assert reasons == {"Klaviyo refused this row: invalid: is banned"}


def test_a_failure_that_nothing_leads_back_to_is_found_by_halves(engine: Engine, twin: KlaviyoTwin) -> None:
    """Errors without the profile in them: one bad record is isolated, and its 15 neighbours are delivered."""
    twin.echoes = False
    twin.late_fault = lambda profile: "is banned" if profile["attributes"]["external_id"] == "u11" else None
    engine.send("profile", "external_id tier", people(16))
    assert engine.outcome() == (15, [("key-11", "refused_by_vendor")])


def test_a_malformed_profile_costs_only_itself(engine: Engine, twin: KlaviyoTwin) -> None:
    """Klaviyo checks more than we do: what it points at is rejected, the others go again at once."""
    at = "/data/attributes/profiles/data"
    errors = [{"code": "invalid", "source": {"pointer": f"{at}/{place}/attributes/location/timezone"}} for place in (1, 3)]
    twin.faults.append(Fault(response=Response(400, orjson.dumps({"errors": errors}))))
    engine.send("profile", "external_id tier", people(5))
    assert engine.outcome() == (3, [("key-1", "refused_by_vendor"), ("key-3", "refused_by_vendor")])
    assert engine.paths()[:2] == [f"POST {JOBS}"] * 2


def test_errors_that_come_one_by_one_use_up_no_attempts(engine: Engine, twin: KlaviyoTwin) -> None:
    """Were Klaviyo to name one item at a time, 30 bad rows would still not cost the good ones."""
    error = {"code": "invalid", "source": {"pointer": "/data/attributes/profiles/data/0/attributes/email"}}
    twin.faults.extend([Fault(response=Response(400, orjson.dumps({"errors": [error]})))] * 30)
    engine.send("profile", "external_id tier", people(40))
    delivered, rejected = engine.outcome()
    assert (delivered, len(rejected)) == (10, 30)


def test_a_cancelled_job_is_done_by_another(engine: Engine, twin: KlaviyoTwin) -> None:
    """Somebody stops the job in the dashboard: its rows go into new ones."""
    cancelled = {"data": {"attributes": {"status": "cancelled", "failed_count": 0}}}
    is_poll = lambda call: call.method == "GET" and "000" in call.path  # noqa: E731  # a name for what is looked for
    twin.faults.extend([Fault(response=Response(200, orjson.dumps(cancelled)), when=is_poll)] * 5)
    assert engine.send("profile", "external_id tier", people(4)).status == "settled"
    assert engine.outcome() == (4, [])
    assert engine.paths().count(f"POST {JOBS}") > 1


@pytest.mark.parametrize(
    "fault", [Fault(reset="before"), Fault(response=Response(503)), Fault(response=Response(429, b"", {"retry-after": "9"})),
              Fault(response=Response(404, b'{"errors": []}')), Fault(response=Response(200, b'{"data": {}}'))],
    ids=["reset", "503", "429", "not there yet", "half an answer"],
)  # fmt: skip
def test_a_fault_while_polling_starts_no_second_job(engine: Engine, twin: KlaviyoTwin, fault: Fault) -> None:
    """Only the question is asked again, not the work done again."""
    twin.faults.append(Fault(fault.response, fault.reset, when=lambda call: call.method == "GET"))
    engine.send("profile", "external_id tier", people(2))
    assert engine.outcome() == (2, [])
    assert engine.paths().count(f"POST {JOBS}") == 1


def test_a_key_that_may_not_read_jobs_is_refused(engine: Engine, twin: KlaviyoTwin) -> None:
    """The scopes to follow a job are missing: a person must act, and no row counts as delivered."""
    forbidden = Response(403, orjson.dumps({"errors": [{"code": "permission_denied", "detail": "Missing scope profiles:read"}]}))
    twin.faults.append(Fault(response=forbidden, when=lambda call: call.method == "GET"))
    delivery = engine.send("profile", "external_id tier", people(2))
    assert delivery.status == "refused" and "lists:read" in delivery.reason


def test_a_job_longer_than_the_function_is_taken_up_again(engine: Engine, twin: KlaviyoTwin, clock: ManualClock) -> None:
    """The function's time ends while the job runs: the chunk stays open, and the next call settles it."""
    twin.job_seconds = 100
    assert engine.send("profile", "external_id tier", people(2), left=62).status == "open"
    engine.chunks -= 1
    assert engine.send("profile", "external_id tier", people(2), left=1000).status == "settled"
    assert engine.outcome() == (2, [])
    assert len(twin.profiles) == 2


def test_unset_custom_properties_go_with_the_job(engine: Engine, twin: KlaviyoTwin) -> None:
    """A custom property is unset by `meta`, which a job knows."""
    engine.send("profile", "external_id tier", people(2))
    twin.log.clear()
    batch = [PROFILE.to_payload({"external_id": "u0", "tier": None}, example.settings(twin.url))]
    request = PROFILE.build(batch, example.settings(twin.url))
    validate(request)
    twin.answer(Call(request.method, JOBS, {name.lower(): value for name, value in request.headers.items()}, request.body))
    twin.state()
    assert [found["properties"] for found in twin.profiles.values()] == [{}, {"tier": "gold"}]


def test_klaviyos_own_attributes_are_unset_one_by_one(twin: KlaviyoTwin) -> None:
    """A job ignores nulls, so those rows go by the endpoint that knows them; the rest still goes by a job."""
    resolved = example.settings(twin.url)
    rows: list[dict[str, Any]] = [
        {"external_id": "a", "title": None},
        {"external_id": "b", "tier": "gold"},
        {"external_id": "c", "image": None},
    ]
    batch = [PROFILE.to_payload(row, resolved) for row in rows]
    request, note, asked = PROFILE.build(batch, resolved), "", []
    answer: Any = None
    for _ in range(10):
        validate(request)
        asked.append(f"{request.method} {urlsplit(request.url).path}")
        call = Call(request.method, request.url.removeprefix(twin.url), {k.lower(): v for k, v in request.headers.items()}, request.body)
        answer = PROFILE.read(twin.answer(call), batch, resolved, note)
        if not isinstance(answer, Follow):
            break
        request, note = answer.request, answer.note
    assert answer == Settled([DELIVERED] * 3)
    assert asked[:3] == ["POST /api/profile-import", "POST /api/profile-import", f"POST {JOBS}"]
    assert twin.violations == []


def test_too_many_of_those_are_halved() -> None:
    """A chain has a bounded length: a batch of thousands of nulls becomes many batches."""
    resolved = example.settings("http://127.0.0.1:9")
    batch = [PROFILE.to_payload({"external_id": f"u{index}", "title": None}, resolved) for index in range(201)]
    done = Response(200, b'{"data": {"type": "profile", "id": "1"}}')
    assert isinstance(PROFILE.read(done, batch, resolved, ""), Split)
    assert isinstance(PROFILE.read(done, batch[:200], resolved, ""), Follow)


def test_profiles_can_go_singly(engine: Engine, twin: KlaviyoTwin) -> None:
    """For a few rows now and then; a conflict of identifiers rejects the row that has it."""
    engine.send("profile", "external_id email", [["u1", "one@shop.example"], ["u2", "two@shop.example"]], options={"profiles": "single"})
    engine.send("profile", "external_id email", [["u1", "two@shop.example"], ["u3", "new@shop.example"]], options={"profiles": "single"})
    assert engine.outcome() == (1, [("key-0", "duplicate_profile")])
    assert set(engine.paths()) == {"POST /api/profile-import"}


def test_rows_of_one_person_are_one_profile_of_a_job(engine: Engine, twin: KlaviyoTwin) -> None:
    """Klaviyo may drop one of two: they are merged as if they came one after the other, and share the outcome."""
    columns = "email tier city"
    engine.send(
        "profile", columns, [["a@shop.example", "gold", "Bern"], ["b@shop.example", "new", None], ["A@shop.example", "platinum", None]]
    )
    assert engine.outcome() == (3, [])
    assert twin.violations == []
    assert [found["properties"] for found in twin.profiles.values()] == [{"tier": "platinum", "city": "Bern"}, {"tier": "new"}]


def test_merging_keeps_the_last_word() -> None:
    """Set and then unset is unset; unset and then set is set."""
    resolved = example.settings("http://127.0.0.1:9")
    rows: list[dict[str, Any]] = [{"email": "a@s.ex", "x": 1, "y": None}, {"email": "a@s.ex", "x": None, "y": 2}]
    body = PROFILE.build([PROFILE.to_payload(row, resolved) for row in rows], resolved).body
    [profile] = orjson.loads(body)["data"]["attributes"]["profiles"]["data"]
    assert profile["attributes"]["properties"] == {"y": 2}
    assert profile["meta"] == {"patch_properties": {"unset": ["x"]}}


@pytest.mark.parametrize(
    "answer",
    [Response(202, b'{"data": {}}'), Response(202), Response(202, b'{"data": {"id": 7}}'), Response(200, b'{"data": {"id": "J"}}')],
)
def test_a_job_without_an_id_was_not_started(answer: Response) -> None:
    """Nothing to follow, nothing delivered."""
    resolved = example.settings("http://127.0.0.1:9")
    assert isinstance(PROFILE.read(answer, [PROFILE.to_payload({"external_id": "u"}, resolved)], resolved, ""), TryAgain)


def test_the_next_page_is_asked_of_the_same_host() -> None:
    """Our key never follows a link to another host."""
    resolved = example.settings("http://127.0.0.1:9")
    batch = [PROFILE.to_payload({"external_id": f"u{index}"}, resolved) for index in range(2)]
    started = PROFILE.read(Response(202, b'{"data": {"id": "J/1"}}'), batch, resolved, "")
    assert isinstance(started, Follow) and started.request.url == f"http://127.0.0.1:9{JOBS}/J%2F1"
    job = {"data": {"attributes": {"status": "complete", "failed_count": 2}}}
    errors = PROFILE.read(Response(200, orjson.dumps(job)), batch, resolved, started.note)
    assert isinstance(errors, Follow)
    page = {
        "data": [{"attributes": {"original_payload": {"external_id": "u1"}}}],
        "links": {"next": "https://evil.example/?page[cursor]=c%26d"},
    }
    following = PROFILE.read(Response(200, orjson.dumps(page)), batch, resolved, errors.note)
    assert isinstance(following, Follow)
    assert urlsplit(following.request.url).netloc == "127.0.0.1:9"
    assert parse_qs(urlsplit(following.request.url).query)["page[cursor]"] == ["c&d"]


# ── Events ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("events", ["bulk", "single"])
@pytest.mark.parametrize("repeats", ["discard", "refuse"])
def test_events_arrive_once_though_an_answer_was_lost(engine: Engine, twin: KlaviyoTwin, events: str, repeats: Any) -> None:
    """The unique_id is derived from the row: the second try changes nothing, whichever of Klaviyo's pages is right."""
    twin.repeats = repeats
    twin.faults.append(Fault(reset="after"))
    rows = [[f"u{index}@shop.example", "Bought", "2026-02-01T00:00:00Z"] for index in range(5)]
    engine.send("event", "email name time", rows, options={"events": events})
    assert engine.outcome() == (5, [])
    assert len(twin.events) == 5
    assert twin.violations == []


def test_a_thousand_events_a_request(engine: Engine, twin: KlaviyoTwin) -> None:
    """As many as a request takes."""
    rows = [[f"u{index}@shop.example", "Bought", "2026-02-01T00:00:00Z"] for index in range(2_500)]
    engine.send("event", "email name time", rows)
    assert engine.outcome() == (2_500, [])
    assert engine.paths() == ["POST /api/event-bulk-create-jobs"] * 3


def test_what_only_klaviyo_can_know_is_rejected_row_by_row(engine: Engine, twin: KlaviyoTwin) -> None:
    """More than a year ahead: a destination has no clock, so Klaviyo says it, and the others go on."""
    rows = [["a@shop.example", "Bought", "2026-02-01T00:00:00Z"], ["b@shop.example", "Bought", "2030-01-01T00:00:00Z"]]
    engine.send("event", "email name time", rows)
    assert engine.outcome() == (1, [("key-1", "refused_by_vendor")])
    assert len(twin.events) == 1


# ── Consent, lists, deletion ────────────────────────────────────────────────────────────────


def test_consents_are_grouped_by_what_holds_for_a_request(engine: Engine, twin: KlaviyoTwin) -> None:
    """Subscribed and unsubscribed, with a list and without: a request for each group, one outcome for each row."""
    rows = [[f"u{index}@shop.example", index % 2 == 0, "VRgFBd" if index % 4 == 0 else None] for index in range(400)]
    engine.send("subscription", "email status list", rows)
    assert engine.outcome() == (400, [])
    assert sorted(engine.paths()) == [
        *["POST /api/profile-subscription-bulk-create-jobs"] * 2,
        *["POST /api/profile-subscription-bulk-delete-jobs"] * 2,
    ]
    assert list(twin.consent.values()).count("SUBSCRIBED") == 200
    assert len(twin.lists["VRgFBd"]) == 100
    assert twin.violations == []


def test_people_join_and_leave_a_list_by_their_address(engine: Engine, twin: KlaviyoTwin) -> None:
    """Who joins comes by a job with the list; who leaves is looked up, fifty at a time; strangers have nothing to leave."""
    engine.send("audience", "email audience member", [[f"u{index}@shop.example", "vip", True] for index in range(120)])
    assert engine.outcome() == (120, [])
    assert len(twin.lists["VRgFBd"]) == 120
    twin.log.clear()
    leaving = [[f"u{index}@shop.example", "vip", False] for index in range(110)] + [["stranger@shop.example", "vip", False]]
    engine.send("audience", "email audience member", leaving)
    assert engine.outcome() == (111, [])
    assert len(twin.lists["VRgFBd"]) == 10
    assert engine.paths() == ["GET /api/profiles", "DELETE /api/lists/VRgFBd/relationships/profiles"] * 3
    assert twin.violations == []


@pytest.mark.parametrize(("field", "who"), [("external_id", 'the "one", é&='), ("phone_number", "+14155551234")])
def test_any_identifier_is_found_again(engine: Engine, twin: KlaviyoTwin, field: str, who: str) -> None:
    """Quotes, signs and letters of all kinds survive the filter."""
    engine.send("audience", f"{field} audience member", [[who, "VRgFBd", True]])
    assert len(twin.lists["VRgFBd"]) == 1
    engine.send("audience", f"{field} audience member", [[who, "VRgFBd", False]])
    assert twin.lists["VRgFBd"] == set()


def test_profile_ids_need_no_look_up(engine: Engine, twin: KlaviyoTwin) -> None:
    """An id that Klaviyo does not know has the whole call refused, without saying where: halves find it."""
    engine.send("profile", "external_id tier", people(7))
    known = list(twin.profiles)
    engine.send("audience", "profile_id audience member", [[one, "VRgFBd", True] for one in [*known, "unknown"]])
    assert engine.outcome() == (7, [("key-7", "refused_by_vendor")])
    engine.send("audience", "profile_id audience member", [[one, "VRgFBd", False] for one in known])
    assert (engine.outcome(), twin.lists["VRgFBd"]) == ((7, []), set())


def test_a_list_that_does_not_exist_stops_the_run(engine: Engine, twin: KlaviyoTwin) -> None:
    """No row can help it: a person must name another list."""
    twin.only_these_lists = True
    delivery = engine.send("audience", "email audience member", [["a@shop.example", "NoSuch", True]])
    assert delivery.status == "refused" and "does not exist" in delivery.reason


def test_deletion_by_every_identifier(engine: Engine, twin: KlaviyoTwin) -> None:
    """One request for each person; by external id two, as the deletion knows no such; who is not there is gone."""
    engine.send("profile", "external_id email", [["u1", "one@shop.example"], ["u2", "two@shop.example"], ["u3", "three@shop.example"]])
    third = next(found["id"] for found in twin.profiles.values() if found["external_id"] == "u3")
    engine.send("delete", "external_id", [["u1"], ["unknown"]])
    assert engine.outcome() == (2, [])
    engine.send("delete", "email", [["two@shop.example"]])
    engine.send("delete", "profile_id", [[third]])
    assert twin.profiles == {}
    assert len(twin.deleted) == 3
