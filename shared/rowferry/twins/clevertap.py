"""CleverTap's stand-in: upload, subscribe, delete, and the request that shows whether a key works.

It keeps CleverTap's rules where they are documented: 200 for success, partial and fail alike, the
place of a refused record in words, record codes, 15 requests open at once. What CleverTap would
take and then cut, drop or store as something else without a word, it takes as well and notes in
`violations`, so that a test can ask for none of it. Sources: see `destinations/clevertap.py`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from rowferry.twins._clevertap_reads import Reads
from rowferry.twins.server import Call, Twin
from rowferry.wire import Response

MAX_OPEN_UPLOADS = 15
MAX_OPEN_OTHERS = 3  # deletions, counts and every kind of export
MAX_RECORDS = 1000
_IDENTIFIERS = ("identity", "objectId", "FBID", "GPID")
_RESERVED = {
    "notificationsent", "notificationviewed", "notificationclicked", "notificationdelivered", "notificationreplied", "utmvisited",
    "applaunched", "appuninstalled", "appversionchanged", "stayed", "replysent", "experimentrendered", "reachableby",
    "identityreset", "identityset", "identityerror",
}  # fmt: skip
# What a profile's own properties may hold, and the code for anything else (api-errors, 2025-12-14).
_ALLOWED: dict[str, tuple[str, int, str]] = {
    "Gender": (r"[MF]", 514, "Gender"),
    "Email": (r"[^@\s]+@[^@\s]+\.[^@\s]+", 515, "Email"),
    "Phone": (r"\+[1-9]\d{4,14}", 516, "Phone number"),
    "Employed": (r"[YN]", 517, "Employed"),
    "Education": (r"School|College|Graduate", 518, "Education"),
    "Married": (r"[YN]", 519, "Married"),
    "Age": (r"\d+(\.\d+)?", 520, "Age"),
}
_PROHIBITED = set("%><!|&.:;$'\"\\")


class _Unprocessed(Exception):
    """A record that CleverTap does not take, with its code."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


@dataclass
class CleverTapTwin(Twin):
    """A CleverTap project. `account_id` and `passcode` are checked where they are set.

    `profiles` holds each person's properties by identifier, `events` what was stored in order (the last 50 when `keep_log` is off),
    `consent` the last status of each address, `reads` what exports and reports give out. `discarded` are event names
    somebody threw away in the dashboard (528). `most_open` is the highest number of requests seen open at once.
    """

    account_id: str | None = None
    passcode: str | None = None
    event_properties: int = 256
    discarded: set[str] = field(default_factory=set)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    event_count: int = 0
    consent: dict[str, str] = field(default_factory=dict)
    most_open: int = 0
    reads: Reads = field(default_factory=Reads)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._open = {MAX_OPEN_UPLOADS: 0, MAX_OPEN_OTHERS: 0}
        self._counting = threading.Lock()

    def serve(self, call: Call) -> Response | None:
        """As any twin, but the sixteenth upload that is open at once, and the fourth of anything else, gets a 429."""
        kind = MAX_OPEN_UPLOADS if call.path.startswith(("/1/upload", "/1/subscribe")) else MAX_OPEN_OTHERS
        with self._counting:
            self._open[kind] += 1
            self.most_open = max(self.most_open, self._open[kind])
            crowded = self._open[kind] > kind
        try:
            return _fail(429, "Too many concurrent requests") if crowded else super().serve(call)
        finally:
            with self._counting:
                self._open[kind] -= 1

    def state(self) -> dict[str, Any]:
        """Counts, the last events, and the profiles seen first."""
        shown = {"profiles": len(self.profiles), "events": self.event_count, "consent": self.consent}
        return super().state() | shown | {"last_events": self.events[-50:], "first_profiles": dict(islice(self.profiles.items(), 50))}

    def answer(self, call: Call) -> Response:
        """What CleverTap would say; an unknown path answers 200 and nothing, as it does."""
        url = urlsplit(call.path)
        if not self._knows(call):
            return _fail(401, "Invalid Credentials")
        answers: dict[str, Callable[[Call], Response]] = {
            "/1/upload": lambda call: self._take(call, self._take_record),
            "/1/subscribe": lambda call: self._take(call, self._take_consent),
            "/1/delete/profiles.json": self._delete,
            "/1/now.json": lambda _call: _json(200, {"status": "success", "count": len(self.profiles)}),
        }
        if url.path not in answers:
            return self.reads.answer(call) or Response(200)
        return answers[url.path](call) if call.method == "POST" else _fail(405, "Method not allowed")

    def _take(self, call: Call, take: Callable[[Any, bool], None]) -> Response:
        records = _records(call)
        if isinstance(records, Response):
            self._note(True, "a body that is not 1 to 1,000 records")
            return records
        dry = parse_qs(urlsplit(call.path).query).get("dryRun") == ["1"]
        refused = [found for index, record in enumerate(records) if (found := self._try(take, record, index, dry))]
        return _outcome(len(records), refused)

    def _knows(self, call: Call) -> bool:
        given = (call.headers.get("x-clevertap-account-id", ""), call.headers.get("x-clevertap-passcode", ""))
        expected = (self.account_id or given[0], self.passcode or given[1])
        return all(given) and given == expected

    def _try(self, take: Callable[[Any, bool], None], record: Any, index: int, dry: bool) -> dict[str, Any] | None:
        try:
            take(record, dry)
        except _Unprocessed as refused:
            text = f"{refused}. Skipped record number : {index + 1}"
            return {"status": "fail", "code": refused.code, "error": text, "record": _changed(record)}
        return None

    def _take_record(self, record: Any, dry: bool) -> None:
        kind = record.get("type") if isinstance(record, dict) else None
        if kind not in ("event", "profile"):
            raise _Unprocessed(524, "Record is neither an event nor a profile")
        who = [record[name] for name in _IDENTIFIERS if record.get(name)]
        if len(who) != 1 or not isinstance(who[0], str):
            raise _Unprocessed(523, "Identity is missing or given twice")
        if "ts" in record and not (isinstance(record["ts"], int) and 0 < record["ts"] < 100_000_000_000):
            raise _Unprocessed(525, "ts is not a UNIX epoch in seconds")
        if kind == "event":
            self._take_event(record, dry)
        else:
            self._take_profile(who[0], record, dry)

    def _take_event(self, record: dict[str, Any], dry: bool) -> None:
        name, data = record.get("evtName"), record.get("evtData")
        if not isinstance(name, str) or not name.strip():
            raise _Unprocessed(509, "Event name is missing")
        if not isinstance(data, dict):
            raise _Unprocessed(512, "Event structure is invalid")
        flat = "".join(name.split()).casefold()
        if flat in _RESERVED:
            raise _Unprocessed(513, "Event Name is incorrect. ErrorCode: 513 - Trying to raise a restricted system event")
        if flat in {"".join(known.split()).casefold() for known in self.discarded}:
            raise _Unprocessed(528, "Discarded event raised")
        if len(data) > self.event_properties:
            raise _Unprocessed(522, "Event has too many properties")
        if dry:
            return
        for key in (name, *data):
            self._note(len(key) > 120 or bool(_PROHIBITED & set(key)), "a name in an event")
        items = data.get("Items") if flat == "charged" else None
        for value in data.values():
            self._note(value is not items and _is_spoiled(value), "a value in an event")
        self._note(items is not None and not _are_items(items), "the items of a purchase")
        self.event_count += 1
        self.events.append(record)
        if not self.keep_log:
            del self.events[:-50]

    def _take_profile(self, who: str, record: dict[str, Any], dry: bool) -> None:
        data = record.get("profileData")
        if not isinstance(data, dict):
            raise _Unprocessed(524, "profileData is missing")
        for name, (pattern, code, title) in _ALLOWED.items():
            value = data.get(name)
            if value is not None and not isinstance(value, dict) and not re.fullmatch(pattern, str(value)):
                raise _Unprocessed(code, f"{title} {value} is not valid")
        if dry:
            return
        stored = self.profiles.setdefault(who, {})
        for name, value in data.items():
            self._note(len(name.encode()) > 120 or bool((_PROHIBITED | {"#"}) & set(name)), "a name in a profile")
            self._note(name == "DOB" and not str(value).startswith(("$D_", "{'$delete'")), "a date of birth as text")
            self._note(name.startswith("MSG-") and not isinstance(value, bool | dict), f"{name} that is not true or false")
            self._store(stored, name, value)
        self._note(len(stored) > 256, "more than 256 properties")

    def _store(self, stored: dict[str, Any], name: str, value: Any) -> None:
        after = _operated(stored.get(name), *next(iter(value.items()))) if isinstance(value, dict) and len(value) == 1 else value
        if after is None:
            stored.pop(name, None)
            return
        stored[name] = after
        if isinstance(after, list):
            self._note(not _is_multi_value(after), f"the list {name}")
        else:
            self._note(_is_spoiled(after), f"the value of {name}")

    def _take_consent(self, record: Any, dry: bool) -> None:
        allowed = {"type": ("email", "phone"), "status": ("Unsubscribe", "Resubscribe")}
        if not isinstance(record, dict) or any(record.get(key) not in words for key, words in allowed.items()) or not record.get("value"):
            raise _Unprocessed(524, "Record is not a subscription")
        # Whether `/1/subscribe` knows a dry run is not documented: the twin takes it at its word that it does not.
        self.consent[str(record["value"])] = record["status"]
        self._note(dry, "a dry run of a subscription")

    def _delete(self, call: Call) -> Response:
        """Whose devices are meant by a `guid` is not known here: those people are stored under the id itself."""
        try:
            people = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            return _fail(400, "Payload is not valid")
        lists = [people.get("identity", []), people.get("guid", [])] if isinstance(people, dict) else []
        if not any(lists) or any(len(found) > 100 for found in lists):
            self._note(True, "not 1 to 100 people to delete")
            return _fail(400, "Payload needs 1 to 100 people")
        for who in chain.from_iterable(lists):
            self.profiles.pop(who, None)
        return _json(200, {"status": "success"})

    def _note(self, is_spoiled: bool, what: str) -> None:
        if is_spoiled:
            self.violations.append(what)


def _operated(before: Any, operator: str, operand: Any) -> Any:
    """What a property holds after one operator; None when it is gone. An unknown operator is stored like any object."""
    if operator in ("$incr", "$decr") and isinstance(operand, int | float):
        number = before if isinstance(before, int | float) else 0
        return number + operand if operator == "$incr" else number - operand
    if operator in ("$add", "$remove") and isinstance(operand, list):
        kept = [item for item in (before if isinstance(before, list) else [before]) if item is not None and item not in operand]
        return (kept + operand if operator == "$add" else kept) or None
    if operator == "$delete":
        return None
    return operand if operator == "$set" else {operator: operand}


def _records(call: Call) -> list[Any] | Response:
    if "application/json" not in call.headers.get("content-type", ""):
        return _fail(400, "Content-Type is not application/json")
    try:
        records = orjson.loads(call.body)["d"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return _fail(400, "Payload is not valid")
    if not isinstance(records, list) or not records or len(records) > MAX_RECORDS:
        return _fail(400, f"Payload needs 1 to {MAX_RECORDS} records")
    return records


def _is_spoiled(value: Any) -> bool:
    if isinstance(value, str):
        return len(value.encode()) > 512
    return isinstance(value, dict | list)  # nested values need a switch of the account


def _is_multi_value(items: list[Any]) -> bool:
    return len(items) <= 100 and len(set(map(str, items))) == len(items) and all(isinstance(i, str) and len(i) <= 512 for i in items)


def _are_items(items: Any) -> bool:
    return isinstance(items, list) and len(items) <= 256 and all(
        isinstance(item, dict) and not any(_is_spoiled(value) for value in item.values()) for item in items
    )  # fmt: skip


def _changed(record: Any) -> Any:
    """The record as CleverTap echoes it: a phone number has become a number (seen in recorded traffic, 2018)."""
    if isinstance(record, dict) and isinstance(record.get("profileData"), dict):
        phone = str(record["profileData"].get("Phone", "")).lstrip("+")
        if phone.isdigit():
            return {**record, "profileData": {**record["profileData"], "Phone": int(phone)}}
    return record


def _outcome(records: int, refused: list[dict[str, Any]]) -> Response:
    status = "success" if not refused else "partial" if len(refused) < records else "fail"
    return _json(200, {"status": status, "processed": records - len(refused), "unprocessed": refused})


def _fail(status: int, text: str) -> Response:
    return _json(status, {"status": "fail", "error": text, "code": status})


def _json(status: int, document: dict[str, Any]) -> Response:
    return Response(status, orjson.dumps(document), {"content-type": "application/json"})


TWIN = CleverTapTwin
