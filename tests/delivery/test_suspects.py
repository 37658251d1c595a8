"""A row that the vendor fails on every time: rejected once time has told it from a vendor that is down, never before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.account import Account
from rowferry.delivery.policy import MOST_SUSPECTS, SUSPECT_CALLS
from rowferry.delivery.suspects import Failing, Suspects
from rowferry.errors import TryLater
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Conflict
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Call, Fault
from rowferry.wire import Response
from support.chunks import deliver, plan_of, put_chunk, receipts_of

COLUMNS = [("external_id", "STRING"), ("tier", "STRING")]
HOUR = 3600.0


@pytest.fixture
def account(account: Account, clock: ManualClock, store: FolderStore) -> Account:
    """One that remembers who was suspected."""
    account.suspects = Suspects(lambda: store, "d1", clock)
    return account


def has_rows(call: Call) -> bool:
    return b"external_id" in call.body


def fails(twin: BrazeTwin, when: Callable[[Call], bool] | None = has_rows) -> None:
    """The vendor answers 500 from now on: to requests with rows, or to all when `when` is None."""
    twin.faults.clear()
    twin.faults.extend([Fault(response=Response(500, b"oops"), when=when)] * 5000)


def chunk(store: FolderStore, rows: int = 1, number: int = 0) -> str:
    return put_chunk(store, plan_of(COLUMNS), [[f"u{number}-{index}", "gold"] for index in range(rows)], number)


def test_the_only_row_of_a_chunk_is_rejected_in_the_end(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """No other row can tell that the vendor is up, so time and a harmless request do; the reason holds the vendor's words."""
    key, calls = chunk(store), 0
    fails(twin)
    while deliver(store, key, account, clock).status == "open":
        calls += 1
        clock.sleep(HOUR)
        assert calls < 10
    assert calls >= SUSPECT_CALLS - 1
    assert clock.monotonic() >= account.settings.reject_after
    found = receipts_of(store)
    assert [(row.id, row.code) for row in found.rejected] == [("row-0", "server_error")]
    assert "500: oops" in found.rejected[0].reason
    assert store.read("claims/suspects/d1.json")[0] == b"{}"


def test_the_last_row_of_a_chunk_is_rejected_in_the_end(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Its neighbours got through before it was alone, which tells nothing of the moment when it failed: it waits, they do not."""
    key = chunk(store, rows=75)
    fails(twin, lambda call: b'"u0-74"' in call.body)
    assert deliver(store, key, account, clock).status == "open"
    assert len(twin.profiles) == 74
    for _ in range(SUSPECT_CALLS):
        clock.sleep(HOUR)
        found = deliver(store, key, account, clock).status
    assert found == "settled"
    assert (receipts_of(store).delivered, [row.id for row in receipts_of(store).rejected]) == (74, ["row-74"])


@pytest.mark.parametrize("pause", [1.0, HOUR / 2])
def test_calls_alone_do_not_tell(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock, pause: float) -> None:
    """Many calls in a short time are one outage: no row is rejected before `reject_after`."""
    key = chunk(store)
    fails(twin)
    for _ in range(3):
        assert deliver(store, key, account, clock).status == "open"
        clock.sleep(pause)


def test_a_vendor_that_is_down_rejects_nothing_however_long(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock
) -> None:
    """An outage of a week, in which the request without rows fails too: all rows wait, and leave when it is over."""
    keys = [chunk(store, rows=2, number=number) for number in range(3)]
    fails(twin, when=None)
    for _ in range(24 * 7):
        assert {deliver(store, key, account, clock).status for key in keys} == {"open"}
        clock.sleep(HOUR)
    twin.faults.clear()
    assert {deliver(store, key, account, clock).status for key in keys} == {"settled"}
    assert len(twin.profiles) == 6


def test_an_outage_that_spares_the_harmless_request_rejects_nothing(
    store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock
) -> None:
    """When more rows fail alone than could be at fault, it is the vendor, though it answers a request without rows."""
    keys = [chunk(store, number=number) for number in range(MOST_SUSPECTS + 1)]
    fails(twin)
    for _ in range(10):
        assert {deliver(store, key, account, clock).status for key in keys} == {"open"}
        clock.sleep(HOUR)
    twin.faults.clear()
    assert {deliver(store, key, account, clock).status for key in keys} == {"settled"}
    assert len(twin.profiles) == MOST_SUSPECTS + 1


def test_a_row_that_gets_through_in_the_end_is_delivered(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """It is tried once more before it is rejected: what was wrong may be over."""
    key = chunk(store)
    fails(twin)
    for _ in range(SUSPECT_CALLS + 1):
        deliver(store, key, account, clock)
        clock.sleep(1)
    twin.faults.clear()
    clock.sleep(3 * HOUR)
    assert deliver(store, key, account, clock).status == "settled"
    assert (receipts_of(store).delivered, receipts_of(store).rejected) == (1, ())


def test_an_outage_that_is_over_makes_no_row_a_suspect(store: FolderStore, twin: BrazeTwin, account: Account, clock: ManualClock) -> None:
    """Rows that failed for hours and then got through, by whichever batch: a bad minute days later rejects none of them,
    and they keep no row from being rejected that the vendor does fail on."""
    keys = [chunk(store, number=number) for number in range(MOST_SUSPECTS + 1)]
    fails(twin)
    for _ in range(SUSPECT_CALLS + 1):
        assert {deliver(store, key, account, clock).status for key in keys} == {"open"}
        clock.sleep(HOUR)
    twin.faults.clear()
    assert {deliver(store, key, account, clock).status for key in keys} == {"settled"}
    assert store.read("claims/suspects/d1.json")[0] == b"{}"
    clock.sleep(24 * HOUR)
    again = put_chunk(store, plan_of(COLUMNS), [["u0-0", "gold"]], 100)
    fails(twin)
    assert deliver(store, again, account, clock).status == "open"


def test_what_is_old_is_forgotten(store: FolderStore, clock: ManualClock) -> None:
    """A row that failed weeks ago fails as for the first time, and the object stays small."""
    suspects = Suspects(lambda: store, "d1", clock)
    for number in range(300):
        suspects.note("profile", b"%d" % number)
    assert suspects.note("profile", b"x").rows == 200
    clock.sleep(timedelta(days=20).total_seconds())
    assert suspects.note("profile", b"x") == Failing(1, 0.0, 1)


def test_no_value_of_a_row_is_kept(store: FolderStore, clock: ManualClock) -> None:
    """The rows stand there as digests, another for each action."""
    suspects = Suspects(lambda: store, "d1", clock)
    suspects.note("profile", b"alice@example.com")
    suspects.note("event", b"alice@example.com")
    assert suspects.note("event", b"alice@example.com").calls == 2
    assert b"alice" not in store.read("claims/suspects/d1.json")[0]


@pytest.mark.parametrize("body", [b"not json", b"[1]", b'{"x": 1}', b'{"x": [1]}'])
def test_a_note_that_can_not_be_read_is_none(store: FolderStore, account: Account, clock: ManualClock, body: bytes) -> None:
    """It keeps nothing from being sent, and is written over."""
    store.write("claims/suspects/d1.json", body)
    assert deliver(store, chunk(store), account, clock).status == "settled"
    assert Suspects(lambda: store, "d1", clock).note("profile", b"x") == Failing(1, 0.0, 1)


@pytest.mark.parametrize("fault", [TryLater("out of reach"), Conflict("claims/suspects/d1.json")])
def test_a_store_out_of_reach_costs_the_hint_alone(
    tmp_path: Path, clock: ManualClock, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can't be remembered is as if it had not failed before; nothing breaks."""
    store = FolderStore(tmp_path)
    suspects = Suspects(lambda: store, "d1", clock)
    suspects.note("profile", b"x")

    def broken(*_: object) -> str:
        raise fault

    monkeypatch.setattr(FolderStore, "replace", broken)
    assert suspects.note("profile", b"y").calls == 1
    suspects.forget("profile", b"x")
