"""What Klaviyo's stand-in gives out: events and profiles by time, metrics, and the numbers of campaigns.

Rules as in `pulls/klaviyo.py`: pages that name the next one by a full address, filters with the operators that the
description of 2026-07-15 allows for each field, sizes within its limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson

from rowferry.twins.server import Call
from rowferry.wire import Response

_CONDITION = re.compile(r"([a-z-]+)\((\w+),\"?([^\"),]+)\"?\)")
_OPERATORS = {
    "events": {"datetime": {"greater-or-equal", "greater-than", "less-or-equal", "less-than"}, "metric_id": {"equals"}},
    "profiles": {"updated": {"greater-than", "less-than"}},
}
_SIZES = {"events": 1000, "profiles": 100}
_METRICS_A_PAGE = 2


@dataclass
class Reads:
    """`events` (id, datetime, metric, profile, properties) and `profiles` (with `updated`) in the order they are asked for,
    `metrics` by id, `campaigns` as results of a report. `page_rows` caps pages below what is asked for."""

    events: list[dict[str, Any]] = field(default_factory=list)
    profiles: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, str] = field(default_factory=dict)
    campaigns: list[dict[str, Any]] = field(default_factory=list)
    page_rows: int = 1000

    def answer(self, call: Call) -> Response | None:
        """The answer to a read; None for a path that is none."""
        url = urlsplit(call.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        kind = url.path.removeprefix("/api/")
        if call.method == "GET" and (kind == "events" or (kind == "profiles" and "updated" in query.get("filter", ""))):
            return self._list(kind, query, call)
        if call.method == "GET" and kind == "metrics":
            found = [{"type": "metric", "id": name, "attributes": {"name": title}} for name, title in self.metrics.items()]
            return _paged(found, _METRICS_A_PAGE, query.get("page[cursor]"), call)
        if call.method == "POST" and kind == "campaign-values-reports":
            return self._report(query, call)
        return None

    def _list(self, kind: str, query: Mapping[str, str], call: Call) -> Response:
        conditions = _CONDITION.findall(query.get("filter", ""))
        size = int(query.get("page[size]", "20"))
        if any(operator not in _OPERATORS[kind].get(name, ()) for operator, name, _ in conditions) or not 1 <= size <= _SIZES[kind]:
            return _refused("a filter or a size that is not allowed")
        rows = self.events if kind == "events" else self.profiles
        found = [row for row in rows if all(_holds(row, *condition) for condition in conditions)]
        entries = [_event(row) if kind == "events" else _profile(row) for row in found]
        return _paged(entries, min(size, self.page_rows), query.get("page[cursor]"), call)

    def _report(self, query: Mapping[str, str], call: Call) -> Response:
        attributes = orjson.loads(call.body)["data"]["attributes"]
        if not attributes.get("statistics") or not attributes.get("conversion_metric_id") or "timeframe" not in attributes:
            return _refused("statistics, conversion_metric_id and timeframe are needed")
        start = int(query.get("page_cursor", "0"))
        results = self.campaigns[start : start + self.page_rows]
        left = start + self.page_rows < len(self.campaigns)
        following = f"http://elsewhere.invalid/api/campaign-values-reports?page_cursor={start + self.page_rows}" if left else None
        return _json({"data": {"type": "campaign-values-report", "attributes": {"results": results}}, "links": {"next": following}})


def _holds(row: Mapping[str, Any], operator: str, name: str, value: str) -> bool:
    found = str(row["metric"] if name == "metric_id" else row[name])
    found = found.replace("+00:00", "Z")
    return {
        "equals": found == value,
        "greater-than": found > value,
        "greater-or-equal": found >= value,
        "less-than": found < value,
        "less-or-equal": found <= value,
    }[operator]


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    attributes = {"datetime": row["datetime"], "event_properties": row.get("properties", {}), "uuid": f"uuid-{row['id']}"}
    related = {"metric": {"data": {"type": "metric", "id": row["metric"]}}, "profile": {"data": {"type": "profile", "id": row["profile"]}}}
    return {"type": "event", "id": row["id"], "attributes": attributes, "relationships": related}


def _profile(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "profile", "id": row["id"], "attributes": {name: value for name, value in row.items() if name != "id"}}


def _paged(entries: list[dict[str, Any]], size: int, cursor: str | None, call: Call) -> Response:
    """A page; the next one's address has another host in it, which nobody may follow."""
    start = int((cursor or "at:0").removeprefix("at:"))
    following = None
    if start + size < len(entries):
        following = f"http://elsewhere.invalid{urlsplit(call.path).path}?page%5Bcursor%5D={quote(f'at:{start + size}')}"
    return _json({"data": entries[start : start + size], "links": {"next": following}})


def _refused(text: str) -> Response:
    error = {"status": 400, "code": "invalid", "title": "Invalid input.", "detail": text}
    return Response(400, orjson.dumps({"errors": [error]}), {"content-type": "application/vnd.api+json"})


def _json(document: dict[str, Any]) -> Response:
    return Response(200, orjson.dumps(document), {"content-type": "application/vnd.api+json"})
