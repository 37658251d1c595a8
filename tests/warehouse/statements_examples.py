"""Work that renders our SQL files, each with tables of its own. Add a scenario when you add a file.

A scenario gets a folder and does something real over an embedded warehouse that it takes from
`judged(path)`: each statement is shown to Google's analyzer with the tables as they are, then run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rowferry.app import App
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.syncs.exporter import Exporter
from rowferry.syncs.start import Starter
from rowferry.twins.braze import BrazeTwin
from support.exporting import ExportingWarehouse
from support.judged import JudgedWarehouse
from support.loading import Bench
from support.shop import ENVIRONMENT, Shop

COLUMNS = {
    "id": "INT64",
    "name": "STRING",
    "ltv": "NUMERIC",
    "day": "DATE",
    "seen": "TIMESTAMP",
    "doc": "JSON",
    "ok": "BOOL",
    "f": "FLOAT64",
}
CSV = "id,name,ltv,day,seen,doc,ok,f,extra\n1,a,1.5,2024-01-01,2024-01-01 10:00:00,{},true,1.5,7\nx,b,y,z,nope,{,maybe,q,8\n"


FEW = "id,day,extra\n1,2024-01-01,7\nx,z,8\n"  # what is long to judge is judged once


def bench(folder: Path, **feed: Any) -> Bench:
    """A loader over a judged warehouse, with one feed."""
    feeds = {"crm": {"path": "crm/*.csv", "table": "crm.customers", "columns": {"id": "INT64", "day": "DATE"}, **feed}}
    found = Bench(folder, feeds)
    found.warehouse = JudgedWarehouse(folder / "warehouse.duckdb")
    found.loader = found.new_loader()
    return found


def append(folder: Path) -> None:
    """A file of all types, with rejected cells."""
    assert bench(folder, columns=COLUMNS).load("crm/a.csv", CSV).status == "loaded"


def append_again(folder: Path) -> None:
    """A newer version of a file, with a column that is not declared."""
    found = bench(folder)
    assert found.load("crm/a.csv", FEW).status == "loaded"
    assert found.load("crm/a.csv", FEW.replace("7", "8")).status == "loaded"
    list(found.loader.ledger.files())
    found.loader.ledger.freshness()
    assert found.loader.ledger.loaded(["crm"], datetime(2020, 1, 1, tzinfo=UTC)) == 2


def reject_rows(folder: Path) -> None:
    """Rows that are rejected whole, and come back corrected."""
    found = bench(folder, bad_value="reject_row")
    found.load("crm/a.csv", FEW)
    (kept,) = found.state.list("quarantine/")
    text = found.state.read(kept.key)[0].decode().replace('"x"', '"2"').replace('"z"', '"2024-01-02"')
    assert found.load("crm/a.csv.corrected.csv", text).status == "loaded"


def bad_lines(folder: Path) -> None:
    """Lines that are no rows, beside bad cells and alone, merged, corrected, and in files that load together."""
    found = bench(folder, bad_line="reject", write="merge", key=["id"], order_by="day")
    assert found.load("crm/a.csv", FEW + "2\n").rejected_rows == 2
    assert found.load("crm/b.csv", "id,day\n1,2024-01-01\n1,2024-01-01\n2\n").rejected_rows == 1
    assert found.load("crm/c.csv", "id,day\n1,2024-01-01\n1,2024-01-01\n").rows == 2
    together = bench(folder / "together", bad_line="reject", window="5m")
    keys = [together.put(f"crm/{name}.csv", FEW + "2\n") for name in "ab"]
    assert [result.rejected_rows for result in together.loader.load_many(keys)] == [1, 1]


def merge(folder: Path) -> None:
    """Two files of the same key, the newer row wins."""
    found = bench(folder, write="merge", key=["id"], order_by="day")
    assert found.load("crm/a.csv", FEW).status == "loaded"
    assert found.load("crm/b.csv", FEW.replace("2024-01-01", "2024-01-02")).status == "loaded"


def window(folder: Path) -> None:
    """Small files together, twice, with rejected cells and an undeclared column."""
    found = bench(folder, window="5m")
    for content in (CSV, CSV.replace("1.5", "2.5")):
        keys = [found.put(f"crm/{name}.csv", content) for name in "ab"]
        assert [result.status for result in found.loader.load_many(keys)] == ["loaded", "loaded"]


def replace_table(folder: Path) -> None:
    """Each file is the whole table."""
    found = bench(folder, write="replace")
    assert found.load("crm/a.csv", FEW).status == "loaded"
    assert found.load("crm/b.csv", FEW).status == "loaded"


def replace_days(folder: Path) -> None:
    """Each file is whole days."""
    found = bench(folder, write="replace", replace="partition", partition_by="day")
    assert found.load("crm/a.csv", FEW).status == "loaded"
    assert found.load("crm/b.csv", FEW).status == "loaded"


@contextmanager
def shop(folder: Path, **sync: Any) -> Iterator[tuple[Shop, Callable[[], None]]]:
    """A shop, and what runs its sync over a judged warehouse."""
    with BrazeTwin() as twin:
        found = Shop(folder, twin, **sync)
        found.fill(5)

        def run() -> None:
            with judged_app(found) as app:
                Machine(app).sync("customers")

        yield found, run


@contextmanager
def judged_app(found: Shop) -> Iterator[App]:
    """The app of a shop's settings, over a judged warehouse."""
    with App(read_settings(found.config), environment=ENVIRONMENT) as app:
        app.__dict__["warehouse"] = JudgedWarehouse(found.folder / "warehouse.duckdb")
        yield app


def send_changed(folder: Path) -> None:
    """Creates, updates, removals, and rows without a key; then a replay."""
    with shop(folder, on_remove="delete") as (found, run):
        run()
        found.execute("UPDATE crm.customers SET tier = NULL WHERE id = 'u1'")
        found.execute("DELETE FROM crm.customers WHERE id = 'u2'")
        found.execute("UPDATE crm.customers SET id = NULL WHERE id = 'u3'")
        run()
        with judged_app(found) as app:
            Machine(app).replay("customers", code="missing_key")


def send_new(folder: Path) -> None:
    """Rows above the cursor, over two runs; then a replay and a backfill."""
    day = datetime(2024, 1, 1, tzinfo=UTC)
    event = {"external_id": "id", "name": {"value": "Seen"}, "time": {"value": "2024-01-01T00:00:00Z"}, "tier": "tier"}
    with shop(folder, send="new", cursor="added_at", map=event) as (found, run):
        found.execute(f"ALTER TABLE crm.customers ADD COLUMN added_at TIMESTAMPTZ DEFAULT '{day}'")
        run()
        found.execute(f"UPDATE crm.customers SET added_at = '{day + timedelta(days=1)}' WHERE id = 'u1'")
        run()
        with judged_app(found) as app:
            Machine(app).replay("customers", code="nothing")
            Machine(app).backfill("customers", "2024-01-01", "2024-01-01")


def send_all(folder: Path) -> None:
    """Everything, with a row that was rejected before, and a replay."""
    with shop(folder, send="all") as (found, run):
        found.execute("UPDATE crm.customers SET email = 'not an address' WHERE id = 'u1'")
        run()
        run()
        with judged_app(found) as app:
            Machine(app).replay("customers")


def export(folder: Path) -> None:
    """A run whose rows leave by an export: columns that go as they are, as text and as JSON."""
    fields = {"external_id": "id", "ltv": "ltv", "tags": "tags"}
    with shop(folder, map=fields) as (found, _), judged_app(found) as app:
        found.execute("ALTER TABLE crm.customers ADD COLUMN ltv DECIMAL(38, 9); ALTER TABLE crm.customers ADD COLUMN tags VARCHAR[]")
        resolver, exporter = app.resolver("customers"), Exporter(app.state, ExportingWarehouse(app.warehouse, app.state))
        starter = Starter(app.state, app.warehouse, app.clock, exporter)
        starter.start("customers", lambda run, at: replace(resolver.outline(run, at), export_rows=1))
        assert len(list(app.state.list("outbox/"))) == 1


def relay(folder: Path) -> None:
    """A webhook's row that the vendor does not take, and that its sender sends again."""
    with BrazeTwin() as twin, judged_app(Shop(folder, twin)) as app:
        for _ in range(2):
            app.outbox.relay(id="1", source="webhook.shop", destination="braze", action="profile", rows=[{"tier": "gold"}])
            assert Machine(app).deliver_relayed() == 1


SCENARIOS: tuple[Callable[[Path], None], ...] = (
    append,
    append_again,
    reject_rows,
    bad_lines,
    merge,
    window,
    replace_table,
    replace_days,
    send_changed,
    send_new,
    send_all,
    export,
    relay,
)
