"""A pull: a vendor's report on a timer, into export files and from there into a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from rowferry.errors import Problem
from rowferry.settings.base import Delay, Frozen, Seconds
from rowferry.settings.hours import ExpectText, Zone
from rowferry.settings.names import ColumnName, Names, TableName
from rowferry.settings.pattern import check_pattern
from rowferry.settings.sync import Model

Report = Literal[
    "events",
    "profiles",
    "event_count",
    "profile_count",
    "message_report",
    "campaign_report",
    "top_counts",
    "trends",
    "export",
    "segmentation",
    "cohort",
    "campaign_series",
    "canvas_series",
    "segment_series",
    "segments",
    "users",
    "campaign_values",
]


@dataclass(frozen=True, slots=True)
class ReportKeys:
    """Which of a pull's keys a report must have and which it may have besides the common ones."""

    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()


def _keys(needs: str = "", takes: str = "") -> ReportKeys:
    return ReportKeys(frozenset(needs.split()), frozenset(takes.split()))


# The reports of each vendor, by the vendor's own words for them.
REPORTS: dict[str, dict[str, ReportKeys]] = {
    "clevertap": {
        "events": _keys("event", "query page_rows"),
        "profiles": _keys("event", "query page_rows"),
        "event_count": _keys("event", "query"),
        "profile_count": _keys("event", "query"),
        "message_report": _keys("", "query"),
        "campaign_report": _keys("", "query"),
        "top_counts": _keys("event groups", "query"),
        "trends": _keys("event groups", "query"),
    },
    "amplitude": {
        "export": _keys(),
        "segmentation": _keys("event", "query"),
        "cohort": _keys("id", "query"),
    },
    "braze": {
        "campaign_series": _keys("", "id"),
        "canvas_series": _keys("", "id"),
        "segment_series": _keys("", "id"),
        "segments": _keys(),
        "users": _keys("model fields"),
    },
    "klaviyo": {
        "events": _keys("", "event query page_rows"),
        "profiles": _keys("", "query page_rows"),
        "campaign_values": _keys("query"),
    },
}
_REPORT_KEYS = ("event", "id", "model", "fields", "query", "groups", "page_rows")


def _folder(path: str) -> str:
    check_pattern(path)
    if set(path) & set("*{}"):
        raise ValueError("expected a folder below the exports bucket, such as clevertap-api/, without * or {}")
    return path.rstrip("/") + "/"


class Pull(Frozen):
    """One report of one vendor. `from` names the destination whose account is used."""

    from_: str = Field(alias="from", min_length=1, description="The name of an entry of `destinations`.")
    report: Report = Field(description="Which of the vendor's reports.")
    event: str | None = Field(None, min_length=1, description="The event's name, as the vendor's dashboard shows it.")
    id: str | None = Field(None, min_length=1, description="The campaign, canvas, segment or cohort; all when left out, but for a cohort.")
    model: Model | None = Field(None, description="For `users`: the rows whose ids are asked for.")
    fields: Names = Field((), description="For `users`: the profile fields to export.")
    query: dict[str, Any] = Field({}, description="Filters of the report, handed to the vendor as they are.")
    groups: dict[str, dict[str, Any]] = Field({}, description="For `top_counts` and `trends`: what to count by, each under a name.")
    page_rows: int | None = Field(None, gt=0, le=50_000, description="Rows asked for at once; the vendor's most when left out.")
    path: Annotated[str, AfterValidator(_folder)] | None = Field(None, description="The folder below `exports`; `<pull>/` when left out.")
    table: TableName | None = Field(None, description="The table; by the feed on `path` when left out, else raw.<pull>.")
    every: Seconds | None = Field(None, description="How often, e.g. 15m; or `cron`.")
    cron: str | None = Field(None, description="Five fields, in `timezone`.")
    timezone: Zone = Field("UTC", description="The zone of `cron`.")
    window: Seconds | None = Field(None, description="How much time one file covers; a day, or an hour where the vendor has hours.")
    trailing: Delay = Field(172800.0, description="How far back a timed pull asks again, for rows that came late.")
    since: date | None = Field(None, description="The first day; a pull that has never run begins here, else at yesterday.")
    columns: tuple[ColumnName, ...] = Field((), description="The order of columns in `--out`.")
    expect: ExpectText | None = Field(None, description="When new rows are due; a notice goes out when none came.")
    notify: Names = Field((), description="The destination, or destinations, that notices go to.")

    def conflicts(self) -> Iterator[Problem]:
        """One timer at most."""
        if self.every and self.cron:
            yield Problem("cron", "stands beside every", "keep one of them")

    def check_report(self, vendor: str) -> Iterator[Problem]:
        """Whether this vendor has the report, and whether the report's keys are there and no others."""
        reports = REPORTS.get(vendor, {})
        if self.report not in reports:
            hint = f"its reports are {', '.join(reports)}" if reports else f"reports can be pulled from {', '.join(REPORTS)}"
            yield Problem("report", f"{vendor} has no report {self.report}", hint)
            return
        keys = reports[self.report]
        for key in _REPORT_KEYS:
            given = bool(getattr(self, key))
            if key in keys.needs and not given:
                yield Problem(key, "is missing", f"the report {self.report} needs it")
            elif given and key not in keys.needs | keys.takes:
                yield Problem(key, f"has no meaning with report: {self.report}", "take it out")
