"""The pace towards one limit, by a clock that is turned by hand; and limits that the vendor counts apart."""

from __future__ import annotations

import threading

import pytest

from rowferry.clock import ManualClock
from rowferry.delivery.account import Account
from rowferry.delivery.pace import Pacer
from rowferry.destinations.braze import DESTINATION as BRAZE
from rowferry.destinations.clevertap import DESTINATION as CLEVERTAP
from rowferry.stores.folder import FolderStore
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.chunks import deliver, plan_of, put_chunk
from support.vendors import braze, clevertap

NOWHERE = "http://127.0.0.1:9"


def test_turns_come_at_the_rate(clock: ManualClock) -> None:
    """A hundred turns at ten a second take ten seconds, less what a late thread may catch up."""
    pacer = Pacer(10, clock)
    assert all(pacer.turn() for _ in range(100))
    assert 9.7 <= clock.monotonic() <= 10


def test_a_pause_holds_everybody_and_halves_the_rate_once(clock: ManualClock) -> None:
    """Ten answers that ask for the same pause make it one pause, and half the rate behind it."""
    pacer = Pacer(10, clock)
    for _ in range(10):
        pacer.slow_down(30)
    pacer.turn()
    assert clock.monotonic() == 30
    for _ in range(10):
        pacer.turn()
    assert clock.monotonic() == pytest.approx(32, abs=0.3)


def test_without_a_rate_only_a_pause_is_waited_for(clock: ManualClock) -> None:
    """Where the vendor counts no requests a second, a turn comes at once."""
    pacer = Pacer(None, clock)
    assert all(pacer.turn() for _ in range(1000))
    assert clock.slept == []
    pacer.slow_down(7)
    pacer.turn()
    assert clock.slept == [7]


def test_no_turn_comes_once_all_is_stopped(clock: ManualClock) -> None:
    """A wait that is cut short ends without a turn, and its place is free for others."""
    pacer, stopped = Pacer(1, clock, in_flight=1), threading.Event()
    stopped.set()
    pacer.slow_down(60)
    assert not pacer.turn(stopped)
    assert clock.slept == []
    assert pacer.turn()


def test_turns_that_have_not_ended_are_bounded(clock: ManualClock) -> None:
    """The third waits until one of two has ended."""
    pacer = Pacer(None, clock, in_flight=2)
    assert pacer.turn()
    assert pacer.turn()
    third = threading.Thread(target=pacer.turn)
    third.start()
    third.join(timeout=0.05)
    assert third.is_alive()
    pacer.end()
    third.join(timeout=300)
    assert not third.is_alive()


def account(destination: object, settings: object, store: FolderStore, clock: ManualClock) -> Account:
    return Account.of("d1", destination, settings, lambda: store, clock)  # type: ignore[arg-type]  # any vendor's


def test_a_limit_counted_apart_slows_nobody_else(store: FolderStore, twin: BrazeTwin, clock: ManualClock) -> None:
    """Braze asks for an hour's pause with deletions; profiles go on at once, deletions wait."""
    found = account(BRAZE, braze.settings(twin.url), store, clock)
    twin.faults.append(Fault(response=Response(429, b"{}", {"retry-after": "3600"})))
    removal = put_chunk(store, plan_of([("external_id", "STRING")], action="delete"), [["u1"]])
    assert deliver(store, removal, found, clock).status == "open"
    profiles = put_chunk(store, plan_of([("external_id", "STRING"), ("tier", "STRING")]), [["u2", "gold"]], 1)
    assert deliver(store, profiles, found, clock).status == "settled"
    assert clock.slept == []
    assert found.pacer_of(BRAZE.actions["delete"]).wait_seconds() == 3600
    another = put_chunk(store, plan_of([("external_id", "STRING")], action="delete"), [["u3"]], 2)
    handed_back = deliver(store, another, found, clock, left_seconds=lambda: 600.0)
    assert (handed_back.status, handed_back.wait_seconds) == ("open", 3600)
    assert clock.slept == []


def test_actions_of_one_limit_share_their_pause(store: FolderStore, clock: ManualClock) -> None:
    """Braze counts profiles, events and purchases together."""
    found = account(BRAZE, braze.settings(NOWHERE), store, clock)
    assert len({id(found.pacer_of(BRAZE.actions[name])) for name in ("profile", "event", "purchase")}) == 1


def test_a_lower_pace_of_the_settings_holds_for_every_limit() -> None:
    """Braze's pages give paces for what it counts apart; a lower pace of the account's settings holds for all."""
    quick = braze.settings(NOWHERE)
    assert [BRAZE.pace_of(BRAZE.actions[name], quick).per_second for name in ("profile", "subscription", "delete")] == [800, 66, 266]
    slow = quick.model_copy(update={"per_second": 5.0})
    assert [BRAZE.pace_of(action, slow).per_second for action in BRAZE.actions.values()] == [5.0] * 5


def test_clevertap_takes_three_deletions_at_a_time(store: FolderStore, clock: ManualClock) -> None:
    """And ten uploads of ours beside them; instances share both."""
    settings = clevertap.settings(NOWHERE)
    delete, upload = CLEVERTAP.actions["delete"], CLEVERTAP.actions["profile"]
    assert [CLEVERTAP.pace_of(action, settings).in_flight for action in (delete, upload)] == [3, 10]
    shared = settings.model_copy(update={"instances": 2})
    assert [CLEVERTAP.pace_of(action, shared).in_flight for action in (delete, upload)] == [1, 5]
    found = account(CLEVERTAP, settings, store, clock)
    assert found.pacer_of(delete) is not found.pacer_of(upload)
