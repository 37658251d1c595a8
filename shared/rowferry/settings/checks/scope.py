"""What every check looks at: the settings, the names that are there, and how to say that one is not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rowferry.destinations import find
from rowferry.destinations.port import Destination
from rowferry.errors import Problem
from rowferry.settings.base import DestinationSettings
from rowferry.settings.model import Settings
from rowferry.settings.problems import shown, suggest


@dataclass(frozen=True)
class Scope:
    """`names` are the entries of each section, those included that could not be read: they are told of elsewhere."""

    settings: Settings
    names: Mapping[str, frozenset[str]]

    def destination(self, name: str) -> tuple[Destination[Any], DestinationSettings] | None:
        """The destination of this name with its settings; None when there is none that could be read."""
        settings = self.settings.destinations.get(name)
        return None if settings is None else (find(settings.vendor), settings)

    def missing(self, section: str, name: str, path: str) -> Iterator[Problem]:
        """A problem when the section has no such entry."""
        known = sorted(self.names.get(section, frozenset()))
        if name not in known:
            hint = suggest(name, known, "there are") or f"there are no {section}"
            yield Problem(path, f"{shown(name)} is not one of the {section}", hint)

    def actions(self, to: str, action: str, path: str) -> Iterator[Problem]:
        """Problems of `to` and `action` below `path`: no such destination, or one that can't do this."""
        yield from self.missing("destinations", to, f"{path}.to")
        found = self.destination(to)
        if found is not None and action not in found[0].actions:
            hint = suggest(action, found[0].actions, "its actions are")
            yield Problem(f"{path}.action", f"{found[0].vendor} has no action {shown(action)}", hint)

    def notify(self, names: tuple[str, ...], path: str) -> Iterator[Problem]:
        """Problems of a `notify`: each name is a destination that takes notices."""
        for name in names:
            yield from self.missing("destinations", name, path)
            found = self.destination(name)
            if found is not None and "notice" not in found[0].actions:
                yield Problem(path, f"{found[0].vendor} can't be told: it has no action notice", "name a Slack destination")


def check_cron(text: str | None, path: str) -> Iterator[Problem]:
    """A problem when this is not a cron expression of five fields, or one whose time never comes."""
    if text is None:
        return
    from croniter import CroniterError, croniter

    hint = "five fields: minute, hour, day of month, month, day of week, e.g. 15 2 * * *"
    if len(text.split()) != 5 or not re.fullmatch(r"[\w*/, -]+", text, re.ASCII) or not croniter.is_valid(text):
        yield Problem(path, f"{shown(text)} is not a cron expression", hint)
        return
    try:
        croniter(text).get_next()
    except CroniterError:
        yield Problem(path, f"the time of {shown(text)} never comes", hint)
