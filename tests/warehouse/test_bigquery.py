"""What the BigQuery adapter asks for, and what it makes of each answer. The emulator answers unless a test breaks the wire.

What the emulator gets wrong (expiry, clusters, encodings, 412, a busy table) is asserted as requests.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest

from rowferry.clock import ManualClock
from rowferry.errors import CredentialsError, TryLater
from rowferry.warehouse.bigquery import BigQueryWarehouse
from rowferry.warehouse.bigquery_client import EMULATOR
from rowferry.warehouse.bigquery_errors import QUOTA_WAIT_SECONDS, masked
from rowferry.warehouse.port import CsvFile, LoadFailed, LoadSource, Param, TableShape, TooLarge, WarehouseError
from support.bigquery import PROJECT, bigquery_emulator
from support.bigquery_faults import Call, Wire, error, failed_job

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHAPE = CsvFile(["id", "name"])
_numbers = itertools.count(1)


@pytest.fixture
def wire() -> Wire:
    """The transport under the client."""
    return Wire()


@pytest.fixture
def dataset() -> str:
    """A dataset of our own tables that no other test uses."""
    return f"wired_{next(_numbers)}"


@pytest.fixture
def clock() -> ManualClock:
    """Pauses pass at once."""
    return ManualClock(NOW)


@pytest.fixture
def warehouse(wire: Wire, dataset: str, clock: ManualClock) -> BigQueryWarehouse:
    """BigQuery through the wire; a second one over the same would share nothing but the emulator."""
    return BigQueryWarehouse(PROJECT, location="US", dataset=dataset, client=wire.under(bigquery_emulator().client()), clock=clock)


@pytest.fixture
def export(dataset: str) -> Iterator[str]:
    """A CSV in a bucket, as its address."""
    path = bigquery_emulator().buckets / dataset / "a.csv"
    path.parent.mkdir(parents=True)
    path.write_text("id,name\n1,a\n2,\n")
    yield f"gs://{dataset}/a.csv"
    path.unlink()


def is_new_job(call: Call) -> bool:
    return call.is_new_job


def is_get_job(call: Call) -> bool:
    return call.method == "GET" and "/jobs/" in call.path


def load(warehouse: BigQueryWarehouse, uri: str, job: str = "a") -> int:
    return warehouse.load_csv(LoadSource(uri=uri), "rowferry.stage_a", SHAPE, job=job)


def test_a_load_by_address_is_one_job_of_a_name_made_from_the_work(
    warehouse: BigQueryWarehouse, wire: Wire, dataset: str, export: str
) -> None:
    """No byte passes through us; the id, the schema and every option that keeps cells as they are stand in the request."""
    assert load(warehouse, export) == 2
    (call,) = wire.of(is_new_job)
    assert re.fullmatch(r"rowferry-load-[0-9a-f]{64}-r0", call.job_id)
    assert call.body["jobReference"]["location"] == "US"
    assert call.body["configuration"]["load"] == {
        "sourceUris": [export],
        "destinationTable": {"projectId": PROJECT, "datasetId": dataset, "tableId": "stage_a"},
        "sourceFormat": "CSV",
        "schema": {"fields": [{"name": name, "type": "STRING", "mode": "NULLABLE"} for name in ("id", "name")]},
        "skipLeadingRows": "1",
        "fieldDelimiter": ",",
        "quote": '"',
        "encoding": "UTF-8",
        "allowQuotedNewlines": True,
        "allowJaggedRows": False,
        "ignoreUnknownValues": False,
        "maxBadRecords": 0,
        "preserveAsciiControlCharacters": True,
        "writeDisposition": "WRITE_TRUNCATE",
    }


def test_another_work_has_another_name(warehouse: BigQueryWarehouse, wire: Wire, export: str) -> None:
    """A new version of a file, or another table, is another job."""
    load(warehouse, export, "a#1")
    load(warehouse, export, "a#2")
    warehouse.load_csv(LoadSource(uri=export), "rowferry.stage_b", SHAPE, job="a#2")
    assert len({call.job_id for call in wire.of(is_new_job)}) == 3


def test_a_used_name_is_adopted(warehouse: BigQueryWarehouse, wire: Wire, export: str) -> None:
    """The second event meets 409, asks for the job with its location, and takes its rows."""
    load(warehouse, export)
    wire.calls.clear()
    assert load(warehouse, export) == 2
    assert len(wire.of(is_new_job)) == 1
    (asked,) = wire.of(is_get_job)
    assert asked.query["location"] == "US"


def test_a_job_that_cannot_be_seen_yet_is_asked_for_again(warehouse: BigQueryWarehouse, wire: Wire, export: str) -> None:
    """After a 409, `jobs.get` may say 404 for a moment."""
    load(warehouse, export)
    wire.answer(is_get_job, 404, error("notFound"), times=3)
    assert load(warehouse, export) == 2


def test_a_job_that_stays_unseen_points_at_the_location(warehouse: BigQueryWarehouse, wire: Wire, export: str) -> None:
    """A 404 that stays means the wrong location."""
    load(warehouse, export)
    wire.answer(is_get_job, 404, error("notFound"), times=99)
    with pytest.raises(TryLater, match=r"is warehouse\.location right"):
        load(warehouse, export)


def test_a_staging_table_expires(warehouse: BigQueryWarehouse, wire: Wire, export: str) -> None:
    """What a crash leaves behind in our own dataset goes by itself after a week; others' datasets are left alone."""
    load(warehouse, export)
    warehouse.load_csv(LoadSource(uri=export), "raw.kept", SHAPE, job="b")
    made = [call.body for call in wire.of(lambda call: call.method == "POST" and call.path.endswith("/tables"))]
    week = str(int((NOW + timedelta(days=7)).timestamp() * 1000))
    assert [body.get("expirationTime") for body in made] == [week, None]


def test_a_lost_answer_does_not_start_a_second_job(warehouse: BigQueryWarehouse, wire: Wire, export: str) -> None:
    """The job was made, its answer never came: the same id again, 409, adopted."""
    wire.lose(is_new_job)
    assert load(warehouse, export) == 2
    assert len({call.job_id for call in wire.of(is_new_job)}) == 1


@pytest.mark.parametrize(("status", "reason"), [(503, "backendError"), (500, "internalError"), (403, "rateLimitExceeded"), (429, "")])
def test_passing_faults_of_a_call_are_tried_again_with_the_same_name(
    warehouse: BigQueryWarehouse, wire: Wire, clock: ManualClock, export: str, status: int, reason: str
) -> None:
    """What happened is unknown, so only the same id is safe; the pauses grow."""
    wire.answer(is_new_job, status, error(reason) if reason else {}, times=3)
    assert load(warehouse, export) == 2
    assert len({call.job_id for call in wire.of(is_new_job)}) == 1
    assert clock.slept[:3] == [0.5, 1.0, 2.0]


def test_a_fault_that_stays_is_left_for_later(warehouse: BigQueryWarehouse, wire: Wire, clock: ManualClock, export: str) -> None:
    """After a minute of trying, the caller's queue takes over."""
    wire.answer(is_new_job, 503, error("backendError"), times=99)
    with pytest.raises(TryLater, match="BigQuery could not take it now"):
        load(warehouse, export)
    assert sum(clock.slept) < 61


def test_a_service_out_of_reach_is_left_for_later(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: TryLater, and no address or traceback in the text."""
    monkeypatch.setenv(EMULATOR, "http://127.0.0.1:9")
    warehouse = BigQueryWarehouse(PROJECT, clock=clock)
    with pytest.raises(TryLater, match="could not take it now"):
        warehouse.columns("raw.t")


@pytest.mark.parametrize("reason", ["backendError", "jobInternalError", "tableUnavailable"])
def test_a_job_that_failed_cleanly_is_begun_again_under_the_next_name(
    warehouse: BigQueryWarehouse, wire: Wire, export: str, reason: str
) -> None:
    """Its id is used up for ever."""
    wire.answer(is_new_job, 200, failed_job(reason), times=2)
    assert load(warehouse, export) == 2
    assert [call.job_id[-2:] for call in wire.of(is_new_job)] == ["r0", "r1", "r2"]


def test_a_job_that_keeps_failing_is_left_for_later(warehouse: BigQueryWarehouse, wire: Wire, export: str) -> None:
    """Five names in one call are enough."""
    wire.answer(is_new_job, 200, failed_job("backendError"), times=99)
    with pytest.raises(TryLater):
        load(warehouse, export)
    assert len(wire.of(is_new_job)) == 5


def test_a_quota_is_waited_for_long(warehouse: BigQueryWarehouse, wire: Wire, export: str) -> None:
    """It fills up little by little; the caller is told how long."""
    wire.answer(is_new_job, 200, failed_job("quotaExceeded"))
    with pytest.raises(TryLater, match="quota") as caught:
        load(warehouse, export)
    assert caught.value.wait_seconds == QUOTA_WAIT_SECONDS
    assert len(wire.of(is_new_job)) == 1


@pytest.mark.parametrize(("status", "reason"), [(401, "authError"), (403, "accessDenied"), (403, "billingNotEnabled")])
def test_no_access_stops_everything(warehouse: BigQueryWarehouse, wire: Wire, export: str, status: int, reason: str) -> None:
    """A person has to act; nothing is tried again."""
    wire.answer(is_new_job, status, error(reason), times=99)
    with pytest.raises(CredentialsError, match="refused"):
        load(warehouse, export)
    assert len(wire.of(is_new_job)) == 1


def test_a_broken_file_is_told_without_its_cells(warehouse: BigQueryWarehouse, wire: Wire, export: str) -> None:
    """BigQuery's own words with the line, one after the other; the cell it quotes is masked."""
    first = "Error while reading data, error message: CSV processing encountered too many errors, giving up. Rows: 2; errors: 1"
    detail = (
        "Error while reading data, error message: Too many values in line.; line_number: 3 byte_offset_to_start_of_line: 22"
        ' column_index: 2 column_type: STRING value: "ann@example.com"'
    )
    wire.answer(is_new_job, 200, failed_job("invalid", first, [detail]))
    with pytest.raises(LoadFailed) as caught:
        load(warehouse, export)
    assert "line_number: 3" in caught.value.reason
    assert "ann@example.com" not in str(caught.value)
    assert "error message" not in caught.value.reason


def test_a_job_that_runs_on_is_taken_up_by_the_next_call(
    warehouse: BigQueryWarehouse, wire: Wire, dataset: str, export: str, clock: ManualClock
) -> None:
    """When our time is up the job is not; the next call finds it and waits on."""
    wire.answer(is_new_job, 200, lambda call: {**call.body, "status": {"state": "RUNNING"}, "statistics": {}})
    wire.answer(is_get_job, 200, lambda call: running_job(call, dataset), times=999)
    with pytest.raises(TryLater, match="still runs; the next call takes it up"):
        load(warehouse, export)
    assert sum(clock.slept) >= 480


def running_job(call: Call, dataset: str) -> dict[str, Any]:
    """A jobs.get answer of a job that has not ended."""
    table = {"projectId": PROJECT, "datasetId": dataset, "tableId": "stage_a"}
    return {
        "jobReference": {"projectId": PROJECT, "jobId": call.path.rpartition("/")[2], "location": "US"},
        "configuration": {"load": {"destinationTable": table}},
        "status": {"state": "RUNNING"},
        "statistics": {},
    }


def test_a_table_made_by_a_query_is_one_statement_with_its_expiry(warehouse: BigQueryWarehouse, wire: Wire, dataset: str) -> None:
    """Whole or not at all, clustered, and gone by itself; values are parameters, names are whole."""
    sql = "SELECT @v AS rowferry_position;"
    at = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    params = {"v": Param("INT64", 1)}
    warehouse.create_as("rowferry.run_1", sql, params, job="run 1", expires_at=at, cluster_by=("rowferry_position",))
    (call,) = wire.of(is_new_job)
    assert re.fullmatch(r"rowferry-query-[0-9a-f]{64}-r0", call.job_id)
    query = call.body["configuration"]["query"]
    assert query["query"] == (
        f"CREATE TABLE IF NOT EXISTS `{PROJECT}.{dataset}.run_1`\nCLUSTER BY `rowferry_position`\n"
        "OPTIONS (expiration_timestamp = TIMESTAMP '2026-02-03 04:05:06+00')\nAS\nSELECT @v AS rowferry_position"
    )
    assert query["queryParameters"] == [{"name": "v", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "1"}}]


def test_a_commit_is_one_script_in_a_transaction(warehouse: BigQueryWarehouse, wire: Wire, dataset: str) -> None:
    """The statements and the memory of their name take effect together; rows are only added to the memory."""
    warehouse.create("raw_wired.t", TableShape({"n": "INT64"}))
    wire.calls.clear()
    insert = f"INSERT INTO {warehouse.quote('raw_wired.t')} (n) VALUES (@n);"
    assert warehouse.apply([insert, insert], {"n": Param("INT64", 1)}, once=dataset) is True
    (call,) = wire.of(is_new_job)
    assert re.fullmatch(r"rowferry-apply-[0-9a-f]{64}-r0", call.job_id)
    script = call.body["configuration"]["query"]["query"].splitlines()
    one = insert.rstrip(";")
    assert script == [
        "DECLARE rowferry_ran BOOL DEFAULT FALSE;",
        "BEGIN TRANSACTION;",
        f"IF NOT EXISTS (SELECT 1 FROM `{PROJECT}.{dataset}.applied` WHERE name = @rowferry_once) THEN",
        f"INSERT INTO `{PROJECT}.{dataset}.applied` (name, applied_at) VALUES (@rowferry_once, CURRENT_TIMESTAMP());",
        one,
        ";",
        one,
        ";",
        "SET rowferry_ran = TRUE;",
        "END IF;",
        "COMMIT TRANSACTION;",
        "SELECT rowferry_ran AS ran;",
    ]


def test_a_commit_whose_answer_is_lost_was_ours(warehouse: BigQueryWarehouse, wire: Wire, dataset: str) -> None:
    """The adopted job bears our mark, so the caller is told the truth: it ran now."""
    wire.lose(is_new_job)
    assert warehouse.apply([], once=dataset) is True
    assert warehouse.apply([], once=dataset) is False


def test_a_commit_that_lost_a_race_for_a_table_runs_again(warehouse: BigQueryWarehouse, wire: Wire, dataset: str) -> None:
    """BigQuery cancels one of two transactions on a table; it left no trace and gets the next name."""
    message = "Transaction is aborted due to concurrent update against table p:d.t."
    wire.answer(is_new_job, 200, failed_job("invalidQuery", message))
    assert warehouse.apply([], once=dataset) is True
    assert [call.job_id[-2:] for call in wire.of(is_new_job)] == ["r0", "r1"]


def test_no_request_has_a_default_dataset(warehouse: BigQueryWarehouse, wire: Wire, dataset: str) -> None:
    """Names are always whole."""
    list(warehouse.query("SELECT 1 AS x"))
    warehouse.create_as("rowferry.run_b", "SELECT 1 AS x", job=dataset)
    assert not [call for call in wire.calls if "defaultDataset" in str(call.body)]


def test_describe_is_a_dry_run(warehouse: BigQueryWarehouse, wire: Wire) -> None:
    """Nothing is read and nothing billed."""
    warehouse.describe("SELECT 1 AS x")
    (call,) = wire.of(is_new_job)
    assert call.body["configuration"]["dryRun"] is True


def test_what_would_be_read_is_asked_by_a_dry_run(warehouse: BigQueryWarehouse, wire: Wire) -> None:
    """The estimate is BigQuery's own, for the statement with its parameters; nothing runs."""
    statistics = {"totalBytesProcessed": "1234567890", "query": {"totalBytesProcessed": "1234567890", "statementType": "SELECT"}}
    answer = {
        "jobReference": {"projectId": PROJECT, "jobId": "j"},
        "configuration": {"query": {}, "dryRun": True},
        "status": {"state": "DONE"},
    }
    wire.answer(is_new_job, 200, {**answer, "statistics": statistics})
    assert warehouse.bytes_read("SELECT @x AS x", {"x": Param("STRING", "a")}) == 1234567890
    (call,) = wire.of(is_new_job)
    assert call.body["configuration"]["dryRun"] is True
    assert call.body["configuration"]["query"]["queryParameters"][0]["name"] == "x"


def test_columns_added_by_somebody_else_are_kept(warehouse: BigQueryWarehouse, wire: Wire) -> None:
    """The change bears the version it was made from; on 412 the table is read again, and theirs stays."""
    warehouse.create("raw_wired.grows", TableShape({"a": "STRING"}))
    wire.answer(lambda call: call.method == "PATCH", 412, error("conditionNotMet"))
    warehouse.add_columns("raw_wired.grows", {"b": "NUMERIC"})
    first, second = wire.of(lambda call: call.method == "PATCH")
    assert first.body == second.body
    assert [field["name"] for field in second.body["schema"]["fields"]] == ["a", "b"]
    assert warehouse.columns("raw_wired.grows") == {"a": "STRING", "b": "NUMERIC"}


def test_a_table_is_partitioned_and_clustered_as_asked(warehouse: BigQueryWarehouse, wire: Wire) -> None:
    """By day on the column, in the request that makes it."""
    warehouse.create("raw_wired.parts", TableShape({"seen": "TIMESTAMP", "a": "STRING"}, partition_by="seen", cluster_by=("a",)))
    (made,) = wire.of(lambda call: call.method == "POST" and call.path.endswith("/tables"))
    assert made.body["timePartitioning"] == {"type": "DAY", "field": "seen"}
    assert made.body["clustering"] == {"fields": ["a"]}


def test_a_dataset_is_asked_for_before_it_is_made(warehouse: BigQueryWarehouse, wire: Wire, dataset: str) -> None:
    """A function need not be allowed to make datasets that Terraform made."""
    for name in ("a", "b"):
        warehouse.create(f"rowferry.{name}", TableShape({"x": "STRING"}))
    about_datasets = [(call.method, call.path.rpartition("/")[2]) for call in wire.calls if not call.path.endswith(("/tables", "/jobs"))]
    assert about_datasets == [("GET", dataset), ("POST", "datasets")]


def test_names_are_whole_and_ours_are_in_our_dataset(warehouse: BigQueryWarehouse, dataset: str) -> None:
    """`rowferry.x` lies in the dataset of the settings; a name of three parts is another project's."""
    assert warehouse.quote("rowferry.loads") == f"`{PROJECT}.{dataset}.loads`"
    assert warehouse.quote("crm.customers") == f"`{PROJECT}.crm.customers`"
    assert warehouse.quote("other-project.crm.customers") == "`other-project.crm.customers`"
    with pytest.raises(WarehouseError):
        warehouse.quote("Bad Project.crm.customers")


def test_rows_are_uploaded_once(warehouse: BigQueryWarehouse, wire: Wire) -> None:
    """A job that exists is found before a byte is sent: the rows are not even read."""
    rows = iter([{"n": 1}, {"n": 2}])
    assert warehouse.load_rows("rowferry.stage_r", {"n": "INT64"}, rows, job="r") == 2
    unread = iter([{"n": 3}])
    assert warehouse.load_rows("rowferry.stage_r", {"n": "INT64"}, unread, job="r") == 2
    assert next(unread) == {"n": 3}


def test_an_upload_that_breaks_off_wants_the_rows_again(warehouse: BigQueryWarehouse, wire: Wire) -> None:
    """Rows that were read cannot be read twice: the caller is asked to start over, and nothing was loaded."""
    wire.answer(lambda call: call.method == "PUT", 410, {}, times=99)
    with pytest.raises(TryLater, match="the rows from their start"):
        warehouse.load_rows("rowferry.stage_r", {"n": "INT64"}, iter([{"n": 1}]), job="r")
    wire.faults.clear()
    assert warehouse.load_rows("rowferry.stage_r", {"n": "INT64"}, iter([{"n": 1}, {"n": 2}]), job="r") == 2


def test_an_upload_of_a_file_begins_anew(warehouse: BigQueryWarehouse, wire: Wire, dataset: str) -> None:
    """What can be opened again is: a session that is gone costs the bytes, not the load."""
    opened: list[BytesIO] = []

    def stream() -> BytesIO:
        opened.append(BytesIO(b"id,name\n1,a\n"))
        return opened[-1]

    wire.answer(lambda call: call.method == "PUT", 410, {})
    assert warehouse.load_csv(LoadSource(stream=stream), "rowferry.stage_u", SHAPE, job=dataset) == 1
    assert len(opened) == 2
    assert len({call.job_id for call in wire.of(is_new_job)}) == 1


def test_many_rows_come_through_the_storage_api(wire: Wire, dataset: str, clock: ManualClock) -> None:
    """From 5,000 rows on, in windows, in order, with every type as the port has it."""
    emulator = bigquery_emulator()
    reader = emulator.read_client()
    warehouse = BigQueryWarehouse(PROJECT, location="US", dataset=dataset, client=wire.under(emulator.client()), read_client=reader)
    columns = {
        "rowferry_position": "INT64",
        "t": "TIMESTAMP",
        "d": "DATETIME",
        "n": "NUMERIC",
        "b": "BYTES",
        "a": "ARRAY<STRING>",
        "s": "STRING",
    }
    at = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        {"rowferry_position": n, "t": at, "d": at.replace(tzinfo=None), "n": "1.5", "b": b"\xff", "a": ["x"], "s": None if n % 2 else "ü"}
        for n in reversed(range(21_000))
    ]
    warehouse.load_rows("rowferry.run_s", columns, rows, job="s")
    wire.calls.clear()
    names = [name for name in columns if name != "rowferry_position"]
    small = list(warehouse.snapshot_rows("rowferry.run_s", names, 3, 4))
    many = list(warehouse.snapshot_rows("rowferry.run_s", names, 1, 20_999))
    assert many[2:4] == small
    assert len(many) == 20_999
    assert not [call for call in wire.calls[2:] if call.path.endswith("/queries")]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Bad int64 value: ann@example.com", "Bad int64 value: …"),
        ("Query error: Invalid timestamp: 'ann' at [3:1]", "Query error: Invalid timestamp: …"),
        ('Could not cast literal "ann" to type INT64', "Could not cast literal '…' to type INT64"),
        ("int64 overflow: 4711 + 815", "int64 overflow: …"),
        ("Unrecognized name: nme; Did you mean name? at [1:8]", "Unrecognized name: nme; Did you mean name? at [1:8]"),
        ('Syntax error: Unexpected identifier "SELEC" at [1:1]', 'Syntax error: Unexpected identifier "SELEC" at [1:1]'),
    ],
)
def test_a_value_is_masked(message: str, shown: str) -> None:
    """What could be a cell's content is gone; what is wrong with the statement stays."""
    assert masked(message) == shown


def test_a_statement_that_takes_too_much_memory_is_told_apart(warehouse: BigQueryWarehouse, wire: Wire) -> None:
    """Another statement for the same rows may do: the caller can tell, and reads Google's words."""
    wire.answer(is_new_job, 200, failed_job("resourcesExceeded", "Resources exceeded during query execution"))
    with pytest.raises(TooLarge, match="resourcesExceeded: Resources exceeded during query execution"):
        warehouse.create_as("rowferry.run_a", "SELECT 1 AS n", job="a")
    warehouse.create_as("rowferry.run_a", "SELECT 2 AS n", job="a/large")
    assert warehouse.columns("rowferry.run_a") == {"n": "INT64"}
