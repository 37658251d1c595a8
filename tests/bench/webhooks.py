"""Webhooks at `relay_webhook`, verified and stored before the answer, against a function that answers "ok" to anybody.

Each server is the real functions-framework in a process of its own on one CPU, which is what an instance has; the
sender and the stand-in of the store have the others.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from bench.measure import Result, alternating
from bench.senders import SECRET
from bench.vendor import ENVIRONMENT, ROOT

CALLS = 1_000
ROUNDS = 15
_CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
_ONE, _OTHERS = _CPUS[-1:], _CPUS[:-1]
MEMORY = Path("/dev/shm")  # so that it is our work that is measured, and not a disk's
_THREADS = "4"  # functions-framework's own for one CPU
_BARE = """
import functions_framework

@functions_framework.http
def bare(request):
    return "ok"
"""
_GCS = """
import sys, time
from pathlib import Path
from support.gcs import GcsServer

with GcsServer(Path(sys.argv[1])) as gcs:
    gcs.make_bucket("state")
    print(gcs.url, flush=True)
    sys.stdin.read()
"""
_SETTINGS = """
rowferry: 1
warehouse: {{engine: bigquery, project: p, location: EU, dataset: d}}
state: {state}
destinations:
  braze: {{vendor: braze, instance: EU-01, api_key: "env:BENCH_KEY"}}
webhooks:
  stripe:
    verify: {{scheme: stripe, secret: "env:BENCH_SECRET"}}
    routes:
      - when: "type == 'invoice.paid'"
        send: {{to: braze, action: event, map: {{external_id: data.object.customer, name: "'subscription_renewed'", time: created}}}}
      - when: "type == 'customer.subscription.deleted'"
        send:
          to: braze
          action: event
          map:
            external_id: data.object.metadata.user_id
            name: "'subscription_ended'"
            time: created
            plan: data.object.items.data[0].price.lookup_key
            amount: major_units(data.object.items.data[0].price.unit_amount, data.object.currency)
            reason: data.object.cancellation_details.reason
"""


def results() -> Iterator[Result]:
    """State in a folder, and in Cloud Storage's stand-in."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name, ExitStack() as stack:
        folder = Path(name)
        storage = stack.enter_context(_gcs(folder / "buckets"))
        numbers = count()
        urls = {
            "bare": stack.enter_context(bare_server(folder)),
            "folder": stack.enter_context(_relay(folder, f"file://{folder}/state", {})),
            "gcs": stack.enter_context(_relay(folder, "gs://state/bench", {"STORAGE_EMULATOR_HOST": storage})),
        }
        works = {what: partial(calls_per_second, url, numbers) for what, url in urls.items()}
        for work in works.values():
            work()  # a first time, for what is made once
        found = alternating(works, ROUNDS)
    bare = 'a function that returns "ok"'
    yield Result("relay_webhook, state in a folder", found["folder"], bare, found["bare"], "calls/s", ">= 0.5")
    yield Result("relay_webhook, state in Cloud Storage's stand-in", found["gcs"], bare, found["bare"], "calls/s")


def calls_per_second(url: str, numbers: Iterator[int], calls: int = CALLS) -> float:
    """Calls a second that a server answers; each of `numbers` stands for as many calls that nobody has made before."""
    command = [sys.executable, "-m", "bench.senders", f"{url}/hooks/stripe", str(calls), str(calls * next(numbers))]
    said, _ = _start(command, ENVIRONMENT, _OTHERS).communicate()
    return float(said)


def _relay(folder: Path, state: str, more: dict[str, str]) -> AbstractContextManager[str]:
    settings = folder / f"{state.partition(':')[0]}.yaml"
    settings.write_text(_SETTINGS.format(state=state))
    return relay_server(settings, more)


def relay_server(settings: Path, more: dict[str, str]) -> AbstractContextManager[str]:
    """The address of `relay_webhook` with these settings; `more` is its environment's."""
    own = {"ROWFERRY_CONFIG": str(settings), "BENCH_SECRET": SECRET, **more}
    return _server("relay_webhook", ROOT / "functions" / "relay_webhook" / "gcp.py", own)


def bare_server(folder: Path) -> AbstractContextManager[str]:
    """The address of a function that does nothing."""
    source = folder / "bare.py"
    source.write_text(_BARE)
    return _server("bare", source, {})


@contextmanager
def _server(target: str, source: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of a function under functions-framework, as its image starts it: one worker with threads."""
    port = _free_port()
    options = {"target": target, "source": str(source), "host": "127.0.0.1", "port": str(port)}
    command = [sys.executable, "-m", "functions_framework", *(part for key, value in options.items() for part in (f"--{key}", value))]
    process = _start(command, {**ENVIRONMENT, "THREADS": _THREADS, **environment}, _ONE)
    try:
        _wait(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _gcs(folder: Path) -> Iterator[str]:
    process = _start([sys.executable, "-c", _GCS, str(folder)], ENVIRONMENT, _OTHERS)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.communicate()


def _start(command: Sequence[str], environment: Mapping[str, str], cpus: Sequence[int]) -> subprocess.Popen[str]:
    """A process on these CPUs, where the machine has several and lets us choose."""
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if len(_CPUS) > 1:
        os.sched_setaffinity(process.pid, cpus)
    return process


def _wait(port: int) -> None:
    for _ in range(3_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("the server did not start")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
