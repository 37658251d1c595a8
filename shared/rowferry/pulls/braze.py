"""Braze: daily numbers of campaigns, canvases and segments, the list of segments, and profiles of a list of people.

Series are asked for one campaign at a time, for so many days up to an end, and name their days themselves: what falls
outside of the window is left to its own window. Lists come a hundred at a time, up to the first page that is empty.
Profiles are asked for fifty at a time; people whom Braze does not know come back in a list of their own.

Sources: braze.com/docs/api/endpoints/export/campaigns (get_campaigns, get_campaign_analytics), …/canvas (get_canvases,
get_canvas_analytics), …/segments (get_segment, get_segment_analytics), …/user_data/post_users_identifier, and
api/api_limits (copies of 2026).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

import orjson

from rowferry.destinations._braze_settings import BrazeSettings
from rowferry.destinations.braze import host
from rowferry.pulls.answers import failed, member, objects, read_object, unreadable, within
from rowferry.pulls.port import Answer, Ask, Failed, Page, Report, Row, Source, Step
from rowferry.wire import Request, Response

PEOPLE = 50  # post_users_identifier: ids a request
_PEOPLE_PER_SECOND = 4.0  # api_limits: 250 a minute
_PER_SECOND = 50.0  # api_limits: 250,000 an hour for most, shared by everything else that calls the workspace

A = Ask[BrazeSettings]


def _request(method: str, path: str, ask: A, parameters: Mapping[str, Any] | None = None, body: Any = None) -> Request:
    headers = {"authorization": f"Bearer {ask.settings.api_key.reveal()}"} | ({"content-type": "application/json"} if body else {})
    query = f"?{urlencode(parameters)}" if parameters else ""
    return Request(method, host(ask.settings) + path + query, orjson.dumps(body) if body else b"", headers)


def _settled(response: Response) -> Mapping[str, Any] | Answer:
    """The body of an answer that says `success`, or what the answer means instead."""
    if (wrong := failed(response, "Braze")) is not None:
        return wrong
    body = read_object(response)
    return body if body is not None and body.get("message") == "success" else unreadable(response, "Braze")


# ── Series: a list of what there is, page by page, and the numbers of each ──────────────────


@dataclass(frozen=True, slots=True)
class _Series:
    """One kind of thing that has daily numbers. `most_days` is what one request may ask for."""

    kind: str
    list_path: str
    list_key: str
    series_path: str
    most_days: int
    rows: Callable[[Any], list[dict[str, Any]] | None]

    def first(self, ask: A) -> Step:
        """A thing that the pull names, or the list of all."""
        return _numbers([{"id": ask.pull.id, "name": None}], None) if ask.pull.id else Step("list", "0")

    def build(self, step: Step, ask: A) -> Request:
        """A page of the list, or the numbers of the first thing that is left."""
        if step.kind == "list":
            return _request("GET", self.list_path, ask, {"page": step.token})
        days = (ask.window.last_day - ask.window.first_day).days + 1
        wanted = {f"{self.kind}_id": orjson.loads(step.token)["left"][0]["id"], "length": min(days + 1, self.most_days)}
        return _request("GET", self.series_path, ask, {**wanted, "ending_at": ask.window.end.astimezone(UTC).isoformat()})

    def read(self, response: Response, step: Step, ask: A) -> Answer:
        """Rows are named after the thing, and are those of the window's days."""
        if (ask.window.last_day - ask.window.first_day).days + 1 > self.most_days:
            return Failed(f"Braze gives {self.most_days} days of a {self.kind} at most; set the pull's window to {self.most_days}d or less")
        body = _settled(response)
        if not isinstance(body, Mapping):
            return body
        if step.kind == "list":
            return self._read_list(body, int(step.token), response)
        token = orjson.loads(step.token)
        thing, *left = token["left"]
        named = {f"{self.kind}_id": thing["id"], f"{self.kind}_name": thing["name"]}
        found = self.rows(body.get("data"))
        if found is None:
            return unreadable(response, "Braze")
        return Page([{**named, **row} for row in found if self._is_within(row, ask)], _after(left, token["list"]))

    def _read_list(self, body: Mapping[str, Any], page: int, response: Response) -> Answer:
        things = objects(body.get(self.list_key))
        if things is None or not all(isinstance(thing.get("id"), str) for thing in things):
            return unreadable(response, "Braze")
        return Page((), _numbers([{"id": thing["id"], "name": thing.get("name")} for thing in things], page + 1) if things else None)

    def _is_within(self, row: Mapping[str, Any], ask: A) -> bool:
        return f"{ask.window.first_day}" <= str(row.get("day")) <= f"{ask.window.last_day}"


def _numbers(left: list[dict[str, Any]], list_page: int | None) -> Step:
    """Ask for the numbers of what is left of a page of the list; after that comes the list's page `list_page`."""
    return Step("series", orjson.dumps({"left": left, "list": list_page}).decode())


def _after(left: list[dict[str, Any]], list_page: int | None) -> Step | None:
    if left:
        return _numbers(left, list_page)
    return Step("list", str(list_page)) if list_page is not None else None


def _campaign_rows(data: Any) -> list[dict[str, Any]] | None:
    """A row a day; the numbers by channel and variant stay together as JSON."""
    entries = objects(data)
    return [_dated(entry) for entry in entries] if entries is not None else None


def _canvas_rows(data: Any) -> list[dict[str, Any]] | None:
    """A row a day; the totals are columns."""
    entries = objects(member(data, "stats"))
    return [_dated({**entry, **within(entry, "total_stats")}) for entry in entries] if entries is not None else None


def _dated(entry: Mapping[str, Any]) -> dict[str, Any]:
    """`time` as `day`: a date, whatever hour Braze writes behind it."""
    row = {name: value for name, value in entry.items() if name not in ("time", "total_stats")}
    return {"day": str(entry.get("time"))[:10], **row}


def _series_report(series: _Series, columns: Mapping[str, str]) -> Report[BrazeSettings]:
    named = {f"{series.kind}_id": "STRING", f"{series.kind}_name": "STRING", "day": "DATE"}
    return Report("day", series.build, series.read, series.first, columns={**named, **columns}, per_second=_PER_SECOND)


# ── Segments ────────────────────────────────────────────────────────────────────────────────


def _build_segments(step: Step, ask: A) -> Request:
    return _request("GET", "/segments/list", ask, {"page": step.token})


def _read_segments(response: Response, step: Step, _ask: A) -> Answer:
    body = _settled(response)
    if not isinstance(body, Mapping):
        return body
    segments = objects(body.get("segments"))
    if segments is None:
        return unreadable(response, "Braze")
    return Page(segments, Step("list", str(int(step.token) + 1)) if segments else None)


# ── People: the step is how many of the ids have been asked for ─────────────────────────────


def _build_users(step: Step, ask: A) -> Request:
    start = int(step.token)
    body = {"external_ids": list(ask.ids[start : start + PEOPLE]), "fields_to_export": list(ask.pull.fields)}
    return _request("POST", "/users/export/ids", ask, body=body)


def _read_users(response: Response, step: Step, ask: A) -> Answer:
    """Who is not known to Braze is a row as well, so that everybody who was asked for is accounted for."""
    following = int(step.token) + PEOPLE
    body = _settled(response)
    if not isinstance(body, Mapping):
        return body
    users, unknown_ids = objects(body.get("users")), body.get("invalid_user_ids") or []
    if users is None or not isinstance(unknown_ids, list):
        return unreadable(response, "Braze")
    found: list[Row] = [{"found": True, **user} for user in users]
    unknown: list[Row] = [{"external_id": who, "found": False} for who in unknown_ids]
    return Page(found + unknown, Step("users", str(following)) if following < len(ask.ids) else None)


SOURCE = Source(
    vendor="braze",
    reports={
        "campaign_series": _series_report(
            _Series("campaign", "/campaigns/list", "campaigns", "/campaigns/data_series", 100, _campaign_rows),
            {"messages": "JSON", "conversions": "INT64", "revenue": "NUMERIC", "unique_recipients": "INT64"},
        ),
        "canvas_series": _series_report(
            _Series("canvas", "/canvas/list", "canvases", "/canvas/data_series", 14, _canvas_rows),
            {"entries": "INT64", "conversions": "INT64", "revenue": "NUMERIC", "variant_stats": "JSON", "step_stats": "JSON"},
        ),
        "segment_series": _series_report(
            _Series("segment", "/segments/list", "segments", "/segments/data_series", 100, _campaign_rows), {"size": "INT64"}
        ),
        "segments": Report(
            None,
            _build_segments,
            _read_segments,
            lambda _ask: Step("list", "0"),
            columns={"id": "STRING", "name": "STRING", "analytics_tracking_enabled": "BOOL", "tags": "JSON"},
            per_second=_PER_SECOND,
        ),
        "users": Report(
            None,
            _build_users,
            _read_users,
            lambda _ask: Step("users", "0"),
            columns={"external_id": "STRING", "found": "BOOL"},
            needs_ids=True,
            per_second=_PEOPLE_PER_SECOND,
        ),
    },
    in_flight=3,
)
