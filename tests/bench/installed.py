"""Other people's programs, each in a place of its own under build/, made when it is first asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from bench.measure import say
from bench.vendor import ROOT


@cache
def python_with(name: str, packages: tuple[str, ...], modules: tuple[str, ...]) -> Path | None:
    """The interpreter of the place `name`, in which the modules can be imported; None where it can't be had."""
    place = ROOT / "build" / name
    python, uv = place / "bin" / "python", [sys.executable, "-m", "uv"]
    try:
        if not python.exists():
            say(f"… installing {name} into build/{name}")
            _run([*uv, "venv", "-q", "--python", sys.executable, str(place)])
        if subprocess.run([str(python), "-c", f"import {', '.join(modules)}"], check=False, capture_output=True).returncode != 0:
            _run([*uv, "pip", "install", "-q", "--python", str(python), *packages])
    except (OSError, subprocess.SubprocessError) as error:
        say(f"without {name}, which can't be installed here: {str(error)[:200]}")
        return None
    return python


def dlt_python() -> Path | None:
    """An interpreter with dlt."""
    return python_with("dlt", ("dlt[duckdb]", "fastavro", "pyarrow"), ("dlt", "duckdb", "fastavro", "pyarrow"))


def drt_python() -> Path | None:
    """An interpreter with drt-core."""
    return python_with("drt", ("drt-core",), ("drt.destinations.klaviyo",))


def seconds_of(python: Path, script: Path, *arguments: str) -> float:
    """What the script printed last: how many seconds its work took. Raises `CalledProcessError`."""
    done = subprocess.run([str(python), str(script), *arguments], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=600)
