"""Amplitude: the Export API's raw events, charts of events (segmentation), and who is in a cohort.

The export is a ZIP of gzip files, one project's events by the hour they were uploaded (`server_upload_time`, UTC), both
hours of the range included. 404 means that there are none. Above 4 GB it answers 400, and a range that takes too long
504: then each half is asked for by itself, down to an hour. An hour is ready about two hours after it has ended. A
cohort is asked for, waited for, and fetched, perhaps from S3 by a link that lives a minute and must not see our key.

Sources: amplitude.com/docs/apis/analytics/export, …/behavioral-cohorts, …/dashboard-rest (copies of 2026);
404 and member names as seen by Airbyte's connector.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from rowferry.destinations._amplitude_settings import AmplitudeSettings
from rowferry.destinations.port import Refused, TryAgain
from rowferry.errors import UsageError
from rowferry.pulls.answers import failed, member, read_object, unreadable, within
from rowferry.pulls.port import Answer, Archive, Ask, Failed, Page, Pending, Report, Restart, Row, Source, Step, Window
from rowferry.settings.pull import Pull
from rowferry.wire import Request, Response

HOSTS = {"US": "https://amplitude.com", "EU": "https://analytics.eu.amplitude.com"}
IN_FLIGHT = 3  # Dashboard REST and cohorts share 5; whether the export counts there is not documented
READY_AFTER = timedelta(hours=2)
TRAILING = timedelta(hours=6)  # rows stand in the hour they were uploaded in, so they are not late; early answers may be short
_HOUR = "%Y%m%dT%H"
_POLL_SECONDS = 5.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

A = Ask[AmplitudeSettings]


def _get(path: str, ask: A, parameters: Mapping[str, Any] | None = None) -> Request:
    secret = ask.settings.secret_key
    if secret is None:
        raise UsageError("Amplitude gives nothing out without `secret_key` beside the destination's api_key")
    host = ask.settings.base_url or HOSTS[ask.settings.region]
    key = base64.b64encode(f"{ask.settings.api_key.reveal()}:{secret.reveal()}".encode()).decode()
    return Request("GET", f"{host}{path}{_query(parameters or {})}", headers={"Authorization": f"Basic {key}"})


def _query(parameters: Mapping[str, Any]) -> str:
    shown = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in parameters.items()}
    return f"?{urlencode(shown, quote_via=quote)}" if shown else ""


def _wrong(response: Response) -> Answer | None:
    """What a status outside 2xx means; 403 is also how a key of the other region is answered (as Airbyte saw)."""
    answer = failed(response, "Amplitude")
    if isinstance(answer, Refused):
        return Refused(f"{answer.reason}; api_key, secret_key or region is wrong")
    return answer


# ── Export: the step carries the ranges of hours that are left, as `20260131T00-20260131T23,…` ──


def _first_range(ask: A) -> Step:
    begin, end = ask.window.begin.astimezone(UTC), ask.window.end.astimezone(UTC) - timedelta(hours=1)
    return Step("export", f"{begin:{_HOUR}}-{end:{_HOUR}}")


def _build_export(step: Step, ask: A) -> Request:
    start, end = step.token.split(",")[0].split("-")
    return _get("/api/2/export", ask, {"start": start, "end": end})


def _read_export(response: Response, step: Step, _ask: A) -> Answer:
    first, *left = step.token.split(",")
    following = Step("export", ",".join(left)) if left else None
    if response.status == 200:
        return Archive(following)
    if response.status == 404:
        return Page((), following)
    if response.status in (400, 504):
        return _halve(response, first, left)
    return _wrong(response) or unreadable(response, "Amplitude")


def _halve(response: Response, range: str, left: list[str]) -> Answer:
    """The range is too much at once: its halves; an hour can't be halved."""
    start, end = (datetime.strptime(hour, _HOUR).replace(tzinfo=UTC) for hour in range.split("-"))
    hours = int((end - start).total_seconds()) // 3600 + 1
    if hours > 1:
        middle = start + timedelta(hours=hours // 2)
        halves = [f"{start:{_HOUR}}-{middle - timedelta(hours=1):{_HOUR}}", f"{middle:{_HOUR}}-{end:{_HOUR}}"]
        return Page((), Step("export", ",".join([*halves, *left])))
    if response.status == 504:
        return TryAgain(f"Amplitude answered 504 for the hour {start:{_HOUR}}")
    return Failed(
        f"Amplitude answered 400 for the single hour {start:{_HOUR}}: {response.text}. An hour of more than 4 GB is only "
        "to be had by Amplitude's export to S3 or GCS; load its files by a feed with preset: amplitude_export"
    )


def _export_file(_pull: Pull, window: Window) -> str:
    """A name as Amplitude's own export has it (see the preset); its number is the hours that are in the file."""
    begin, end = window.begin.astimezone(UTC), window.end.astimezone(UTC)
    return f"0_{begin:%Y-%m-%d}_{begin.hour}#{int((end - begin).total_seconds()) // 3600}.json.gz"


# ── Segmentation: a chart's numbers ─────────────────────────────────────────────────────────


def _build_segmentation(_step: Step, ask: A) -> Request:
    days = {"start": f"{ask.window.first_day:%Y%m%d}", "end": f"{ask.window.last_day:%Y%m%d}"}
    return _get("/api/2/events/segmentation", ask, {"e": {"event_type": ask.pull.event}, **ask.pull.query, **days})


def _read_segmentation(response: Response, _step: Step, ask: A) -> Answer:
    if (wrong := _wrong(response)) is not None:
        return wrong
    data = within(read_object(response), "data")
    series, times = data.get("series"), data.get("xValues")
    if not isinstance(series, list) or not isinstance(times, list) or not all(_fits(one, times) for one in series):
        return unreadable(response, "Amplitude")
    return Page(list(_points(data, ask)))


def _fits(series: Any, times: list[Any]) -> bool:
    return isinstance(series, list) and len(series) == len(times)


def _points(data: Mapping[str, Any], ask: A) -> Iterator[Row]:
    """A row for each value of each series. A label may be a text, a number or a list of both."""
    labels = data.get("seriesLabels")
    for place, series in enumerate(data["series"]):
        label = labels[place] if isinstance(labels, list) and place < len(labels) else None
        for at, value in zip(data["xValues"], series, strict=True):
            number = value.get("value") if isinstance(value, dict) else value
            yield {"event": ask.pull.event, "period": at, "series": place, "label": label, "value": number}


# ── Cohorts: asked for, waited for, fetched ─────────────────────────────────────────────────


def _build_cohort(step: Step, ask: A) -> Request:
    if step.kind == "link":
        return Request("GET", step.token)
    if step.kind == "status":
        return _get(f"/api/5/cohorts/request-status/{quote(step.token, safe='')}", ask)
    if step.kind == "file":
        return _get(f"/api/5/cohorts/request/{quote(step.token, safe='')}/file", ask)
    return _get(f"/api/5/cohorts/request/{quote(ask.pull.id or '', safe='')}", ask, ask.pull.query)


def _read_cohort(response: Response, step: Step, _ask: A) -> Answer:
    if step.kind in ("file", "link"):
        return _read_file(response, step)
    if (wrong := _wrong(response)) is not None:
        return Restart(wrong.reason) if isinstance(wrong, Failed) and step.kind == "status" else wrong
    request = member(read_object(response), "request_id")
    if not request:
        return unreadable(response, "Amplitude")
    if step.kind != "status":
        return Page((), Step("status", str(request)))  # kept: each asking counts against 500 a month
    if response.status == 202:
        return Pending(step, "Amplitude is still putting the cohort together", _POLL_SECONDS)
    return Pending(Step("file", step.token), "the cohort is ready", 0.0)


def _read_file(response: Response, step: Step) -> Answer:
    """The members, or the way to them. A link that has died is had anew from the job."""
    if response.status == 200:
        return Archive(format="csv")
    if response.status == 302 and step.kind == "file":
        return _follow(response.headers.get("location", ""))
    if step.kind == "link":
        return Restart(f"the file's storage answered {response.status}")
    return _wrong(response) or unreadable(response, "Amplitude")


def _follow(location: str) -> Answer:
    parts = urlsplit(location)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return Pending(Step("link", location), "the cohort's file lies elsewhere", 0.0)
    return Failed("Amplitude sends us to an address that is not https for the cohort's file")


SOURCE = Source(
    vendor="amplitude",
    reports={
        "export": Report(
            "hour",
            _build_export,
            _read_export,
            _first_range,
            preset="amplitude_export",
            file_name=_export_file,
            window=timedelta(hours=1),
            timeout_seconds=300.0,
            ready_after=READY_AFTER,
            trailing=TRAILING,
            is_archive=lambda _step: True,
        ),
        "segmentation": Report(
            "day",
            _build_segmentation,
            _read_segmentation,
            columns={"event": "STRING", "period": "STRING", "series": "INT64", "label": "STRING", "value": "FLOAT64"},
        ),
        "cohort": Report(
            None,
            _build_cohort,
            _read_cohort,
            columns={"amplitude_id": "INT64", "user_id": "STRING"},
            is_archive=lambda step: step.kind in ("file", "link"),
        ),
    },
    in_flight=IN_FLIGHT,
)
