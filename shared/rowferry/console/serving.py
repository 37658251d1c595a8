"""`rowferry serve`: all functions in one process. Files are loaded as they land, timers kept, chunks delivered,
the status page and the webhooks served on loopback, until Ctrl-C or SIGTERM.

Each kind of work has a thread of its own, so that a long sync holds up neither files nor webhooks; no
piece of work runs twice at once.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import FrameType

from rowferry import logs
from rowferry.console.telling import Line, told
from rowferry.errors import RowferryError
from rowferry.machine import Machine
from rowferry.timers import Timer

_LOOK_SECONDS = 1.0  # how often files, timers and the outbox are looked at
_SWEEP_SECONDS = 60.0
log = logging.getLogger("rowferry")


def serve(machine: Machine, port: int, *, say: Callable[[str], None] = print) -> int:
    """Run until told to stop, with a log of what is done. Raises `UsageError` when the port is taken, and what
    closes a webhook that has no secret: told now, and not to the first sender."""
    from rowferry.console.web import listen

    if machine.app.settings.webhooks:
        for error in machine.app.relay.closed.values():
            raise error
    logs.start()
    stop = threading.Event()
    with listen(machine, port) as address, _signals(stop):
        say(f"Rowferry serves {address} (status page, /hooks/<name>); Ctrl-C stops it")
        Worker(machine).run(stop)
        say("stopped; what is open goes on with the next start")
    return 0


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    def halt(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, halt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class Worker:
    """Keeps the work going."""

    machine: Machine
    _running: dict[str, threading.Thread] = field(default_factory=dict)
    _due: dict[str, datetime] = field(default_factory=dict)
    _warned: dict[str, list[Line]] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        """Look, start what is due, and look again, until `stop` is set; then have everything handed back."""
        while not stop.is_set():
            self.look()
            stop.wait(_LOOK_SECONDS)
        self.machine.app.hand_back("rowferry serve was told to stop")
        for thread in list(self._running.values()):
            thread.join()

    def look(self) -> None:
        """Start everything that is due now and is not running."""
        self._start("files", self.machine.load_new_and_follow)
        for name in self.machine.app.settings.destinations:  # each its own: a slow vendor holds nobody else up
            self._start(f"outbox {name}", partial(self.machine.deliver_relayed, name))
        for name, timer, work in self._timers():
            self._keep(name, timer, work)

    def _timers(self) -> Iterator[tuple[str, Timer, Callable[[], object]]]:
        machine, settings = self.machine, self.machine.app.settings
        yield "sweep", Timer(_SWEEP_SECONDS), machine.sweep
        for name, sync in settings.syncs.items():
            yield f"sync {name}", Timer(sync.every, sync.cron, sync.timezone), partial(machine.sync, name)
        for name, pull in settings.pulls.items():
            yield f"pull {name}", Timer(pull.every, pull.cron, pull.timezone), partial(machine.pull_due, name)
        for name, alert in settings.alerts.items():
            yield f"alert {name}", Timer(alert.every, alert.cron, alert.timezone), partial(machine.app.check_alert, name)

    def _keep(self, name: str, timer: Timer, work: Callable[[], object]) -> None:
        now = self.machine.app.clock.now()
        due = self._due.get(name)
        if due is None and timer.every_seconds is not None:
            due = now  # a timer by `every` rings when the server starts
        if due is not None and due <= now and self._start(name, work):
            due = None
        following = timer.next_at(now) if due is None else due
        if following is not None:
            self._due[name] = following

    def _start(self, name: str, work: Callable[[], object]) -> bool:
        running = self._running.get(name)
        if running is not None and running.is_alive():
            return False
        self._running[name] = threading.Thread(target=self._do, args=(name, work), name=name, daemon=True)
        self._running[name].start()
        return True

    def _do(self, name: str, work: Callable[[], object]) -> None:
        try:
            self._say(name, list(told(name, work())))
        except RowferryError as error:
            self._say(name, [(logging.WARNING, f"{name}: {error}")])
        except Exception:
            # One piece of work that breaks must not take the server down: it is said, and done again.
            log.exception("%s broke; this is a fault of Rowferry's, please report it", name)
        finally:
            self.machine.app.release()

    def _say(self, name: str, lines: list[Line]) -> None:
        """Write the lines to the log, but no warning that was the last look's as well: there is a look each second."""
        before, self._warned[name] = self._warned.get(name, []), [line for line in lines if line[0] > logging.INFO]
        for level, text in lines:
            if (level, text) not in before:
                log.log(level, "%s", text)
