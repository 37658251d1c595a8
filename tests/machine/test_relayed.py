"""Webhooks' rows on one machine: what a crash leaves between their receipts and their dead letters is not lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.delivery.claim import LIFE_SECONDS
from rowferry.delivery.deliver import Delivery
from rowferry.delivery.gather import MOST
from rowferry.errors import UsageError
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Call, Fault
from rowferry.webhooks import repeats
from rowferry.wire import Response
from support.killing import DyingStore, Killed, Steps

SETTINGS = """
rowferry: 1
warehouse: {{engine: duckdb, path: warehouse.duckdb}}
state: ./state
destinations: {{braze: {{vendor: braze, base_url: "{url}", api_key: "env:KEY", in_flight: 1}}}}
webhooks:
  shop: {{verify: {{scheme: github, secret: "env:KEY"}}, routes: [{{send: {{to: braze, action: profile, map: {{external_id: id}}}}}}]}}
"""
ENVIRONMENT = {"KEY": "braze-key"}


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    with BrazeTwin(api_key="braze-key") as running:
        yield running


def app_in(folder: Path, twin: BrazeTwin, clock: ManualClock) -> App:
    """The app, as after a restart."""
    folder.mkdir(exist_ok=True)
    (folder / "rowferry.yaml").write_text(SETTINGS.format(url=twin.url))
    return App(read_settings(folder / "rowferry.yaml", ENVIRONMENT), environment=ENVIRONMENT, clock=clock)


def test_a_vendor_that_refuses_us_is_not_asked_each_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server looks at its outbox each second: a refused key is tried once a minute, and said once. Mended, all leaves."""
    clock = ManualClock()
    with BrazeTwin(api_key="another") as twin, app_in(tmp_path / "home", twin, clock) as app:
        machine = Machine(app)
        for number in range(3):
            app.outbox.relay(
                id=str(number), source="webhook.shop", destination="braze", action="profile", rows=[{"external_id": f"u{number}"}]
            )
        for _ in range(90):
            assert machine.deliver_relayed("braze") == 0
            clock.sleep(1)
        assert twin.requests == 2
        assert len([record for record in caplog.records if "wait in the outbox" in record.message]) == 1
        twin.api_key = "braze-key"
        clock.sleep(60)
        assert machine.deliver_relayed("braze") == 3


def test_one_that_is_damaged_holds_nobody_up(tmp_path: Path, twin: BrazeTwin, caplog: pytest.LogCaptureFixture) -> None:
    """It waits for a person, and is said once; the others leave each second as ever."""
    with app_in(tmp_path / "home", twin, ManualClock()) as app:
        machine = Machine(app)
        app.state.write("outbox/braze/1/webhook.shop/relayed/broken.jsonl.gz", b"not packed")
        for number in range(3):
            app.outbox.relay(
                id=str(number), source="webhook.shop", destination="braze", action="profile", rows=[{"external_id": f"u{number}"}]
            )
            assert machine.deliver_relayed("braze") == 1
        for _ in range(3):
            assert machine.deliver_relayed("braze") == 0
    assert len([record for record in caplog.records if "wait in the outbox" in record.message]) == 1


def test_what_the_vendor_could_not_take_is_not_passed(tmp_path: Path, twin: BrazeTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor is down when an earlier word's turn comes, and up again for those behind it, more than are taken at once: the later
    word is not sent before it."""
    clock = ManualClock()
    with app_in(tmp_path / "home", twin, clock) as app:
        others = [(f"u{number}", "silver") for number in range(MOST)]
        words = [*others[:80], ("u", "gold"), *others[80:], ("u", "none")]
        for number, (user, tier) in enumerate(words):
            rows = [{"external_id": user, "tier": tier}]
            app.outbox.relay(id=f"{999 - number}", source="webhook.shop", destination="braze", action="profile", rows=rows)
            clock.sleep(1)
        is_up, gather = threading.Event(), app.deliver_gathered

        def once(keys: Sequence[str]) -> dict[str, Delivery]:
            found = gather(keys)
            is_up.set()
            return found

        def goes_down(call: Call) -> bool:
            return twin.requests > 1 and not is_up.is_set()

        monkeypatch.setattr(app, "deliver_gathered", once)
        twin.faults.extend([Fault(Response(503), when=goes_down)] * 100)
        Machine(app).deliver_relayed()
        clock.sleep(3600)
        Machine(app).deliver_relayed()
        assert twin.profiles["u"]["tier"] == "none"
        assert [found.key for found in app.state.list("outbox/")] == []


def buried(app: App) -> list[tuple[str, str]]:
    """Whose rows are open dead letters, and why."""
    found = app.warehouse.query("SELECT row_key, code FROM rowferry.dead_letters WHERE status = 'open' ORDER BY row_key")
    return [(row["row_key"], row["code"]) for row in found]


@pytest.mark.parametrize("hooks", [1, 2], ids=["alone", "gathered"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_dead_letters_survive_a_kill_at_any_write(tmp_path: Path, twin: BrazeTwin, hooks: int, *, after: bool) -> None:
    """A row without an id is rejected; killed at each write of the store, the next round buries it, once."""
    clock = ManualClock()
    for at in count(1):
        folder, steps = tmp_path / str(at), Steps(at, after=after)
        with app_in(folder, twin, clock) as app:
            app.outbox.relay(id="bad", source="webhook.shop", destination="braze", action="profile", rows=[{"tier": "gold"}])
            for number in range(1, hooks):
                app.outbox.relay(
                    id=str(number), source="webhook.shop", destination="braze", action="profile", rows=[{"external_id": f"u{number}"}]
                )
            app.state = DyingStore(app.state, steps)
            try:
                Machine(app).deliver_relayed()
                break
            except Killed:
                app.release()
        clock.sleep(LIFE_SECONDS + 1)
        with app_in(folder, twin, clock) as app:
            Machine(app).deliver_relayed()
            Machine(app).deliver_relayed()
            assert buried(app) == [("bad#0", "missing_identifier")]
            assert Machine(app).replay("webhook.shop").read == 1
            assert [found.key for found in app.state.list("outbox/")] == []
    assert at > 4


def test_what_was_rejected_may_be_sent_again(tmp_path: Path, twin: BrazeTwin) -> None:
    """The vendor refused it, the mistake is mended, and its sender sends it once more: it is no repeat of something that was."""
    bad, good = [{"tier": "gold"}], [{"external_id": "u1"}]
    with app_in(tmp_path, twin, ManualClock()) as app:

        def relay(*rows: dict[str, str]) -> None:
            app.outbox.relay(id="evt", source="webhook.shop", destination="braze", action="profile", rows=rows)
            Machine(app).deliver_relayed()

        relay(*bad)
        relay(*bad)
        assert buried(app) == [("evt#0", "missing_identifier")]
        relay(*good)
        assert twin.profiles.keys() == {"u1"}
        assert buried(app) == []
        before = twin.requests
        relay(*good)
        assert twin.requests == before


def test_what_was_rejected_in_part_is_a_repeat(tmp_path: Path, twin: BrazeTwin) -> None:
    """Some of its rows have arrived: sent again they would arrive twice."""
    with app_in(tmp_path, twin, ManualClock()) as app:
        for _ in range(2):
            rows = [{"tier": "gold"}, {"external_id": "u1"}]
            app.outbox.relay(id="evt", source="webhook.shop", destination="braze", action="profile", rows=rows)
            Machine(app).deliver_relayed()
        assert twin.requests == 1


NO = Response(400, orjson.dumps({"message": "The list is archived"}))  # of which a vendor that says so takes nothing


def relay_rejected(app: App, twin: BrazeTwin, *people: str) -> None:
    """An event with a row for each person, all of which the vendor refuses, one by one."""
    twin.faults.extend([Fault(NO)] * 20)
    rows = [{"external_id": person, "tier": {"name": "gold", "points": [1, 2.5, 2**50]}} for person in people]
    app.outbox.relay(id="evt", source="webhook.shop", destination="braze", action="profile", rows=rows)
    Machine(app).deliver_relayed()
    twin.faults.clear()


def test_a_replay_sends_what_was_rejected(tmp_path: Path, twin: BrazeTwin) -> None:
    """Once the vendor is mended its rows leave as they were made, and are dead letters no more; there is nothing more to replay."""
    with app_in(tmp_path, twin, ManualClock()) as app:
        relay_rejected(app, twin, "u1", "u2")
        assert buried(app) == [("evt#0", "refused_by_vendor"), ("evt#1", "refused_by_vendor")]
        found = Machine(app).replay("webhook.shop")
        assert (found.status, found.read, found.delivered, found.rejected, found.pending) == ("closed", 2, 2, 0, 0)
        assert twin.profiles["u1"]["tier"] == {"name": "gold", "points": [1, 2.5, 2**50]}
        assert buried(app) == []
        before = twin.requests
        assert Machine(app).replay("webhook.shop").read == 0
        assert twin.requests == before


def test_a_replay_sends_no_row_that_arrived(tmp_path: Path, twin: BrazeTwin) -> None:
    """Of an event that was rejected in part, the other part is at the vendor; and rejected again a row is one dead letter still."""
    with app_in(tmp_path, twin, ManualClock()) as app:
        rows = [{"external_id": "u1"}, {"tier": "gold"}, {"external_id": "u2"}]
        app.outbox.relay(id="evt", source="webhook.shop", destination="braze", action="profile", rows=rows)
        Machine(app).deliver_relayed()
        for _ in range(2):
            before = twin.requests
            found = Machine(app).replay("webhook.shop")
            assert (found.status, found.read, found.delivered, found.rejected) == ("closed", 1, 0, 1)
            assert [row["code"] for row in found.rejections] == ["missing_identifier"]
            assert buried(app) == [("evt#1", "missing_identifier")]
            assert twin.requests == before
        app.outbox.relay(id="evt", source="webhook.shop", destination="braze", action="profile", rows=rows)
        Machine(app).deliver_relayed()
        assert twin.requests == before


def test_a_replay_that_is_refused_is_taken_up(tmp_path: Path, twin: BrazeTwin) -> None:
    """The key is not mended yet: what was put on its way waits, says why, and is not put there twice."""
    clock = ManualClock()
    with app_in(tmp_path, twin, clock) as app:
        relay_rejected(app, twin, "u1")
        twin.api_key = "another"
        for _ in range(2):
            found = Machine(app).replay("webhook.shop")
            assert (found.status, found.read, found.pending) == ("open", 1, 1)
            assert "key" in found.reason
        twin.api_key = "braze-key"
        assert Machine(app).replay("webhook.shop").delivered == 1
        assert list(app.state.list("outbox/")) == []


def test_rows_that_are_kept_no_more_are_said(tmp_path: Path, twin: BrazeTwin) -> None:
    """A bucket's rule has cleared them away: no green replay of nothing while dead letters stand there."""
    with app_in(tmp_path, twin, ManualClock()) as app:
        relay_rejected(app, twin, "u1", "u2")
        for found in app.state.list("webhooks/"):
            app.state.delete(found.key)
        assert "2 dead letters" in Machine(app).replay("webhook.shop").reason
        with pytest.raises(UsageError, match="everything"):
            Machine(app).replay("webhook.shop", code="refused_by_vendor")
        with pytest.raises(UsageError, match="no sync"):
            Machine(app).replay("webhook.nosuch")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("is_rejected_again", [False, True])
def test_a_replay_that_is_killed_at_any_write(tmp_path: Path, twin: BrazeTwin, is_rejected_again: bool, *, after: bool) -> None:
    """Killed at each write of the store: the same command brings it to its end. No row is lost, and a row that the vendor
    took is not put on its way again."""
    clock = ManualClock()
    for at in count(1):
        folder, steps, twin.profiles = tmp_path / str(at), Steps(at, after=after), {}
        with app_in(folder, twin, clock) as app:
            relay_rejected(app, twin, "u1")
        taken = twin.requests
        with app_in(folder, twin, clock) as app:
            app.state = DyingStore(app.state, steps)
            if is_rejected_again:
                twin.faults.append(Fault(NO))
            try:
                Machine(app).replay("webhook.shop")
                break
            except Killed:
                app.release()
        twin.faults.clear()
        clock.sleep(LIFE_SECONDS + 1)
        with app_in(folder, twin, clock) as app:
            Machine(app).replay("webhook.shop")
            Machine(app).replay("webhook.shop")
            assert twin.profiles.keys() == {"u1"}
            assert buried(app) == []
            assert list(app.state.list("outbox/")) == []
            assert list(app.state.list("webhooks/rejected/")) == []
            assert twin.requests - taken <= 2
    assert at > 4


def test_what_tells_repeats_is_cleared_away(tmp_path: Path, twin: BrazeTwin) -> None:
    """A server on one machine has no bucket's expiry rule: calls without an id must not leave a file each, for ever."""
    clock = ManualClock(datetime.now(UTC))  # files bear the time of the machine
    with app_in(tmp_path, twin, clock) as app:
        for number in range(3):
            repeats.id_of(app.state, "shop", b"%d" % number, clock.now())
        clock.sleep(3 * repeats.WINDOW.total_seconds())
        Machine(app).sweep()
        assert list(app.state.list("webhooks/")) == []


@pytest.mark.parametrize("comes_again", [False, True], ids=["replayed", "sent again"])
def test_who_finishes_late_touches_nothing_newer(
    tmp_path: Path, twin: BrazeTwin, monkeypatch: pytest.MonkeyPatch, *, comes_again: bool
) -> None:
    """Of two that bury the same rejected row one stands still, until the row was sent again and arrived, or its sender has
    sent the webhook again: it keeps no row that has arrived, and takes no webhook away."""
    with app_in(tmp_path, twin, ManualClock()) as app:
        row = {"external_id": "u1"}

        def relay() -> bool:
            return app.outbox.relay(id="evt", source="webhook.shop", destination="braze", action="profile", rows=[row])

        def stand_still(*arguments: Any, **more: Any) -> None:
            apply(*arguments, **more)
            monkeypatch.undo()
            twin.faults.clear()
            app.finish_run(receipts.key)
            if comes_again:
                assert relay()
            else:
                assert Machine(app).replay("webhook.shop").delivered == 1

        relay()
        (chunk,) = app.state.list("outbox/")
        twin.faults.append(Fault(NO))
        app.deliver_chunk(chunk.key)
        (receipts,) = app.state.list("receipts/")
        apply = app.warehouse.apply
        monkeypatch.setattr(app.warehouse, "apply", stand_still)
        app.finish_run(receipts.key)
        if comes_again:
            assert Machine(app).deliver_relayed() == 1
        assert twin.profiles.keys() == {"u1"}
        assert buried(app) == []
        assert list(app.state.list("webhooks/rejected/")) == []
