"""CleverTap: events, profiles, counts, top values, trends, message and campaign reports.

Things to know before reading on. An export is asked for by a query that answers with a cursor; the cursor's page
may not be ready ("still in progress", asked again with the same cursor) and names the next one. Cursors arrive
percent-encoded and must not be encoded twice. Counts may answer `partial` with a number to ask on with. A failure
may come with status 200. Days, and the 14-digit time of an event, are by the project's own time zone. Records have
no id, so a day is replaced as a whole. Events of notifications are only to be had by the export to a bucket.

Sources: developer.clevertap.com/docs/get-events-api, /get-user-profiles-api, /get-event-count-api,
/get-profile-count-api, /get-message-reports-api, /get-campaigns-api, /get-campaign-report-api, /api-request-limit
(2026-03-17), /api-errors (2025-12-14); what is observed of the live API is from bruin-data/ingestr (2026-08).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

from rowferry.destinations._clevertap_settings import CleverTapSettings
from rowferry.destinations.clevertap import host
from rowferry.destinations.port import Refused, SlowDown, TryAgain
from rowferry.loads.textvalues import to_json
from rowferry.pulls.answers import failed, objects, parse_json, read_object, unreadable, within
from rowferry.pulls.port import Answer, Ask, Failed, Page, Pending, Report, Restart, Row, Source, Step, Window
from rowferry.settings.pull import Pull
from rowferry.wire import Request, Response

PAGE_ROWS = 5000  # get-events-api: the most; a page may hold fewer
IN_FLIGHT = 3  # api-request-limit: for each of the APIs that read
_IN_PROGRESS = 2  # the code of "Request still in progress, please retry later" (observed)
_ASK_AGAIN_SECONDS = 2.0  # observed: no interval is documented
_POLL_SECONDS = 3.0  # observed, for `req_id`
_FLAGS = ("app", "events", "profile")  # get-events-api: what a record's profile holds
_NO_RESULT_YET = "no result as of yet"  # the body of a 500 for a campaign without a report (observed)
_NOT_EXPORTED = "Export not allowed"  # the body of a 400 for events of notifications (observed)
_STORAGE_HINT = (
    "CleverTap gives this event out by its export to a bucket only: set up a data export to S3 or GCS in its dashboard, "
    "and load the files by a feed with preset: clevertap_events"
)

A = Ask[CleverTapSettings]

_PATHS = {
    "events": "/1/events.json",
    "profiles": "/1/profiles.json",
    "event_count": "/1/counts/events.json",
    "profile_count": "/1/counts/profiles.json",
    "top_counts": "/1/counts/top.json",
    "trends": "/1/counts/trends.json",
    "message_report": "/1/message/report.json",
    "campaign_report": "/1/targets/list.json",
}


# ── Requests ────────────────────────────────────────────────────────────────────────────────


def _build(step: Step, ask: A) -> Request:
    path = _PATHS[ask.pull.report]
    if step.kind == "page":
        return _request("GET", f"{path}?cursor={quote(unquote(step.token), safe='')}", None, ask)
    if step.kind == "poll":
        return _request("GET", f"{path}?req_id={quote(step.token, safe='')}", None, ask)
    if step.kind == "result":
        return _request("POST", "/1/targets/result.json", {"id": _targets(step)[0]["id"]}, ask)
    return _request("POST", path + _parameters(ask), _query(ask), ask)


def _request(method: str, path: str, body: Mapping[str, Any] | None, ask: A) -> Request:
    headers = {
        "X-CleverTap-Account-Id": ask.settings.account_id,
        "X-CleverTap-Passcode": ask.settings.passcode.reveal(),
        "Content-Type": "application/json",
    }
    return Request(method, host(ask.settings) + path, to_json(body).encode() if body is not None else b"", headers)


def _parameters(ask: A) -> str:
    """For exports: the page's size, and what profiles hold: all but the summary of every event ever, unless `query` says so."""
    if ask.pull.report not in ("events", "profiles"):
        return ""
    flags = {"app": True, "events": False, "profile": True} | {name: ask.pull.query[name] for name in _FLAGS if name in ask.pull.query}
    shown = "".join(f"&{name}={str(bool(value)).lower()}" for name, value in flags.items())
    return f"?batch_size={min(ask.pull.page_rows or PAGE_ROWS, PAGE_ROWS)}{shown}"


def _query(ask: A) -> dict[str, Any]:
    """The body of the first request. Days are whole numbers such as 20260131, both included."""
    body = {name: value for name, value in ask.pull.query.items() if name not in _FLAGS}
    if ask.pull.event is not None and "advanced_query" not in body:
        body["event_name"] = ask.pull.event
    if ask.pull.groups:
        body["groups"] = ask.pull.groups
    return {**body, "from": int(f"{ask.window.first_day:%Y%m%d}"), "to": int(f"{ask.window.last_day:%Y%m%d}")}


# ── Answers ─────────────────────────────────────────────────────────────────────────────────


def _read(response: Response, step: Step, ask: A) -> Answer:
    """What all reports share, before a report's own rows are looked for."""
    body = read_object(response) or {}
    if (early := _unsettled(response, body, step)) is not None:
        return early
    if (wrong := _wrong(response, body, step)) is not None:
        return wrong
    return _READERS[ask.pull.report](body, step, ask) or unreadable(response, "CleverTap")


def _unsettled(response: Response, body: Mapping[str, Any], step: Step) -> Answer | None:
    """An answer that is still being worked on."""
    if body.get("status") == "partial" and body.get("req_id"):
        return Pending(Step("poll", str(body["req_id"])), "CleverTap is still counting", _POLL_SECONDS)
    if response.status == 202 or (body.get("status") == "fail" and body.get("code") == _IN_PROGRESS):
        return Pending(step, "CleverTap is still at work on the export", _ASK_AGAIN_SECONDS)
    return None


def _wrong(response: Response, body: Mapping[str, Any], step: Step) -> Answer | None:
    """A refusal, by status or, with status 200, by the body; None when there is none."""
    if step.kind == "result" and _has_no_result(response, body):
        return None
    if response.status == 400 and _NOT_EXPORTED.lower() in response.text.lower():
        return Failed(f"CleverTap answered: {response.text}. {_STORAGE_HINT}")
    answer = failed(response, "CleverTap")
    if answer is None and body.get("status") == "fail":
        answer = _failed_inside(body, response)
    if isinstance(answer, Refused):
        return Refused(f"{answer.reason}; account_id, passcode or region is wrong")
    if isinstance(answer, Failed) and step.kind in ("page", "poll"):
        return Restart(answer.reason)  # the query itself was fine: the cursor has expired
    return answer


def _failed_inside(body: Mapping[str, Any], response: Response) -> TryAgain | SlowDown | Refused | Failed:
    """A 200 whose body says `fail`, by the code in it."""
    code = body.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 400
    inner = failed(Response(status, response.body, response.headers), "CleverTap")
    assert inner is not None
    return inner


def _read_events(body: Mapping[str, Any], step: Step, ask: A) -> Page | None:
    return _read_export(body, step, lambda record: _event(record, ask))


def _read_profiles(body: Mapping[str, Any], step: Step, ask: A) -> Page | None:
    return _read_export(body, step, lambda record: _profile(record, ask))


def _read_export(body: Mapping[str, Any], step: Step, to_row: Callable[[dict[str, Any]], Row]) -> Page | None:
    """The answer to the query has a cursor and no records; a page has records, and a cursor unless it is the last."""
    records = objects(body.get("records"))
    if records is not None:
        following = body.get("next_cursor")
        return Page([to_row(record) for record in records], Step("page", str(following)) if following else None)
    cursor = body.get("cursor")
    return Page((), Step("page", str(cursor))) if cursor and "records" not in body and step.kind != "page" else None


def _event(record: Mapping[str, Any], ask: A) -> Row:
    """An event as it would stand in CleverTap's own export, so that both ways fill the same columns."""
    return {
        "eventName": record.get("event_name") or ask.pull.event,
        "ts": record.get("ts"),
        "profile": record.get("profile"),
        "eventProps": record.get("event_props"),
        "sessionProps": record.get("session_props"),
    }


def _profile(record: Mapping[str, Any], ask: A) -> Row:
    """A person as of now who did the event in the window; their own properties as columns, what is nested as JSON."""
    own = {name: value for name, value in record.items() if name not in ("profileData", "events", "platformInfo")}
    properties = {f"profile.{name}": value for name, value in within(record, "profileData").items()}
    nested = {"events": record.get("events"), "platform_info": record.get("platformInfo")}
    return {**_span(ask), **own, **properties, **nested}


def _read_count(body: Mapping[str, Any], _step: Step, ask: A) -> Page | None:
    if not isinstance(body.get("count"), int):
        return None
    return Page([{**_span(ask), "event": ask.pull.event, "count": body["count"]}])


def _read_top(body: Mapping[str, Any], _step: Step, ask: A) -> Page | None:
    """`{"<group>": {"STR": {"Gold": 5}}}`: a row for each value."""
    if not _has_groups(body, ask):
        return None
    return Page([
        {**_span(ask), "group_name": group, "type": kind, "value": value, "count": count}
        for group in ask.pull.groups
        for kind, counts in _items(body.get(group))
        for value, count in _items(counts)
    ])  # fmt: skip


def _read_trends(body: Mapping[str, Any], _step: Step, ask: A) -> Page | None:
    """`{"<group>": {"20261224": 10}}`: a row for each day, week (`YYYYWW`) or month (`YYYYMM`)."""
    if not _has_groups(body, ask):
        return None
    return Page([
        {**_span(ask), "group_name": group, "period": period, "count": count}
        for group in ask.pull.groups
        for period, count in _items(body.get(group))
    ])  # fmt: skip


def _has_groups(body: Mapping[str, Any], ask: A) -> bool:
    return body.get("status") == "success" and any(group in body for group in ask.pull.groups)


def _items(found: Any) -> Iterator[tuple[str, Any]]:
    yield from found.items() if isinstance(found, dict) else ()


def _read_messages(body: Mapping[str, Any], _step: Step, ask: A) -> Page | None:
    messages = objects(body.get("messages"))
    return Page([{**_span(ask), **message} for message in messages]) if messages is not None else None


def _read_campaigns(body: Mapping[str, Any], step: Step, ask: A) -> Page | None:
    """First the list of campaigns, then the result of each; the step carries those that are left."""
    if step.kind != "result":
        targets = objects(body.get("targets"))
        return Page((), _results(targets)) if targets is not None and all("id" in target for target in targets) else None
    target, *left = _targets(step)
    result = within(body, "result")
    return Page([{**_span(ask), **target, "has_result": bool(result), **result}], _results(left))


def _results(targets: list[dict[str, Any]]) -> Step | None:
    return Step("result", to_json(targets)) if targets else None


def _targets(step: Step) -> list[dict[str, Any]]:
    """The campaigns whose results are still to be asked for."""
    found: list[dict[str, Any]] = parse_json(step.token.encode())
    return found


def _has_no_result(response: Response, body: Mapping[str, Any]) -> bool:
    """A campaign that has not ended: 409 (documented), 500 with these words, or a success without a result (both observed)."""
    if response.status == 500:
        return _NO_RESULT_YET in response.text
    return response.status == 409 or (response.status == 200 and body.get("status") == "success" and "result" not in body)


def _span(ask: A) -> Row:
    return {"from_day": ask.window.first_day.isoformat(), "to_day": ask.window.last_day.isoformat()}


_READERS = {
    "events": _read_events,
    "profiles": _read_profiles,
    "event_count": _read_count,
    "profile_count": _read_count,
    "top_counts": _read_top,
    "trends": _read_trends,
    "message_report": _read_messages,
    "campaign_report": _read_campaigns,
}


def _event_file(pull: Pull, window: Window) -> str:
    """A name as CleverTap's own export has it (see the preset), its first number the days that are in the file."""
    event = re.sub(r"[\x00-\x1f]", "?", re.sub(r"[\s/\\\0]", "-", pull.event or "events"))
    days = (window.last_day - window.first_day).days + 1
    return f"{days}-{window.begin.timestamp():.0f}-{event}-{window.first_day:%Y%m%d}-0-0.json.gz"


_SPAN = {"from_day": "DATE", "to_day": "DATE"}
_PEOPLE = {**_SPAN, **dict.fromkeys(("identity", "email", "name", "phone"), "STRING"), "events": "JSON", "platform_info": "JSON"}
_COUNTS = {**_SPAN, "event": "STRING", "count": "INT64"}


def _report(columns: Mapping[str, str]) -> Report[CleverTapSettings]:
    return Report("day", _build, _read, columns=columns)


SOURCE = Source(
    vendor="clevertap",
    reports={
        "events": Report("day", _build, _read, preset="clevertap_events", file_name=_event_file),
        "profiles": _report(_PEOPLE),
        "event_count": _report(_COUNTS),
        "profile_count": _report(_COUNTS),
        "top_counts": _report({**_SPAN, "group_name": "STRING", "type": "STRING", "value": "STRING", "count": "INT64"}),
        "trends": _report({**_SPAN, "group_name": "STRING", "period": "STRING", "count": "INT64"}),
        "message_report": _report({**_SPAN, "message_id": "STRING", "message_name": "STRING"}),
        "campaign_report": _report({**_SPAN, "id": "STRING", "name": "STRING", "status": "STRING", "has_result": "BOOL"}),
    },
    in_flight=IN_FLIGHT,
    zone=lambda settings: settings.timezone,
)
