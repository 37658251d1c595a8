"""Large runs on Google Cloud, whole: BigQuery's real client and the emulator, Cloud Storage's real client and the stand-in, to the vendor.

The emulator writes into the stand-in's folders; the stand-in takes the files in when a job has ended.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from rowferry.app import App
from rowferry.delivery.chunk import OUTBOX, Chunk, Row, encode_row, write_chunk
from rowferry.delivery.exported import FOLDER
from rowferry.delivery.runs import Head, Run
from rowferry.errors import TryLater
from rowferry.machine import Machine
from rowferry.settings.file import read_settings
from rowferry.stores.gcs import GcsStore
from rowferry.syncs.exporter import Exporter
from rowferry.syncs.outline import Outline
from rowferry.syncs.start import run_rows
from rowferry.syncs.stretches import Stretch
from rowferry.twins.braze import BrazeTwin
from rowferry.warehouse.bigquery import BigQueryWarehouse
from rowferry.warehouse.port import Export, Exporting
from support.bigquery import PROJECT, bigquery_emulator
from support.bigquery_faults import Call, Wire, failed_job
from support.chunks import plan_of
from support.every_type import ALL_TYPES, FULL_ROW
from support.gcs import GcsServer
from support.killing import DyingStore, Killed, Steps
from support.shop import ENVIRONMENT

COLUMNS = {"id": "STRING", **ALL_TYPES}
FULL: dict[str, Any] = {**FULL_ROW, "id": "u0", "text": "Zoë “quotes” \"'n \\ <b>&amp; back\nline\ttab 😀", "real": float("nan")}
ROWS, CHUNK_ROWS = 60, 20
_numbers = itertools.count(1)


class Cloud:
    """A settings file over a bucket and datasets of its own, and apps over them."""

    def __init__(self, folder: Path, gcs: GcsServer, twin: BrazeTwin) -> None:
        self.gcs, self.twin, self.folder = gcs, twin, folder
        self.number = next(_numbers)
        self.bucket = gcs.make_bucket(f"state-{self.number}")
        self.table = f"crm_exports_{self.number}.customers"
        names = {name: name for name in ("text", "money", "yes", "day", "seen", "tags")}
        settings = {
            "rowferry": 1,
            "warehouse": {"engine": "bigquery", "project": PROJECT, "dataset": f"own_exports_{self.number}", "export_rows": CHUNK_ROWS},
            "state": f"gs://{self.bucket}/acme",
            "destinations": {"braze": {"vendor": "braze", "base_url": twin.url, "api_key": "env:BRAZE_KEY"}},
            "syncs": {
                "customers": {
                    "model": {"table": self.table}, "key": "id", "send": "changed", "to": "braze", "chunk_rows": CHUNK_ROWS,
                    "map": {"external_id": "id", **names},
                }
            },
        }  # fmt: skip
        (folder / "rowferry.yaml").write_text(yaml.safe_dump(settings))
        with self.app() as app:
            app.warehouse.load_rows(self.table, COLUMNS, ({**FULL, "id": f"u{number}"} for number in range(ROWS)), job="customers")

    def app(self, *, export_rows: int | None = CHUNK_ROWS, wire: Wire | None = None, steps: Steps | None = None) -> App:
        """A function's app. A `wire` lies under its BigQuery; with `steps` it dies."""
        settings = read_settings(self.folder / "rowferry.yaml", environment=ENVIRONMENT)
        warehouse = settings.warehouse.model_copy(update={"export_rows": export_rows})
        app = App(settings.model_copy(update={"warehouse": warehouse}), environment=ENVIRONMENT)
        client = bigquery_emulator().client()
        dataset = settings.warehouse.dataset
        engine = EmulatedWarehouse(PROJECT, dataset=dataset, client=wire.under(client) if wire else client)
        engine.adopt = lambda: self.gcs.objects.adopt(self.bucket)
        state: Any = GcsStore(self.gcs.client(), self.bucket, "acme")
        if steps is not None:
            engine.take, state = steps.take, DyingStore(state, steps)
        app.__dict__.update(warehouse=engine, state=state)
        return app


class EmulatedWarehouse(BigQueryWarehouse):
    """BigQuery over the emulator: what a job has written is taken in by the stand-in of Cloud Storage."""

    adopt: Callable[[], None]
    take: Callable[[Callable[[], Any]], Any] = staticmethod(lambda step: step())

    def export(self, sql: str, folder: str, *, is_kept: Callable[[Export], bool], **named: Any) -> Export:
        """Do as BigQuery does: the files of a job are there before anyone can learn that it has ended. The job is a step."""

        def is_kept_of_all(export: Export) -> bool:
            self.adopt()
            return is_kept(export)

        def job() -> Export:
            found = BigQueryWarehouse.export(self, sql, folder, is_kept=is_kept_of_all, **named)
            self.adopt()
            return found

        made: Export = self.take(job)
        return made


@pytest.fixture(scope="module")
def gcs() -> Iterator[GcsServer]:
    with GcsServer(bigquery_emulator().buckets) as server:
        yield server


@pytest.fixture(scope="module")
def twin() -> Iterator[BrazeTwin]:
    with BrazeTwin() as running:
        yield running


@pytest.fixture
def cloud(tmp_path: Path, gcs: GcsServer, twin: BrazeTwin) -> Cloud:
    twin.log.clear()
    twin.profiles.clear()
    return Cloud(tmp_path, gcs, twin)


def chunks(app: App) -> list[list[Row]]:
    found = []
    for listed in app.state.list(OUTBOX):
        with Chunk(app.state, listed.key) as chunk:
            found.append(list(chunk.rows()))
    return found


def latest(app: App) -> Run:
    return Run(app.state, "customers", Head(app.state, "customers").read() or "")


def test_every_type_leaves_alike_by_either_way(cloud: Cloud) -> None:
    """One run table of every type, written by the warehouse and read through the function: the same rows, NULLs too."""
    plan = plan_of(list(COLUMNS.items()))
    kinds = {"rowferry_position": "INT64", **dict.fromkeys(("row_id", "row_key", "op", "mask"), "STRING")}
    kinds |= {f"c_{index}": kind for index, kind in enumerate(COLUMNS.values())}
    ops = ("create", "update", "remove")
    rows = [{"rowferry_position": 1 + number, "row_id": f"r{number}", "op": op} for number, op in enumerate(ops)]
    full = {f"c_{index}": FULL[name] for index, name in enumerate(COLUMNS)}
    rows = [{**row, **full, "row_key": "k", "mask": "101"} for row in rows[:2]] + [{**rows[2], "c_12": [], "c_14": []}]
    with cloud.app() as app:
        app.warehouse.load_rows("rowferry.run_types", kinds, rows, job="run")
        outline = Outline(
            plan=plan, mode="all", statement="", params={}, run_table="rowferry.run_types", state_table=None, state_columns=(),
            is_identifier=(), chunk_rows=3, guards={}, notify=(),
        )  # fmt: skip
        exporter = Exporter(app.state, cast("Exporting", app.warehouse))
        assert exporter.write(outline, [Stretch(0, plan, 1, 3)], lambda: float("inf")) == []
        write_chunk(app.state, plan, 1, map(encode_row, run_rows(app.warehouse, outline, 1, 3)))
        exported, through = chunks(app)
        assert [row.op for row in exported] == ["upsert", "upsert", "remove"]
        assert repr(exported) == repr(through)  # repr: NaN is not itself


def test_a_large_run_goes_from_the_warehouse_to_the_vendor(cloud: Cloud) -> None:
    """Three jobs, nine files of which three are empty, three chunks; every row is delivered once, and no file stays."""
    with cloud.app() as app:
        result = Machine(app).sync("customers")
        assert (result.status, result.read, result.delivered, result.pending) == ("closed", ROWS, ROWS, 0)
        assert len(cloud.twin.profiles) == ROWS
        assert cloud.twin.profiles["u7"]["text"] == FULL["text"]
        assert [found.key for prefix in (FOLDER, OUTBOX) for found in app.state.list(prefix)] == []
        assert Machine(app).sync("customers").unchanged == ROWS


def test_a_job_that_failed_and_one_whose_answer_was_lost(cloud: Cloud) -> None:
    """The files of a failed attempt are never rows; a job that nobody heard of is adopted by its name."""
    wire = Wire()
    wire.answer(_is_export, 200, failed_job("backendError"))
    wire.lose(_is_export)
    with cloud.app(wire=wire) as app:
        assert Machine(app).sync("customers").delivered == ROWS
    asked = [str(call.body) for call in wire.of(_is_export)]
    assert len(asked) == 5
    assert sum("/r1/*.json.gz" in text for text in asked) == 1


def _is_export(call: Call) -> bool:
    return call.is_new_job and "EXPORT DATA" in str(call.body)


@pytest.mark.parametrize("at", [11, 17])
@pytest.mark.parametrize("after", [False, True])
def test_killed_under_way(cloud: Cloud, at: int, after: bool) -> None:
    """Between a job and its chunk, between chunks, before the manifest: the next function's run has every row once."""
    steps = Steps(at, after=after)
    with cloud.app(steps=steps) as app, pytest.raises(Killed):
        app.start_sync("customers")
    with cloud.app() as app:
        for held in app.state.list("claims/"):
            app.state.delete(held.key)  # its holder is gone
        for _ in range(3):
            try:
                result = Machine(app).sync("customers")
                break
            except TryLater:
                continue
        assert (result.status, result.delivered, len(cloud.twin.profiles)) == ("closed", ROWS, ROWS)
        assert len([item for call in cloud.twin.log for item in json.loads(call.body)["attributes"]]) == ROWS
        assert list(app.state.list(FOLDER)) == []
