import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import support.killed_loads


def killed(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    program = Path(support.killed_loads.__file__)
    done = subprocess.run(
        [sys.executable, str(program), str(folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(program.parent.parent), "PATH": "/usr/bin:/bin"},
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("mode", ["steps", "window"])
def test_killed_at_every_step_each_row_is_there_once(tmp_path: Path, mode: str) -> None:
    """SIGKILL between any two calls to the stores and the warehouse; the same load again finishes the file."""
    reports = killed(tmp_path, mode)
    assert len(reports) > 20
    for report in reports:
        assert report["first"] in ("loaded", "skipped"), report
        assert report["second"] == "skipped", report
        assert (report["rows"], report["cells"], report["ledger"]) == (1000, 2, 1), report


def test_killed_at_any_moment_each_row_is_there_once(tmp_path: Path) -> None:
    """SIGKILL at moments spread over a load, also within the warehouse's transaction."""
    reports = killed(tmp_path, "moments", "12")
    assert len(reports) == 12
    for report in reports:
        assert (report["rows"], report["cells"], report["ledger"], report["second"]) == (5000, 10, 1, "skipped"), report
