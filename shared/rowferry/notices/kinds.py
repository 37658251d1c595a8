"""Every notice that Rowferry sends of itself: its topic, the state it tells of, and its words.

A topic has one state at a time. Who calls says how things stand, each time; `Notices` tells when that
is another state than before.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rowferry.notices.notice import OK, Notice

if TYPE_CHECKING:  # a function that only checks alerts needs nothing of delivery
    from rowferry.delivery.receipts import Receipts
    from rowferry.delivery.runs import RunResult


@dataclass(frozen=True, slots=True)
class Change:
    """How things stand with a topic, and what to say should that be news."""

    topic: str
    state: str
    notice: Notice


def run_ended(run: RunResult) -> Change | None:
    """A run that closed, failed or was refused; None for one that is still open."""
    topic, facts = f"sync/{run.sync}", _balance(run)
    if run.status == "failed":
        notice = Notice(f"Sync {run.sync} failed", facts, run.reason, f"rowferry sync {run.sync}")
    elif run.status == "refused":
        notice = Notice(f"Sync {run.sync} was refused by a guard, and sent nothing", facts, run.reason, f"rowferry plan {run.sync}")
    elif run.status == "closed":
        return Change(topic, OK, Notice(f"Sync {run.sync} works again", facts, is_good=True))
    else:
        return None
    return Change(topic, run.status, notice)


def rows_rejected(run: RunResult, above_percent: float) -> Change | None:
    """The share of a closed run's rows that were rejected, against what the sync allows."""
    sent = run.delivered + run.rejected
    if run.status != "closed" or sent == 0:
        return None
    percent = 100 * run.rejected / sent
    topic, facts = f"sync/{run.sync}/rejected", {**_balance(run), "share rejected": f"{percent:.1f} %"}
    if run.rejected == 0 or percent <= above_percent:
        return Change(topic, OK, Notice(f"Sync {run.sync} has no more rejected rows than allowed", facts, is_good=True))
    codes = Counter(str(row["code"]) for row in run.rejections)
    reason = "Reasons: " + ", ".join(f"{code} ({count:,})" for code, count in codes.most_common(5))
    title = f"1 row of sync {run.sync} was rejected" if run.rejected == 1 else f"{run.rejected:,} rows of sync {run.sync} were rejected"
    notice = Notice(title, facts, reason, f"rowferry rejects {run.sync}")
    return Change(topic, "rejected", notice)


def relayed_rejected(source: str, destination: str, receipts: Receipts, at: datetime) -> Iterator[Change]:
    """Rows of a webhook that were rejected, for whatever reasons. They come one by one, good ones between the bad, so
    there is no end of it to tell: it is news when a reason appears, and once a week while it goes on."""
    who = source.replace(".", " ")
    for code, count in Counter(row.code for row in receipts.rejected).most_common():
        facts = {"rejected": count, "of": receipts.rows, "reason": code}
        notice = Notice(
            f"{destination} rejects what {who} sends", facts, "It is told once a week while it goes on.", f"rowferry rejects {source}"
        )
        yield Change(f"{source}/{destination}/rejected/{code}", f"{at:%G-W%V}", notice)


def vendor_refused(destination: str, reason: str, waiting: int) -> Change:
    """The vendor does not take our key: everything to this destination waits for a person, `waiting` chunks so far."""
    title = f"{destination} refuses our key or address; what is for it waits"
    return Change(f"destination/{destination}", "refused", Notice(title, {"chunks waiting": waiting}, reason, "rowferry check --live"))


def vendor_takes(destination: str) -> Change:
    """The vendor took rows."""
    return Change(f"destination/{destination}", OK, Notice(f"{destination} takes our rows again", is_good=True))


def feed_late(feed: str, due_at: datetime, last_at: datetime | None) -> Change:
    """No file came for the feed when one was due."""
    facts = {"due": f"{due_at:%Y-%m-%d %H:%M} UTC", "last file": f"{last_at:%Y-%m-%d %H:%M} UTC" if last_at else "never"}
    notice = Notice(f"Feed {feed} is late", facts, "No file has come since it was due.", "rowferry status")
    return Change(f"feed/{feed}/late", "late", notice)


def feed_on_time(feed: str, last_at: datetime) -> Change:
    """A file came."""
    notice = Notice(f"Feed {feed} is back", {"last file": f"{last_at:%Y-%m-%d %H:%M} UTC"}, is_good=True)
    return Change(f"feed/{feed}/late", OK, notice)


def file_quarantined(feed: str, file: str, reason: str) -> Change:
    """A file that could not be loaded; the feed's others go on. The command is for the mended file, wherever it lies then:
    a file's name is its sender's, and whoever pastes the command runs nothing else."""
    fix = f"rowferry load {shlex.quote(file.rpartition('/')[2])} --feed {feed}"
    notice = Notice(f"A file of feed {feed} is in quarantine, until it comes mended: {file}", {}, reason, fix)
    return Change(f"feed/{feed}/file/{file}", "quarantined", notice)


def file_loaded(feed: str, file: str, rows: int) -> Change:
    """A file of this name was loaded; news only when it had been in quarantine."""
    notice = Notice(f"{file} of feed {feed} has been loaded after all", {"rows": rows}, is_good=True)
    return Change(f"feed/{feed}/file/{file}", OK, notice)


def _balance(run: RunResult) -> dict[str, int]:
    return {
        "read": run.read, "unchanged": run.unchanged, "delivered": run.delivered, "rejected": run.rejected, "pending": run.pending,
    }  # fmt: skip


def first_run(run: RunResult) -> Change | None:
    """The sync's first closed run: the one good word that nobody has asked for, so that silence means well."""
    if run.status != "closed":
        return None
    notice = Notice(f"Sync {run.sync} has run for the first time; from now on only changes are told", _balance(run), is_good=True)
    return Change(f"sync/{run.sync}/first", "ran", notice)


def pull_failed(pull: str, reason: str) -> Change:
    """Some of a report could not be pulled; what could is loaded."""
    return Change(f"pull/{pull}", "failed", Notice(f"Pull {pull} failed", {}, reason, f"rowferry pull {pull}"))


def pull_works(pull: str) -> Change:
    """A report was pulled; news only when it had failed before."""
    return Change(f"pull/{pull}", OK, Notice(f"Pull {pull} works again", is_good=True))
