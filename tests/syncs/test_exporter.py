"""Runs whose chunks the warehouse writes by itself: killed at every step, with exports that fail, and in any number of files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rowferry.app import App
from rowferry.delivery.chunk import OUTBOX, Chunk, Row
from rowferry.delivery.exported import FOLDER
from rowferry.delivery.runs import Head, Run
from rowferry.errors import DamagedState, OutOfTime, TryLater
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.syncs.exporter import JOB_SECONDS
from rowferry.twins.braze import BrazeTwin
from rowferry.warehouse.port import Export
from support.exporting import ExportingWarehouse
from support.killing import DyingStore, Killed, Steps
from support.shop import ENVIRONMENT, Shop

ROWS, CHUNK_ROWS, LEFT = 25, 10, 3
ODD = "a <b> & 'c'\n\"d\" 😀"


class ExportingApp(App):
    """The shop's app over a warehouse that exports, from the first row on."""

    def __init__(self, shop: Shop, steps: Steps | None = None, **warehouse: Any) -> None:
        super().__init__(read_settings(shop.config, environment=ENVIRONMENT), environment=ENVIRONMENT)
        engine = ExportingWarehouse(self.warehouse, self.state, **warehouse)
        if steps is not None:
            engine.before = engine.after = lambda: steps.take(lambda: None)
            self.__dict__["state"] = DyingStore(self.state, steps)
        self.__dict__["warehouse"] = self.engine = engine

    @property
    def export_rows(self) -> int | None:
        """As if it were BigQuery."""
        return 1

    @property
    def run(self) -> Run:
        """The latest run."""
        return Run(self.state, "customers", Head(self.state, "customers").read() or "")

    def chunks(self) -> dict[str, list[Row]]:
        """The rows of each chunk, by its number."""
        found = {}
        for listed in self.state.list(OUTBOX):
            with Chunk(self.state, listed.key) as chunk:
                found[listed.key.rpartition("/")[2]] = list(chunk.rows())
        return found

    def staged(self) -> list[str]:
        """What lies where exports go."""
        return [found.key for found in self.state.list(FOLDER)]


@pytest.fixture(scope="module")
def twin() -> Iterator[BrazeTwin]:
    with BrazeTwin() as running:
        yield running


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory, twin: BrazeTwin) -> Shop:
    """A shop of which all was delivered once; since then every customer has changed and some have left."""
    shop = Shop(tmp_path_factory.mktemp("shop"), twin, chunk_rows=CHUNK_ROWS, on_remove="delete")
    shop.fill(ROWS + LEFT)
    with App(read_settings(shop.config, environment=ENVIRONMENT), environment=ENVIRONMENT) as app:
        assert Machine(app).sync("customers").status == "closed"
    shop.execute(f"DELETE FROM crm.customers WHERE CAST(id[2:] AS INT) >= {ROWS}")
    odd = ODD.replace("'", "''")
    shop.execute(f"UPDATE crm.customers SET tier = '{odd}'")
    return shop


@pytest.fixture
def new_shop(delivered: Shop, tmp_path: Path) -> Callable[[], Shop]:
    """Makes copies of it."""
    made: list[Shop] = []

    def copy() -> Shop:
        folder = tmp_path / str(len(made))
        shutil.copytree(delivered.folder, folder)
        shop = Shop.__new__(Shop)
        shop.__dict__.update(delivered.__dict__, folder=folder, config=folder / delivered.config.name)
        made.append(shop)
        return shop

    return copy


@pytest.fixture
def shop(new_shop: Callable[[], Shop]) -> Shop:
    return new_shop()


@pytest.fixture
def wanted(new_shop: Callable[[], Shop]) -> dict[str, list[Row]]:
    """The chunks of the same run when its rows go through the function."""
    shop = new_shop()
    with App(read_settings(shop.config, environment=ENVIRONMENT), environment=ENVIRONMENT) as app:
        app.start_sync("customers")
        return ExportingApp.chunks(app)  # type: ignore[arg-type]  # it only looks at the state


def test_the_same_chunks_leave_by_either_way(shop: Shop, wanted: dict[str, list[Row]]) -> None:
    """Numbers, rows, order and values are those of a run that went through the function; nothing stays where exports go."""
    with ExportingApp(shop) as app:
        assert app.start_sync("customers").status == "open"
        assert len(app.engine.jobs) == 4
        assert app.chunks() == wanted
        assert {name: [row.op for row in rows] for name, rows in wanted.items()} == {
            "00000.jsonl.gz": ["upsert"] * 10,
            "00001.jsonl.gz": ["upsert"] * 10,
            "00002.jsonl.gz": ["upsert"] * 5,
            "00003.jsonl.gz": ["remove"] * LEFT,
        }
        manifest = app.run.manifest()
        assert manifest is not None
        assert (manifest.chunks, manifest.to_send, app.staged()) == (4, ROWS + LEFT, [])


def test_a_plan_says_that_the_warehouse_would_write(shop: Shop) -> None:
    """How many chunks, without a job; a run that goes through the function says nothing of it."""
    with ExportingApp(shop) as app:
        assert "BigQuery would write the run's 4 chunks by itself" in Machine(app).plan("customers").notes
        assert app.engine.jobs == {}
    with App(read_settings(shop.config, environment=ENVIRONMENT), environment=ENVIRONMENT) as app_of_few:
        assert not any("by itself" in note for note in Machine(app_of_few).plan("customers").notes)


def test_an_exported_run_is_delivered_and_closed(shop: Shop, twin: BrazeTwin) -> None:
    """From the warehouse's own files to the vendor and the balance; removals go by their own action."""
    twin.log.clear()
    with ExportingApp(shop, shards=3, with_empty=True) as app:
        result = Machine(app).sync("customers")
        assert (result.status, result.read, result.delivered, result.pending) == ("closed", ROWS + LEFT, ROWS + LEFT, 0)
        assert Machine(app).sync("customers").delivered == 0
    assert sorted(item["external_id"] for item in shop.sent()) == sorted(f"u{i}" for i in range(ROWS))
    assert {item["tier"] for item in shop.sent()} == {ODD}
    assert {call.path for call in twin.log} == {"/users/track", "/users/delete"}


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_step(new_shop: Callable[[], Shop], wanted: dict[str, list[Row]], after: bool) -> None:
    """Before a job and after it, between files and chunk, before the manifest: the next call leaves the same chunks and no files."""
    for at in range(1, 200):
        shop, steps = new_shop(), Steps(at, after=after)
        with ExportingApp(shop, steps, shards=2, with_empty=True) as app:
            engine = app.engine
            try:
                app.start_sync("customers")
            except Killed:
                pass
            else:
                break
        with ExportingApp(shop, jobs=engine.jobs, shards=2, with_empty=True) as app:
            for held in app.state.list("claims/"):
                app.state.delete(held.key)  # its holder is gone
            app.start_sync("customers")
            assert app.chunks() == wanted, at
            manifest = app.run.manifest()
            assert manifest is not None
            assert manifest.chunks == 4, at
            if app.staged():  # files of a killed attempt go when the run is closed
                result = Machine(app).sync("customers")
                assert (result.status, result.delivered, result.pending) == ("closed", ROWS + LEFT, 0), at
                assert app.staged() == [], at
    else:
        pytest.fail("there are more steps than were tried")
    assert at > 25


@pytest.mark.parametrize("fault", ["fails", "lost", "running"])
def test_an_export_that_goes_wrong_is_done_again_elsewhere(shop: Shop, wanted: dict[str, list[Row]], fault: str) -> None:
    """What a failed job left behind is no row; one whose answer was lost, or that outlasted the call, is adopted."""
    with ExportingApp(shop, shards=2, faults=[fault]) as app:
        with pytest.raises(TryLater):
            app.start_sync("customers")
        assert app.run.manifest() is None
        app.start_sync("customers")
        assert app.chunks() == wanted
        attempts = sorted(map(len, app.engine.jobs.values()))
        assert attempts == ([1, 1, 1, 2] if fault == "fails" else [1, 1, 1, 1])
        assert Machine(app).sync("customers").status == "closed"
        assert app.staged() == []


def test_what_the_warehouse_does_not_write_goes_through_the_function(
    shop: Shop, wanted: dict[str, list[Row]], caplog: pytest.LogCaptureFixture
) -> None:
    """A bucket in another place, a missing right: the run goes on as a small one does, under the same numbers, and says why."""
    with ExportingApp(shop, faults=["fine", "refused"]) as app:
        app.start_sync("customers")
        assert app.chunks() == wanted
        assert "because the warehouse does not write them: invalidQuery: Cannot read and write in different locations" in caplog.text
        assert Machine(app).sync("customers").status == "closed"


@pytest.mark.parametrize("seed", range(8))
def test_whatever_goes_wrong_in_whatever_order(shop: Shop, wanted: dict[str, list[Row]], seed: int) -> None:
    """Kills, lost answers, failed, refused and slow jobs, files that go, by the dice: in the end the chunks are the same."""
    dice = random.Random(seed)
    jobs: dict[str, list[Export | None]] = {}
    more: dict[str, Any] = {"shards": dice.choice([1, 2, 40]), "with_empty": dice.random() < 0.5}
    for _ in range(30):
        faults = dice.choices(["fine", "fails", "lost", "short", "running", "refused"], [4, 2, 2, 1, 1, 0.3], k=6)
        steps = Steps(dice.randrange(1, 60), after=dice.random() < 0.5)
        with ExportingApp(shop, steps, jobs=jobs, faults=faults, **more) as app, suppress(Killed, TryLater):
            app.start_sync("customers")
            break
        with ExportingApp(shop) as app:
            for key in [found.key for found in app.state.list("claims/")] + dice.sample(staged := app.staged(), k=len(staged) // 8):
                app.state.delete(key)  # its holder is gone; somebody tidies up
    with ExportingApp(shop, jobs=jobs, **more) as app:
        for held in app.state.list("claims/"):
            app.state.delete(held.key)
        app.start_sync("customers")
        assert app.chunks() == wanted
        result = Machine(app).sync("customers")
        assert (result.status, result.delivered, app.staged()) == ("closed", ROWS + LEFT, [])


def test_files_that_are_not_what_was_written_are_not_taken(
    shop: Shop, wanted: dict[str, list[Row]], caplog: pytest.LogCaptureFixture
) -> None:
    """The warehouse says it wrote two files and one is there: that chunk's rows go through the function."""
    with ExportingApp(shop, shards=2, faults=["short"]) as app:
        app.start_sync("customers")
        assert app.chunks() == wanted
        assert "holds 1 files; it wrote 2" in caplog.text
        assert Machine(app).sync("customers").status == "closed"
        assert app.staged() == []


def test_files_that_went_since_are_written_again(shop: Shop, wanted: dict[str, list[Row]]) -> None:
    """A job of an earlier call is adopted only with all that it wrote; else it is done again, elsewhere."""
    with ExportingApp(shop, shards=2, faults=["lost"] * 4) as app:
        with pytest.raises(TryLater):
            app.start_sync("customers")
        for key in app.staged():
            app.state.delete(key)
        for _ in range(4):
            with suppress(TryLater):
                app.start_sync("customers")
        assert app.chunks() == wanted
        assert max(map(len, app.engine.jobs.values())) == 2


def test_more_files_than_the_store_puts_together_at_once(shop: Shop, wanted: dict[str, list[Row]]) -> None:
    """A stretch in 40 files is put together in two rounds, in order."""
    shop.settings["syncs"]["customers"]["chunk_rows"] = 40
    shop.save()
    with ExportingApp(shop, shards=40, with_empty=True) as app:
        app.start_sync("customers")
        rows = [row for found in app.chunks().values() for row in found]
        assert rows == [row for found in wanted.values() for row in found]
        assert len(app.chunks()) == 2
        assert app.staged() == []


def test_no_job_is_begun_without_the_time_for_it(shop: Shop, wanted: dict[str, list[Row]]) -> None:
    """Near its end the function stops with its progress saved; the next one goes on behind it."""
    with ExportingApp(shop) as app:
        calls = iter([JOB_SECONDS] * 2)
        with pytest.raises(OutOfTime):
            app.start_sync("customers", lambda: next(calls, JOB_SECONDS - 1))
        assert len(app.chunks()) == len(app.engine.jobs) == 2
        app.start_sync("customers")
        assert app.chunks() == wanted
        assert len(app.engine.jobs) == 4


def test_the_sweep_goes_on_with_a_run_that_was_not_planned_to_its_end(shop: Shop, wanted: dict[str, list[Row]]) -> None:
    """With no time left it leaves the run to the next sweep and does the rest of its work; with time it writes the chunks."""
    with ExportingApp(shop) as app:
        with pytest.raises(OutOfTime):
            app.start_sync("customers", lambda: 0)
        assert app.sweep(lambda: 0)["runs"] == 1
        assert app.chunks() == {}
        app.sweep()
        assert app.chunks() == wanted


def test_a_file_that_is_missing_in_a_chunk_shows(shop: Shop) -> None:
    """Should a warehouse say nothing of its files and lose one, the chunk is known to be short and the run does not close."""
    with ExportingApp(shop, shards=2, faults=["short"]) as app:
        tell, engine = app.engine.export, app.engine

        def export(*given: Any, **named: Any) -> Any:
            return type(found := tell(*given, **named))(found.folder, None, None)

        engine.export = export  # type: ignore[method-assign]  # one that does not count
        app.start_sync("customers")
        with pytest.raises(DamagedState, match=r"0000\d\.jsonl\.gz"):
            Machine(app).sync("customers")
        result = app.run.result()
        assert (result.status, result.delivered + result.pending) == ("open", ROWS + LEFT)
        assert result.pending > 0
