"""An alert: a statement on a timer, and the state of things in which somebody is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rowferry.errors import Problem
from rowferry.settings.base import Frozen, Seconds
from rowferry.settings.condition import read_condition
from rowferry.settings.hours import Zone
from rowferry.settings.names import Names

_DAY_SECONDS = 86_400


def _condition(text: str) -> str:
    read_condition(text)
    return text


ConditionText = Annotated[str, AfterValidator(_condition), Field(examples=["orders < 100", "errors > 5 and orders > 0"])]


class Alert(Frozen):
    """Tells on each change of state, both ways. Where a NULL decides, nothing changes.

    With `compare`, each number `x` of the row has `x_before` and `x_change_percent` beside it, taken
    from the same alert's earlier row: the run before, or the same weekday a week ago.
    """

    sql: str = Field(min_length=1, description="A SELECT on the warehouse that gives one row.")
    fire_when: ConditionText = Field(description="Over the row's columns, e.g. orders < 100.")
    recover_when: ConditionText | None = Field(
        None,
        description="When it is over, fire_when not holding; as soon as it does not, when left out. Some way from fire_when's limit, it "
        "keeps a value that swings about the limit from being told with each swing.",
    )
    every: Seconds | None = Field(None, description="How often, e.g. 15m; or `cron`.")
    cron: str | None = Field(None, description="Five fields, in `timezone`.")
    timezone: Zone = Field("UTC", description="The zone of `cron`.")
    notify: Names = Field(description="The destination, or destinations, that are told.")
    text: str | None = Field(None, min_length=1, description="Jinja; the row's columns and `state` (firing, recovered) are filled in.")
    compare: Literal["previous", "same_weekday"] | None = Field(
        None, description="What `x_before` and `x_change_percent` are taken from: the run before, or the same weekday a week ago."
    )
    trend: bool = Field(True, description="A small drawing of the last values goes with the notice.")

    def conflicts(self) -> Iterator[Problem]:
        """One timer at most, and a comparison only where one was asked for."""
        if self.every and self.cron:
            yield Problem("cron", "stands beside every", "keep one of them")
        if not self.every and not self.cron:
            yield Problem("every", "is missing", "say how often to look, e.g. every: 1h")
        if self.compare == "same_weekday" and self.every and _DAY_SECONDS < self.every != 7 * _DAY_SECONDS:
            yield Problem("every", "never falls on the same weekday a week later", "at most 1d, or 7d, with compare: same_weekday")
        conditions = [read_condition(text) for text in (self.fire_when, self.recover_when) if text is not None]
        names = sorted(frozenset().union(*(condition.names for condition in conditions)))
        compared = [name for name in names if name.endswith(("_before", "_change_percent")) and name not in self.sql]
        if compared and self.compare is None:
            yield Problem("compare", "is missing", f"{compared[0]} is known with compare: previous or compare: same_weekday only")
