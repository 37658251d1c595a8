"""Answers on a terminal: one JSON document, or lines that people read. Progress and notes go to stderr."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import orjson

from rowferry.console.status import count, status_lines
from rowferry.delivery.runs import RunResult
from rowferry.errors import Problem, UsageError
from rowferry.loads.result import LoadResult

_EVERY_ROWS = 100_000  # a plain line of progress after so many rows


class Terminal:
    """Where a command's answer goes. The methods that answer return the exit code."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without an arrow shows a question mark, no traceback

    def document(self, value: Any) -> None:
        """One JSON document on stdout."""
        sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")

    def line(self, text: str = "") -> None:
        """A line of the answer; nothing with `--json`."""
        if not self.as_json:
            sys.stdout.write(text + "\n")

    def say(self, text: str) -> None:
        """A line on stderr."""
        sys.stderr.write(text + "\n")

    def problems(self, problems: Sequence[Problem]) -> int:
        """What is wrong with the settings or the command."""
        if self.as_json:
            self.document({"ok": False, "problems": [problem.to_dict() for problem in problems]})
        for problem in problems:
            for text in problem.lines():
                self.say(text)
        return 2

    def failure(self, reason: str) -> int:
        """Why the command could not do its work."""
        self.problems([Problem("", reason)])
        return 1

    def run(self, result: RunResult) -> int:
        """How a run stands."""
        if self.as_json:
            self.document(result.to_dict())
        self.line(f"{result.sync}: run {result.run} is {result.status}")
        self.line(f"  {balance(result)}")
        self.line(f"  {count(result.requests, 'request')}" + (f", {count(result.resent, 'row')} sent again" if result.resent else ""))
        for code, (rows, reason) in _by_code(result.rejections).items():
            self.line(f"  rejected {rows:,}: {code}: {reason}")
        if result.reason:
            self.say(result.reason if result.reason.startswith(f"syncs.{result.sync}") else f"{result.sync}: {result.reason}")
        if hint := _next(result):
            self.say(hint)
        return 0 if result.is_clean else 1

    def loads(self, results: Sequence[LoadResult]) -> int:
        """What became of export files."""
        if self.as_json:
            self.document({"files": [file.to_dict() for file in results]})
        for file in results:
            table = f" → {file.table}" if file.table else ""
            self.line(f"{file.file}: {file.status}{table}, {count(file.rows, 'row')}{_rejects(file)}")
            if file.reason:
                self.line(f"    {file.reason}")
        return 1 if any(file.is_bad for file in results) else 0

    def either(self, found: Any) -> int:
        """A run or loads, whichever a backfill gave."""
        return self.run(found) if isinstance(found, RunResult) else self.loads(found)

    def plan(self, preview: Any) -> int:
        """What a sync would do."""
        found = preview.to_dict()
        if self.as_json:
            self.document(found)
        self.line(f"{found['sync']}: would create {found['creates']:,}, update {found['updates']:,}, remove {found['removes']:,}")
        self.line(f"  {count(found['unchanged'], 'row')} unchanged")
        self.line(
            f"  {count(found['requests'], 'request')}, {count(found['attributes'], 'value')}, "
            f"{found['seconds_at_limit']:,.1f} s at the account's limit"
        )
        if preview.bytes_scanned is not None:
            self.line(f"  {preview.bytes_scanned / 1e9:,.3f} GB of the warehouse read")
        for note in preview.notes:
            self.line(f"  {note}")
        for sample in found["samples"]:
            self.line(f"  {orjson.dumps(sample, default=str).decode()}")
        return 0

    def status(self, found: Mapping[str, Any]) -> int:
        """What ran, what is late, what was rejected."""
        if self.as_json:
            self.document(found)
        for text in status_lines(found):
            self.line(text)
        return 0

    def csv(self, rows: Iterable[Mapping[str, Any]], out: Path | None) -> int:
        """Rows as CSV, to a file or to stdout; always 0: to list is not to fail. Raises `UsageError` when there is
        nowhere to write to."""
        if out is not None:
            check_file(out)
        with out.open("w", newline="", encoding="utf-8") if out else nullcontext(sys.stdout) as stream:
            writer = None
            for row in rows:
                if writer is None:
                    writer = csv.DictWriter(stream, list(row))
                    writer.writeheader()
                writer.writerow({name: _safe(value) for name, value in row.items()})
        if writer is None:
            self.say("there are none")
        return 0

    @contextmanager
    def progress(self) -> Iterator[Callable[[int], None]]:
        """Count settled rows: a bar on a terminal, a plain line now and then elsewhere."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.completed:,.0f} rows"), TextColumn("{task.speed:,.0f} rows/s"), TimeElapsedColumn())
            with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
                task = bar.add_task("rows", total=None, visible=False)

                def advance(rows: int) -> None:
                    bar.update(task, advance=rows, visible=True)

                yield advance
        else:
            yield self._plain_progress()

    def _plain_progress(self) -> Callable[[int], None]:
        done = 0

        def advance(rows: int) -> None:
            nonlocal done
            before, done = done, done + rows
            if before // _EVERY_ROWS != done // _EVERY_ROWS:
                self.say(f"{done:,} rows settled")

        return advance


def check_file(out: Path) -> None:
    """Raises `UsageError` when the file can't be where it is wanted, before any work is done for it."""
    if out.is_dir():
        raise UsageError(f"{out} is a folder; name a file in it")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {out.absolute().parent} to write {out} to")


def balance(result: RunResult) -> str:
    """The one line that has to add up."""
    return (
        f"read {result.read} = unchanged {result.unchanged} + delivered {result.delivered} "
        f"+ rejected {result.rejected} + pending {result.pending}"
    )


def _safe(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _by_code(rejections: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for row in rejections:
        rows, reason = found.get(row["code"], (0, row["reason"]))
        found[row["code"]] = (rows + 1, reason)
    return found


def _next(result: RunResult) -> str:
    command = f"rowferry replay {result.sync}" if result.run == "replay" else f"rowferry sync {result.sync}"
    if result.status == "refused":
        return f"nothing was sent; if it is right, go on with: rowferry sync {result.sync} --accept {result.run}"
    if result.status == "failed" and not result.pending and not result.delivered:
        return f"nothing was sent; once it is mended, the same command again: {command}"
    if result.status in ("open", "failed"):
        rows = "1 row is" if result.pending == 1 else f"{result.pending:,} rows are"
        resumes = "" if "--drop" in result.reason else f"; the same command resumes: {command}"
        return f"{rows} pending{resumes}"
    return ""


def _rejects(file: LoadResult) -> str:
    parts = [count(number, noun) for number, noun in ((file.rejected_rows, "row"), (file.rejected_cells, "cell")) if number]
    return f", rejected {' and '.join(parts)}" if parts else ""
