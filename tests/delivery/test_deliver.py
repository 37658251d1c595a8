"""A chunk's way to its receipts against Braze's stand-in: every answer, every kind of break."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import orjson
import pytest

from rowferry.clock import ManualClock
from rowferry.delivery import claim as claims
from rowferry.delivery.account import Account
from rowferry.delivery.runs import Run
from rowferry.errors import TryLater
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Object
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Call, Fault
from rowferry.wire import Response
from support.chunks import deliver, plan_of, put_chunk, receipts_of

COLUMNS = [("external_id", "STRING"), ("tier", "STRING")]


def people(count: int) -> list[list[str]]:
    return [[f"u{index}", "gold"] for index in range(count)]


def has_user(name: str) -> object:
    return lambda call: f'"{name}"'.encode() in call.body


def test_every_row_is_delivered_once(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """A plain chunk goes out in full batches and leaves receipts, and nothing else behind."""
    key = put_chunk(store, plan_of(COLUMNS), people(200))
    assert deliver(store, key, account, clock).status == "settled"
    found = receipts_of(store)
    assert (found.rows, found.delivered, found.requests, found.resent) == (200, 200, 3, 0)
    assert len(twin.profiles) == 200
    assert [o.key for o in store.list() if o.key.startswith(("claims/", "journal/"))] == []


def test_a_repeat_sends_nothing(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """The same event twice: the second finds the receipts."""
    key = put_chunk(store, plan_of(COLUMNS), people(10))
    deliver(store, key, account, clock)
    assert deliver(store, key, account, clock).status == "settled"
    assert twin.requests == 1


def test_a_worker_that_comes_as_another_ends_sends_nothing(
    tmp_path: Path, twin: BrazeTwin, account: Account, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two events at once: the one that saw no receipts yet, and takes the claim once the other has given it back."""
    store = FolderStore(tmp_path)
    key = put_chunk(store, plan_of(COLUMNS), people(10))
    take = claims.take

    def take_late(*arguments: Any) -> claims.Claim:
        monkeypatch.setattr(claims, "take", take)
        assert deliver(store, key, account, clock).status == "settled"
        return take(*arguments)

    monkeypatch.setattr(claims, "take", take_late)
    assert deliver(store, key, account, clock).status == "settled"
    assert twin.requests == 1
    assert [found.key for found in store.list("claims/")] == []


def test_rows_named_in_a_201_are_rejected_and_their_neighbours_delivered(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock
) -> None:
    """A 201 with errors[] is no success for the rows it names (facts of Braze, section 5)."""
    body = {"message": "success", "errors": [{"type": "EMAIL_BAD_FORMAT", "input_array": "attributes", "index": 3}]}
    twin.faults.append(Fault(response=Response(201, orjson.dumps(body))))
    deliver(store, put_chunk(store, plan_of(COLUMNS), people(10)), account, clock)
    found = receipts_of(store)
    assert found.delivered == 9
    assert [(row.id, row.key) for row in found.rejected] == [("row-3", "key-3")]
    assert "EMAIL_BAD_FORMAT" in found.rejected[0].reason


def test_a_400_for_all_rejects_by_index(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """A 400 that names every object rejects each of them, without another request."""
    errors = [{"type": "bad", "input_array": "attributes", "index": index} for index in range(4)]
    message = "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields."
    twin.faults.append(Fault(response=Response(400, orjson.dumps({"message": message, "errors": errors}))))
    deliver(store, put_chunk(store, plan_of(COLUMNS), people(4)), account, clock)
    assert (receipts_of(store).delivered, len(receipts_of(store).rejected), twin.requests) == (0, 4, 1)


def test_an_unattributable_400_finds_the_one_row(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """A 400 that names nobody is halved until the one row stands alone; its 74 neighbours get through."""
    poison = Fault(response=Response(400, b'{"message":"something is wrong"}'), when=has_user("u33"))  # type: ignore[arg-type]  # a test's lambda
    twin.faults.extend([poison] * 20)
    deliver(store, put_chunk(store, plan_of(COLUMNS), people(75)), account, clock)
    found = receipts_of(store)
    assert [row.id for row in found.rejected] == ["row-33"]
    assert found.delivered == 74
    assert twin.requests <= 2 * 7 + 1


def test_a_502_with_html_is_tried_again(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """A broken gateway's page is a passing fault: wait, send again, nothing rejected."""
    twin.faults.append(Fault(response=Response(502, b"<html>Bad Gateway</html>", {"content-type": "text/html"})))
    deliver(store, put_chunk(store, plan_of(COLUMNS), people(5)), account, clock)
    assert receipts_of(store).delivered == 5
    assert len(clock.slept) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-retry-after": "7"}, 7),
        ({"retry-after": "9"}, 9),
        ({"x-ratelimit-reset": "11"}, 11),
        ({"x-ratelimit-reset": "1767225625", "date": formatdate(1767225600, usegmt=True)}, 25),
    ],
)
def test_a_429_waits_as_told_and_is_no_attempt(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock, headers: dict[str, str], seconds: float
) -> None:
    """Each form of Braze's headers gives the wait; many rate limits in a row use up no attempts."""
    twin.faults.extend([Fault(response=Response(429, b"{}", headers))] * 8)
    deliver(store, put_chunk(store, plan_of(COLUMNS), people(5)), account, clock)
    assert receipts_of(store).delivered == 5
    assert sum(clock.slept) == pytest.approx(8 * seconds)


def test_a_429_longer_than_the_function_lives_hands_back(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """An hourly window does not fit a function's life: the chunk stays, says when to come back, and resumes."""
    twin.faults.append(Fault(response=Response(429, b"{}", {"x-ratelimit-retry-after": "3000"})))
    key = put_chunk(store, plan_of(COLUMNS), people(5))
    found = deliver(store, key, account, clock, left_seconds=lambda: 500.0)
    assert (found.status, found.wait_seconds) == ("open", 3000)
    clock.sleep(3000)
    assert deliver(store, key, account, clock).status == "settled"
    assert receipts_of(store).resent == 0


def test_a_429_without_end_is_no_wait_without_end(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """A vendor that only ever asks for pauses is left alone after `retry_for`, says so, and loses no row."""
    twin.faults.extend([Fault(response=Response(429, b"slow down"))] * 500)
    key = put_chunk(store, plan_of(COLUMNS), people(5))
    found = deliver(store, key, account, clock)
    assert found.status == "open"
    assert "429" in found.reason
    assert sum(clock.slept) <= account.settings.retry_for
    twin.faults.clear()
    assert deliver(store, key, account, clock).status == "settled"


def test_a_reset_after_the_request_was_applied_counts_as_resent(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock
) -> None:
    """An answer that never came leaves it open whether the rows arrived: they go out again, and that is counted."""
    twin.faults.append(Fault(reset="after"))
    deliver(store, put_chunk(store, plan_of(COLUMNS), people(5)), account, clock)
    found = receipts_of(store)
    assert (found.delivered, found.resent, found.requests) == (5, 5, 2)


def test_a_401_stops_at_once_and_the_repeat_resumes(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """A refused key ends the work, keeps what was delivered, and the same call goes on after the fix."""
    key = put_chunk(store, plan_of(COLUMNS), people(300))
    twin.faults.append(Fault(response=Response(401, b'{"message":"Invalid API key"}'), when=has_user("u150")))  # type: ignore[arg-type]  # a test's lambda
    found = deliver(store, key, account, clock)
    assert found.status == "refused"
    delivered = set(twin.profiles)
    assert deliver(store, key, account, clock).status == "settled"
    sent_twice = [u for u in delivered if sum(f'"{u}"'.encode() in call.body for call in twin.log) > 1]
    assert receipts_of(store).delivered == 300
    assert sent_twice == []


def test_a_vendor_that_is_down_leaves_the_chunk_open(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """When nothing gets through, nothing is rejected, the number of requests stays bounded, and a later call delivers."""
    twin.faults.extend([Fault(response=Response(503, b"down"))] * 500)
    key = put_chunk(store, plan_of(COLUMNS), people(300))
    found = deliver(store, key, account, clock)
    assert found.status == "open"
    assert twin.requests < 100
    twin.faults.clear()
    assert deliver(store, key, account, clock).status == "settled"
    assert receipts_of(store).delivered == 300


def test_a_row_that_breaks_the_vendor_is_isolated(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """A 500 that one row causes every time rejects that row alone, once others are seen to get through."""
    poison = Fault(response=Response(500, b"oops"), when=has_user("u7"))  # type: ignore[arg-type]  # a test's lambda
    twin.faults.extend([poison] * 100)
    deliver(store, put_chunk(store, plan_of(COLUMNS), people(75)), account, clock)
    found = receipts_of(store)
    assert [(row.id, row.code) for row in found.rejected] == [("row-7", "server_error")]
    assert found.delivered == 74


def test_rows_that_we_reject_never_leave(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """What Braze would cut without a word is rejected here, in order with the rest."""
    rows = people(5)
    rows[2][1] = "x" * 300
    deliver(store, put_chunk(store, plan_of(COLUMNS), rows), account, clock)
    found = receipts_of(store)
    assert [row.id for row in found.rejected] == ["row-2"]
    assert "255" in found.rejected[0].reason
    assert "xxx" not in found.rejected[0].reason


def test_only_rejected_rows_need_no_request(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """A chunk in which no row can be sent still ends in receipts."""
    deliver(store, put_chunk(store, plan_of(COLUMNS), [["", "x" * 300]] * 1200), account, clock)
    assert (len(receipts_of(store).rejected), twin.requests) == (1200, 0)


def test_a_chunk_that_is_worked_on_is_left_alone(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """A second worker finds the claim and leaves; the first one's work is not touched."""
    key = put_chunk(store, plan_of(COLUMNS), people(5))
    seen: list[str] = []

    def meanwhile(call: Call) -> bool:
        seen.append(deliver(store, key, account, clock).status)
        return False

    twin.faults.append(Fault(when=meanwhile))
    deliver(store, key, account, clock)
    assert seen == ["held"]
    assert twin.requests == 1


def test_a_chunk_that_is_gone_is_no_error(store: FolderStore, account: Account, clock: ManualClock) -> None:
    """A late event for a run that was closed and cleared ends quietly."""
    assert deliver(store, "outbox/d1/2/s1/r1/00000.jsonl.gz", account, clock).status == "gone"


def test_a_store_that_fails_while_working_loses_nothing(
    tmp_path: Path, twin: BrazeTwin, account: Account, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When outcomes can't be made durable the work stops, and the repeat re-sends at most what was in flight."""
    store = FolderStore(tmp_path)
    key = put_chunk(store, plan_of(COLUMNS), people(1500))
    create, calls = FolderStore.create, [0]

    def failing(self: FolderStore, name: str, data: bytes) -> str:
        calls[0] += name.startswith("journal/")
        if name.startswith("journal/") and calls[0] > 5:
            raise TryLater("the disk is full")
        return create(self, name, data)

    monkeypatch.setattr(FolderStore, "create", failing)
    with pytest.raises(TryLater):
        deliver(store, key, account, clock)
    monkeypatch.setattr(FolderStore, "create", create)
    assert deliver(store, key, account, clock).status == "settled"
    sent = sum(len(orjson.loads(call.body)["attributes"]) for call in twin.log)
    assert receipts_of(store).delivered == 1500
    assert sent - 1500 <= account.in_flight * 75


class _Raced(FolderStore):
    """A store in which somebody else removes a journal while it is read."""

    def list(self, prefix: str = "", after: str = "") -> Iterator[Object]:
        for found in super().list(prefix, after):
            if prefix == "journal/s1/r1/00000/":
                self.delete(found.key)
            yield found


def test_a_settled_chunk_is_cleared_up_by_two_at_once(tmp_path: Path, store: FolderStore, account: Account, clock: ManualClock) -> None:
    """Both find the receipts and what is left of the journal; that one of them removes it first is no trouble for the other."""

    key = put_chunk(store, plan_of(COLUMNS), people(3))
    assert deliver(store, key, account, clock).status == "settled"
    store.create("journal/s1/r1/00000/00000000", b"[]")
    assert deliver(_Raced(tmp_path), key, account, clock).status == "settled"


def test_a_run_is_looked_at_while_a_chunk_settles(tmp_path: Path, store: FolderStore) -> None:
    """The journal is gone between two looks: the next look finds its receipts."""
    store.create("journal/s1/r1/00000/00000000", b"[]")
    assert list(Run(_Raced(tmp_path), "s1", "r1").journals()) == []
