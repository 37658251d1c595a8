"""The sandbox: a user's own settings with every destination at its stand-in, to rehearse what would leave."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rowferry import twins
from rowferry.errors import UsageError
from rowferry.secrets import Resolve, from_environment
from rowferry.settings.base import DestinationSettings
from rowferry.settings.model import Settings

# Stands in for a secret that is not set. It is shaped like a Slack webhook's address, for those are secrets too.
_MADE_UP = "https://hooks.slack.com/services/T000/B000/sandbox"


@contextmanager
def sandboxed(settings: Settings, say: Callable[[str], None]) -> Iterator[Settings]:
    """The same settings with every destination at its stand-in, over a copy of warehouse and state.

    What is delivered to a stand-in must never count as delivered to the vendor, so nothing of the real
    warehouse and state is written. The copy and the stand-ins end with the block; `say` is told where to
    look at what each stand-in was sent. Raises `UsageError`
    for a warehouse or state that can't be copied, and for a vendor that has no stand-in.
    """
    if settings.warehouse.engine != "duckdb" or not settings.state.startswith("file:"):
        raise UsageError(
            "the sandbox works on a copy, so it needs engine: duckdb and a folder as state; rehearse with a settings file of those"
        )
    with tempfile.TemporaryDirectory(prefix="rowferry-sandbox-") as name, ExitStack() as running:
        folder = Path(name)
        if settings.warehouse.file.exists():
            shutil.copy2(settings.warehouse.file, folder / "warehouse.duckdb")
        state = Path(unquote(urlsplit(settings.state).path))
        if state.exists():
            shutil.copytree(state, folder / "state", ignore_dangling_symlinks=True)
        copies = {
            "warehouse": settings.warehouse.model_copy(update={"path": folder / "warehouse.duckdb"}),
            "state": (folder / "state").as_uri(),
            "destinations": {name: _at_twin(name, found, running, say) for name, found in settings.destinations.items()},
        }
        yield settings.model_copy(update=copies)


def _at_twin(name: str, destination: DestinationSettings, running: ExitStack, say: Callable[[str], None]) -> DestinationSettings:
    try:
        twin = twins.find(destination.vendor)()
    except KeyError:
        raise UsageError(f"destinations.{name}: there is no stand-in for {destination.vendor}") from None
    twin.keep_log = False
    running.enter_context(twin)
    say(f"{name} is a stand-in for {destination.vendor}; what it was sent: {twin.url}/_twin/state")
    return destination.model_copy(update={"base_url": twin.url})


def made_up_secrets() -> Resolve:
    """Secrets from the environment where they are set, made up where they are not."""
    real = from_environment(os.environ)

    def resolve(reference: str) -> str:
        try:
            return real(reference)
        except UsageError:
            return _MADE_UP

    return resolve
