"""What CleverTap's stand-in gives out: exports by cursor, counts, reports. The twin itself plugs this in by path.

It keeps what the vendor's pages and live clients tell (see `pulls/clevertap.py`): the query answers with a cursor, the
first page of a cursor may not be ready, cursors are percent-encoded and are not found when they come back encoded
twice, days are the project's, `ts` is its clock on the wall, notification events are refused.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from zoneinfo import ZoneInfo

import orjson

from rowferry.twins.server import Call
from rowferry.wire import Response

MAX_PAGE_ROWS = 5000
_NOTIFICATIONS = "Notification "
_COUNTS = ("/1/counts/events.json", "/1/counts/profiles.json", "/1/counts/top.json", "/1/counts/trends.json")


@dataclass
class Reads:
    """A project's data as its read APIs see it.

    `events` are (name, epoch seconds, record without `ts`) in the order they were stored; `messages` and `targets`
    are reports by day (20260131), `results` by a target's id (None: not ended yet). `busy` is how often a fresh
    cursor or count is "in progress" before it answers. `page_rows` caps pages below what is asked for. `spoil` may
    change a page before it goes out, as a broken vendor would: it is given the row at which the page starts.
    """

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    events: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    messages: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    targets: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    results: dict[Any, dict[str, Any] | None] = field(default_factory=dict)
    busy: int = 0
    page_rows: int = MAX_PAGE_ROWS
    spoil: Callable[[int, dict[str, Any]], dict[str, Any]] = lambda _start, page: page
    _exports: list[list[Any]] = field(default_factory=list)
    _waits: dict[str, int] = field(default_factory=dict)
    _polled: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, at: datetime, record: Mapping[str, Any] | None = None) -> None:
        """One event at this moment (aware)."""
        self.events.append((name, int(at.timestamp()), dict(record or {})))

    def answer(self, call: Call) -> Response | None:
        """The answer to a read; None for a path that is none."""
        url = urlsplit(call.path)
        if url.path in ("/1/events.json", "/1/profiles.json"):
            return self._export(call, "profiles" in url.path)
        if url.path in _COUNTS:
            return self._count(call)
        if url.path == "/1/message/report.json":
            return _ok(messages=self._by_day(self.messages, orjson.loads(call.body)))
        if url.path == "/1/targets/list.json":
            return _ok(targets=self._by_day(self.targets, orjson.loads(call.body)))
        return self._result(orjson.loads(call.body)["id"]) if url.path == "/1/targets/result.json" else None

    def forget(self) -> None:
        """All cursors expire."""
        self._exports = [[] for _ in self._exports]

    def _export(self, call: Call, profiles: bool) -> Response:
        parameters = urlsplit(call.path).query
        if call.method == "GET":
            return self._page(parameters)
        query = orjson.loads(call.body)
        if str(query.get("event_name", "")).startswith(_NOTIFICATIONS):
            return fail(400, "Export not allowed for this event")
        size = int(parse_qs(parameters).get("batch_size", ["5000"])[0])
        if size > MAX_PAGE_ROWS or not _is_query(query):
            return fail(400, "Incorrect Usage", 3)
        records = list(self._people(query) if profiles else self._found(query))
        self._exports.append([records, min(size, self.page_rows)])
        return _ok(cursor=self.cursor(len(self._exports) - 1, 0))

    def cursor(self, export: int, start: int) -> str:
        """A new cursor: Base64 with characters that have to be encoded, encoded already, as CleverTap's is."""
        cursor = quote(base64.b64encode(f"?>cursor/{export}/{start}/{len(self._waits)}~~".encode()).decode() + "/+==", safe="")
        self._waits[cursor] = self.busy
        return cursor

    def _page(self, parameters: str) -> Response:
        name, _, cursor = parameters.partition("=")
        if name != "cursor" or cursor not in self._waits:
            return fail(400, "Invalid cursor")
        if self._waits[cursor] > 0:
            self._waits[cursor] -= 1
            return fail(200, "Request still in progress, please retry later", 2)
        _, export, start, _ = base64.b64decode(_unquoted(cursor)[:-4]).decode().split("/")
        return self._rows(int(export), int(start))

    def _rows(self, export: int, start: int) -> Response:
        if not self._exports[export]:
            return fail(400, "Cursor has expired")
        records, size = self._exports[export]
        following = {"next_cursor": self.cursor(export, start + size)} if start + size < len(records) else {}
        return _ok(**self.spoil(start, {"records": records[start : start + size], **following}))

    def _found(self, query: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        for name, at, record in self.events:
            local = datetime.fromtimestamp(at, UTC).astimezone(self.zone)
            if name == query["event_name"] and query["from"] <= int(f"{local:%Y%m%d}") <= query["to"]:
                yield {**record, "ts": int(f"{local:%Y%m%d%H%M%S}")}

    def _people(self, query: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        """Everybody who did the event, once each, as they are now."""
        people = (record.get("profile", {}) for record in self._found(query))
        yield from {profile.get("identity"): profile for profile in people}.values()

    def _count(self, call: Call) -> Response:
        url = urlsplit(call.path)
        if call.method == "GET":
            return self._poll(parse_qs(url.query).get("req_id", [""])[0])
        query = orjson.loads(call.body)
        if not _is_query(query):
            return fail(200, "Invalid event", 400)
        counted = self._counted(url.path, query)
        if self.busy == 0:
            return _ok(**counted)
        number = 384649162721759 + len(self._polled)
        self._polled[str(number)], self._waits[str(number)] = counted, self.busy - 1
        return _json(200, {"status": "partial", "req_id": number})

    def _poll(self, number: str) -> Response:
        if number not in self._polled:
            return fail(400, "Invalid req_id")
        if self._waits[number] > 0:
            self._waits[number] -= 1
            return _json(200, {"status": "partial", "req_id": int(number)})
        return _ok(**self._polled[number])

    def _counted(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        found = list(self._found(query))
        if path.endswith("profiles.json"):
            return {"count": len(list(self._people(query)))}
        if path.endswith("events.json"):
            return {"count": len(found)}
        counted: dict[str, Any] = {}
        for group, wanted in query["groups"].items():
            if path.endswith("trends.json"):
                counted[group] = _tally(str(record["ts"])[:8] for record in found)
            else:
                counted[group] = {"STR": _tally(str(record.get("event_props", {}).get(wanted["name"])) for record in found)}
        return counted

    def _by_day(self, reports: Mapping[int, list[dict[str, Any]]], query: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [entry for day in sorted(reports) if int(query["from"]) <= day <= int(query["to"]) for entry in reports[day]]

    def _result(self, target: Any) -> Response:
        if target not in self.results:
            return fail(400, "Invalid target")
        result = self.results[target]
        return fail(500, "This target has no result as of yet") if result is None else _ok(result=result)


def _is_query(query: Mapping[str, Any]) -> bool:
    days = query.get("from"), query.get("to")
    return bool(query.get("event_name")) and all(isinstance(day, int) and 19_000_101 <= day <= 99_991_231 for day in days)


def _unquoted(cursor: str) -> str:
    return cursor.replace("%2F", "/").replace("%2B", "+").replace("%3D", "=")


def _tally(values: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def fail(status: int, text: str, code: int | None = None) -> Response:
    """CleverTap's envelope for a failure; `code` where it is not the status."""
    return _json(status, {"status": "fail", "error": text, "code": code or status})


def _ok(**more: Any) -> Response:
    return _json(200, {"status": "success", **more})


def _json(status: int, document: dict[str, Any]) -> Response:
    return Response(status, orjson.dumps(document), {"content-type": "application/json"})
