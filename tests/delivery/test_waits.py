"""Waits that a worker must not get wrong: none asked for, longer ones than its life, and quiet hours that begin under way."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.account import Account
from rowferry.delivery.gather import deliver_gathered
from rowferry.delivery.outbox import Outbox
from rowferry.destinations.braze import DESTINATION as BRAZE
from rowferry.destinations.slack import DESTINATION as SLACK
from rowferry.owner import Owner
from rowferry.stores.folder import FolderStore
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.twins.slack import SlackTwin
from rowferry.wire import Response
from support.chunks import deliver, plan_of, put_chunk, receipts_of
from support.vendors import braze, slack

COLUMNS = [("external_id", "STRING"), ("tier", "STRING")]
LIFE_SECONDS = 540.0


def account(twin: BrazeTwin, store: FolderStore, clock: ManualClock, **settings: object) -> Account:
    """The stand-in's account with settings of its own."""
    return Account.of("d1", BRAZE, braze.settings(twin.url).model_copy(update=settings), lambda: store, clock)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "headers", [{"retry-after": "0"}, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Sat, 3 Jan 2026 07:28:00 GMT"}]
)
def test_a_vendor_that_asks_for_no_time_is_not_asked_again_at_once(
    store: FolderStore, twin: BrazeTwin, clock: ManualClock, status: int, headers: dict[str, str]
) -> None:
    """`Retry-After: 0`, or a date that is over: our own pauses grow, where else thousands of requests a second would go out."""
    twin.faults.extend([Fault(response=Response(status, b"{}", headers))] * 1000)
    key = put_chunk(store, plan_of(COLUMNS), [["u1", "gold"]])
    assert deliver(store, key, account(twin, store, clock, retry_for=600.0), clock).status == "open"
    assert twin.requests < 40
    assert clock.monotonic() > 1


def test_a_turn_beyond_the_functions_life_is_not_waited_for(store: FolderStore, twin: BrazeTwin, clock: ManualClock) -> None:
    """One request in a hundred seconds: the worker hands back while there is time, and nothing counts as sent again."""
    key = put_chunk(store, plan_of(COLUMNS), [[f"u{number}", "gold"] for number in range(75 * 8)])
    slow = account(twin, store, clock, per_second=0.01)
    begun, found = 0.0, None
    for _ in range(20):
        begun = clock.monotonic()
        found = deliver(store, key, slow, clock, left_seconds=lambda: begun + LIFE_SECONDS - clock.monotonic())  # noqa: B023 (called before the next turn)
        assert clock.monotonic() <= begun + LIFE_SECONDS
        if found.status == "settled":
            break
        assert 0 <= (found.wait_seconds or 0) <= 100 * slow.in_flight
        clock.sleep(found.wait_seconds or 0)
    assert (receipts_of(store).delivered, receipts_of(store).resent, twin.requests) == (600, 0, 8)


def test_quiet_hours_that_begin_under_way_are_kept(store: FolderStore, twin: BrazeTwin) -> None:
    """A chunk that takes ten minutes and begins a minute before the night goes on in the morning."""
    clock = ManualClock(datetime(2026, 1, 1, 21, 59, tzinfo=UTC))
    slow = account(twin, store, clock, per_second=1.0, quiet_hours="22:00-07:00 UTC")
    key = put_chunk(store, plan_of(COLUMNS), [[f"u{number}", "gold"] for number in range(75 * 600)])
    found = deliver(store, key, slow, clock)
    assert (found.status, found.reason.startswith("quiet hours")) == ("open", True)
    assert clock.now() < datetime(2026, 1, 1, 22, 1, tzinfo=UTC)
    assert 0 < twin.requests < 90
    clock.sleep(found.wait_seconds or 0)
    assert clock.now() >= datetime(2026, 1, 2, 7, tzinfo=UTC)
    assert deliver(store, key, slow, clock).status == "settled"
    assert (receipts_of(store).delivered, receipts_of(store).resent, twin.requests) == (45_000, 0, 600)


def test_quiet_hours_stop_what_was_gathered(store: FolderStore) -> None:
    """Notices that leave together, one message a second, stop at the hour like any chunk."""
    clock = ManualClock(datetime(2026, 1, 1, 21, 59, 50, tzinfo=UTC))
    with SlackTwin() as twin:
        settings = slack.settings(twin.url).model_copy(update={"quiet_hours": "22:00-07:00 UTC"})
        found = Account.of("d1", SLACK, settings, lambda: store, clock)
        outbox = Outbox(store)
        for number in range(300):
            outbox.relay(id=str(number), source="notice", destination="d1", action="notice", rows=[{"text": f"{'long ' * 700}{number}"}])
        keys = [listed.key for listed in store.list("outbox/")]
        told = deliver_gathered(keys, store=store, account=found, clock=clock, owner=Owner.anonymous())
    assert {got.status for got in told.values()} == {"settled", "open"}
    assert clock.now() < datetime(2026, 1, 1, 22, 0, 10, tzinfo=UTC)
