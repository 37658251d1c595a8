"""The command line. Answers go to stdout, everything else to stderr; `--json` makes stdout one document.

Exit codes: 0 done, every row delivered or unchanged; 1 something was rejected, quarantined, refused or
failed (and said so); 2 the settings or the command are wrong.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from rowferry import __version__
from rowferry.errors import Problem, RowferryError, SettingsError, UsageError

cli = typer.Typer(name="rowferry", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

Config = Annotated[
    Path | None, typer.Option("--config", help="The settings file, or a folder of them. Default: ROWFERRY_CONFIG, else infra/pipelines.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]

_EXTRAS = {"google": "gcp", "boto3": "aws", "botocore": "aws", "sqlalchemy": "sql"}


def missing_library(error: ModuleNotFoundError) -> Problem:
    """What to say to somebody whose settings need more than is installed. Raises the error again when none of our
    extras brings what is missing."""
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        raise error
    return Problem("", f"the settings need {error.name}, which is not installed", f"make install, or install rowferry[{extra}]")


class _Session:
    """One command's settings, app and way of answering."""

    def __init__(self, config: Path | None, as_json: bool, sandbox: bool = False) -> None:
        from rowferry.console.terminal import Terminal

        self.config, self.terminal, self.sandbox = config, Terminal(as_json), sandbox

    def run(self, work: Callable[[Any], int]) -> NoReturn:
        """Do the work with an app for the settings, and end with its exit code. What goes wrong is said
        in a sentence, never with a traceback. SIGTERM ends it as Ctrl-C does: requests in flight are waited
        for, claims given back."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            code = self._run(work)
        except SettingsError as error:
            code = self.terminal.problems(error.problems)
        except UsageError as error:
            code = self.terminal.problems([Problem("", str(error))])
        except RowferryError as error:
            code = self.terminal.failure(str(error))
        except ModuleNotFoundError as error:
            code = self.terminal.problems([missing_library(error)])
        except KeyboardInterrupt:
            code = self.terminal.failure("stopped; the same command resumes")
        raise SystemExit(code)

    def _run(self, work: Callable[[Any], int]) -> int:
        from rowferry.app import App
        from rowferry.machine import Machine
        from rowferry.owner import Owner
        from rowferry.settings.file import read_settings

        with ExitStack() as stack:
            settings, resolve = read_settings(self.config), None
            if self.sandbox:
                from rowferry.console.sandbox import made_up_secrets, sandboxed

                settings, resolve = stack.enter_context(sandboxed(settings, self.terminal.say)), made_up_secrets()
            app = stack.enter_context(App(settings, owner=Owner.process(), resolve_secret=resolve))
            progress = stack.enter_context(self.terminal.progress())
            return work(Machine(app, progress))


@cli.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    """Move customer data between buckets, a warehouse and vendors, and account for every row."""
    if version:
        typer.echo(__version__)
        raise SystemExit(0)


@cli.command()
def check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE…]", help="Export files: show what a feed would make of them.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the settings file for editors.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Also ask each destination whether it takes our key, and the warehouse to read each alert.")
    ] = False,
) -> None:
    """Find every problem of the settings. Each with its place and what to write instead."""
    from rowferry.console import checking
    from rowferry.console.terminal import Terminal

    terminal = Terminal(as_json)
    if schema:
        from rowferry.settings.schema import json_schema

        terminal.document(json_schema())
        raise SystemExit(0)
    try:
        code = checking.check(config, terminal, live=live, files=files or [])
    except ModuleNotFoundError as error:
        code = terminal.problems([missing_library(error)])
    except RowferryError as error:
        code = terminal.failure(str(error))
    raise SystemExit(code)


@cli.command()
def plan(name: Annotated[str, typer.Argument(metavar="SYNC", help="Which sync.")], config: Config = None, as_json: AsJson = False) -> None:
    """Show what a sync would send now. How many requests and minutes, what would be rejected and why; nothing is sent."""
    session = _Session(config, as_json)
    session.run(lambda machine: session.terminal.plan(machine.plan(name)))


@cli.command()
def sync(
    name: Annotated[str, typer.Argument(metavar="SYNC", help="Which sync.")],
    config: Config = None,
    as_json: AsJson = False,
    accept: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run that a guard has refused.")] = None,
    drop: Annotated[str | None, typer.Option(metavar="RUN", help="Give an open run up: what is left of it is rejected, not sent.")] = None,
) -> None:
    """Send what is to be sent. Resumes the open run, or starts a new one, and sees it to its end."""
    session = _Session(config, as_json)

    def work(machine: Any) -> int:
        if accept is not None and drop is not None:
            raise UsageError("a run is either accepted or dropped: give one of --accept and --drop")
        return session.terminal.run(machine.drop(name, drop) if drop is not None else machine.sync(name, accept=accept))

    session.run(work)


@cli.command()
def load(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Export files.")],
    config: Config = None,
    as_json: AsJson = False,
    feed: Annotated[str | None, typer.Option(metavar="NAME", help="The feed they belong to; needed outside every feed's path.")] = None,
) -> None:
    """Load export files into their tables. Each exactly once, however often it is named."""
    session = _Session(config, as_json)
    session.run(lambda machine: session.terminal.loads(machine.load(files, feed)))


@cli.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="PULL", help="Which pull.")],
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="The first day, as 2026-01-31; without it, what is due.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day, included; today unless given.")] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE.csv", help="Write the rows to a CSV as well; - for stdout.")] = None,
    bom: Annotated[bool, typer.Option(help="Begin FILE.csv with the mark by which Excel knows UTF-8.")] = True,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask a vendor for a report and load it. A day that is pulled again replaces its rows."""
    from rowferry.console import pulling

    session = _Session(config, as_json)
    session.run(lambda machine: pulling.pull(machine, session.terminal, name, (first, last), out, bom))


@cli.command()
def replay(
    name: Annotated[str, typer.Argument(metavar="SYNC", help="Whose dead letters: a sync's, or webhook.NAME.")],
    config: Config = None,
    as_json: AsJson = False,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Only those of this run.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="Only those with this code.")] = None,
) -> None:
    """Send a sync's or webhook's dead letters once more, after a fix."""
    session = _Session(config, as_json)
    session.run(lambda machine: session.terminal.run(machine.replay(name, run=run, code=reason)))


@cli.command()
def backfill(
    name: Annotated[str, typer.Argument(metavar="SYNC|FEED", help="What to run over a past range.")],
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="The first day, as 2026-01-31.")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="The last day, included.")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send rows, or load files, of past days. Of a sync with a cursor, or of a feed."""
    session = _Session(config, as_json)
    session.run(lambda machine: session.terminal.either(machine.backfill(name, first, last)))


@cli.command()
def rejects(
    name: Annotated[str, typer.Argument(metavar="SYNC", help="Whose dead letters: a sync's, or webhook.NAME.")],
    config: Config = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the CSV here instead of to stdout.")] = None,
    unmasked: Annotated[bool, typer.Option("--unmasked", help="Show keys as they are; they may be personal data.")] = False,
) -> None:
    """Write a sync's dead letters as CSV. Which row, its code, and the reason to act on."""
    session = _Session(config, as_json=False)
    session.run(lambda machine: session.terminal.csv(machine.rejects(name, unmasked=unmasked), out))


@cli.command()
def status(config: Config = None, as_json: AsJson = False) -> None:
    """Show what ran, what is late and what was rejected."""
    session = _Session(config, as_json)
    session.run(lambda machine: session.terminal.status(machine.status()))


@cli.command()
def serve(
    config: Config = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the status page and webhooks listen, on loopback. 0: a free port.")
    ] = 8080,
    sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox", help="Point every destination at its stand-in, over a copy of warehouse and state: nothing leaves this machine."
        ),
    ] = False,
) -> None:
    """Run all functions on this machine. Loads files as they land, keeps every timer, delivers, serves page and webhooks."""
    from rowferry.console.serving import serve as serve_forever

    session = _Session(config, as_json=False, sandbox=sandbox)
    session.run(lambda machine: serve_forever(machine, port, say=session.terminal.say))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `rowferry`."""
    cli(args=list(arguments) if arguments is not None else sys.argv[1:], standalone_mode=True)


if __name__ == "__main__":
    main()
