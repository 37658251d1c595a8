"""Klaviyo: events by time, profiles by their last change, and the numbers of campaigns.

Everything comes in pages that name the next one in `links.next`; only its cursor is taken from there, never its host.
An event's name is a metric's, which has to be looked up. Profiles can be asked for by `updated` with greater-than and
less-than alone, so a second before the window's begin is asked for and left out again.

Sources: Klaviyo's OpenAPI description of 2026-07-15 (events, profiles, metrics), and for campaigns
developers.klaviyo.com/en/reference/reporting_api_overview and …/query_campaign_values (2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import orjson

from rowferry.destinations._klaviyo_requests import get, post
from rowferry.destinations._klaviyo_settings import KlaviyoSettings
from rowferry.destinations.port import Refused, TryAgain
from rowferry.pulls.answers import failed, member, objects, read_object, unreadable, within
from rowferry.pulls.port import Answer, Ask, Failed, Page, Report, Restart, Row, Source, Step
from rowferry.wire import Request, Response

IN_FLIGHT = 3
_LARGER_PAGES = "2026-07-15"  # since this revision events come a thousand at a time, before it two hundred
_REPORTS_PER_SECOND = 1 / 30  # query_campaign_values: 2 a minute, 225 a day

A = Ask[KlaviyoSettings]


def _wrong(response: Response, step: Step) -> Answer | None:
    """What a status outside 2xx means. A web page is the gateway's, whatever its status; a cursor can expire."""
    if response.status == 403 and "json" not in response.headers.get("content-type", ""):
        return TryAgain("Klaviyo's gateway answered 403 with a web page instead of an answer")
    answer = failed(response, "Klaviyo")
    if isinstance(answer, Refused):
        return Refused(f"{answer.reason}; the key is wrong or lacks a scope for reading")
    if isinstance(answer, Failed) and _token(step).get("cursor"):
        return Restart(answer.reason)
    return answer


def _token(step: Step) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(step.token) if step.token else {}
    return found


def _following(kind: str, body: Mapping[str, Any], **kept: str) -> Step | None:
    """The step to the page that `links.next` names; None without one."""
    address = member(body, "links", "next")
    if not address:
        return None
    query = parse_qs(urlsplit(str(address)).query)
    cursor = query.get("page[cursor]", query.get("page_cursor", [""]))[0]
    return Step(kind, orjson.dumps({**kept, "cursor": cursor}).decode())


def _page(step: Step, ask: A, most: int) -> dict[str, str]:
    """The query's part about pages, and the pull's own additions."""
    cursor = _token(step).get("cursor")
    own = {
        name: value if isinstance(value, str) else ",".join(map(str, value)) for name, value in ask.pull.query.items() if name != "filter"
    }
    return {**own, "page[size]": str(min(ask.pull.page_rows or most, most)), **({"page[cursor]": cursor} if cursor else {})}


def _filter(ask: A, *conditions: str) -> str:
    own = ask.pull.query.get("filter")
    return ",".join([*conditions, *([str(own)] if own else [])])


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _data(response: Response, step: Step) -> Mapping[str, Any] | Answer:
    """The body of an answer that has a list of data, or what the answer means instead."""
    if (wrong := _wrong(response, step)) is not None:
        return wrong
    body = read_object(response)
    return body if body is not None and objects(body.get("data")) is not None else unreadable(response, "Klaviyo")


# ── Events ──────────────────────────────────────────────────────────────────────────────────


def _first_events(ask: A) -> Step:
    return Step("metrics" if ask.pull.event else "events")


def _build_events(step: Step, ask: A) -> Request:
    if step.kind == "metrics":
        cursor = _token(step).get("cursor")
        return get(ask.settings, "/api/metrics", {"page[cursor]": cursor} if cursor else None)
    conditions = [f"greater-or-equal(datetime,{_moment(ask.window.begin)})", f"less-than(datetime,{_moment(ask.window.end)})"]
    if metric := _token(step).get("metric"):
        conditions.append(f'equals(metric_id,"{metric}")')
    most = 1000 if ask.settings.revision >= _LARGER_PAGES else 200
    return get(ask.settings, "/api/events", {"filter": _filter(ask, *conditions), "sort": "datetime", **_page(step, ask, most)})


def _read_events(response: Response, step: Step, ask: A) -> Answer:
    body = _data(response, step)
    if not isinstance(body, Mapping):
        return body
    if step.kind == "metrics":
        return _read_metrics(body, ask)
    metric = _token(step).get("metric")
    return Page([_event(entry) for entry in body["data"]], _following("events", body, **({"metric": metric} if metric else {})))


def _read_metrics(body: Mapping[str, Any], ask: A) -> Answer:
    """Look for the metric of the event's name, page by page."""
    for metric in body["data"]:
        if member(metric, "attributes", "name") == ask.pull.event and metric.get("id"):
            return Page((), Step("events", orjson.dumps({"metric": str(metric["id"])}).decode()))
    following = _following("metrics", body)
    return Page((), following) if following else Failed(f"Klaviyo has no metric {ask.pull.event!r}; names count to the letter")


def _event(entry: Mapping[str, Any]) -> Row:
    related = {f"{name}_id": member(entry, "relationships", name, "data", "id") for name in ("metric", "profile")}
    return {"id": entry.get("id"), **within(entry, "attributes"), **related}


# ── Profiles ────────────────────────────────────────────────────────────────────────────────


def _build_profiles(step: Step, ask: A) -> Request:
    before = ask.window.begin.astimezone(UTC) - timedelta(seconds=1)
    conditions = f"greater-than(updated,{_moment(before)})", f"less-than(updated,{_moment(ask.window.end)})"
    return get(ask.settings, "/api/profiles", {"filter": _filter(ask, *conditions), "sort": "updated", **_page(step, ask, 100)})


def _read_profiles(response: Response, step: Step, ask: A) -> Answer:
    body = _data(response, step)
    if not isinstance(body, Mapping):
        return body
    rows = [{"id": entry.get("id"), **within(entry, "attributes")} for entry in body["data"]]
    return Page([row for row in rows if _is_within(row.get("updated"), ask)], _following("profiles", body))


def _is_within(updated: Any, ask: A) -> bool:
    """Whether a profile belongs to the window; one without a time that can be read is kept."""
    try:
        moment = datetime.fromisoformat(str(updated))
    except ValueError:
        return True
    return moment.tzinfo is None or ask.window.begin.astimezone(UTC) <= moment.astimezone(UTC) < ask.window.end.astimezone(UTC)


# ── Campaigns ───────────────────────────────────────────────────────────────────────────────


def _build_campaigns(step: Step, ask: A) -> Request:
    cursor = _token(step).get("cursor")
    timeframe = {"start": _moment(ask.window.begin), "end": _moment(ask.window.end)}
    data = {"type": "campaign-values-report", "attributes": {**ask.pull.query, "timeframe": timeframe}}
    return post(ask.settings, "/api/campaign-values-reports" + (f"?page_cursor={quote(cursor, safe='')}" if cursor else ""), data)


def _read_campaigns(response: Response, step: Step, ask: A) -> Answer:
    """A row for each campaign message, its groupings and its statistics side by side."""
    if (wrong := _wrong(response, step)) is not None:
        return wrong
    body = read_object(response) or {}
    results = objects(member(body, "data", "attributes", "results"))
    if results is None:
        return unreadable(response, "Klaviyo")
    days = {"from_day": ask.window.first_day.isoformat(), "to_day": ask.window.last_day.isoformat()}
    rows = [{**days, **within(result, "groupings"), **within(result, "statistics")} for result in results]
    return Page(rows, _following("query", body))


SOURCE = Source(
    vendor="klaviyo",
    reports={
        "events": Report(
            "hour",
            _build_events,
            _read_events,
            _first_events,
            columns={
                "id": "STRING",
                "datetime": "TIMESTAMP",
                "timestamp": "INT64",
                "uuid": "STRING",
                "metric_id": "STRING",
                "profile_id": "STRING",
                "event_properties": "JSON",
            },
            per_second=50.0,
        ),
        "profiles": Report(
            "hour",
            _build_profiles,
            _read_profiles,
            columns={
                **dict.fromkeys(("id", "email", "phone_number", "external_id", "first_name", "last_name"), "STRING"),
                **dict.fromkeys(("created", "updated", "last_event_date"), "TIMESTAMP"),
                **dict.fromkeys(("location", "properties"), "JSON"),
            },
            per_second=10.0,
        ),
        "campaign_values": Report(
            "day",
            _build_campaigns,
            _read_campaigns,
            columns={
                **dict.fromkeys(("from_day", "to_day"), "DATE"),
                **dict.fromkeys(("campaign_id", "campaign_message_id", "send_channel"), "STRING"),
            },
            per_second=_REPORTS_PER_SECOND,
        ),
    },
    in_flight=IN_FLIGHT,
)
