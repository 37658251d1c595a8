"""What Amplitude's stand-in gives out: the Export API's archives, charts, and members of cohorts.

Rules as in `pulls/amplitude.py`: hours of upload in UTC, both ends included; 404 without data, 400 above the size
cap, 504 for a range that takes too long; a ZIP of gzip members, several for an hour. A cohort's file lies elsewhere,
at an address that is not to be shown our key.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from rowferry.twins.server import Call
from rowferry.wire import Response

PROJECT = 187520
_MEMBER_ROWS = 3  # rows in one member, so that an hour has several


@dataclass
class Reads:
    """A project's data as its read APIs see it.

    `hours` are events by the hour of their upload (aware, in UTC). `cap_rows`: a range with more is too large (400),
    `cap_hours`: a longer one takes too long (504). `members` are rows of a cohort by its id, `busy` how often a cohort
    is still in progress; with `elsewhere` its file is behind a redirect. `shown` is set when our key went there.
    """

    hours: dict[datetime, list[dict[str, Any]]] = field(default_factory=dict)
    cap_rows: int | None = None
    cap_hours: int | None = None
    members: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    busy: int = 0
    elsewhere: bool = False
    shown: bool = False
    _left: dict[str, int] = field(default_factory=dict)

    def answer(self, call: Call, api_key: str | None, secret_key: str | None) -> Response | None:
        """The answer to a read; None for a path that is none."""
        path = urlsplit(call.path).path
        if path.startswith("/storage/"):
            return self._storage(call, path.removeprefix("/storage/"))
        if not path.startswith(("/api/2/export", "/api/2/events/segmentation", "/api/5/cohorts/")):
            return None
        if not _knows(call, api_key, secret_key):
            return Response(403, b"Forbidden")
        query = {name: values[0] for name, values in parse_qs(urlsplit(call.path).query).items()}
        if path == "/api/2/export":
            return self._export(query)
        return self._chart(query) if path.startswith("/api/2/") else self._cohort(call, path)

    def add(self, at: datetime, *rows: Mapping[str, Any]) -> None:
        """Events that were uploaded in the hour of this moment (aware)."""
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        self.hours.setdefault(hour, []).extend(dict(row) for row in rows)

    def _export(self, query: Mapping[str, str]) -> Response:
        start, end = (datetime.strptime(query[name], "%Y%m%dT%H").replace(tzinfo=UTC) for name in ("start", "end"))
        length = (end - start) // timedelta(hours=1) + 1
        if length < 1 or length > 365 * 24:
            return Response(400, b"Bad range")
        if self.cap_hours is not None and length > self.cap_hours:
            return Response(504, b"<html>Gateway time-out</html>")
        found = {hour: self.hours[hour] for hour in sorted(self.hours) if start <= hour <= end and self.hours[hour]}
        if self.cap_rows is not None and sum(map(len, found.values())) > self.cap_rows:
            return Response(400, b"The export is larger than 4GB")
        return (
            Response(200, _archive(found), {"content-type": "application/zip"})
            if found
            else Response(404, b"Raw data files were not found")
        )

    def _chart(self, query: Mapping[str, str]) -> Response:
        """How many events of a type there are, day by day."""
        kind = orjson.loads(query["e"])["event_type"]
        first, last = (datetime.strptime(query[name], "%Y%m%d").replace(tzinfo=UTC) for name in ("start", "end"))
        days = [first + timedelta(days=day) for day in range((last - first).days + 1)]
        counts = [
            sum(row.get("event_type") == kind for hour, rows in self.hours.items() if hour.date() == day.date() for row in rows)
            for day in days
        ]
        data = {
            "series": [[{"value": count} for count in counts]],
            "seriesLabels": [[0, kind]],
            "xValues": [f"{day:%Y-%m-%d}" for day in days],
        }
        return _json(200, {"data": data})

    def _cohort(self, call: Call, path: str) -> Response:
        rest = path.removeprefix("/api/5/cohorts/")
        if rest.startswith("request-status/"):
            return self._status(rest.removeprefix("request-status/"))
        if rest.endswith("/file"):
            cohort = rest.split("/")[1].removeprefix("job-")
            if self.elsewhere:
                return Response(302, b"", {"location": f"http://{call.headers['host']}/storage/{cohort}"})
            return self._file(cohort)
        cohort = rest.removeprefix("request/")
        if cohort not in self.members:
            return _json(404, {"error": "cohort not found"})
        self._left[f"job-{cohort}"] = self.busy
        return _json(202, {"request_id": f"job-{cohort}", "cohort_id": cohort})

    def _status(self, job: str) -> Response:
        if job not in self._left:
            return _json(404, {"error": "unknown request"})
        self._left[job] -= 1
        busy = self._left[job] >= 0
        return _json(202 if busy else 200, {"request_id": job, "async_status": "JOB INPROGRESS" if busy else "JOB COMPLETED"})

    def _file(self, cohort: str) -> Response:
        text = io.StringIO()
        rows = self.members.get(cohort, [])
        writer = csv.DictWriter(text, list(rows[0]) if rows else ["amplitude_id", "user_id"])
        writer.writeheader()
        writer.writerows(rows)
        return Response(200, text.getvalue().encode(), {"content-type": "text/csv"})

    def _storage(self, call: Call, cohort: str) -> Response:
        self.shown = self.shown or "authorization" in call.headers
        return self._file(cohort)


def _archive(hours: Mapping[datetime, list[dict[str, Any]]]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for hour, rows in hours.items():
            for number, start in enumerate(range(0, len(rows), _MEMBER_ROWS)):
                lines = b"".join(orjson.dumps(row) + b"\n" for row in rows[start : start + _MEMBER_ROWS])
                archive.writestr(f"{PROJECT}/{PROJECT}_{hour:%Y-%m-%d}_{hour.hour}#{number}.json.gz", gzip.compress(lines))
    return packed.getvalue()


def _knows(call: Call, api_key: str | None, secret_key: str | None) -> bool:
    """Both keys as user and password; None takes any."""
    kind, _, given = call.headers.get("authorization", "").partition(" ")
    if kind != "Basic":
        return False
    user, _, password = base64.b64decode(given).decode().partition(":")
    return user == (api_key or user) and password == (secret_key or password)


def _json(status: int, document: dict[str, Any]) -> Response:
    return Response(status, orjson.dumps(document), {"content-type": "application/json"})
