"""What the BigQuery adapter asks for when rows are to leave by EXPORT DATA, and what it makes of each answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from rowferry.clock import ManualClock
from rowferry.errors import CredentialsError, TryLater
from rowferry.warehouse.bigquery import BigQueryWarehouse
from rowferry.warehouse.bigquery_scripts import export_statement
from rowferry.warehouse.port import Export, WarehouseError
from support.bigquery import PROJECT, bigquery_emulator
from support.bigquery_faults import Call, Wire, error, failed_job
from support.zetasql import Oracle

SQL = "SELECT n FROM UNNEST([1, 2, 3]) AS n ORDER BY n"
_numbers = itertools.count(1)


@pytest.fixture
def wire() -> Wire:
    """The transport under the client."""
    return Wire()


@pytest.fixture
def clock() -> ManualClock:
    """Pauses pass at once."""
    return ManualClock()


@pytest.fixture
def warehouse(wire: Wire, clock: ManualClock) -> BigQueryWarehouse:
    """BigQuery through the wire."""
    return BigQueryWarehouse(PROJECT, location="US", client=wire.under(bigquery_emulator().client()), clock=clock)


@pytest.fixture
def folder() -> str:
    """The address of a folder that no other test writes into."""
    return f"gs://bucket/exported/{next(_numbers)}/"


def is_new_job(call: Call) -> bool:
    return call.is_new_job


def asked(wire: Wire) -> list[str]:
    """Where each new job was to write."""
    texts = [call.body["configuration"]["query"]["query"] for call in wire.of(is_new_job)]
    return [text.partition("uri = '")[2].partition("'")[0] for text in texts]


def export(warehouse: BigQueryWarehouse, folder: str, is_kept: Callable[[Export], bool] = lambda _: True, **more: Any) -> Export:
    return warehouse.export(SQL, folder, job="a", is_kept=is_kept, **more)


def test_an_export_is_one_job_of_a_name_made_from_the_work(warehouse: BigQueryWarehouse, wire: Wire, folder: str) -> None:
    """The statement says where and how, never over what is there; the answer says how many files and rows."""
    assert export(warehouse, folder) == Export(f"{folder}r0/", 3, 3)
    (call,) = wire.of(is_new_job)
    assert call.body["configuration"]["query"]["query"] == (
        f"EXPORT DATA OPTIONS (uri = '{folder}r0/*.json.gz', format = 'JSON', compression = 'GZIP', overwrite = false) AS\n{SQL}"
    )
    assert call.job_id.startswith("rowferry-export-")
    assert call.job_id.endswith("-r0")
    assert call.body["jobReference"]["location"] == "US"


def test_googles_analyzer_takes_the_statement() -> None:
    """EXPORT DATA with its options, around a SELECT."""
    Oracle().analyze(export_statement(SQL, "gs://bucket/a/"))


def test_a_lost_answer_does_not_start_a_second_job(warehouse: BigQueryWarehouse, wire: Wire, folder: str) -> None:
    """The job was made, its answer never came: the same id again, 409, adopted, with what it wrote."""
    wire.lose(is_new_job)
    assert export(warehouse, folder) == Export(f"{folder}r0/", 3, 3)
    assert asked(wire) == [f"{folder}r0/*.json.gz"] * 2


def test_what_was_written_before_is_adopted_while_it_is_there(warehouse: BigQueryWarehouse, wire: Wire, folder: str) -> None:
    """The second call finds the job and shows it; whose files are gone is done again, somewhere else."""
    seen: list[Export] = []

    def is_kept(found: Export) -> bool:
        seen.append(found)
        return len(seen) == 1

    first = export(warehouse, folder, is_kept)
    assert export(warehouse, folder, is_kept) == first
    assert export(warehouse, folder, is_kept).folder == f"{folder}r1/"
    assert seen == [first, first]


@pytest.mark.parametrize("reason", ["backendError", "jobInternalError"])
def test_a_job_that_failed_is_done_again_somewhere_else(warehouse: BigQueryWarehouse, wire: Wire, folder: str, reason: str) -> None:
    """Whether it left files behind does not matter: the next attempt has a folder of its own."""
    wire.answer(is_new_job, 200, failed_job(reason))
    assert export(warehouse, folder).folder == f"{folder}r1/"
    assert asked(wire) == [f"{folder}r0/*.json.gz", f"{folder}r1/*.json.gz"]


def test_a_job_that_is_refused_says_why(warehouse: BigQueryWarehouse, wire: Wire, folder: str) -> None:
    """A bucket in another place, a missing right: no further attempt, and Google's words."""
    wire.answer(is_new_job, 200, failed_job("invalidQuery", "Cannot read and write in different locations: source: US, destination: EU"))
    with pytest.raises(WarehouseError, match="Cannot read and write in different locations"):
        export(warehouse, folder)
    wire.answer(is_new_job, 403, error("accessDenied", "Access Denied: Permission storage.objects.create denied"))
    with pytest.raises(CredentialsError, match=r"storage\.objects\.create"):
        export(warehouse, folder)


def test_no_more_time_is_waited_than_there_is(warehouse: BigQueryWarehouse, wire: Wire, clock: ManualClock, folder: str) -> None:
    """A job that still runs when the function has to end is left running; the next call takes it up."""
    running = {"status": {"state": "RUNNING"}, "statistics": {}}
    wire.answer(is_new_job, 200, lambda call: {**call.body, **running})
    wire.answer(lambda call: call.method == "GET", 200, {"jobComplete": False}, times=99)
    with pytest.raises(TryLater, match="still runs"):
        export(warehouse, folder, wait_seconds=7)
    assert 7 <= sum(clock.slept) < 15


def test_what_google_does_not_count_is_unknown(warehouse: BigQueryWarehouse, wire: Wire, folder: str) -> None:
    """Numbers that the answer leaves out are None, not 0."""
    wire.answer(is_new_job, 200, lambda call: {**call.body, "status": {"state": "DONE"}, "statistics": {"query": {}}})
    assert export(warehouse, folder) == Export(f"{folder}r0/", None, None)


@pytest.mark.parametrize("sign", ["'", "*", "\\", "\n"])
def test_an_address_that_can_not_stand_in_a_statement_is_refused(warehouse: BigQueryWarehouse, wire: Wire, sign: str) -> None:
    """A folder's name can't end the text it stands in, nor be a pattern."""
    with pytest.raises(WarehouseError, match="can't be told to write into"):
        export(warehouse, f"gs://bucket/o{sign}dd/")
    assert wire.calls == []
