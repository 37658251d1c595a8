"""Lanes in the one worker of a destination: what is urgent passes a backfill on its way, and the backfill gets through."""

from __future__ import annotations

import pkgutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.delivery import claim as claims
from rowferry.delivery.chunk import OUTBOX, ChunkName
from rowferry.delivery.deliver import Delivery
from rowferry.delivery.dispatch import Dispatch
from rowferry.delivery.lanes import LOOK_SECONDS, PASS_SECONDS
from rowferry.errors import TryLater
from rowferry.owner import Owner
from rowferry.settings.file import read_settings
from rowferry.stores.folder import FolderStore
from rowferry.stores.port import Object
from rowferry.syncs.start import LARGE_CHUNKS
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Call, Fault
from rowferry.wire import Response
from support.chunks import plan_of, put_chunk
from support.shop import ENVIRONMENT, Shop

COLUMNS = [("external_id", "STRING"), ("tier", "STRING")]
BATCH = 75


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    return Shop(tmp_path, twin, in_flight=1)


@pytest.fixture
def app(shop: Shop, clock: ManualClock) -> Iterator[App]:
    settings = read_settings(shop.config, environment=ENVIRONMENT)
    with App(settings, environment=ENVIRONMENT, clock=clock) as app:
        yield app


def chunk(app: App, name: str, batches: int, lane: int = 3, number: int = 0) -> str:
    """A chunk of a run of this name, with rows for so many requests."""
    plan = replace(plan_of(COLUMNS, lane=lane), sync=name, destination="braze")
    return put_chunk(app.state, plan, [[f"{name}-{number}-{row}", "gold"] for row in range(batches * BATCH)], number)


def hook(app: App, name: str) -> None:
    """A webhook's row, on its way to Braze."""
    rows = [{"external_id": f"hook-{name}"}]
    assert app.outbox.relay(id=name, source="webhook.shop", destination="braze", action="profile", rows=rows)


def sent(twin: BrazeTwin) -> list[str]:
    """Of each request, whose rows it brought: the name before the first `-` of its first row."""
    return [orjson.loads(call.body)["attributes"][0]["external_id"].partition("-")[0] for call in twin.log]


def at_each_request(twin: BrazeTwin, do: Callable[[int], None]) -> None:
    """Have something happen while the vendor is at its n-th request, counted from 1."""

    def watch(_call: Call) -> bool:
        do(twin.requests)
        return False

    twin.faults.append(Fault(when=watch))


def receipts(app: App) -> list[str]:
    return [found.key.split("/")[1] for found in app.state.list("receipts/")]


def test_a_webhook_passes_a_backfill_on_its_way(app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """It comes in while a chunk is under way: it leaves with the next look, and the chunk goes on behind its last row."""
    key = chunk(app, "backfill", 40)

    def a_second_goes_by(request: int) -> None:
        clock.sleep(1)
        if request == 7:
            hook(app, "a")

    at_each_request(twin, a_second_goes_by)
    assert app.deliver_announced(key).status == "settled"
    order = sent(twin)
    assert 7 <= order.index("hook") <= 7 + LOOK_SECONDS + 1
    assert len(order) == 41
    assert len([name for name in twin.profiles if name.startswith("backfill")]) == 40 * BATCH
    assert receipts(app) == ["backfill", "webhook.shop"]


def test_what_waits_already_leaves_before_an_announced_chunk(app: App, twin: BrazeTwin) -> None:
    """Webhooks first, then small runs, then the chunk that was announced; the events of the others find them settled."""
    key, small = chunk(app, "backfill", 2), chunk(app, "small", 2, lane=2)
    hook(app, "a")
    assert app.deliver_announced(key).status == "settled"
    assert sent(twin) == ["hook", "small", "small", "backfill", "backfill"]
    assert app.deliver_announced(small).status == "settled"
    assert len(twin.log) == 5


def test_a_small_run_passes_a_backfill_and_a_webhook_passes_both(app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """While the small run passes, it makes way itself."""
    key = chunk(app, "backfill", 20)

    def a_second_goes_by(request: int) -> None:
        clock.sleep(1)
        if request == 2:
            chunk(app, "small", 20, lane=2)
        if request == 10:
            hook(app, "a")

    at_each_request(twin, a_second_goes_by)
    assert app.deliver_announced(key).status == "settled"
    order = sent(twin)
    first, last = order.index("small"), len(order) - 1 - order[::-1].index("small")
    assert first < order.index("hook") < last < len(order) - 1
    assert order[first : last + 1].count("backfill") == 0
    assert (order.count("small"), order.count("backfill"), order.count("hook")) == (20, 20, 1)


def test_nothing_of_a_later_lane_is_looked_for(app: App, twin: BrazeTwin) -> None:
    """A webhook makes way for nobody, and a run not for a backfill."""
    chunk(app, "backfill", 1)
    chunk(app, "other", 1, lane=2)
    small = chunk(app, "small", 1, lane=2)
    assert app.deliver_announced(small).status == "settled"
    assert sent(twin) == ["small"]


def test_an_endless_stream_of_webhooks_does_not_stop_a_backfill(app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """However many there are, the backfill is sent for some seconds, a batch at least, after others have passed for a while."""
    key = chunk(app, "backfill", 6)
    for number in range(50):
        hook(app, f"first{number}")

    def another_comes(request: int) -> None:
        clock.sleep(LOOK_SECONDS + 1)  # so slow a vendor that each look finds the next ones
        for number in range(5):
            hook(app, f"at{request}no{number}")

    at_each_request(twin, another_comes)
    assert app.deliver_announced(key).status == "settled"
    order = "".join("h" if name == "hook" else "B" for name in sent(twin))
    assert order.count("B") == 6
    assert max(len(passing) for passing in order.split("B")) <= PASS_SECONDS / (LOOK_SECONDS + 1)


def test_looks_are_few(app: App, twin: BrazeTwin, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """One listing for each better lane, when the chunk begins and every few seconds, however many requests leave."""
    listed: list[str] = []
    original = FolderStore.list

    def counted(self: FolderStore, prefix: str = "", after: str = "") -> Iterator[Object]:
        listed.append(prefix)
        return original(self, prefix, after)

    monkeypatch.setattr(FolderStore, "list", counted)
    key = chunk(app, "backfill", 60)
    at_each_request(twin, lambda _request: clock.sleep(0.5))
    assert app.deliver_announced(key).status == "settled"
    looks = [prefix for prefix in listed if prefix.startswith(OUTBOX)]
    assert len(looks) <= 2 * (1 + 60 * 0.5 / LOOK_SECONDS)
    assert set(looks) == {"outbox/braze/1/", "outbox/braze/2/"}


def test_a_burst_of_webhooks_passes_in_few_requests(app: App, twin: BrazeTwin) -> None:
    """Two hundred that wait are gathered: three requests, and then the backfill."""
    key = chunk(app, "backfill", 1)
    for number in range(200):
        hook(app, str(number))
    assert app.deliver_announced(key).status == "settled"
    assert sent(twin) == ["hook"] * 3 + ["backfill"]
    assert len(receipts(app)) == 201


def test_the_events_of_a_burst_find_it_gathered(app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """The first event takes the others along; theirs find them settled. One whose chunk somebody is at leaves the rest alone."""
    for number in range(5):
        hook(app, str(number))
    keys = [found.key for found in app.state.list("outbox/braze/1/")]
    elsewhere = claims.take(app.state, ChunkName.of(keys[0]).stem, Owner.anonymous(), clock)
    assert app.deliver_announced(keys[0]).status == "held"
    assert len(list(app.state.list("claims/"))) == 1
    assert twin.requests == 0
    elsewhere.give_back()
    assert [app.deliver_announced(key).status for key in keys] == ["settled"] * 5
    assert twin.requests == 1


def test_the_event_of_a_later_word_takes_the_earlier_one_along(app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """Events come in any order, and a sender's ids say nothing of time: what came first is said first."""
    for name, tier in (("z-was-first", "gold"), ("a-was-second", "silver")):
        rows = [{"external_id": "hook", "tier": tier}]
        app.outbox.relay(id=name, source="webhook.shop", destination="braze", action="profile", rows=rows)
        clock.sleep(1)
    later, earlier = (found.key for found in app.state.list("outbox/braze/1/"))
    assert [app.deliver_announced(key).status for key in (later, earlier, later)] == ["held", "settled", "settled"]
    assert twin.profiles["hook"]["tier"] == "silver"
    assert len(receipts(app)) == 2


def test_a_later_word_that_is_given_back_just_now_is_not_sent_alone(
    app: App, twin: BrazeTwin, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker held it back for the earlier word, and lets it go while its event looks: the earlier one comes first."""
    for name, tier in (("z-was-first", "gold"), ("a-was-second", "silver")):
        rows = [{"external_id": "hook", "tier": tier}]
        app.outbox.relay(id=name, source="webhook.shop", destination="braze", action="profile", rows=rows)
        clock.sleep(1)
    later, _ = (found.key for found in app.state.list("outbox/braze/1/"))
    other, is_held = claims.take(app.state, ChunkName.of(later).stem, Owner.anonymous(), clock), claims.is_held

    def let_go(*arguments: Any) -> bool:
        found = is_held(*arguments)
        other.give_back()
        return found

    monkeypatch.setattr(claims, "is_held", let_go)
    assert app.deliver_announced(later).status == "held"
    assert "hook" not in twin.profiles


def test_two_words_on_one_person_pass_one_after_the_other(app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """What waits for an earlier word is handed out again: both pass, in two requests, the older one first."""
    key = chunk(app, "backfill", 20)
    for name, tier in (("z-was-first", "gold"), ("a-was-second", "silver")):
        rows = [{"external_id": "hook", "tier": tier}]
        app.outbox.relay(id=name, source="webhook.shop", destination="braze", action="profile", rows=rows)
    at_each_request(twin, lambda _request: clock.sleep(2))
    assert app.deliver_announced(key).status == "settled"
    order = sent(twin)
    assert order.count("hook") == 2
    assert order.index("backfill") == 1
    assert order[-1] == "backfill"
    assert twin.profiles["hook"]["tier"] == "silver"


def test_what_could_not_leave_goes_along_with_later_words(
    app: App, twin: BrazeTwin, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor was down when the first word was to pass, and is up again when the second one comes: that does not pass it."""
    key, is_up, gather = chunk(app, "backfill", 20), threading.Event(), app.deliver_gathered

    def say(name: str, tier: str) -> None:
        rows = [{"external_id": "hook", "tier": tier}]
        app.outbox.relay(id=name, source="webhook.shop", destination="braze", action="profile", rows=rows)

    def once(*asked: Any) -> dict[str, Delivery]:
        found = gather(*asked)
        is_up.set()
        return found

    def goes_by(_request: int) -> None:
        clock.sleep(2)
        if is_up.is_set() and len(list(app.state.list("outbox/braze/1/"))) == 1:
            say("a-was-second", "silver")

    monkeypatch.setattr(app, "deliver_gathered", once)
    say("z-was-first", "gold")
    at_each_request(twin, goes_by)
    twin.faults.extend([Fault(Response(503), when=lambda _call: not is_up.is_set())] * 100)
    assert app.deliver_announced(key).status == "settled"
    for _ in range(2):
        for waits in [found.key for found in app.state.list("outbox/braze/1/")]:
            app.deliver_announced(waits)
    assert twin.profiles["hook"]["tier"] == "silver"


def test_what_somebody_is_at_does_not_pass(app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """A webhook that another worker has claimed is left to it: nobody makes way for it."""
    key = chunk(app, "backfill", 20)
    hook(app, "a")
    (waits,) = [found.key for found in app.state.list("outbox/braze/1/")]
    claims.take(app.state, ChunkName.of(waits).stem, Owner.anonymous(), clock)
    at_each_request(twin, lambda _request: clock.sleep(2))
    assert app.deliver_announced(key).status == "settled"
    assert sent(twin) == ["backfill"] * 20


def test_one_that_fails_does_not_hold_the_backfill_up(app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """A webhook that the vendor breaks on, and one that was damaged, are tried once; the chunk and the others arrive."""
    key = chunk(app, "backfill", 20)
    for name in ("a", "poison", "z"):
        hook(app, name)
    app.state.write("outbox/braze/1/webhook.shop/relayed/broken.jsonl.gz", b"not packed")
    poison = Fault(response=Response(500, b"oops"), when=lambda call: b"hook-poison" in call.body)
    twin.faults.extend([poison] * 10)
    at_each_request(twin, lambda _request: clock.sleep(2))
    assert app.deliver_announced(key).status == "settled"
    assert {name for name in twin.profiles if name.startswith("hook")} == {"hook-a", "hook-z"}
    tried = [b"hook-poison" in call.body for call in twin.log]
    assert not any(tried[sent(twin).index("backfill") :])


def test_an_account_that_refuses_us_refuses_all_lanes(app: App, twin: BrazeTwin) -> None:
    """A revoked key: the webhook stays in the outbox, the backfill is refused, nothing goes round and round."""
    key = chunk(app, "backfill", 5)
    hook(app, "a")
    twin.faults.extend([Fault(response=Response(401, b'{"message":"Invalid API key"}'))] * 10)
    assert app.deliver_announced(key).status == "refused"
    assert len(twin.log) == 2
    assert receipts(app) == []


def test_a_vendor_that_asks_to_wait_is_left_alone_by_all_lanes(app: App, twin: BrazeTwin) -> None:
    """One that asks for more time than the function has is asked once, whoever was first; the others hand back unsent."""
    key = chunk(app, "backfill", 5)
    hook(app, "a")
    hook(app, "b")
    twin.faults.append(Fault(response=Response(429, b"{}", {"x-ratelimit-retry-after": "3000"})))
    found = app.deliver_announced(key, left_seconds=lambda: 500.0)
    assert (found.status, len(twin.log)) == ("open", 1)
    assert found.wait_seconds == pytest.approx(3000)


def test_quiet_hours_are_quiet_for_all_lanes(shop: Shop, twin: BrazeTwin) -> None:
    """Nothing passes while nothing may be sent; the first call after them brings all of it, the webhook first."""
    shop.settings["destinations"]["braze"]["quiet_hours"] = "22:00-06:00"
    shop.save()
    clock = ManualClock(datetime(2026, 3, 1, 22, tzinfo=UTC))
    settings = read_settings(shop.config, environment=ENVIRONMENT)
    with App(settings, environment=ENVIRONMENT, clock=clock) as app:
        key = chunk(app, "backfill", 1)
        hook(app, "a")
        found = app.deliver_announced(key)
        assert (found.status, found.wait_seconds, len(twin.log)) == ("open", 8 * 3600, 0)
        clock.sleep(8 * 3600)
        assert app.deliver_announced(key).status == "settled"
        assert sent(twin) == ["hook", "backfill"]


def test_when_the_time_is_up_it_is_up_for_all_lanes(app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """Making way gains no time: the call ends with all that was sent on record, and the next one goes on."""
    key, ends_at = chunk(app, "backfill", 40), clock.monotonic() + 60

    def a_second_goes_by(request: int) -> None:
        clock.sleep(1)
        hook(app, f"at{request}")

    at_each_request(twin, a_second_goes_by)
    found = app.deliver_announced(key, lambda: ends_at - clock.monotonic())
    assert (found.status, found.wait_seconds) == ("open", 0)
    before = sent(twin)
    twin.faults.clear()
    assert app.deliver_announced(key).status == "settled"
    assert sent(twin).count("backfill") == 40
    assert before.count("backfill") > 0


def test_killed_while_something_passes(app: App, twin: BrazeTwin, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent before is on record, the chunk is nobody's, and the next call sends the rest and nothing twice."""
    key = chunk(app, "backfill", 20)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def a_second_goes_by(request: int) -> None:
        clock.sleep(1)
        if request == 2:
            hook(app, "a")

    at_each_request(twin, a_second_goes_by)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Dispatch, "_let_pass", killed)
        app.deliver_announced(key)
    assert 0 < len(twin.log) < 20
    assert app.deliver_announced(key).status == "settled"
    assert (sent(twin).count("backfill"), sent(twin).count("hook")) == (20, 1)


def test_a_store_out_of_reach_shows_nothing(app: App, twin: BrazeTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that fails is no reason to leave the chunk."""
    key = chunk(app, "backfill", 2)

    def unreachable(*_: object) -> Iterator[str]:
        raise TryLater("no answer")

    monkeypatch.setattr("rowferry.delivery.lanes.waiting", unreachable)
    found: Delivery = app.deliver_announced(key)
    assert found.status == "settled"


def test_a_run_that_is_passed_closes(shop: Shop, app: App, twin: BrazeTwin, clock: ManualClock) -> None:
    """A whole run in chunks, with webhooks in between: the balance holds, no row went twice, the webhooks are done with."""
    shop.fill(10 * BATCH)
    assert app.start_sync("customers").status == "open"

    def a_while_goes_by(request: int) -> None:
        clock.sleep(LOOK_SECONDS + 1)
        if request < 6:
            hook(app, f"at{request}")

    at_each_request(twin, a_while_goes_by)
    for key in [found.key for found in app.state.list("outbox/braze/2/")]:
        assert app.deliver_announced(key).status == "settled"
    results = [app.finish_run(found.key) for found in list(app.state.list("receipts/"))]
    closed = next(result for result in results if result.sync == "customers")
    assert (closed.status, closed.read, closed.delivered, closed.resent) == ("closed", 10 * BATCH, 10 * BATCH, 0)
    assert sum(name.startswith("u") for name in sent(twin)) == 10
    assert sorted(name for name in twin.profiles if name.startswith("hook")) == [f"hook-at{number}" for number in range(1, 6)]
    assert [found.key for found in app.state.list(OUTBOX)] == []


@pytest.mark.parametrize(("rows", "lane"), [(10 * LARGE_CHUNKS, 2), (10 * LARGE_CHUNKS + 1, 3)])
def test_a_large_run_leaves_by_the_lane_of_backfills(tmp_path: Path, twin: BrazeTwin, clock: ManualClock, rows: int, lane: int) -> None:
    """A first run of everybody is a backfill by another name: small runs pass it. It closes and clears away as any other."""
    shop = Shop(tmp_path, twin, chunk_rows=10)
    shop.fill(rows)
    settings = read_settings(shop.config, environment=ENVIRONMENT)
    with App(settings, environment=ENVIRONMENT, clock=clock) as app:
        assert app.start_sync("customers").status == "open"
        keys = [found.key for found in app.state.list(OUTBOX)]
        assert {ChunkName.of(key).lane for key in keys} == {lane}
        for key in keys:
            app.deliver_announced(key)
        results = [app.finish_run(found.key) for found in list(app.state.list("receipts/"))]
        assert (results[-1].status, results[-1].delivered) == ("closed", rows)
        assert [found.key for found in app.state.list(OUTBOX)] == []


def test_a_large_run_that_was_killed_while_being_planned(tmp_path: Path, twin: BrazeTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its lane was written down, after it, and between two chunks: it goes on in one lane, each chunk once."""
    shop = Shop(tmp_path, twin, chunk_rows=10)
    shop.fill(10 * LARGE_CHUNKS + 1)
    settings = read_settings(shop.config, environment=ENVIRONMENT)
    with App(settings, environment=ENVIRONMENT) as app:
        for target, call in (("delivery.runs.Run.put_over", 1), ("syncs.start.write_chunk", 1), ("syncs.start.write_chunk", 3)):
            with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
                _kill_at(patched, target, call)
                app.start_sync("customers")
        assert app.start_sync("customers").status == "open"
        names = [ChunkName.of(found.key) for found in app.state.list(OUTBOX)]
        assert [(name.lane, name.part) for name in names] == [(3, f"{number:05d}") for number in range(LARGE_CHUNKS + 1)]


def _kill_at(patched: pytest.MonkeyPatch, target: str, call: int) -> None:
    """Kill the process, as far as it can tell, when it comes to the n-th call of this."""
    original, calls = pkgutil.resolve_name(f"rowferry.{target}"), count(1)

    def killed(*arguments: object, **named: object) -> object:
        if next(calls) == call:
            raise KeyboardInterrupt
        return original(*arguments, **named)

    patched.setattr(f"rowferry.{target}", killed)
