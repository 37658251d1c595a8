"""The sandbox: a user's own settings with every destination at its stand-in, to rehearse what would leave."""

from __future__ import annotations

import os

from rowferry import twins
from rowferry.errors import UsageError
from rowferry.secrets import Resolve, from_environment
from rowferry.settings.model import Settings

# Stands in for a secret that is not set. It is shaped like a Slack webhook's address, for those are secrets too.
_MADE_UP = "https://hooks.slack.com/services/T000/B000/sandbox"


def sandboxed(settings: Settings) -> Settings:
    """The same settings with every destination pointed at its stand-in, which is started for it and ends
    with the process. Raises `UsageError` for a vendor that has none."""
    found = {}
    for name, destination in settings.destinations.items():
        try:
            twin = twins.find(destination.vendor)()
        except KeyError:
            raise UsageError(f"destinations.{name}: there is no stand-in for {destination.vendor}") from None
        twin.keep_log = False
        found[name] = destination.model_copy(update={"base_url": twin.start().url})
    return settings.model_copy(update={"destinations": found})


def made_up_secrets() -> Resolve:
    """Secrets from the environment where they are set, made up where they are not."""
    real = from_environment(os.environ)

    def resolve(reference: str) -> str:
        try:
            return real(reference)
        except UsageError:
            return _MADE_UP

    return resolve
