"""What counts as sent again, and what ends a wait."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from rowferry.clock import ManualClock, SystemClock
from rowferry.delivery.account import Account
from rowferry.destinations.braze import DESTINATION as BRAZE
from rowferry.destinations.klaviyo import DESTINATION as KLAVIYO
from rowferry.errors import TryLater
from rowferry.http import NoAnswer
from rowferry.stores.folder import FolderStore
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.klaviyo import KlaviyoTwin
from rowferry.twins.server import Call, Fault
from rowferry.wire import Request, Response
from support.chunks import account_of, deliver, plan_of, put_chunk, receipts_of
from support.model import PassingFolder
from support.vendors import braze, klaviyo

COLUMNS = [("external_id", "STRING"), ("tier", "STRING")]
ROWS = [[f"u{index}", "gold"] for index in range(10)]


@pytest.mark.parametrize(
    ("fault", "resent"),
    [
        (Fault(reset="after"), 10),
        (Fault(response=Response(500, b"oops")), 10),
        (Fault(response=Response(503, b"busy")), 10),
        (Fault(response=Response(200, b"<html>")), 10),
        (Fault(response=Response(429, b"slow down")), 0),
        (Fault(response=Response(400, b'{"message":"something is wrong"}')), 0),
    ],
)
def test_a_row_is_sent_again_only_when_it_may_have_arrived(store: FolderStore, twin: BrazeTwin, fault: Fault, resent: int) -> None:
    """A 5xx, a 2xx that can't be read and a lost answer leave it open whether the rows are there; a refusal does not."""
    twin.faults.append(fault)
    clock = ManualClock()
    key = put_chunk(store, plan_of(COLUMNS), ROWS)
    deliver(store, key, account_of(BRAZE, braze.settings(twin.url), clock), clock)
    assert (receipts_of(store).delivered, receipts_of(store).resent) == (10, resent)


def test_a_request_that_never_arrived_is_no_repeat(store: FolderStore, twin: BrazeTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was refused has carried no row."""
    clock = ManualClock()
    account = account_of(BRAZE, braze.settings(twin.url), clock)
    send, faults = account.client.send, [NoAnswer("can't be reached", maybe_applied=False)]

    def refusing(request: Request, timeout_seconds: float) -> Response:
        if faults:
            raise faults.pop()
        return send(request, timeout_seconds)

    monkeypatch.setattr(account.client, "send", refusing)
    deliver(store, put_chunk(store, plan_of(COLUMNS), ROWS), account, clock)
    assert (receipts_of(store).requests, receipts_of(store).resent) == (2, 0)


def test_rows_that_go_out_in_halves_after_a_failure_count(store: FolderStore, twin: BrazeTwin) -> None:
    """A batch that failed every time may have arrived as well: its halves are repeats of their rows."""
    twin.faults.extend([Fault(response=Response(500, b"oops"))] * 5)
    clock = ManualClock()
    account = account_of(BRAZE, braze.settings(twin.url), clock, in_flight=1)
    deliver(store, put_chunk(store, plan_of(COLUMNS), ROWS), account, clock)
    found = receipts_of(store)
    assert (found.delivered, found.requests, found.resent) == (10, 7, 50)


def test_rows_that_are_handed_back_in_doubt_count_once_more(store: FolderStore, twin: BrazeTwin) -> None:
    """Six requests for one row, over two calls, are five repeats: the last of the first call may have arrived too."""
    twin.faults.extend([Fault(response=Response(500, b"oops"))] * 5)
    clock = ManualClock()
    account = account_of(BRAZE, braze.settings(twin.url), clock)
    key = put_chunk(store, plan_of(COLUMNS), ROWS[:1])
    assert [deliver(store, key, account, clock).status for _ in range(2)] == ["open", "settled"]
    assert (receipts_of(store).requests, receipts_of(store).resent) == (6, 5)


def test_a_row_that_is_refused_after_all_bears_the_vendors_reason(store: FolderStore, twin: BrazeTwin) -> None:
    """One that broke the vendor, and is refused when it is tried once more, was no fault of the vendor's."""

    def has(call: Call) -> bool:
        return b'"u3"' in call.body

    faults = [Fault(response=Response(500, b"oops"), when=has)] * 9 + [
        Fault(response=Response(400, b'{"message":"no such thing"}'), when=has)
    ]
    twin.faults.extend(faults)
    clock = ManualClock()
    account = account_of(BRAZE, braze.settings(twin.url), clock, in_flight=1)
    deliver(store, put_chunk(store, plan_of(COLUMNS), ROWS), account, clock)
    assert [(row.id, row.code) for row in receipts_of(store).rejected] == [("row-3", "refused_by_vendor")]


def test_a_repeat_that_could_not_be_written_down_is_counted_by_the_next(tmp_path: Path, twin: BrazeTwin) -> None:
    """The vendor had the rows twice when the store went out of reach, and has them once more: receipts say two repeats of each."""
    store, clock = PassingFolder(tmp_path), ManualClock()
    store.outages = {3}  # after the chunk and its claim: the journal
    twin.faults.append(Fault(reset="after"))
    account = account_of(BRAZE, braze.settings(twin.url), clock, in_flight=1)
    key = put_chunk(store, plan_of(COLUMNS), ROWS)
    with pytest.raises(TryLater):
        deliver(store, key, account, clock)
    assert deliver(store, key, account, clock).status == "settled"
    assert (twin.requests, receipts_of(store).resent) == (3, 2 * len(ROWS))


@pytest.mark.parametrize(("fails", "resent"), [(1, 0), (5, 10)])
def test_a_poll_that_fails_repeats_no_row_until_the_job_is_done_again(store: FolderStore, fails: int, resent: int) -> None:
    """Asking once more after a bulk job sends nothing twice; a job that is started anew, since its outcome can't be had, does."""
    with KlaviyoTwin() as twin:
        twin.faults.extend([Fault(response=Response(502, b"bad gateway"), when=lambda call: call.method == "GET")] * fails)
        clock = ManualClock()
        account = account_of(KLAVIYO, klaviyo.settings(twin.url), clock, in_flight=1)
        plan = plan_of([("external_id", "STRING"), ("tier", "STRING")])
        deliver(store, put_chunk(store, plan, ROWS), account, clock)
        assert (receipts_of(store).delivered, receipts_of(store).resent) == (10, resent)


@pytest.mark.parametrize("answer", [Response(429, b"{}", {"retry-after": "500"}), Response(503, b"{}", {"retry-after": "500"})])
def test_a_wait_ends_when_the_account_is_handed_back(store: FolderStore, twin: BrazeTwin, answer: Response) -> None:
    """Whoever waits as the vendor asked stops waiting when everything is to stop; nothing more is sent, no row is lost."""
    waits = threading.Event()

    class Clock(SystemClock):
        """The machine's, and it tells when somebody waits."""

        def wait(self, event: threading.Event, seconds: float) -> bool:
            waits.set()
            return super().wait(event, seconds)

    clock = Clock()
    account = account_of(BRAZE, braze.settings(twin.url), clock)
    key = put_chunk(store, plan_of(COLUMNS), ROWS)
    twin.faults.append(Fault(response=answer))
    found: list[Any] = []
    worker = threading.Thread(target=lambda: found.append(deliver(store, key, account, clock)))
    worker.start()
    assert waits.wait(timeout=300)
    account.hand_back("stopped by hand")
    worker.join(timeout=300)
    assert [(delivery.status, delivery.reason) for delivery in found] == [("open", "stopped by hand")]
    assert deliver(store, key, account, clock).status == "open"  # nothing begins any more
    assert twin.requests == 1
    assert deliver(store, key, account_of(BRAZE, braze.settings(twin.url), clock), clock).status == "settled"


def test_an_account_that_is_handed_back_lets_go_of_its_work(store: FolderStore, twin: BrazeTwin) -> None:
    """What has ended is not kept for the day when everything stops."""
    clock = ManualClock()
    account: Account = account_of(BRAZE, braze.settings(twin.url), clock)
    for number in range(3):
        deliver(store, put_chunk(store, plan_of(COLUMNS), ROWS, number), account, clock)
    assert len(account._halts) == 0
