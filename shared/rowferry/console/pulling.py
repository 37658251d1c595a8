"""What `rowferry pull` answers: what became of each window, and with `--out` the rows as a CSV."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rowferry.console.terminal import check_file
from rowferry.errors import UsageError
from rowferry.machine import Machine

if TYPE_CHECKING:
    from rowferry.console.terminal import Terminal
    from rowferry.loads.result import LoadResult

STDOUT = "-"


def pull(machine: Machine, terminal: Terminal, name: str, days: tuple[str | None, str | None], out: str | None, bom: bool) -> int:
    """Pull, load, write the CSV if one is wanted, and answer; the exit code.

    Raises `UsageError` before anything is asked for when there is no such pull or nowhere to write to.
    """
    if out is not None:
        _check(out, terminal)
    results = machine.pull(name, *days)
    if out is not None:
        rows = _write(machine, name, results, out, bom)
        terminal.say(f"{rows:,} rows written to {'stdout' if out == STDOUT else out}")
    if out == STDOUT:
        return _say(results, terminal)
    return terminal.loads(results)


def _check(out: str, terminal: Terminal) -> None:
    if out == STDOUT and terminal.as_json:
        raise UsageError("--out - and --json both want stdout; write the CSV to a file")
    if out != STDOUT:
        check_file(Path(out))


def _write(machine: Machine, name: str, results: Sequence[LoadResult], out: str, bom: bool) -> int:
    """The rows of all windows that were pulled. A file appears whole or not at all."""
    keys = [result.file for result in results if result.code != "pull"]
    if out == STDOUT:
        return _print(machine, name, keys)
    part = Path(f"{out}.part")
    try:
        with part.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as file:
            rows = machine.pulled_csv(name, keys, file)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return rows


def _print(machine: Machine, name: str, keys: Sequence[str]) -> int:
    """The same on stdout, as UTF-8 whatever the terminal's own encoding. A reader that has seen enough is no failure."""
    stdout = io.TextIOWrapper(sys.stdout.buffer, "utf-8", newline="", write_through=True)
    try:
        return machine.pulled_csv(name, keys, stdout)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains as it ends
        return 0
    finally:
        stdout.detach()


def _say(results: Sequence[LoadResult], terminal: Terminal) -> int:
    bad = [result for result in results if result.is_bad]
    for result in bad:
        terminal.say(f"{result.file}: {result.status}: {result.reason}")
    return 1 if bad else 0
