"""Amplitude's stand-in: HTTP V2, Batch, Identify, Group Identify and cohorts, with their limits, errors and silences.

Sources: https://amplitude.com/docs apis/analytics/http-v2, …/batch-event-upload, …/identify, …/group-identify,
…/behavioral-cohorts and faq/limits, as read from 2026-03 to 2026-11; what is in no page is as official SDKs and
Segment's destination expect it (Amplitude-TypeScript PR #81, Amplitude-Node #63).

A request is refused as a whole for one event. What Amplitude would cut, drop or misread while it answers 200
is told in `violations`. The rules are written down a second time on purpose: they judge `destinations/amplitude.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import orjson

from rowferry.clock import Clock, SystemClock
from rowferry.twins import _amplitude_rules as rules
from rowferry.twins._amplitude_cohorts import Cohorts
from rowferry.twins._amplitude_reads import Reads
from rowferry.twins.server import Call, Twin
from rowferry.wire import Response

_V2, _BATCH = "/2/httpapi", "/batch"
_BODY_BYTES = {_V2: 1_000_000, _BATCH: 20_000_000, "/identify": 1_000_000, "/groupidentify": 1_000_000}
_DEDUPLICATED_FOR = timedelta(days=7)


@dataclass
class AmplitudeTwin(Twin):
    """A project at Amplitude.

    `api_key` and `secret_key`: the only ones it takes; None takes any. `eps_threshold`: events a second of one
    user or device, on average over `eps_window_seconds` by `clock`, beyond which it answers 429 (the vendor's are 30
    at HTTP V2 and 1,000 at Batch; None is never). `daily_quota`: the same over 24 hours, at Batch (the vendor's is
    500,000). `requests_per_second`: of the project. `hourly_updates`: of one user's properties, beyond which they
    are dropped in silence (the vendor's is 1,800). `silenced_devices` earn 400, `firewall` (bytes in a body) 403.
    `first_only`: HTTP V2's lists name the first event of each error. `counts_repeats`: whether a repeated insert_id
    is in `events_ingested`. `drops`: names of events that are taken with 200 and not counted.

    `events` holds what is new, `users` and `groups` the properties, by user_id (else device_id) and by type and value;
    `reads` what exports and charts give out.
    """

    api_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    clock: Clock = field(default_factory=SystemClock)
    eps_threshold: int | None = None
    eps_window_seconds: float = 30.0
    daily_quota: int | None = None
    requests_per_second: int | None = None
    hourly_updates: int | None = None
    silenced_devices: set[str] = field(default_factory=set)
    firewall: bytes | None = None
    first_only: bool = True
    counts_repeats: bool = True
    drops: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    cohorts: Cohorts = field(default_factory=Cohorts)
    reads: Reads = field(default_factory=Reads)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._seen: dict[tuple[str, str], datetime] = {}
        self._recent: dict[tuple[str, str, float], deque[float]] = {}
        self._routes: dict[str, Callable[[Call], Response]] = {
            _V2: self._take_events,
            _BATCH: self._take_events,
            "/identify": self._take_identifications,
            "/groupidentify": self._take_identifications,
        }

    def state(self) -> dict[str, Any]:
        """Counts, the first users, the last events."""
        counts = {"events": len(self.events), "users": len(self.users), "groups": len(self.groups)}
        shown = {"first_users": dict(list(self.users.items())[:20]), "last_events": self.events[-20:], "cohorts": self.cohorts.sizes()}
        return super().state() | counts | shown

    def answer(self, call: Call) -> Response:
        """Checks in the order in which a gateway makes them, then the endpoint's own."""
        path = call.path.partition("?")[0]
        if path.startswith("/api/3/cohorts"):
            return self.cohorts.answer(call, self.api_key, self.secret_key, self.users.keys() | rules.users_of(self.events))
        if call.method == "GET":
            return self.reads.answer(call, self.api_key, self.secret_key) or _said(404, "Invalid request path")
        route = self._routes.get(path)
        if route is None or call.method != "POST":
            return _said(404, "Invalid request path")
        return self._gate(call, path, route)

    def _gate(self, call: Call, path: str, route: Callable[[Call], Response]) -> Response:
        if self.firewall is not None and self.firewall in call.body:
            return _said(403, "Forbidden")
        if len(call.body) > _BODY_BYTES[path]:
            self.violations.append(f"a body of {len(call.body)} bytes at {path}")
            return _said(413, "Payload too large")
        if self.requests_per_second is not None and self._count("request", "", 1, 1.0) > self.requests_per_second:
            return _said(429, "Too many requests for this project")
        return route(call)

    def _count(self, kind: str, who: str, more: int, seconds: float) -> int:
        """How often something happened within the last seconds, these times included."""
        now = self.clock.monotonic()
        times = self._recent.setdefault((kind, who, seconds), deque())
        while times and times[0] <= now - seconds:
            times.popleft()
        times.extend([now] * more)
        return len(times)

    def _forget(self, kind: str, who: str, times: int, seconds: float) -> None:
        for _ in range(times):
            self._recent[kind, who, seconds].pop()

    # ── Events ──────────────────────────────────────────────────────────────────────────────

    def _take_events(self, call: Call) -> Response:
        try:
            body = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            return _said(400, "Invalid JSON request body")
        if not call.headers.get("content-type", "").startswith("application/json") or not isinstance(body, dict):
            return _said(400, "Invalid JSON request body")
        if (refusal := self._refuse_envelope(body)) is not None:
            return refusal
        events, is_v2 = body["events"], call.path == _V2
        if len(events) > 2000:
            self.violations.append(f"{len(events)} events in a request")
            return _said(413, "Payload too large")
        faults = rules.event_faults(events, body.get("options", {}).get("min_id_length", 5))
        if faults:
            return _said(400, *rules.listed(faults, first_only=self.first_only and is_v2))
        return self._silence(events) or self._throttle(events, is_v2) or self._store(events, len(call.body))

    def _refuse_envelope(self, body: dict[str, Any]) -> Response | None:
        """What is wrong with a request before its rows are looked at."""
        if not body.get("api_key"):
            return _said(400, "Request missing required field", {"missing_field": "api_key"})
        if self.api_key is not None and body["api_key"] != self.api_key:
            return _said(400, "Invalid API key")
        if not isinstance(body.get("events"), list) or not body["events"]:
            return _said(400, "Request missing required field", {"missing_field": "events"})
        if not all(isinstance(event, dict) for event in body["events"]):
            return _said(400, "Invalid event JSON")
        return None

    def _silence(self, events: list[dict[str, Any]]) -> Response | None:
        found = [index for index, event in enumerate(events) if event.get("device_id") in self.silenced_devices]
        if not found:
            return None
        devices = sorted({events[index]["device_id"] for index in found})
        return _said(400, "Some devices are silenced", {"silenced_devices": devices, "silenced_events": found})

    def _throttle(self, events: list[dict[str, Any]], is_v2: bool) -> Response | None:
        """429 when a user or device sends too much; then nothing of the request counts."""
        body: dict[str, Any] = {"eps_threshold": self.eps_threshold}
        over: set[tuple[str, str]] = set()
        if self.eps_threshold is not None:
            most = int(self.eps_threshold * self.eps_window_seconds)
            over |= self._over(events, most, self.eps_window_seconds, "throttled", body)
        if self.daily_quota is not None and not is_v2:
            over |= self._over(events, self.daily_quota, 86_400.0, "exceeded_daily_quota", body)
        if not over:
            return None
        body["throttled_events"] = [index for index, event in enumerate(events) if over & rules.ids_of(event)]
        for seconds in (self.eps_window_seconds, 86_400.0):
            for (kind, who), times in rules.counts(events).items():
                if (kind, who, seconds) in self._recent:
                    self._forget(kind, who, times, seconds)
        return _said(429, "Too many requests for some devices and users", body)

    def _over(self, events: list[dict[str, Any]], most: int, seconds: float, name: str, body: dict[str, Any]) -> set[tuple[str, str]]:
        found = set()
        for (kind, who), times in rules.counts(events).items():
            if (total := self._count(kind, who, times, seconds)) > most:
                body.setdefault(f"{name}_{kind}s", {})[who] = total
                found.add((kind, who))
        return found

    def _store(self, events: list[dict[str, Any]], size: int) -> Response:
        now, ingested = self.clock.now(), 0
        for event in events:
            self.violations += rules.silences_of_event(event)
            if event["event_type"] in self.drops:
                continue
            key = (rules.device_of(event), str(event.get("insert_id")))
            is_repeat = "insert_id" in event and key in self._seen and now - self._seen[key] < _DEDUPLICATED_FOR
            ingested += self.counts_repeats or not is_repeat
            if not is_repeat:
                self._seen[key] = now
                self.events.append(event)
        uploaded = int(now.timestamp() * 1000)
        return _json(200, {"code": 200, "events_ingested": ingested, "payload_size_bytes": size, "server_upload_time": uploaded})

    # ── Users and groups ────────────────────────────────────────────────────────────────────

    def _take_identifications(self, call: Call) -> Response:
        if not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _said(400, "missing_event")  # JSON is not supported
        form = {name: found[-1] for name, found in parse_qs(call.body.decode(), keep_blank_values=True).items()}
        if not form.get("api_key") or (self.api_key is not None and form["api_key"] != self.api_key):
            return _said(400, "Invalid API key")
        try:
            found = orjson.loads(form.get("identification", ""))
            min_id_length = orjson.loads(form.get("options", "{}")).get("min_id_length", 5)
        except orjson.JSONDecodeError:
            return _said(400, "missing_event")
        found = found if isinstance(found, list) else [found]
        if not found or not all(isinstance(item, dict) for item in found):
            return _said(400, "missing_event")
        is_group = call.path == "/groupidentify"
        if is_group and len(found) > 1024:
            self.violations.append(f"{len(found)} identifies of groups in a request")
            return _said(413, "Payload too large")
        return self._set_groups(found) if is_group else self._set_users(found, min_id_length)

    def _set_users(self, found: list[dict[str, Any]], min_id_length: int) -> Response:
        if faults := rules.identity_faults(found, min_id_length):
            return _said(400, *rules.listed(faults, first_only=False))
        for item in found:
            who = str(item.get("user_id") or item["device_id"])
            changed = item.get("user_properties", {})
            self.violations += rules.silences_of_user(item)
            if self.hourly_updates is not None and self._count("updates", who, 1, 3600.0) > self.hourly_updates:
                self.violations.append("an update of properties beyond those that are taken in an hour")
                continue
            user = self.users.setdefault(who, {})
            user |= {name: value for name, value in item.items() if name not in ("user_id", "device_id", "user_properties")}
            rules.apply(changed, user)
        return Response(200, b"success", {"content-type": "text/plain"})

    def _set_groups(self, found: list[dict[str, Any]]) -> Response:
        for item in found:
            if not all(isinstance(item.get(name), str) and item[name] for name in ("group_type", "group_value")):
                return _said(400, "missing_event")
        for item in found:
            changed = item.get("group_properties", {})
            self.violations += rules.silences_of_group(item)
            rules.apply(changed, self.groups.setdefault((item["group_type"], item["group_value"]), {}))
        return Response(200, b"success", {"content-type": "text/plain"})


TWIN = AmplitudeTwin


def _json(status: int, document: dict[str, Any]) -> Response:
    return Response(status, orjson.dumps(document), {"content-type": "application/json"})


def _said(status: int, error: str, more: dict[str, Any] | None = None) -> Response:
    return _json(status, {"code": status, "error": error, **(more or {})})
