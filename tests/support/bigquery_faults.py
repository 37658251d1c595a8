"""What goes over the wire between Google's client and the emulator, written down, and broken where a test wants it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from google.cloud.bigquery import Client  # noqa: TID251 (the real client)
from requests.adapters import HTTPAdapter

Matches = Callable[["Call"], bool]


@dataclass(frozen=True)
class Call:
    """One request: method, path below /bigquery/v2, query and JSON body."""

    method: str
    path: str
    query: dict[str, str]
    body: Any

    @property
    def is_new_job(self) -> bool:
        """jobs.insert, by JSON or as the start of an upload."""
        return self.method == "POST" and self.path.endswith("/jobs")

    @property
    def job_id(self) -> str:
        """The job's id in a jobs.insert."""
        return str(self.body["jobReference"]["jobId"])


@dataclass
class Fault:
    """What happens to the next call that `when` picks, `times` times."""

    when: Matches
    status: int | None = None
    body: Any = None
    is_lost: bool = False
    times: int = 1


@dataclass
class Wire(HTTPAdapter):
    """A transport for a client: `calls` is what was sent, `faults` what goes wrong."""

    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()

    def under(self, client: Client) -> Client:
        """The client, with this transport under it."""
        client._http.mount("http://", self)
        return client

    def answer(self, when: Matches, status: int, body: Any, times: int = 1) -> None:
        """The next matching calls get this answer and never reach the emulator."""
        self.faults.append(Fault(when, status, body, times=times))

    def lose(self, when: Matches) -> None:
        """The next matching call is done, but its answer is lost on the way."""
        self.faults.append(Fault(when, is_lost=True))

    def of(self, when: Matches) -> list[Call]:
        """The calls that match."""
        return [call for call in self.calls if when(call)]

    def send(self, request: requests.PreparedRequest, *given: Any, **named: Any) -> requests.Response:
        """Write the call down, then break it or hand it on."""
        call = _call(request)
        with self._lock:
            self.calls.append(call)
            fault = next((fault for fault in self.faults if fault.times and fault.when(call)), None)
            if fault is not None:
                fault.times -= 1
        if fault is None:
            return super().send(request, *given, **named)
        if fault.is_lost:
            super().send(request, *given, **named)
            raise requests.ConnectionError("the connection was reset")
        return _response(request, fault.status or 500, fault.body)


def error(reason: str, message: str = "it went wrong") -> dict[str, Any]:
    """An error's body as BigQuery writes it."""
    return {"error": {"message": message, "errors": [{"reason": reason, "message": message}]}}


def failed_job(reason: str, message: str = "it went wrong", errors: list[str] | None = None) -> Callable[[Call], dict[str, Any]]:
    """The answer to a jobs.insert (or jobs.get) whose job has ended with this reason."""

    def answer(call: Call) -> dict[str, Any]:
        result = {"reason": reason, "message": message}
        listed = [result, *({"reason": reason, "message": text} for text in errors or [])]
        return {**call.body, "status": {"state": "DONE", "errorResult": result, "errors": listed}, "statistics": {}}

    return answer


def _call(request: requests.PreparedRequest) -> Call:
    parts = urlsplit(str(request.url))
    body = request.body
    try:
        parsed = json.loads(body) if isinstance(body, str | bytes) else None
    except ValueError:
        parsed = None
    path = parts.path.partition("/bigquery/v2")[2]
    return Call(str(request.method), path, {name: values[0] for name, values in parse_qs(parts.query).items()}, parsed)


def _response(request: requests.PreparedRequest, status: int, body: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.request = request
    response.url = str(request.url)
    response.headers["Content-Type"] = "application/json"
    response._content = json.dumps(body(_call(request)) if callable(body) else body).encode()
    return response
