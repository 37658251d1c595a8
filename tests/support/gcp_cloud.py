"""The shop on Google Cloud: each function under the real functions-framework server, events from the GCS stand-in.

An instance works on one request at a time, as Cloud Run has it; there are two that deliver. Events come as the
subscriptions of `infra/gcp` push them, unless a test asks for another form.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from rowferry.stores.gcs import GcsStore
from support.cloud_shop import API_KEY, Mode, Shop
from support.gcs import GcsServer
from support.gcs_events import Form, Subscription

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
TRIES = 8
ALL = ("load_export", "start_sync", "deliver_chunk", "finish_run", "sweep")
_START_SECONDS = 300


class GcpFunction:
    """A function's edge in a server of its own, on a free port of loopback."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path, instances: int = 1) -> None:
        self.name, self.log = name, log
        self.port, self._place = _held_port()
        own = {"WORKERS": str(instances), "THREADS": "1", "CLOUD_RUN_TIMEOUT_SECONDS": "120"}
        options = {"target": name, "source": str(FUNCTIONS / name / "gcp.py"), "host": "127.0.0.1", "port": str(self.port)}
        self._command = [sys.executable, "-m", "functions_framework", *(p for key, value in options.items() for p in (f"--{key}", value))]
        self._environment = {**os.environ, **own, **environment}
        self.start()

    def start(self) -> None:
        """Start the server, in a group of processes of its own; `wait` for it."""
        with self.log.open("ab") as file:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=file, stderr=file, start_new_session=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Return when it listens. Raises `RuntimeError` with its log when it does not."""
        until = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            if self._listens():
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not start: {self.log.read_text()}")

    def call(self, body: bytes, headers: Mapping[str, str], path: str = "") -> tuple[int, str]:
        """Status and text of the answer to a request."""
        request = urllib.request.Request(self.url + path, body, dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(300)
        self._place.close()

    def kill(self) -> None:
        """SIGKILL, for the server and its workers. Returns when none of them is left."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(300)
        while self._listens():
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class GcpCloud:
    """The project. `events.deliveries` of its storage shows every attempt to hand over an event."""

    def __init__(self, folder: Path, names: Sequence[str] = ALL) -> None:
        self.mode: Mode = "once"
        self.functions: dict[str, GcpFunction] = {}
        self._folder, self._names = folder, names
        self._stack = ExitStack()
        self._seen: set[str] = set()
        self._dice = random.Random(7)

    def start(self, shop: Shop) -> None:
        self.storage = self._stack.enter_context(GcsServer(self._folder / "buckets"))
        self.state = GcsStore(self.storage.client(), self.storage.make_bucket("state"), "shop")
        self.exports = GcsStore(self.storage.client(), self.storage.make_bucket("exports"))
        shop.write_settings("gs://state/shop", "gs://exports", "env")
        environment = {
            "ROWFERRY_CONFIG": str(shop.config),
            "STORAGE_EMULATOR_HOST": self.storage.url,
            "BRAZE_KEY": API_KEY,
            "SLACK_OPS": shop.slack.webhook_url,
        }
        for name in self._names:
            instances = 2 if name == "deliver_chunk" else 1
            self.functions[name] = GcpFunction(name, environment, self._folder / f"{name}.log", instances)
            self._stack.callback(self.functions[name].stop)
        for function in self.functions.values():
            function.wait()
        self.subscribe("push")

    def subscribe(self, form: Form) -> None:
        """Have the buckets' events come in this form."""
        places = (("load_export", "exports", ""), ("deliver_chunk", "state", "shop/outbox/"), ("finish_run", "state", "shop/receipts/"))
        known = [place for place in places if place[0] in self.functions]
        self.storage.events.subscriptions[:] = [
            Subscription(self.functions[name].url, form, bucket, prefix, self._plan, TRIES) for name, bucket, prefix in known
        ]

    def fire(self, function: str, said: dict[str, Any]) -> str:
        status, text = self.functions[function].call(orjson.dumps(said), {"Content-Type": "application/json"})
        assert status == 200, f"{function} answered {status}: {text}\n{self.functions[function].log.read_text(errors='replace')[-3000:]}"
        return text

    def settle(self) -> None:
        self.storage.events.wait(600)

    def age(self, minutes: float) -> None:
        self.storage.objects.age(60 * minutes)

    def logs(self) -> str:
        return "\n".join(function.log.read_text(errors="replace") for function in self.functions.values())

    def stop(self) -> None:
        self._stack.close()

    def _plan(self, resource: dict[str, Any]) -> Sequence[float]:
        is_new = resource["name"] not in self._seen
        self._seen.add(resource["name"])
        match self.mode:
            case "twice":
                return (0.0, self._dice.uniform(0, 0.2))
            case "shuffled":
                return (self._dice.uniform(0, 0.3),)
            case "lost" if is_new:
                return ()
        return (0.0,)


def _held_port() -> tuple[int, socket.socket]:
    """A free port, and the socket that keeps it so until a server listens there, and between its death and its next start:
    bound, it is given to nobody who asks for any. Linux alone lets a server bind it beside us; elsewhere nothing holds it."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port = int(place.getsockname()[1])
    if sys.platform != "linux":
        place.close()
    return port, place
