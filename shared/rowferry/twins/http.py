"""The stand-in for APIs that are described in the settings file: the worked examples, and an in-house API.

| Path                        | Stands in for                   | Source, and date of the copy read                             |
|-----------------------------|---------------------------------|---------------------------------------------------------------|
| `/inappevent/<app id>`      | AppsFlyer's server-to-server API | dev.appsflyer.com, "S2S events API for mobile" (api3), 2026   |
| `/event`                    | Adjust's server-to-server events | dev.adjust.com/en/api/s2s-api/events, 2026                    |
| `/stream/v0/data/<stream>`  | Amperity's streaming ingest      | docs.amperity.com, Streaming Ingest API, 2026                 |
| `/v1/customers`             | an in-house API, made up         | a list under `customers`, answered row by row                 |

Each keeps its rules and its silences: AppsFlyer answers 200 and records nothing for an iOS app id
without `id` before it, which goes to `violations` here. Any other path stands in for an API that we know
nothing of: it takes what can be read and gives `reply`, so that descriptions of one's own can be rehearsed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from rowferry.twins.server import Call, Twin
from rowferry.wire import Response

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}")
_JSON = {"content-type": "application/json"}
_DEVICES = {"idfa", "gps_adid", "fire_adid", "oaid", "web_uuid", "idfv", "android_id", "adid"}


@dataclass
class HttpTwin(Twin):
    """Four small APIs in one. `key` is the key they ask for; None takes any, but one there must be.

    `stored` holds what each took, by its name (an unknown API's is the path), in order. `unique_events` are
    Adjust event tokens that a device may send once; `unknown_devices` are ids that Adjust answers 404 for.
    """

    key: str | None = None
    stored: dict[str, list[Any]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    unique_events: set[str] = field(default_factory=set)
    unknown_devices: set[str] = field(default_factory=set)
    reply: Response = field(default_factory=lambda: Response(200, b'{"ok":true,"status":"ok","success":true,"errors":[]}', _JSON))

    def state(self) -> dict[str, Any]:
        """How much each API took, and the last of it."""
        return super().state() | {name: {"rows": self.counts[name], "last": rows[-20:]} for name, rows in self.stored.items()}

    def answer(self, call: Call) -> Response:
        """The answer of the API that the path belongs to."""
        path = urlsplit(call.path).path
        apis: dict[str, Callable[[Call], Response]] = {
            "/inappevent/": self._appsflyer,
            "/event": self._adjust,
            "/stream/v0/data/": self._amperity,
            "/v1/customers": self._in_house,
        }
        api = next((api for start, api in apis.items() if path == start or (start.endswith("/") and path.startswith(start))), None)
        if api is None:
            return self._unknown(path, call)
        return api(call) if call.method == "POST" else Response(405)

    def _unknown(self, path: str, call: Call) -> Response:
        if call.method == "GET":
            return self.reply
        try:
            document = _read(call)
        except ValueError:
            self.violations.append(f"a body at {path} that is not what its content type says")
            return Response(400, b"unreadable")
        self._keep(path, document)
        return self.reply

    def _has_key(self, given: str | None) -> bool:
        return bool(given) and (self.key is None or given == self.key)

    def _bears_key(self, call: Call) -> bool:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and self._has_key(token)

    def _keep(self, name: str, *rows: Any) -> None:
        kept = self.stored.setdefault(name, [])
        kept.extend(rows)
        self.counts[name] += len(rows)
        if not self.keep_log:
            del kept[:-20]

    # ── AppsFlyer ──

    def _appsflyer(self, call: Call) -> Response:
        if not self._has_key(call.headers.get("authentication")):
            return Response(400, b"Failed to authenticate")
        event = _json_object(call)
        if event is None:
            return Response(400, b"Failed to parse the body: one JSON event is expected")
        if not event.get("appsflyer_id"):
            return Response(400, b"appsflyer_id is missing")
        if not event.get("eventName") or "eventValue" not in event:
            return Response(400, b"eventName or eventValue is missing")
        if len(call.body) > 1024:
            self.violations.append(f"AppsFlyer: an event of {len(call.body)} bytes")
        self._judge_appsflyer(urlsplit(call.path).path.rpartition("/")[2], event)
        self._keep("appsflyer", event)
        return Response(200, b"OK", {"content-type": "text/plain"})

    def _judge_appsflyer(self, app_id: str, event: dict[str, Any]) -> None:
        """What gets an OK all the same, and is lost or misread."""
        if app_id.isdigit() or not app_id:
            self.violations.append("AppsFlyer: an iOS app id without `id` before it; nothing is recorded")
        if not _is_json_text(event["eventValue"]):
            self.violations.append("AppsFlyer: eventValue is not JSON in a text")
        if "eventTime" in event and not (isinstance(event["eventTime"], str) and _TIME.fullmatch(event["eventTime"])):
            self.violations.append("AppsFlyer: eventTime is not yyyy-mm-dd hh:mm:ss.sss; the time of arrival is taken")

    # ── Adjust ──

    def _adjust(self, call: Call) -> Response:
        if not self._bears_key(call):
            return _refused(401, "Failed to authorize request")
        if len(call.body) > 1_000_000:
            self.violations.append("Adjust: a body over 1 MB")
            return _refused(413, "Request size too large")
        if call.headers.get("content-type") != "application/x-www-form-urlencoded":
            return _refused(400, "Invalid content type")
        event = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        if fault := self._fault_of_event(event):
            return fault
        self._judge_adjust(event)
        self._keep("adjust", event)
        return Response(200, b'{"status":"OK"}', _JSON)

    def _fault_of_event(self, event: dict[str, str]) -> Response | None:
        if event.get("s2s") != "1" or not event.get("app_token") or not event.get("event_token"):
            return _refused(400, "Invalid app or event token")
        devices = {event[name] for name in _DEVICES if event.get(name)}
        if not devices or self.unknown_devices & devices:
            return _refused(404, "Device not found")
        if event["event_token"] in self.unique_events and any(self._is_same(event, known) for known in self.stored.get("adjust", [])):
            return _refused(400, "Ignoring event, earlier unique event tracked")
        return None

    def _is_same(self, event: dict[str, str], known: dict[str, str]) -> bool:
        return all(event.get(name) == known.get(name) for name in ("event_token", *_DEVICES))

    def _judge_adjust(self, event: dict[str, str]) -> None:
        if "created_at_unix" in event and not re.fullmatch(r"[1-9]\d{0,10}", event["created_at_unix"]):
            self.violations.append("Adjust: created_at_unix is not in seconds")
        if ("revenue" in event) != ("currency" in event):
            self.violations.append("Adjust: revenue or currency alone")
        for name in ("callback_params", "partner_params"):
            if name in event and not _is_json_text(event[name]):
                self.violations.append(f"Adjust: {name} is not JSON in a text")

    # ── Amperity ──

    def _amperity(self, call: Call) -> Response:
        if not self._bears_key(call):
            return Response(401, b'{"message":"unauthorized"}')
        record = _json_object(call)
        if record is None or not call.headers.get("x-amperity-tenant"):
            return Response(400, b'{"message":"one JSON object and X-Amperity-Tenant are expected"}')
        if len(call.body) > 1_000_000:
            self.violations.append("Amperity: a payload over 1 MB")
            return Response(413, b'{"message":"payload too large"}')
        if any(isinstance(value, dict | list) for value in record.values()):
            self.violations.append("Amperity: a nested value, which needs a saved query")
        self._keep("amperity", record)
        return Response(202)

    # ── The in-house API ──

    def _in_house(self, call: Call) -> Response:
        if not self._bears_key(call):
            return Response(401, b'{"ok":false,"message":"who are you?"}')
        document = _json_object(call)
        rows = document.get("customers") if document is not None and document.get("source") == "warehouse" else None
        if not isinstance(rows, list) or not rows:
            return Response(400, b'{"ok":false,"message":"source and customers are expected"}')
        if len(rows) > 50 or len(call.body) > 100_000:
            self.violations.append("in-house: more than 50 rows or 100,000 bytes")
            return Response(413, b'{"ok":false,"message":"too many rows"}')
        errors = [{"row": place, "why": why} for place, row in enumerate(rows, 1) if (why := _fault(row))]
        self._keep("customers", *(row for row in rows if not _fault(row)))
        return Response(200, orjson.dumps({"ok": True, "errors": errors}), _JSON)


def _fault(row: Any) -> str | None:
    """Why the in-house API does not take a row."""
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]:
        return "id is missing"
    email = row.get("email")
    return f"email {email} has no @" if email is not None and "@" not in str(email) else None


def _read(call: Call) -> Any:
    """A body by its content type: JSON, JSON lines, a form, nothing, else a text. Raises `ValueError`."""
    kind = call.headers.get("content-type", "").partition(";")[0]
    if kind == "application/x-ndjson":
        return [orjson.loads(line) for line in call.body.splitlines()]
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(call.body.decode(), keep_blank_values=True, strict_parsing=bool(call.body)))
    return orjson.loads(call.body) if kind.endswith("json") and call.body else call.body.decode()


def _json_object(call: Call) -> dict[str, Any] | None:
    if not call.headers.get("content-type", "").startswith("application/json"):
        return None
    try:
        document = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _is_json_text(value: Any) -> bool:
    """An object as JSON in a text, or an empty text."""
    try:
        return value == "" or (isinstance(value, str) and isinstance(orjson.loads(value), dict))
    except orjson.JSONDecodeError:
        return False


def _refused(status: int, why: str) -> Response:
    return Response(status, orjson.dumps({"error": f"Event request failed ({why})"}), _JSON)


TWIN = HttpTwin
