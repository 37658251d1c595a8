"""Claims: one worker at a time, and what a claim that was given back says to the next one."""

from __future__ import annotations

import pytest

from rowferry.clock import ManualClock
from rowferry.delivery import claim as claims
from rowferry.owner import Owner
from rowferry.stores.folder import FolderStore


def take(store: FolderStore, clock: ManualClock) -> claims.Claim:
    return claims.take(store, "s1/r1/00000", Owner.anonymous(), clock)


def test_what_is_given_back_unfinished_is_free_and_leaves_a_trace(store: FolderStore) -> None:
    """The next worker gets it at once, and need not fear that requests of the one before are on their way; when the work was
    last tried shows in the listing."""
    clock = ManualClock()
    first = take(store, clock)
    first.is_unfinished = True
    first.give_back()
    assert [found.key for found in store.list("claims/")] == ["claims/s1/r1/00000.json"]
    assert not claims.is_held(store, "s1/r1/00000", Owner.anonymous(), clock)
    second = take(store, clock)
    assert not second.inherited
    with pytest.raises(claims.Held):
        take(store, clock)
    second.give_back()
    assert list(store.list("claims/")) == []


def test_what_a_killed_worker_held_is_inherited(store: FolderStore) -> None:
    """Nobody gave it back: its last requests may have arrived. That it once was given back unfinished does not hide it."""
    clock = ManualClock()
    first = take(store, clock)
    first.is_unfinished = True
    first.give_back()
    take(store, clock)
    clock.sleep(claims.LIFE_SECONDS + 1)
    assert take(store, clock).inherited


def test_a_claim_that_was_taken_over_is_left_to_its_holder(store: FolderStore) -> None:
    """Giving back what is no longer ours changes nothing, finished or not."""
    clock = ManualClock()
    for is_unfinished in (True, False):
        first = take(store, clock)
        clock.sleep(claims.LIFE_SECONDS + 1)
        second = take(store, clock)
        first.is_unfinished = is_unfinished
        first.give_back()
        assert first.lost
        assert claims.is_held(store, "s1/r1/00000", Owner.anonymous(), clock)
        second.give_back()
