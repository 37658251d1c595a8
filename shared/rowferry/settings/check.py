"""What has to fit between the entries of the settings. No network, no secrets: what a person can mend before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rowferry.errors import Problem
from rowferry.settings.checks.calls import check_alerts, check_destinations, check_webhooks
from rowferry.settings.checks.feeds import check_feeds, check_pulls
from rowferry.settings.checks.scope import Scope
from rowferry.settings.checks.syncs import check_syncs
from rowferry.settings.model import SECTIONS, Settings
from rowferry.settings.place import located
from rowferry.settings.references import references

_CHECKS = (check_destinations, check_feeds, check_syncs, check_pulls, check_webhooks, check_alerts)


def check(settings: Settings, environment: Mapping[str, str] | None = None) -> list[Problem]:
    """Every problem between the entries, in the files' order.

    With an `environment`, also each `env:NAME` that is not set in it. Imports the vendors that are named.
    """
    names = {section: frozenset(getattr(settings, section)) for section in SECTIONS}
    return located(check_between(Scope(settings, names), environment), settings.places)


def check_between(scope: Scope, environment: Mapping[str, str] | None = None) -> Iterator[Problem]:
    """The same for settings of which only parts could be read, section by section."""
    if environment is not None:
        for path, reference in references(scope.settings):
            kind, _, name = reference.partition(":")
            if kind == "env" and not environment.get(name):
                yield Problem(path, f"the environment variable {name} is not set", f"set {name}, or name another one")
    for one in _CHECKS:
        yield from one(scope)
