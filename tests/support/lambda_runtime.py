"""AWS Lambda on one machine: the real runtime client (`awslambdaric`) against a Runtime API of our own.

    with LocalLambda("app.handler", folder, environment={"STAGE": "test"}) as function:
        result = function.invoke({"Records": []})

As the service does it: one event at a time in a process of its own, cold starts and errors while
starting, a deadline, a kill and a new process after a time-out, the log of each invocation, 6 MB
answers at most. Not here: memory limits, permissions, extensions, many processes of one function.

The protocol: docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html (read 2026-11).
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ACCOUNT = "123456789012"
REGION = "eu-west-1"
RESPONSE_BYTES = 6 * 1024 * 1024  # docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_START_SECONDS = 300.0  # the service gives a start 10; a busy machine makes no test fail
_API = "/2018-06-01/runtime/"
# What the service's image puts beside the interpreter; the zip does not carry it.
_RUNTIME_PACKAGES = ("awslambdaric", "simplejson", "snapshot-restore-py")
# Only the zip, the runtime client and the standard library: no site-packages, no PYTHONPATH.
_ISOLATED = "import runpy, sys; sys.path[:0] = sys.argv[2:]; runpy.run_module('awslambdaric', run_name='__main__')"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one invocation: `payload` (the handler's answer, from JSON) or `error`
    (`errorType`, `errorMessage` as the service words them), and what was printed meanwhile."""

    payload: Any = None
    error: Mapping[str, Any] | None = None
    log: str = ""
    cold: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A function as it is configured at AWS. `isolated` runs it from `task_root` alone, as the
    service does; without it, this interpreter's packages can be imported as well."""

    handler: str
    task_root: Path
    environment: Mapping[str, str]
    timeout_seconds: float
    memory_mb: int
    name: str
    isolated: bool

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"


class LocalLambda:
    """One Lambda function, run here. A context manager; the first `invoke` is the cold start."""

    def __init__(
        self,
        handler: str,
        task_root: Path | str,
        *,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = 30.0,
        memory_mb: int = 256,
        name: str = "function",
        isolated: bool = False,
    ) -> None:
        self.function = Function(handler, Path(task_root).resolve(), dict(environment or {}), timeout_seconds, memory_mb, name, isolated)
        self._sandbox: _Sandbox | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def invoke(self, event: Any) -> Result:
        """Hand one event to the function and wait for its answer, error, exit or time-out."""
        with self._lock:
            cold = self._sandbox is None
            sandbox = self._sandbox = self._sandbox or _Sandbox(self.function)
            result = sandbox.invoke(json.dumps(event).encode(), cold)
            if not sandbox.alive:
                self._stop()
            return result

    def stop(self) -> None:
        """End the process, if there is one. The next `invoke` is a cold start again."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._sandbox is not None:
            self._sandbox.stop()
            self._sandbox = None


@dataclass(frozen=True, slots=True)
class _Invocation:
    id: str
    event: bytes


class _Sandbox:
    """One process of a function, from its cold start to its end, with a Runtime API of its own."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.alive = True
        self.events: queue.Queue[_Invocation | None] = queue.Queue()
        self.answers: queue.Queue[tuple[str, bytes]] = queue.Queue()  # kind (response, error, exit) and body
        self.started = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="lambda-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name, "log")
        self._log.touch()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="lambda-api").start()
        self._process = self._start()
        threading.Thread(target=self._watch, daemon=True, name="lambda-watch").start()

    def invoke(self, event: bytes, cold: bool) -> Result:
        already_printed = 0 if cold else self._log.stat().st_size
        self.started.wait(_START_SECONDS)
        self.events.put(_Invocation(str(uuid.uuid4()), event))
        try:
            kind, body = self.answers.get(timeout=self.function.timeout_seconds)
        except queue.Empty:
            kind, body = "timeout", _error("Sandbox.Timedout", f"Task timed out after {self.function.timeout_seconds:.2f} seconds")
        self.alive = kind in ("response", "error")
        # The process writes to the file before it answers, so all of this invocation's log is there.
        log = self._log.read_bytes()[already_printed:].decode("utf-8", "replace")
        if kind == "response":
            return Result(payload=json.loads(body) if body else None, log=log, cold=cold)
        return Result(error=json.loads(body), log=log, cold=cold)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self.events.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command(), cwd=self.function.task_root, env=self._environment(), stdout=log, stderr=subprocess.STDOUT
            )

    def _command(self) -> list[str]:
        if not self.function.isolated:
            return [sys.executable, "-m", "awslambdaric", self.function.handler]
        paths = [str(self.function.task_root), str(_runtime_folder(Path(self._folder.name)))]
        return [sys.executable, "-I", "-S", "-c", _ISOLATED, self.function.handler, *paths]

    def _environment(self) -> dict[str, str]:
        function = self.function
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": self._folder.name,
            "TZ": ":UTC",
            "PYTHONPATH": str(function.task_root),
            "PYTHONUNBUFFERED": "1",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "LAMBDA_TASK_ROOT": str(function.task_root),
            "_HANDLER": function.handler,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            **function.environment,
        }

    def _watch(self) -> None:
        code = self._process.wait()
        self.answers.put(("exit", _error("Runtime.ExitError", f"Runtime exited with error: exit status {code}")))
        self.started.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, sandbox: _Sandbox) -> None:
        self.sandbox = sandbox
        self.current: str | None = None
        super().__init__(("127.0.0.1", 0), _RuntimeApi)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing for a connection that a killed process has left; the usual report for all else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _RuntimeApi(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """`invocation/next`: wait for an event; the deadline runs from the moment it is handed out."""
        sandbox = self.server.sandbox
        sandbox.started.set()
        invocation = sandbox.events.get()
        if invocation is None:
            self.close_connection = True
            return
        self.server.current = invocation.id
        deadline = time.time() + sandbox.function.timeout_seconds
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": sandbox.function.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        self._reply(200, invocation.event, headers)

    def do_POST(self) -> None:
        """`init/error`, `invocation/ID/response` and `invocation/ID/error`."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answers = self.server.sandbox.answers
        *_, invocation, kind = self.path.removeprefix(_API).split("/")
        if (invocation, kind) == ("init", "error"):
            # The process exits after this; nothing else may come before the error.
            answers.put(("exit", body))
            self.server.sandbox.started.set()
        elif invocation != self.server.current:
            self._reply(400, _error("InvalidRequestID", "Invalid request ID"))
            return
        elif kind == "response" and len(body) > RESPONSE_BYTES:
            answers.put(("error", _error("Function.ResponseSizeTooLarge", f"Response payload size exceeded maximum: {len(body)} bytes")))
            self._reply(413, _error("RequestEntityTooLarge", "Exceeded maximum allowed payload size"))
            return
        else:
            answers.put((kind, body))
        self._reply(202, b'{"status":"OK"}')

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the function's own log is in `Result.log`."""


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _runtime_folder(parent: Path) -> Path:
    """A folder with links to the runtime client and what it needs, and nothing else of this interpreter's packages."""
    folder = parent / "runtime"
    folder.mkdir()
    for package in _RUNTIME_PACKAGES:
        installed = distribution(package)
        for name in {path.parts[0] for path in installed.files or ()} - {"..", "__pycache__"}:
            (folder / name).symlink_to(str(installed.locate_file(name)))
    return folder
