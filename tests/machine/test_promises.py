"""What the main job promises to a person at the command line: no secret and no value leaks, every wrong thing is a
sentence with the right exit code, `--json` is as it is written down, and nothing stays locked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rowferry.twins.braze import BrazeTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.shop import ENVIRONMENT, KEY, Shop

RUN = ["run", "sync", "status", "read", "unchanged", "delivered", "rejected", "pending", "requests", "resent", "rejections", "started_at", "finished_at"]  # fmt: skip  # noqa: E501 (one line, as it is promised)
FILE = ["file", "feed", "status", "table", "rows", "rejected_rows", "rejected_cells", "reason"]
PLAN = ["sync", "creates", "updates", "removes", "unchanged", "requests", "attributes", "seconds_at_limit", "samples"]
PLANTED = ("planted-person@example.com", "planted tier value", "planted-id-4711")


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    with BrazeTwin(api_key=KEY) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    shop = Shop(tmp_path, twin)
    shop.fill(20)
    return shop


def run(shop: Shop, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command as a person types it."""
    command = [sys.executable, "-m", "rowferry.cli", *arguments, "--config", str(shop.config)]
    return subprocess.run(
        command, capture_output=True, text=True, env={"PATH": os.environ["PATH"], **ENVIRONMENT, **environment}, timeout=600, check=False
    )


def test_json_is_as_it_is_written_down(shop: Shop) -> None:
    """Each command's `--json` is one document with exactly the promised keys, in their order."""
    shop.settings["feeds"] = {"crm": {"path": "crm/", "table": "crm.more", "columns": {"id": "STRING"}}}
    shop.save()
    (shop.folder / "a.csv").write_text("id\nx\n")
    assert list(shop.rowferry("plan", "customers")) == PLAN
    assert list(shop.rowferry("sync", "customers")) == RUN
    assert list(shop.rowferry("replay", "customers")) == RUN
    (loaded,) = shop.rowferry("load", str(shop.folder / "a.csv"), "--feed", "crm")["files"]
    assert list(loaded) == FILE
    assert list(shop.rowferry("status")) == ["feeds", "loads", "runs", "dead_letters", "late"]
    assert shop.rowferry("check") == {"ok": True, "problems": []}


def test_the_plan_says_what_the_sync_then_does(shop: Shop, twin: BrazeTwin) -> None:
    """Creates, requests and values of the plan are those of the run, and nothing has left before it."""
    plan = shop.rowferry("plan", "customers")
    assert twin.requests == 0
    found = shop.sync()
    assert (plan["creates"], plan["updates"], plan["removes"]) == (found["delivered"], 0, 0)
    assert plan["requests"] == found["requests"]
    assert plan["attributes"] == sum(len(item) - 1 for item in shop.sent())


def test_no_value_and_no_secret_leaks(shop: Shop, twin: BrazeTwin) -> None:
    """Planted values, through every kind of trouble, are in no log line, no error, no answer but the key of a reject."""
    shop.execute(f"UPDATE crm.customers SET email = '{PLANTED[0]}', tier = '{PLANTED[1]}'")
    shop.execute(f"INSERT INTO crm.customers VALUES ('u-bad', 'no address {PLANTED[2]}', 'x', 'y')")
    quoting = b'{"message":"bad: %s %s"}' % (PLANTED[0].encode(), PLANTED[1].encode())
    twin.faults.extend([Fault(response=Response(500, quoting)), Fault(response=Response(400, quoting)), Fault(reset="after")])
    said = [run(shop, "plan", "customers"), run(shop, "sync", "customers", ROWFERRY_LOG="DEBUG"), run(shop, "status")]
    twin.faults.extend([Fault(response=Response(401, b'{"message":"bad: %s"}' % PLANTED[2].encode()))] * 3)
    shop.execute(f"UPDATE crm.customers SET branch = '{PLANTED[2]}'")
    said += [run(shop, "sync", "customers"), run(shop, "sync", "customers", BRAZE_KEY="wrong"), run(shop, "status"), run(shop, "check")]
    for process in said:
        for value in (*PLANTED, KEY):
            assert value not in process.stdout + process.stderr, (process.args, value)
    kept = b"".join(path.read_bytes() for path in (shop.folder / "state" / "runs").rglob("*") if path.is_file())
    assert not any(value.encode() in kept for value in (*PLANTED, KEY))


WRONG: list[tuple[list[str], dict[str, Any], int, str]] = [
    (["sync", "custmers"], {}, 2, "customers"),
    (["plan", "nothing"], {}, 2, "customers"),
    (["load", "no-such-file.csv", "--feed", "crm"], {}, 2, "no-such-file.csv"),
    (["load", "{file}", "--feed", "crn"], {}, 2, "crm"),
    (["replay", "nothing"], {}, 2, "customers"),
    (["backfill", "customers", "--from", "yesterday", "--to", "2026-01-01"], {}, 2, "2026-01-31"),
    (["sync", "customers", "--accept", "r1"], {}, 2, "latest run"),
    (["sync"], {}, 2, "SYNC"),
    (["sync", "customers"], {"to": "braise"}, 2, "braze"),
    (["sync", "customers"], {"send": "chnged"}, 2, "changed"),
    (["sync", "customers"], {"key": "idd"}, 1, "idd"),
    (["sync", "customers"], {"map": {"external_id": "id", "tier": "teir"}}, 1, "tier"),
    (["sync", "customers"], {"model": {"table": "crm.nobody"}}, 1, "nobody"),
    (["sync", "customers"], {"model": {"sql": "SELEC 1"}}, 1, "model"),
]


@pytest.mark.parametrize(("arguments", "sync", "code", "said"), WRONG)
def test_what_is_wrong_is_said_in_a_sentence(shop: Shop, arguments: list[str], sync: dict[str, Any], code: int, said: str) -> None:
    """The right exit code, a sentence that names what is meant, no traceback; put right, the same command works."""
    shop.settings["feeds"] = {"crm": {"path": "crm/", "table": "crm.more", "columns": {"id": "STRING"}}}
    before = dict(shop.settings["syncs"]["customers"])
    shop.settings["syncs"]["customers"] |= sync
    shop.save()
    (shop.folder / "a.csv").write_text("id\nx\n")
    found = run(shop, *[argument.format(file=shop.folder / "a.csv") for argument in arguments])
    assert (found.returncode, "Traceback" in found.stderr) == (code, False), found.stderr
    assert said in found.stderr + found.stdout
    shop.settings["syncs"]["customers"] = before
    shop.save()
    assert shop.sync()["delivered"] == 20


def test_good_files_go_on_beside_bad_ones(shop: Shop) -> None:
    """A file that is not what its name says is put aside with a reason; the others load; the exit code says so."""
    shop.settings["feeds"] = {"crm": {"path": "crm/", "table": "crm.more", "columns": {"id": "STRING", "n": "INT64"}}}
    shop.save()
    (shop.folder / "good.csv").write_text("id,n\na,1\nb,2\n")
    (shop.folder / "bad.csv.gz").write_bytes(b"\x1f\x8bnot really gzip")
    found = shop.rowferry("load", str(shop.folder / "bad.csv.gz"), str(shop.folder / "good.csv"), "--feed", "crm", code=1)["files"]
    assert [file["status"] for file in found] == ["quarantined", "loaded"]
    assert found[0]["reason"]
    assert shop.execute("SELECT COUNT(*) FROM crm.more") == [(2,)]


def test_a_missing_secret_starts_nothing(shop: Shop, twin: BrazeTwin) -> None:
    """A secret that is not set is named before a run begins."""
    found = run(shop, "sync", "customers", "--json", BRAZE_KEY="")
    assert found.returncode == 2
    assert "BRAZE_KEY" in json.loads(found.stdout)["problems"][0]["problem"]
    assert not (shop.folder / "state" / "runs").exists() or not list((shop.folder / "state" / "runs").rglob("*.json"))


def test_a_store_that_can_not_be_had_is_said(shop: Shop) -> None:
    """A state folder that is a file ends in a sentence, and nothing is lost once it is mended."""
    (shop.folder / "state").write_text("in the way")
    found = run(shop, "sync", "customers")
    assert (found.returncode != 0, "Traceback" in found.stderr) == (True, False), found.stderr
    (shop.folder / "state").unlink()
    assert shop.sync()["delivered"] == 20


def test_the_warehouse_file_is_free_after_each_command(shop: Shop) -> None:
    """Whatever a command did, somebody else can open the file for writing right after."""
    for arguments in (["plan", "customers"], ["sync", "customers"], ["status"], ["sync", "nothing"]):
        run(shop, *arguments)
        with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as connection:
            connection.execute("CREATE OR REPLACE TABLE crm.free AS SELECT 1")


def test_the_demo_adds_up(tmp_path: Path) -> None:
    """`ONCE=1 make run`: two balances, a saving, exit code 0."""
    found = subprocess.run(
        [sys.executable, "-m", "rowferry.demo", str(tmp_path / "sandbox")],
        capture_output=True, text=True, env={**os.environ, "ONCE": "1"}, stdin=subprocess.DEVNULL, timeout=300, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    lines = [line for line in found.stdout.splitlines() if " = unchanged " in line]
    assert len(lines) == 2
    for line in lines:
        read, rest = line.partition("read ")[2].split(" = ")
        assert int(read) == sum(int(part.split()[-1]) for part in rest.split(" + "))
    assert "saved" in found.stdout


def test_a_name_near_a_standard_one_is_told_and_yet_can_run(shop: Shop) -> None:
    """`check` asks whether `birthday` was meant to be `dob`; a sync of somebody who means it goes on."""
    shop.settings["syncs"]["customers"]["map"]["birthday"] = "branch"
    shop.save()
    (problem,) = shop.rowferry("check", code=2)["problems"]
    assert problem["path"] == "syncs.customers.map.birthday"
    assert "dob" in problem["hint"]
    assert shop.sync()["delivered"] == 20
