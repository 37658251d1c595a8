"""Who holds a claim, and whether they can still be alive.

On one machine a killed process must not block its own repeat until a claim expires, so a process
signs with what the machine knows of it (boot, process namespace, process id, start time) and
another process there can see that it is gone. In the clouds, where two sandboxes may show the
same process id, a worker signs with a random name that nobody can judge: only expiry counts.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A holder's signature. `is_gone(signature)` is True only when its process has surely ended."""

    signature: str
    is_gone: Callable[[str], bool]

    @classmethod
    def anonymous(cls) -> Owner:
        """A worker that nobody else can judge."""
        return cls(f"worker:{uuid.uuid4().hex}", lambda _signature: False)

    @classmethod
    def process(cls) -> Owner:
        """This process, to be judged by others on the same machine."""
        machine = _machine()
        started = _started(os.getpid())
        if machine is None or started is None:
            return cls.anonymous()

        def is_gone(signature: str) -> bool:
            kind, _, rest = signature.partition(":")
            where, _, process = rest.partition(" ")
            if kind != "process" or where != machine:
                return False
            pid, _, start = process.partition("@")
            return _started(int(pid)) != start

        return cls(f"process:{machine} {os.getpid()}@{started}", is_gone)


def _machine() -> str | None:
    """A name for this boot of this machine and this process namespace; None where there is no telling."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return _output("sysctl", "-n", "kern.bootsessionuuid")  # macOS


def _started(pid: int) -> str | None:
    """When the process started, as the system writes it; None when there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        state, *rest = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _output("ps", "-o", "lstart=", "-p", str(pid))
    return None if state == "Z" else rest[18]  # field 22 of proc(5): start time; a zombie holds nothing


def _output(*command: str) -> str | None:
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return "-".join(found.stdout.split()) or None
