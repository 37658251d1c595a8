"""Webhooks' rows on one machine: what a crash leaves between their receipts and their dead letters is not lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from rowferry.app import App
from rowferry.clock import ManualClock
from rowferry.delivery.claim import LIFE_SECONDS
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.twins.braze import BrazeTwin
from rowferry.webhooks import repeats
from support.killing import DyingStore, Killed, Steps

SETTINGS = """
rowferry: 1
warehouse: {{engine: duckdb, path: warehouse.duckdb}}
state: ./state
destinations: {{braze: {{vendor: braze, base_url: "{url}", api_key: "env:KEY", in_flight: 1}}}}
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
    return App(read_settings(folder / "rowferry.yaml", ENVIRONMENT), base=folder, environment=ENVIRONMENT, clock=clock)


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


def buried(app: App) -> list[tuple[str, str]]:
    """Whose rows are dead letters, and why."""
    found = app.warehouse.query("SELECT row_key, code FROM rowferry.dead_letters ORDER BY row_key")
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


def test_what_tells_repeats_is_cleared_away(tmp_path: Path, twin: BrazeTwin) -> None:
    """A server on one machine has no bucket's expiry rule: calls without an id must not leave a file each, for ever."""
    clock = ManualClock(datetime.now(UTC))  # files bear the time of the machine
    with app_in(tmp_path, twin, clock) as app:
        for number in range(3):
            repeats.id_of(app.state, "shop", b"%d" % number, clock.now())
        clock.sleep(3 * repeats.WINDOW.total_seconds())
        Machine(app).sweep()
        assert list(app.state.list("webhooks/")) == []
