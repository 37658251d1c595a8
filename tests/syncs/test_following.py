"""A sync that comes after a feed starts once for what was loaded, though the one that loaded it was killed before it could say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rowferry.app import App
from rowferry.machine import Machine
from rowferry.syncs import following
from rowferry.twins.braze import BrazeTwin
from support.killing import Killed
from support.runs import machine
from support.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Customers that come by files, and a sync that follows them; one file is loaded and sent."""
    with BrazeTwin() as twin:
        shop = Shop(tmp_path, twin, after=["crm"])
        shop.settings["feeds"] = {
            "crm": {
                "path": "crm/",
                "table": "crm.customers",
                "columns": {"id": "STRING", "email": "STRING", "tier": "STRING", "branch": "STRING"},
            }
        }
        shop.save()
        with machine(shop) as found:
            found.sweep()
            drop_file(shop, "one.csv", "u1")
            found.load_new_and_follow()
        yield shop


def drop_file(shop: Shop, name: str, *ids: str) -> None:
    """An export file of some customers."""
    folder = shop.folder / "exports" / "crm"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("id,email,tier,branch\n" + "".join(f"{one},{one}@example.com,gold,Bern\n" for one in ids))


def load_and_die(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load what is there; killed when the rows are in and nothing of what follows is done."""

    def killed(*_: Any) -> None:
        raise Killed

    with ExitStack() as stack:
        found = stack.enter_context(machine(shop))
        stack.enter_context(monkeypatch.context()).setattr(App, "_after_load", killed)
        with pytest.raises(Killed):
            found.load_new()


def runs(found: Machine) -> int:
    """How many runs there were."""
    return len(found.status()["runs"])


def sent(shop: Shop) -> list[str]:
    """Who reached the vendor, in order."""
    return [str(item["external_id"]) for item in shop.sent()]


def test_the_sweep_of_one_machine_follows_a_load_that_was_killed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart finds nothing new to load; the sweep starts the sync for what came in, and only once."""
    drop_file(shop, "two.csv", "u2")
    load_and_die(shop, monkeypatch)
    with machine(shop) as found:
        assert found.load_new_and_follow() == []
        assert [run.status for run in found.sweep()] == ["closed"]
        assert found.sweep() == []
        assert sent(shop) == ["u1", "u2"]
        assert runs(found) == 2


def test_the_sweep_of_the_clouds_follows_a_load_that_was_killed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by the functions' sweep, which starts the run that others deliver."""
    drop_file(shop, "two.csv", "u2")
    load_and_die(shop, monkeypatch)
    with machine(shop) as found:
        found.app.sweep()
        found.app.sweep()
        assert runs(found) == 2
        assert found.sync("customers").delivered == 1
        found.app.sweep()
        assert runs(found) == 2
        assert sent(shop) == ["u1", "u2"]


def test_nothing_is_started_for_loads_that_were_followed(shop: Shop) -> None:
    """A sweep after each load that went well starts nothing: a sync that sends all rows would send them again."""
    with machine(shop) as found:
        drop_file(shop, "two.csv", "u2")
        found.load_new_and_follow()
        found.app.sweep()
        assert found.sweep() == []
        assert runs(found) == 2


def test_files_of_before_the_sync_are_no_reason_to_start_it(shop: Shop) -> None:
    """A sync that is new in the settings, and one whose runs are of an earlier version, wait for the next file."""
    shop.settings["syncs"]["others"] = {**shop.settings["syncs"]["customers"]}
    shop.save()
    with machine(shop) as found:
        assert found.sweep() == []
        assert found.load_new_and_follow() == []
        assert runs(found) == 1


def test_a_replay_is_no_run_for_the_files(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay reads dead letters alone, so what was loaded before it is yet to be followed, marked or not."""
    with machine(shop) as found:
        drop_file(shop, "two.csv", "u2")
        found.load_new()  # and killed before the sync
        found.replay("customers")
        assert [run.delivered for run in found.load_new_and_follow() if hasattr(run, "delivered")] == [1]
    drop_file(shop, "three.csv", "u3")
    load_and_die(shop, monkeypatch)
    with machine(shop) as found:
        found.replay("customers")
        assert [run.delivered for run in found.sweep()] == [1]
    assert sent(shop) == ["u1", "u2", "u3"]


def test_a_run_that_was_killed_while_planned_has_seen_what_it_counted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between its outline and the note of what it has seen, it notes that when it goes on: no second run follows."""

    def killed(*_: Any) -> None:
        raise Killed

    drop_file(shop, "two.csv", "u2")
    with ExitStack() as stack:
        found = stack.enter_context(machine(shop))
        found.load_new()
        stack.enter_context(monkeypatch.context()).setattr(following, "note", killed)
        with pytest.raises(Killed):
            found.sync("customers")
    with machine(shop) as found:
        assert [run.delivered for run in found.sweep()] == [1]
        assert found.sweep() == []
        assert found.load_new_and_follow() == []
        assert runs(found) == 2
