"""HTTP as values: what a destination builds and reads. Nothing here opens a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Its repr shows method, host and path only: the rest can hold secrets."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.place} {len(self.body)} bytes>"

    @property
    def place(self) -> str:
        """Host and path, for logs: never the query, never a user part, never a Slack hook's secret path."""
        parts = urlsplit(self.url)
        path = "/services/…" if parts.path.startswith(("/services/", "/triggers/", "/workflows/")) else parts.path
        return f"{parts.hostname}{path}"


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. Header names are lower case; the body is whole and at most a few megabytes."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Response {self.status} {len(self.body)} bytes>"

    @property
    def text(self) -> str:
        """The start of the body for an error text: one line, 300 characters at most."""
        return " ".join(self.body[:2000].decode("utf-8", "replace").split())[:300]
