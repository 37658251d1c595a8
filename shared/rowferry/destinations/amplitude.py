"""Amplitude: events by HTTP V2 and Batch, properties of users and groups by Identify, audiences as cohorts.

Three things to know before reading on. A request is refused as a whole for one event, and the answer says
which: `_amplitude_answers`. What is too long is cut and what is too many is dropped behind a 200, so that is
refused here: `_amplitude_values`. And the write key is no secret to Amplitude: cohorts need the secret key.

Sources, read 2026-03 to 2026-11: pages of https://amplitude.com/docs: [HV2] apis/analytics/http-v2, [BATCH]
apis/analytics/batch-event-upload, [IDN] apis/analytics/identify, [GIDN] apis/analytics/group-identify, [COH]
apis/analytics/behavioral-cohorts; RudderStack's destination at c98d160 [RUD], Segment's at 970a17e [SEG].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import orjson

from rowferry.destinations import _amplitude_cohorts as cohorts
from rowferry.destinations import _amplitude_rows as rows
from rowferry.destinations._amplitude_answers import Build, Reader
from rowferry.destinations._amplitude_settings import ENVELOPE_BYTES, V2_BYTES, AmplitudeSettings
from rowferry.destinations.answers import json_object
from rowferry.destinations.port import Action, Destination, Fields, Limits, Pace
from rowferry.errors import Problem
from rowferry.wire import Request, Response

HOSTS = {"US": "https://api2.amplitude.com", "EU": "https://api.eu.amplitude.com"}  # [HV2, BATCH, IDN, GIDN]
_BATCH_BYTES = 5_000_000  # a quarter of the 20 MB of [BATCH]: as many requests as are in flight stand in memory
_FEW_EVENTS = 100  # of `endpoint: auto`: a webhook's rows, which want to be seen at once
_PER_SECOND = 80.0  # 100 requests a second on the Starter plan [HV2], less what the apps send; others are not published


# ── Requests ────────────────────────────────────────────────────────────────────────────────


def _host(settings: AmplitudeSettings) -> str:
    return settings.base_url or HOSTS[settings.region]


def _is_batch(batch: Sequence[bytes], settings: AmplitudeSettings) -> bool:
    """Whether the request goes to Batch. `auto` looks at what there is: how many rows, and how large."""
    if settings.endpoint != "auto":
        return settings.endpoint == "batch"
    return len(batch) > _FEW_EVENTS or sum(map(len, batch)) + len(batch) + ENVELOPE_BYTES > V2_BYTES


def _build_events(batch: Sequence[bytes], settings: AmplitudeSettings) -> Request:
    """The key stands in the body; `options` is for the whole request [HV2, RUD]."""
    envelope = b'{"api_key":%s,"options":{"min_id_length":%d},"events":[%s]}'
    body = envelope % (orjson.dumps(settings.api_key.reveal()), settings.min_id_length, b",".join(batch))
    path = "/batch" if _is_batch(batch, settings) else "/2/httpapi"
    return Request("POST", _host(settings) + path, body, {"content-type": "application/json"})


def _build_form(batch: Sequence[bytes], settings: AmplitudeSettings, path: str) -> Request:
    """A form, since JSON bodies are not supported [IDN, GIDN]; the payloads are encoded already."""
    options = rows.encoded({"min_id_length": settings.min_id_length})  # not documented here, but sent by [SEG]
    key = rows.form_text(settings.api_key.reveal().encode())
    body = b"api_key=%s&options=%s&identification=[%s]" % (key, options, b",".join(batch))
    return Request("POST", _host(settings) + path, body, {"content-type": "application/x-www-form-urlencoded"})


def _build_users(batch: Sequence[bytes], settings: AmplitudeSettings) -> Request:
    return _build_form(batch, settings, "/identify")


def _build_groups(batch: Sequence[bytes], settings: AmplitudeSettings) -> Request:
    return _build_form(batch, settings, "/groupidentify")


def _events_pause(batch: Sequence[bytes], settings: AmplitudeSettings) -> float:
    """How long a throttled user is to be left alone: 30 s by [HV2], some 15 s by [BATCH]."""
    return 15.0 if _is_batch(batch, settings) else 30.0


def _identify_pause(_batch: Sequence[bytes], _settings: AmplitudeSettings) -> float:
    return 15.0  # [IDN]


# ── Is the key good? ────────────────────────────────────────────────────────────────────────


def _probe(settings: AmplitudeSettings) -> Request:
    return _build_events([], settings)


def _read_probe(response: Response) -> str | None:
    """A request without events changes nothing: a good key is told that they are missing, a bad one that it is bad [HV2]."""
    document = json_object(response)
    if document is not None and response.status in (200, 400) and "api key" not in str(document.get("error", "")).lower():
        return None
    return f"Amplitude answered {response.status} to a request without events: {response.text or 'nothing'}; check api_key and region"


# ── The value ───────────────────────────────────────────────────────────────────────────────


def _event_limits(settings: AmplitudeSettings) -> Limits:
    most_bytes = V2_BYTES if settings.endpoint == "http_v2" else _BATCH_BYTES
    return Limits(settings.batch_rows, most_bytes, settings.event_bytes, ENVELOPE_BYTES)


def _user_limits(settings: AmplitudeSettings) -> Limits:
    return Limits(settings.identify_rows, V2_BYTES, settings.identify_bytes, ENVELOPE_BYTES)


def _group_limits(settings: AmplitudeSettings) -> Limits:
    return Limits(1024, V2_BYTES, settings.identify_bytes, ENVELOPE_BYTES)  # [GIDN]


def _action(
    name: str,
    limits: Callable[[AmplitudeSettings], Limits],
    identifiers: Callable[[Iterable[str], AmplitudeSettings], frozenset[str]],
    check: Callable[[Mapping[str, str | None], AmplitudeSettings], Iterable[Problem]],
    to_payload: Callable[[Fields, AmplitudeSettings], bytes],
    build: Build,
) -> Action[AmplitudeSettings]:
    is_form = name != "event"
    reader = Reader(build, _identify_pause if is_form else _events_pause, _probe, is_form)
    idempotency = None if is_form else "insert_id"  # for 7 days, within a device or user [HV2]
    return Action(name, limits, identifiers, check, to_payload, build, reader.read, idempotency)


def _pace(settings: AmplitudeSettings) -> Pace:
    return Pace(settings.per_second or _PER_SECOND, settings.in_flight or 10)


DESTINATION = Destination(
    vendor="amplitude",
    title="Amplitude",
    settings=AmplitudeSettings,
    actions={
        "event": _action("event", _event_limits, rows.user_identifiers, rows.check_event, rows.event, _build_events),
        "profile": _action("profile", _user_limits, rows.user_identifiers, rows.check_profile, rows.profile, _build_users),
        "group": _action("group", _group_limits, rows.group_identifiers, rows.check_group, rows.group, _build_groups),
        "audience": cohorts.ACTION,
    },
    account=lambda settings: settings.region,
    pace=_pace,
    probe=_probe,
    read_probe=_read_probe,
    audience="action",
    notes={
        "event": "Amplitude knows a repeated insert_id for 7 days: what is replayed later counts twice. Without one, any repeat does.",
        "profile": "$add, $append and $prepend count twice when a request has to be repeated; prefer the value itself. "
        "Amplitude drops a user's changes beyond 1,800 an hour, without a word. What is set shows from the user's next event on.",
        "group": "Groups need Amplitude's Accounts add-on; $add, $append and $prepend count twice when a request has to be repeated.",
        "audience": "Members are users that Amplitude has seen; others are rejected. It takes one change of a cohort at a time.",
    },
)
