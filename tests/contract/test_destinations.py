"""One suite for every destination: whatever the rows and whatever the answers, one outcome per row.

A vendor's author writes `tests/support/vendors/<vendor>.py` with `settings(base_url)` (resolved, pointing
at a twin), `ROWS` (for each action rows that its vendor takes gladly) and `TWIN` (the twin's class), and
this suite does the rest. A vendor without that file fails. `ANSWERS_ARE_TEXT = True` there says that answers
are not JSON, so that a cut one can not be told.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC
from types import ModuleType
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry import destinations
from rowferry.destinations.port import Delivered, Fields, Refused, Rejected, Settled, SlowDown, Split, TryAgain
from rowferry.errors import RowRejected
from rowferry.settings.base import Secret
from rowferry.twins.server import Fault, Twin
from rowferry.wire import Response
from support.sender import Stopped, TinySender, send

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
PLANTED = "planted-7f3a9c"


def examples(vendor: str) -> ModuleType:
    """What the vendor's author offers this suite."""
    return importlib.import_module(f"support.vendors.{vendor}")


def each(cases: list[tuple[str, str]]) -> pytest.MarkDecorator:
    """The test runs for each of these actions of vendors."""
    return pytest.mark.parametrize(("vendor", "name"), cases, ids=[f"{vendor}-{action}" for vendor, action in cases])


CASES = [(vendor, action) for vendor in destinations.vendors() for action in destinations.find(vendor).actions]
by_vendor = pytest.mark.parametrize("vendor", destinations.vendors())
by_action = each(CASES)
by_action_with_json = each([case for case in CASES if not getattr(examples(case[0]), "ANSWERS_ARE_TEXT", False)])


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One client for the whole suite: connections are kept, as the engine keeps them."""
    with httpx.Client(timeout=300) as client:
        yield client


@pytest.fixture
def twin(vendor: str) -> Iterator[Twin]:
    """The vendor's twin, fresh."""
    with examples(vendor).TWIN() as twin:
        yield twin


@pytest.fixture
def sender(vendor: str, name: str, twin: Twin, client: httpx.Client) -> TinySender:
    """A sender of this action to the twin."""
    return TinySender(destinations.find(vendor).actions[name], examples(vendor).settings(twin.url), client)


def rows_of(vendor: str, name: str) -> list[Fields]:
    """The rows that the vendor takes gladly."""
    rows: list[Fields] = examples(vendor).ROWS[name]
    assert rows, f"support/vendors/{vendor}.py offers no row for {name}"
    return rows


def assert_all_delivered(outcomes: list[Any], twin: Twin) -> None:
    assert [outcome for outcome in outcomes if not isinstance(outcome, Delivered)] == []
    assert twin.violations == []


# ── What the value says of itself ───────────────────────────────────────────────────────────


@by_vendor
def test_every_vendor_offers_examples_for_every_action(vendor: str) -> None:
    """Nobody can add an action that this suite does not see."""
    assert set(examples(vendor).ROWS) == set(destinations.find(vendor).actions)


@by_vendor
def test_a_destination_is_named_as_its_file(vendor: str) -> None:
    """The settings' `vendor`, the file, the value and its settings' model agree."""
    destination = destinations.find(vendor)
    assert destination.vendor == vendor
    assert destination.settings.model_fields["vendor"].annotation.__args__ == (vendor,)
    assert all(action.name == name for name, action in destination.actions.items())
    assert destination.remove_action is None or destination.remove_action in destination.actions
    assert destination.audience in (None, "attribute", "action")
    assert destination.audience != "action" or "audience" in destination.actions
    assert destination.audience != "attribute" or "profile" in destination.actions


@by_action
def test_maps_of_good_rows_have_no_problems(vendor: str, name: str) -> None:
    """`check` says nothing about the maps of the examples, with their types unknown."""
    action = destinations.find(vendor).actions[name]
    for row in rows_of(vendor, name):
        assert list(action.check(dict.fromkeys(row), examples(vendor).settings("http://127.0.0.1:9"))) == []


@by_action
def test_an_empty_map_is_a_problem_and_no_crash(vendor: str, name: str) -> None:
    """A map without any field identifies nobody: `check` says so before anything runs."""
    action, resolved = destinations.find(vendor).actions[name], examples(vendor).settings("http://127.0.0.1:9")
    assert list(action.check({}, resolved)) != []
    assert action.identifiers([], resolved) == frozenset()


@by_action
def test_identifiers_are_among_the_mapped_names(vendor: str, name: str) -> None:
    """The engine adds the identifiers to every payload: they must be fields that are there."""
    action, resolved = destinations.find(vendor).actions[name], examples(vendor).settings("http://127.0.0.1:9")
    for row in rows_of(vendor, name):
        assert action.identifiers(list(row), resolved) <= row.keys()


@by_action
def test_a_row_without_its_identifiers_is_rejected(vendor: str, name: str) -> None:
    """An identifier that is NULL is not replaced by the next best field: the row would reach somebody else."""
    action, resolved = destinations.find(vendor).actions[name], examples(vendor).settings("http://127.0.0.1:9")
    for row in rows_of(vendor, name):
        if mapped := action.identifiers(list(row), resolved):
            with pytest.raises(RowRejected):
                action.to_payload({**row, **dict.fromkeys(mapped)}, resolved)


@each([case for case in CASES if case[1] in ("profile", "group", "subscription", "audience")])
def test_what_changed_leaves_with_all_that_it_needs(sender: TinySender, twin: Twin, vendor: str, name: str) -> None:
    """With `send: changed` a row's identifiers and one changed field must do: whatever else the vendor needs is an identifier."""
    for row in rows_of(vendor, name):
        always = sender.action.identifiers(list(row), sender.settings)
        for changed in row.keys() - always:
            assert_all_delivered(sender.deliver([{field: row[field] for field in row if field in always or field == changed}]), twin)


@by_action
def test_an_empty_row_is_rejected(vendor: str, name: str) -> None:
    """A row of nothing never leaves, and never crashes a run."""
    action, resolved = destinations.find(vendor).actions[name], examples(vendor).settings("http://127.0.0.1:9")
    with pytest.raises(RowRejected):
        action.to_payload({}, resolved)


# ── Batches ─────────────────────────────────────────────────────────────────────────────────


@by_action
def test_no_rows_make_no_request(sender: TinySender, vendor: str, name: str) -> None:
    """An empty batch is not sent."""
    assert sender.deliver([]) == []
    assert sender.requests == []


@by_action
def test_each_good_row_is_delivered(sender: TinySender, twin: Twin, vendor: str, name: str) -> None:
    """One row a request, as the last batch of a run often is."""
    for row in rows_of(vendor, name):
        assert_all_delivered(sender.deliver([row]), twin)


@by_action
def test_a_full_batch_goes_in_one_and_one_row_more_in_two(sender: TinySender, twin: Twin, vendor: str, name: str) -> None:
    """The limit of rows is the vendor's: not one fewer, not one more."""
    row = rows_of(vendor, name)[0]
    payload = sender.action.to_payload(row, sender.settings)
    limits = sender.action.limits(sender.settings)
    full = min(limits.batch_rows, (limits.body_bytes - limits.envelope_bytes) // (len(payload) + 1))
    assert_all_delivered(sender.deliver([row] * full), twin)
    alone = len(sender.requests)
    assert_all_delivered(sender.deliver([row] * (full + 1)), twin)
    assert len(sender.requests) == alone + 2 * alone


@by_action
def test_a_body_is_never_larger_than_its_parts_say(sender: TinySender, vendor: str, name: str) -> None:
    """The engine counts payloads, a comma each, and the envelope: with that a body keeps its limit to the byte."""
    limits = sender.action.limits(sender.settings)
    payloads = [sender.action.to_payload(row, sender.settings) for row in rows_of(vendor, name)]
    for count in {1, min(2, limits.batch_rows), limits.batch_rows}:
        batch = (payloads[:1] * count)[:count]
        request = sender.action.build(batch, sender.settings)
        assert len(request.body) <= limits.envelope_bytes + sum(len(payload) + 1 for payload in batch)


# ── Answers ─────────────────────────────────────────────────────────────────────────────────

STRANGE_BODIES = [
    b"", HTML, b'{"message": "succ', b"null", b"[]", b"{}", b'"text"', b"7", b"\xff\xfe", b'{"errors": []}', b'{"errors": {}}',
    b'{"errors": ["no"]}', b'{"errors": [{"index": -1}]}', b'{"errors": [{"index": "0"}]}', b'{"errors": [{"index": 10000}]}',
    b'{"errors": [null]}', b'{"errors": "no"}', b'{"status": "fail"}', b'{"status": 7}', b'{"message": null}', b'{"data": null}',
    b'{"error": {"code": 1}}', b'{"unprocessed": [null]}', b'{"unprocessed": 3}', b"ok",
]  # fmt: skip
STATUSES = [
    200,
    201,
    202,
    204,
    301,
    400,
    401,
    402,
    403,
    404,
    405,
    406,
    408,
    409,
    410,
    413,
    415,
    422,
    425,
    429,
    431,
    500,
    502,
    503,
    504,
    529,
]


@by_action
@pytest.mark.parametrize("status", STATUSES)
def test_every_answer_is_read_and_gives_one_outcome_per_row(sender: TinySender, vendor: str, name: str, status: int) -> None:
    """HTML, cut-off JSON, wrong shapes: no answer crashes, and none settles more or fewer rows than were sent."""
    row = sender.action.to_payload(rows_of(vendor, name)[0], sender.settings)
    batch = [row] * min(3, sender.action.limits(sender.settings).batch_rows)
    for body in STRANGE_BODIES:
        answer = sender.action.read(Response(status, body, {}), batch, sender.settings, "")
        if isinstance(answer, Settled):
            assert len(answer.outcomes) == len(batch)
            assert status < 500, "a server error says nothing about rows"
        if isinstance(answer, Refused):
            assert status >= 300, "success is no refusal"


@by_action
@pytest.mark.parametrize(
    ("status", "kinds"),
    [(401, (Refused,)), (413, (Split,)), (429, (SlowDown,)), (500, (TryAgain,)), (502, (TryAgain,)), (504, (TryAgain,))],
)
def test_what_a_page_of_html_means_by_its_status(sender: TinySender, vendor: str, name: str, status: int, kinds: tuple[type, ...]) -> None:
    """A gateway's page has only its status: stop, split, slow down or try again."""
    batch = [sender.action.to_payload(rows_of(vendor, name)[0], sender.settings)]
    answer = sender.action.read(Response(status, HTML, {}), batch, sender.settings, "")
    assert isinstance(answer, kinds)
    assert not isinstance(answer, Split) or answer.too_large


@by_action
def test_a_page_with_status_200_is_no_delivery(sender: TinySender, vendor: str, name: str) -> None:
    """A proxy's sign-in page is not the vendor's answer: nothing counts as delivered."""
    batch = [sender.action.to_payload(rows_of(vendor, name)[0], sender.settings)]
    assert isinstance(sender.action.read(Response(200, HTML, {}), batch, sender.settings, ""), TryAgain)


@by_action_with_json
@pytest.mark.parametrize("body", [b"", b'{"message": "succ', b'{"status" : "success", "message":"succ'])
def test_half_an_answer_is_no_delivery(sender: TinySender, vendor: str, name: str, body: bytes) -> None:
    """A success that was cut off could have hidden errors: the request goes again."""
    batch = [sender.action.to_payload(rows_of(vendor, name)[0], sender.settings)]
    assert isinstance(sender.action.read(Response(200, body, {}), batch, sender.settings, ""), TryAgain)


FAULTS = {
    "reset before apply": Fault(reset="before"),
    "reset after apply": Fault(reset="after"),
    "502 with HTML": Fault(response=Response(502, HTML, {"content-type": "text/html"})),
    "500 without a body": Fault(response=Response(500)),
    "429": Fault(response=Response(429, b"", {"retry-after": "7"})),
    "503": Fault(response=Response(503, b"{}")),
}


@by_action
@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_costs_no_row(sender: TinySender, twin: Twin, vendor: str, name: str, fault: str) -> None:
    """Each fault, once: afterwards every row is delivered."""
    twin.faults.append(FAULTS[fault])
    assert_all_delivered(sender.deliver(rows_of(vendor, name)[:1]), twin)
    assert len(sender.requests) >= 2
    if fault == "429":
        assert sender.waits == [7.0]


@by_action
def test_a_refused_key_stops_everything(sender: TinySender, twin: Twin, vendor: str, name: str) -> None:
    """After 401 nothing more is sent, and no row gets an outcome that it has not earned."""
    twin.faults.extend([Fault(response=Response(401, b'{"message": "no such key"}'))] * 2)
    with pytest.raises(Stopped):
        sender.deliver(rows_of(vendor, name))


# ── Rows of every kind ──────────────────────────────────────────────────────────────────────

texts = st.text(max_size=40) | st.sampled_from(
    ["", " ", "\x00", "\ud800", "é" * 256, "🐘" * 255, "🐘" * 256, "x" * 1025, "1e400", "<!channel>", "$a"]
)
numbers = st.integers() | st.integers(-(2**53) - 1, 2**53 + 1) | st.floats() | st.decimals() | st.booleans()
# A TIMESTAMP comes aware and in UTC, a DATETIME without a zone.
moments = st.datetimes(timezones=st.just(UTC)) | st.datetimes() | st.dates() | st.times()
scalars = st.none() | texts | numbers | moments | st.binary(max_size=20)
keys = st.text(max_size=12) | st.sampled_from(["inc", "$add", "a b", "time", "x" * 256])
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5), max_leaves=12)
names = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["email", "phone", "name", "time", "dob", "country", "gender", "birthday", "bio", "$set", " a ", "a" * 300, "Identity", "tier", "a.b"]
)


@by_action
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_rows_of_every_type_keep_the_vendors_rules(sender: TinySender, twin: Twin, vendor: str, name: str, data: st.DataObject) -> None:
    """Whatever a warehouse can hold: the twin sees no rule broken, and each row ends delivered or rejected."""
    rows = []
    for row in rows_of(vendor, name):
        replaced = data.draw(st.dictionaries(st.sampled_from(sorted(row)), values, max_size=3))
        added = data.draw(st.dictionaries(names, values, max_size=3))
        rows.append({**added, **row, **replaced})
    outcomes = sender.deliver(rows)
    assert all(isinstance(outcome, Delivered | Rejected) for outcome in outcomes)
    assert twin.violations == []


@by_action
def test_text_at_the_limits_in_every_field(sender: TinySender, twin: Twin, vendor: str, name: str) -> None:
    """Texts of many bytes, long texts, blanks, half pairs in each field: delivered whole, or rejected with a reason."""
    for row in rows_of(vendor, name):
        for field in row:
            for text in ("🐘" * 200, "é" * 255, "é" * 256, "x" * 70_000, "", " ", "\u2028\x00", "\ud83d"):
                [outcome] = sender.deliver([{**row, field: text}])
                assert isinstance(outcome, Delivered | Rejected)
    assert twin.violations == []


@by_action
def test_a_reason_never_holds_the_rows_value(sender: TinySender, vendor: str, name: str) -> None:
    """A rejected row's reason names field and limit; what the row holds stays out of every error text."""
    for row in rows_of(vendor, name):
        for field in row:
            for value in (
                PLANTED * 10_000,
                [PLANTED, {PLANTED: b"x"}],
                {PLANTED: PLANTED, "a b": PLANTED},
                PLANTED + "\ud800",
                PLANTED.encode(),
            ):
                try:
                    sender.action.to_payload({**row, field: value}, sender.settings)
                except RowRejected as rejected:
                    assert PLANTED not in str(rejected) + rejected.code


# ── Keys ────────────────────────────────────────────────────────────────────────────────────


def secrets_of(resolved: Any) -> list[str]:
    return [value.reveal() for _, value in resolved if isinstance(value, Secret)]


@by_action
def test_no_repr_shows_a_key(sender: TinySender, vendor: str, name: str) -> None:
    """Settings and requests can be printed."""
    request = sender.action.build([sender.action.to_payload(rows_of(vendor, name)[0], sender.settings)], sender.settings)
    shown = repr(sender.settings) + str(sender.settings) + repr(request) + sender.settings.model_dump_json()
    assert all(secret not in shown for secret in secrets_of(sender.settings))


@each([case for case in CASES if case[1] in ("event", "notice")])
def test_a_stand_in_without_a_log_shows_what_it_was_sent(sender: TinySender, twin: Twin, vendor: str, name: str) -> None:
    """In a rehearsal nobody keeps every call, and a person wants to see the last of what came."""
    twin.keep_log = False
    row = rows_of(vendor, name)[0]
    assert_all_delivered(sender.deliver([row]), twin)
    assert str(row.get("name") or row.get("text") or row["email"]) in orjson.dumps(twin.state(), default=str).decode()


@by_vendor
def test_a_probe_shows_whether_the_key_works_and_changes_nothing(vendor: str, twin: Twin, client: httpx.Client) -> None:
    """`rowferry check --live` can be run at any time."""
    destination, resolved = destinations.find(vendor), examples(vendor).settings(twin.url)
    before = {key: value for key, value in twin.state().items() if key != "requests"}
    assert destination.read_probe(send(client, destination.probe(resolved))) is None
    assert {key: value for key, value in twin.state().items() if key != "requests"} == before
    twin.faults.append(Fault(response=Response(401, b'{"message": "no such key"}')))
    assert destination.read_probe(send(client, destination.probe(resolved)))
