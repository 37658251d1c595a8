"""The engine against a model of a vendor, under any schedule of crashes, faults, repeated events and clock jumps.

However the dice fall: every row has one outcome, what the receipts call delivered is at the vendor, what
they call rejected is not, and the balance closes.
"""

from __future__ import annotations

import tempfile
from functools import partial
from itertools import repeat
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rowferry.clock import ManualClock
from rowferry.delivery.account import Account
from rowferry.delivery.pace import Pacer
from rowferry.delivery.suspects import Suspects
from rowferry.destinations.braze import DESTINATION
from rowferry.errors import RowferryError, TryLater
from rowferry.stores.folder import FolderStore
from support.chunks import deliver, plan_of, put_chunk, receipts_of
from support.model import Crash, ModelVendor, MortalFolder, PassingFolder
from support.vendors import braze

ROWS = 60
BATCH = 7
IN_FLIGHT = 3


fates = st.lists(st.sampled_from(["ok", "ok", "ok", "500", "429", "401", "400", "lost before", "lost after"]), max_size=25)
deaths = st.lists(st.tuples(st.integers(3, 60), st.booleans()), max_size=4)
poisons = st.sets(st.integers(0, ROWS - 1).map(lambda number: f"u{number}"), max_size=5)
jumps = st.lists(st.floats(0, 200), min_size=1, max_size=8)


@given(script=fates, deaths=deaths, poison=poisons, jumps=jumps)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_balance_always_closes(script: list[str], deaths: list[tuple[int, bool]], poison: set[str], jumps: list[float]) -> None:
    """Whatever breaks, the same call repeated ends in receipts that say what is so at the vendor."""
    with tempfile.TemporaryDirectory() as folder:
        store, clock = MortalFolder(Path(folder)), ManualClock()
        store.deaths = []
        key = put_chunk(store, plan_of([("external_id", "STRING"), ("tier", "STRING")]), [[f"u{i}", "gold"] for i in range(ROWS)])
        store.deaths, store.writes = deaths, 0
        vendor = ModelVendor(script, poison)
        account = Account(
            "d1", DESTINATION, braze.settings("http://127.0.0.1:1"), vendor, Pacer(None, clock), IN_FLIGHT, {"profile": BATCH}  # type: ignore[arg-type]  # the model stands in for the client
        )  # fmt: skip
        for attempt in range(60):
            clock.sleep(jumps[attempt % len(jumps)])
            try:
                found = deliver(store, key, account, clock).status
            except (Crash, RowferryError):
                continue
            if found == "settled":
                break
            if found == "held":
                clock.sleep(61)  # a dead worker's claim is over after a minute
        else:
            raise AssertionError("the chunk never settled")
        receipts = receipts_of(store)
        rejected = {f"u{row.id.removeprefix('row-')}" for row in receipts.rejected}
        everybody = {f"u{i}" for i in range(ROWS)}
        assert receipts.delivered + len(receipts.rejected) == receipts.rows == ROWS
        assert everybody - rejected <= vendor.known
        assert poison <= rejected
        assert vendor.known - poison == everybody - poison - (rejected - poison - vendor.known)
        assert deliver(store, key, account, clock).status == "settled"


@given(script=st.lists(st.sampled_from(["ok", "ok", "429", "401"]), max_size=25), breakers=poisons, poison=poisons, jumps=jumps)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rows_that_break_the_vendor_hold_nobody_up(script: list[str], breakers: set[str], poison: set[str], jumps: list[float]) -> None:
    """Rows on which the vendor fails every time are rejected in the end, they alone, wherever in the chunk they stand."""
    with tempfile.TemporaryDirectory() as folder:
        store, clock = FolderStore(Path(folder)), ManualClock()
        key = put_chunk(store, plan_of([("external_id", "STRING"), ("tier", "STRING")]), [[f"u{i}", "gold"] for i in range(ROWS)])
        vendor = ModelVendor(script, poison, breakers)
        account = Account(
            "d1", DESTINATION, braze.settings("http://127.0.0.1:1"), vendor, Pacer(None, clock), IN_FLIGHT, {"profile": BATCH},  # type: ignore[arg-type]  # the model stands in for the client
            suspects=Suspects(lambda: store, "d1", clock),
        )  # fmt: skip
        for attempt in range(60):
            if deliver(store, key, account, clock).status == "settled":
                break
            clock.sleep(1800 + jumps[attempt % len(jumps)])
        else:
            raise AssertionError("the chunk never settled")
        receipts = receipts_of(store)
        rejected = {f"u{row.id.removeprefix('row-')}": row.code for row in receipts.rejected}
        assert receipts.delivered + len(rejected) == ROWS
        assert rejected.keys() == breakers | poison
        assert {code for name, code in rejected.items() if name not in poison} <= {"server_error"}
        assert vendor.known == {f"u{i}" for i in range(ROWS)} - rejected.keys()


@example(script=["lost after"], poison=set(), jumps=[0.0], outages={1, 3, 4, 5}, lives=[])
@given(script=fates, poison=poisons, jumps=jumps, outages=st.sets(st.integers(1, 25)), lives=st.lists(st.integers(1, 12), max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_repeat_goes_uncounted(script: list[str], poison: set[str], jumps: list[float], outages: set[int], lives: list[int]) -> None:
    """Whatever is lost on the way, the vendor has never seen more repeated rows than the receipts say were sent again: not
    when outcomes can't be written down, nor when the time of whoever goes on is up before all rows are."""
    with tempfile.TemporaryDirectory() as folder:
        store, clock = PassingFolder(Path(folder)), ManualClock()
        store.outages = set()
        key = put_chunk(store, plan_of([("external_id", "STRING"), ("tier", "STRING")]), [[f"u{i}", "gold"] for i in range(ROWS)])
        store.outages = outages
        vendor = ModelVendor(script, poison)
        account = Account(
            "d1", DESTINATION, braze.settings("http://127.0.0.1:1"), vendor, Pacer(None, clock), IN_FLIGHT, {"profile": BATCH}  # type: ignore[arg-type]  # the model stands in for the client
        )  # fmt: skip
        for attempt in range(90):
            left = iter([600.0] * lives[attempt]) if attempt < len(lives) else repeat(600.0)
            try:
                if deliver(store, key, account, clock, left_seconds=partial(next, left, 0.0)).status == "settled":
                    break
            except TryLater:
                pass
            clock.sleep(jumps[attempt % len(jumps)])
        else:
            raise AssertionError("the chunk never settled")
        assert len(vendor.received) - len(set(vendor.received)) <= receipts_of(store).resent
