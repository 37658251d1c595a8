"""`rowferry status` as a person reads it: what needs them first. Times are UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

Row = Mapping[str, Any]
_MOST = 20  # of each section; --json and the status page show more


def status_lines(status: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    """The lines for what `App.status` found, a section after the other; a section that is empty says so in its own words."""
    sections: dict[str, tuple[str, Callable[[Row], Iterator[str]], str]] = {
        "late": ("Late", _late, ""),
        "alerts": ("Alerts", _alert, ""),
        "runs": ("Runs", _run, "no sync has run yet: rowferry sync NAME"),
        "dead_letters": ("Dead letters", _letters, "none: every row that was sent has arrived"),
        "feeds": ("Feeds", _feed, "no file has been loaded yet"),
        "loads": ("Files", _file, ""),
    }
    for name, (title, lines, empty) in sections.items():
        rows = status.get(name, [])
        if rows or empty:
            yield title
        if empty and not rows:
            yield f"  {empty}"
        for row in islice(rows, _MOST):
            yield from lines(row)
        if len(rows) > _MOST:
            yield f"  … and {len(rows) - _MOST:,} more: rowferry status --json"


def _late(row: Row) -> Iterator[str]:
    yield f"  {row['feed']}: was due {_moment(row['due_at'])}, last file {_moment(row['last_at']) or 'never'}"


def _alert(row: Row) -> Iterator[str]:
    since = f" since {_moment(row['since'])}" if row["since"] else ""
    seen = ", ".join(f"{name} {number:,g}" for name, number in row["numbers"].items())
    last = f"last seen {_moment(row['seen_at'])}: {seen}" if row["seen_at"] else "nothing seen yet"
    yield f"  {row['alert']}: {row['state']}{since}, {last}"


def _run(row: Row) -> Iterator[str]:
    counts = (
        f"read {row['read']:,} = unchanged {row['unchanged']:,} + delivered {row['delivered']:,} "
        f"+ rejected {row['rejected']:,} + pending {row['pending']:,}"
    )
    yield f"  {_moment(row['started_at'])}  {row['status']:<8} {row['sync']}: {counts}, run {row['run']}"
    if row.get("reason"):
        yield f"                    {row['reason']}"


def _letters(row: Row) -> Iterator[str]:
    since = f"{count(row['rows'], 'row')} since {_moment(row['since'])}"
    yield f"  {row['sync']} → {row['destination']}: {since}: {row['code']}: {row['reason']}"


def _feed(row: Row) -> Iterator[str]:
    held = f"{count(row['files'], 'file')}, {count(row['rows'] or 0, 'row')}"
    yield f"  {row['feed']} → {row['table']}: {held}, last {_moment(row['last_loaded_at'])}"


def _file(row: Row) -> Iterator[str]:
    table = f" → {row['table']}, {count(row['rows'] or 0, 'row')}" if row["status"] == "loaded" else ""
    kinds = (("rejected_rows", "rejected row"), ("rejected_cells", "rejected cell"))
    rejected = "".join(f", {count(row[name], noun)}" for name, noun in kinds if row.get(name))
    yield f"  {_moment(row['loaded_at'])}  {row['status']:<11} {row['file']}{table}{rejected}"
    if row.get("reason"):
        yield f"                    {row['reason']}"


def count(number: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _moment(text: str | None) -> str:
    return str(text or "")[:16].replace("T", " ")
