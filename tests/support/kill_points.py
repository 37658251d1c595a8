"""Kills a `rowferry` command at its n-th step: a real SIGKILL, of a real process, before or after the step took effect.

One process that has everything imported forks a child for each attempt, so hundreds of kills take
seconds. Steps are what leaves a trace outside the process: writes of the store, statements of the
warehouse, requests to a vendor.

    with KillPoints(environment) as kills:
        died = kills.run(["sync", "customers", "--config", "…"], at=17, after=True)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

_STORE = ("create", "replace", "write", "delete")
_WAREHOUSE = ("create", "add_columns", "create_as", "apply", "load_rows", "load_csv", "drop")


class KillPoints:
    """Runs commands in forked children, with or without a kill."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment}, text=True
        )

    def run(self, arguments: Sequence[str], *, at: int | None = None, after: bool = False) -> tuple[int, str]:
        """Run `rowferry ARGUMENTS`; its exit code, or -9 when it was killed at its `at`-th step (from 1), and its stdout."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([list(arguments), at, after]) + "\n")
        self._process.stdin.flush()
        code, printed = json.loads(self._process.stdout.readline())
        return int(code), str(printed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=300)
        assert self._process.stdout is not None
        self._process.stdout.close()


def _serve() -> None:
    import rowferry.cli
    import rowferry.console.terminal
    import rowferry.destinations.braze
    import rowferry.machine
    import rowferry.syncs.finish
    import rowferry.warehouse.duckdb  # noqa: F401 (imported here so that no child has to)

    for line in sys.stdin:
        arguments, at, after = json.loads(line)
        with tempfile.TemporaryFile("w+") as printed:
            child = os.fork()
            if child == 0:
                _child(arguments, at, after, printed.fileno())
            _, status = os.waitpid(child, 0)
            code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            printed.seek(0)
            sys.stdout.write(json.dumps([code, printed.read()]) + "\n")
            sys.stdout.flush()


def _child(arguments: list[str], at: int | None, after: bool, stdout: int) -> None:
    from rowferry.cli import main

    os.dup2(stdout, 1)
    if not os.environ.get("KILL_POINTS_NOISY"):
        with open(os.devnull, "w") as silence:
            os.dup2(silence.fileno(), 2)
    if at is not None:
        _arm(at, after)
    code = 0
    try:
        main(arguments)
    except SystemExit as error:
        code = int(error.code or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _arm(at: int, after: bool) -> None:
    import signal
    import threading

    from rowferry.http import HttpClient
    from rowferry.stores.folder import FolderStore
    from rowferry.warehouse.duckdb import DuckDbWarehouse

    steps, lock = [0], threading.Lock()

    def mortal(owner: Any, name: str) -> None:
        method = getattr(owner, name)

        def step(*arguments: Any, **named: Any) -> Any:
            with lock:
                steps[0] += 1
                is_last = steps[0] == at
            if is_last and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = method(*arguments, **named)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, step)

    for name in _STORE:
        mortal(FolderStore, name)
    for name in _WAREHOUSE:
        mortal(DuckDbWarehouse, name)
    mortal(HttpClient, "send")


if __name__ == "__main__":
    _serve()
