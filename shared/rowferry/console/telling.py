"""What a piece of `serve`'s work did, in lines for its log; nothing where nothing happened."""

from __future__ import annotations

from collections.abc import Iterator
from logging import INFO, WARNING

from rowferry.alerts.check import Look
from rowferry.console.status import count
from rowferry.console.terminal import balance
from rowferry.delivery.runs import RunResult
from rowferry.loads.result import LoadResult

Line = tuple[int, str]  # the level, and the text


def told(name: str, found: object) -> Iterator[Line]:
    """The lines for what the work of this name gave back: runs that sent something or could not, files that are new to
    the ledger, an alert's change of state, how many webhooks and notices left. A warning is for a person to look at."""
    if isinstance(found, list):
        for part in found:
            yield from told(name, part)
    elif isinstance(found, RunResult) and (found.status != "closed" or found.delivered or found.rejected):
        yield _level(found.is_clean), f"{found.sync} is {found.status}: {balance(found)}{_because(found.reason)}, run {found.run}"
    elif isinstance(found, LoadResult) and found.status != "skipped":
        yield _level(found.is_clean), _file(found)
    elif isinstance(found, Look) and found.is_news:
        yield _level(found.state == "ok"), f"{name} is {found.state}{_because(found.reason)}"
    elif isinstance(found, int) and found:
        yield INFO, f"{name}: {count(found, 'chunk')} of webhooks and notices delivered"


def _file(file: LoadResult) -> str:
    table = f" → {file.table}, {count(file.rows, 'row')}" if file.status == "loaded" else ""
    kinds = ((file.rejected_rows, "row"), (file.rejected_cells, "cell"))
    rejected = "".join(f", {count(number, noun)} rejected" for number, noun in kinds if number)
    return f"{file.file} is {file.status}{table}{rejected}{_because(file.reason)}"


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _level(is_clean: bool) -> int:
    return INFO if is_clean else WARNING
