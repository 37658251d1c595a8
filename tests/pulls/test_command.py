"""`rowferry pull` as a process of its own: files as JSON, a CSV for a person, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rowferry.cli import main
from rowferry.delivery import claim
from rowferry.twins.clevertap import CleverTapTwin
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.kill_points import KillPoints
from support.pulling import ENVIRONMENT, Bench

DAYS = ("--from", "2026-01-30", "--to", "2026-01-31")


@pytest.fixture
def twin() -> Iterator[CleverTapTwin]:
    """A running project."""
    with CleverTapTwin(account_id="ABC-123-4567", passcode="passcode-1") as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, twin: CleverTapTwin) -> Bench:
    """Two days of events and a settings file."""
    bench = Bench(tmp_path, twin, page_rows=4)
    bench.charge("2026-01-30", 9)
    bench.charge("2026-01-31", 3, start=20)
    bench.save()
    return bench


@pytest.fixture
def rowferry(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., tuple[int, bytes, str]]:
    """Runs `rowferry pull …` here; its exit code, stdout and stderr."""
    monkeypatch.setenv("CT_PASSCODE", ENVIRONMENT["CT_PASSCODE"])

    def run(*arguments: str) -> tuple[int, bytes, str]:
        with pytest.raises(SystemExit) as ended:
            main(["pull", *arguments, "--config", str(bench.folder / "rowferry.yaml")])
        stdout, stderr = capfdbinary.readouterr()
        return int(ended.value.code or 0), stdout, stderr.decode()

    return run


def process(bench: Bench, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "rowferry.cli", "pull", *arguments, "--config", str(bench.folder / "rowferry.yaml")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **ENVIRONMENT, **environment})


Run = Callable[..., tuple[int, bytes, str]]


def test_json_tells_of_each_file(bench: Bench, rowferry: Run) -> None:
    """One document, with the keys that loads have, and the rows are in the table."""
    code, stdout, _ = rowferry("charged", *DAYS, "--json")
    files = json.loads(stdout)["files"]
    assert code == 0
    assert {*files[0]} == {"file", "feed", "status", "table", "rows", "rejected_rows", "rejected_cells", "reason"}
    assert [(file["status"], file["table"], file["rows"]) for file in files] == [
        ("loaded", "raw.ct_charged", 9),
        ("loaded", "raw.ct_charged", 3),
    ]
    assert bench.count() == 12


def test_a_csv_that_excel_opens(bench: Bench, rowferry: Run) -> None:
    """UTF-8 with its mark, rows in the order of days; the mark can be left out."""
    bench.twin.reads.events[0][2]["profile"]["identity"] = "Zo\u00eb"
    out = bench.folder / "charged.csv"
    rowferry("charged", *DAYS, "--out", str(out))
    assert out.read_bytes().startswith(b"\xef\xbb\xbfts,event_name,profile_identity,")
    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8-sig"), newline="")))
    assert [row["profile_identity"] for row in rows] == ["Zo\u00eb", *(f"u{n}" for n in range(1, 9)), "u20", "u21", "u22"]
    assert rows[0]["ts"] == "2026-01-30 12:00:00"
    rowferry("charged", *DAYS, "--out", str(out), "--no-bom")
    assert out.read_bytes().startswith(b"ts,")
    assert [path.name for path in bench.folder.glob("charged.csv*")] == ["charged.csv"]


def test_a_person_is_told_in_lines(rowferry: Run) -> None:
    """Each file, where it went, and how many rows."""
    assert "\u2192 raw.ct_charged, 9 rows" in rowferry("charged", *DAYS)[1].decode()


def test_a_day_that_fails_is_exit_code_1_and_the_others_are_there(bench: Bench, rowferry: Run) -> None:
    """What could be had is in the table and in the CSV; what could not is said."""
    bench.twin.faults.append(Fault(Response(400, b'{"status":"fail"}'), when=lambda call: b"20260130" in call.body))
    out = bench.folder / "x.csv"
    code, stdout, _ = rowferry("charged", *DAYS, "--json", "--out", str(out))
    assert code == 1
    assert sorted(file["status"] for file in json.loads(stdout)["files"]) == ["failed", "loaded"]
    assert bench.count() == len(out.read_text().splitlines()) - 1 == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nothing",), "there is no pull 'nothing'"),
        (("charged", "--from", "2026-01-31", "--to", "2026-01-30"), "is before"),
        (("charged", "--from", "soon"), "no day"),
        (("charged", "--from", "2999-01-01"), "can be pulled yet"),
        (("charged", "--out", "nowhere/x.csv"), "no folder"),
        (("charged", "--out", "-", "--json"), "both want stdout"),
    ],
)
def test_what_can_t_be_asked_for_is_exit_code_2(bench: Bench, rowferry: Run, arguments: tuple[str, ...], told: str) -> None:
    """A sentence, and no request."""
    code, _, stderr = rowferry(*arguments)
    assert (code, told in stderr) == (2, True), stderr
    assert bench.twin.requests == 0


def test_a_csv_on_stdout_is_nothing_else(bench: Bench) -> None:
    """For pipes: the rows alone on stdout, in UTF-8 whatever the machine's own encoding, notes on stderr."""
    bench.twin.reads.events[0][2]["profile"]["identity"] = "Zo\u00eb"
    stdout, stderr = process(bench, "charged", *DAYS, "--out", "-", LC_ALL="C", PYTHONUTF8="0").communicate(timeout=600)
    assert len(list(csv.DictReader(io.StringIO(stdout.decode("utf-8"), newline="")))) == 12
    assert b"12 rows written" in stderr


def test_a_reader_that_has_seen_enough(bench: Bench) -> None:
    """`| head` is no failure."""
    with process(bench, "charged", *DAYS, "--out", "-") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        stderr = running.stderr.read()
    assert (running.returncode, b"Traceback" in stderr, b"BrokenPipe" in stderr) == (0, False, False)


def test_killed_anywhere_and_repeated_there_is_no_gap_and_no_double(tmp_path: Path, twin: CleverTapTwin) -> None:
    """A real SIGKILL of a real process, before or after every fifth step it takes towards stores, warehouse and vendor:
    the same command again, and each row is there once."""
    with KillPoints(ENVIRONMENT) as kills:
        for at in range(1, 200, 5):
            bench = Bench(tmp_path / str(at), twin, page_rows=4)
            bench.folder.mkdir()
            twin.reads.events.clear()
            bench.charge("2026-01-30", 9)
            bench.charge("2026-01-31", 3, start=20)
            arguments = ["pull", "charged", *DAYS, "--json", "--config", str(bench.save())]
            code, _ = kills.run(arguments, at=at, after=at % 2 == 0)
            again, _ = kills.run(arguments)
            assert again == 0
            assert bench.rows("SELECT COUNT(*), COUNT(DISTINCT profile_identity) FROM raw.ct_charged") == [(12, 12)], at
            if code == 0:
                break  # more steps than there are
    assert at > 20


def test_who_is_overtaken_waits_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that see the pull free at the same moment: the slower one waits for the faster, and both end well."""
    with bench.app() as other:
        faster = claim.take(other.state, f"pull/{bench.name}", other.owner, other.clock)
        looks = iter([False])

        def is_held(*_: object) -> bool:
            """Free at the first look; at the second, its holder has just ended."""
            if (found := next(looks, None)) is None:
                faster.give_back()
            return bool(found)

        monkeypatch.setattr(claim, "is_held", is_held)
        assert {result.status for result in bench.pull("2026-01-30", "2026-01-30")} == {"loaded"}
