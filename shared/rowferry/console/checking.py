"""`rowferry check`: the settings against themselves, against sample files, and against the vendors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rowferry.console.terminal import Terminal
from rowferry.errors import Problem, RowferryError, SettingsError


def check(config: Path | None, terminal: Terminal, *, live: bool = False, files: Sequence[Path] = ()) -> int:
    """Print every problem; the exit code is 0 when there is none, else 2 (1 when only a vendor refuses us)."""
    from rowferry.settings import check as checks
    from rowferry.settings.file import read_settings

    try:
        settings = read_settings(config)
        problems = checks.check(settings, os.environ)
    except SettingsError as error:
        problems, settings = list(error.problems), None
    code = 2 if problems else 0
    if settings is not None and not problems and live:
        problems = list(_refusals(settings))
        code = 1 if problems else 0
    if terminal.as_json:
        terminal.document({"ok": not problems, "problems": [problem.to_dict() for problem in problems]})
        return code
    for problem in problems:
        for text in problem.lines():
            terminal.line(text)
    if settings is not None and files:
        from rowferry.console.samples import describe
        from rowferry.stores.address import open_store

        inside = open_store(settings.exports).path("x") if settings.exports else None
        exports = inside.parent if inside is not None else None
        for file in files:
            if not file.is_file():
                terminal.line(f"{file}: there is no such file")
                code = 2
                continue
            for line in describe(settings.feeds, exports, file):
                terminal.line(line)
    terminal.line(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}" if problems else "the settings are good")
    return code


def _refusals(settings: object) -> Iterator[Problem]:
    from rowferry.alerts.check import try_out
    from rowferry.app import App
    from rowferry.http import NoAnswer
    from rowferry.settings.model import Settings

    assert isinstance(settings, Settings)
    with App(settings) as app:
        for name in settings.destinations:
            try:
                account = app.account(name)
                response = account.client.send(account.destination.probe(account.settings), account.settings.timeout)
            except (NoAnswer, RowferryError) as error:
                yield Problem(f"destinations.{name}", str(error))
                continue
            reason = account.destination.read_probe(response)
            if reason is not None:
                yield Problem(f"destinations.{name}", reason, "check the key, its permissions and the region or base_url")
        for name, alert in settings.alerts.items():
            try:
                try_out(alert, app.warehouse)
            except (RowferryError, ValueError) as error:
                yield Problem(f"alerts.{name}", str(error), "its statement was not run, only read by the warehouse")
        try:
            closed = app.relay.closed
        except RowferryError as error:
            closed = {"": error}
        for name, found in closed.items():
            yield from found.problems if isinstance(found, SettingsError) else [Problem(f"webhooks.{name}".rstrip("."), str(found))]
