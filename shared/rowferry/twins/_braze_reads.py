"""What Braze's stand-in gives out: lists, daily numbers, and profiles of people asked for by id.

Rules as in `pulls/braze.py`: lists come a hundred at a time; a series has so many days up to an end, at most 100 (14 for
a canvas); people are asked for fifty at a time, and those who are not known stand in a list of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from rowferry.twins.server import Call
from rowferry.wire import Response

_PAGE = 100
_MOST_DAYS = {"campaigns": 100, "canvas": 14, "segments": 100}
_IDS = {"campaigns": "campaign_id", "canvas": "canvas_id", "segments": "segment_id"}
_KEYS = {"campaigns": "campaigns", "canvas": "canvases", "segments": "segments"}


@dataclass
class Reads:
    """What there is: `campaigns`, `canvas` and `segments` by id; each has an entry of numbers for every day."""

    campaigns: dict[str, dict[str, Any]] = field(default_factory=dict)
    canvas: dict[str, dict[str, Any]] = field(default_factory=dict)
    segments: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, call: Call, profiles: Mapping[str, Mapping[str, Any]]) -> Response | None:
        """The answer to a read; None for a path that is none."""
        url = urlsplit(call.path)
        _, kind, what = (*url.path.split("/"), "", "")[:3]
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/users/export/ids":
            return _users(orjson.loads(call.body), profiles)
        if kind not in _KEYS or call.method != "GET":
            return None
        if what == "list":
            return self._list(kind, int(query.get("page", "0")))
        return self._series(kind, query) if what == "data_series" else None

    def _list(self, kind: str, page: int) -> Response:
        found = [{"id": name, **thing} for name, thing in getattr(self, kind).items()]
        return _said(200, **{_KEYS[kind]: found[page * _PAGE : (page + 1) * _PAGE]})

    def _series(self, kind: str, query: Mapping[str, str]) -> Response:
        name, length = query.get(_IDS[kind], ""), int(query.get("length", "0"))
        if name not in getattr(self, kind):
            return Response(400, orjson.dumps({"message": f"{kind} id not found"}))
        if not 1 <= length <= _MOST_DAYS[kind]:
            return Response(400, orjson.dumps({"message": f"length must be from 1 to {_MOST_DAYS[kind]}"}))
        end = datetime.fromisoformat(query["ending_at"]).date()
        days = [end - timedelta(days=back) for back in range(length)][::-1]
        if kind == "campaigns":
            return _said(200, data=[{"time": f"{day}", "messages": {"email": [{"sent": day.day}]}, "conversions": day.day} for day in days])
        if kind == "canvas":
            stats = [{"time": f"{day}", "total_stats": {"entries": day.day, "revenue": 0.1}, "variant_stats": {}} for day in days]
            return _said(200, data={"name": name, "stats": stats})
        return _said(200, data=[{"time": f"{day}T00:00:00Z", "size": day.day} for day in days])


def _users(body: Mapping[str, Any], profiles: Mapping[str, Mapping[str, Any]]) -> Response:
    people = body.get("external_ids", [])
    if not 1 <= len(people) <= 50 or not body.get("fields_to_export"):
        return Response(400, orjson.dumps({"message": "1 to 50 ids and fields_to_export are needed"}))
    known = [name for name in people if name in profiles]
    wanted = body["fields_to_export"]
    users = [{"external_id": name, **{key: value for key, value in profiles[name].items() if key in wanted}} for name in known]
    return _said(200, users=users, invalid_user_ids=[name for name in people if name not in profiles])


def _said(status: int, **more: Any) -> Response:
    return Response(status, orjson.dumps({**more, "message": "success"}), {"content-type": "application/json"})
