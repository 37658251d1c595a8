"""Klaviyo's stand-in: events, profile imports and their jobs, consent, lists, deletion requests.

It keeps Klaviyo's rules where they are documented: a batch is checked as a whole and refused with
pointers, a 202 only queues, an import job takes its time and ends as complete even where profiles
failed, each endpoint has a short and a long window. What Klaviyo would take and then drop it takes
too, and notes in `violations`. Sources: see `destinations/klaviyo.py`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import orjson

from rowferry.clock import Clock, SystemClock
from rowferry.twins import _klaviyo_rules as rules
from rowferry.twins._klaviyo_jobs import Job, Jobs, LateFault
from rowferry.twins._klaviyo_people import Conflict, People
from rowferry.twins._klaviyo_rate import Windows
from rowferry.twins._klaviyo_reads import Reads
from rowferry.twins.server import Call, Twin
from rowferry.wire import Response

_BODY_BYTES = 5_000_000
_PROFILE_BYTES = 100_000
_LISTS = re.compile(r"/api/lists/([A-Za-z0-9]+)/relationships/profiles")
_JOB = re.compile(r"/api/profile-bulk-import-jobs/([A-Za-z0-9]+)(/import-errors)?")


class _Refused(Exception):
    """A request that is refused as a whole, with one error for each thing that is wrong."""

    def __init__(self, status: int, *errors: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        body = orjson.dumps({"errors": [{"status": status, **error} for error in errors]})
        self.response = Response(status, body, {**_HEADERS, **(headers or {})})
        super().__init__()


_HEADERS = {"content-type": "application/vnd.api+json"}


@dataclass
class KlaviyoTwin(Twin):
    """A Klaviyo account.

    `api_key` is checked where it is set. `job_seconds` is how long an import job takes by `clock`, and
    `late_fault(profile)` a sentence for those that are to fail in it; `echoes` says whether its errors
    have the profile in them. `lists` hold profile ids; unknown lists are made, unless `only_these_lists`.
    With `keeps_rate` the windows of one second and one minute hold. `repeats` says what becomes of a
    bulk event whose unique_id came in an earlier request, where Klaviyo's pages differ.
    """

    api_key: str | None = None
    clock: Clock = field(default_factory=SystemClock)
    job_seconds: float = 0.0
    late_fault: LateFault = lambda _profile: None
    echoes: bool = True
    keeps_rate: bool = False
    repeats: Literal["discard", "refuse"] = "discard"
    drops_test_addresses: bool = False
    only_these_lists: bool = False
    lists: dict[str, set[str]] = field(default_factory=dict)
    events: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    consent: dict[tuple[str, str], str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    people: People = field(default_factory=People)
    reads: Reads = field(default_factory=Reads)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._last_events: deque[dict[str, Any]] = deque(maxlen=20)
        self._windows, self._jobs = Windows(self.clock), Jobs(self.clock, self.people)
        self._routes: dict[str, Callable[[Any], Response]] = {
            "POST /api/events": self._take_event,
            "POST /api/event-bulk-create-jobs": self._take_events,
            "POST /api/profile-import": self._import_one,
            "POST /api/profile-bulk-import-jobs": self._start_job,
            "POST /api/profile-subscription-bulk-create-jobs": lambda data: self._take_consent(data, "SUBSCRIBED", 1000),
            "POST /api/profile-subscription-bulk-delete-jobs": lambda data: self._take_consent(data, "UNSUBSCRIBED", 100),
            "POST /api/data-privacy-deletion-jobs": self._delete,
        }

    @property
    def profiles(self) -> dict[str, dict[str, Any]]:
        """Everybody, by profile id, as far as jobs have come."""
        return self.people.profiles

    @property
    def jobs(self) -> dict[str, Job]:
        """All import jobs, by id."""
        return self._jobs.jobs

    def state(self) -> dict[str, Any]:
        """Counts, the first profiles, the last events."""
        self._advance()
        shown = {
            "profiles": len(self.profiles),
            "events": len(self.events),
            "jobs": {name: job.status for name, job in self.jobs.items()},
        }
        shown |= {"lists": {name: len(members) for name, members in self.lists.items()}, "deleted": len(self.deleted)}
        first, last = dict(islice(self.profiles.items(), 20)), list(self._last_events)
        return super().state() | shown | {"first_profiles": first, "last_events": last}

    def answer(self, call: Call) -> Response:
        """What Klaviyo would say: the gateway's checks, then the endpoint's."""
        path = urlsplit(call.path).path
        self._advance()
        try:
            self._admit(call, path)
            response = self._route(call, path)
        except _Refused as refused:
            response = refused.response
        if response.status == 429:
            return response
        return Response(response.status, response.body, {**response.headers, **self._windows.headers(call.method, path)})

    # ── The gateway ─────────────────────────────────────────────────────────────────────────

    def _admit(self, call: Call, path: str) -> None:
        key = call.headers.get("authorization", "").removeprefix("Klaviyo-API-Key ")
        if not key or (self.api_key is not None and key != self.api_key):
            raise _Refused(401, _error("not_authenticated", "Missing or invalid private key."))
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.pre)?", call.headers.get("revision", "")):
            raise _Refused(400, _error("invalid", "A valid revision is required.") | {"source": {"header": "revision"}})
        wait_seconds = self._windows.wait_seconds(call.method, path) if self.keeps_rate else None
        if wait_seconds is not None:
            text = f"Request was throttled. Expected available in {wait_seconds} seconds."
            raise _Refused(429, _error("throttled", text, "/data/"), headers={"retry-after": str(wait_seconds)})
        media_type = call.headers.get("content-type", "").partition(";")[0]
        if call.body and media_type not in ("application/vnd.api+json", "application/json"):
            raise _Refused(415, _error("unsupported_media_type", "Unsupported content type."))
        if len(call.body) > _BODY_BYTES:
            self.violations.append(f"a body of {len(call.body)} bytes")
            raise _Refused(413, _error("payload_too_large", "The payload is larger than 5 MB."))

    def _route(self, call: Call, path: str) -> Response:
        if (read := self.reads.answer(call)) is not None:
            return read
        if call.method == "GET":
            return self._get(call, path)
        members = _LISTS.fullmatch(path)
        route = self._routes.get(f"{call.method} {path}")
        if route is None and not (members and call.method in ("POST", "DELETE")):
            known = members or any(path == known.partition(" ")[2] for known in self._routes)
            raise _Refused(405 if known else 404, _error("method_not_allowed" if known else "not_found", "There is nothing here."))
        try:
            data = orjson.loads(call.body)["data"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise _Refused(400, _error("invalid", "The payload provided in the request is invalid.", "/data")) from None
        if members:
            return self._change_members(members[1], data, call.method)
        assert route is not None
        return route(data)

    def _get(self, call: Call, path: str) -> Response:
        query = parse_qs(urlsplit(call.path).query)
        if path == "/api/accounts":
            return _json(200, {"data": [{"type": "account", "id": "AbC123", "attributes": {"test_account": True}}], "links": {}})
        if path == "/api/profiles":
            return self._find(query)
        found = _JOB.fullmatch(path)
        job = self._jobs.find(found[1]) if found else None
        if found is None or job is None:
            raise _Refused(404, _error("not_found", "There is no such resource."))
        return self._errors_page(job, query) if found[2] else _json(200, {"data": self._jobs.shown(job)})

    # ── Events ──────────────────────────────────────────────────────────────────────────────

    def _take_event(self, data: Any) -> Response:
        who = _within(data, "attributes", "profile", "data")
        faults = rules.below("/data", rules.event_faults(data, self.clock.now()))
        faults += rules.below("/data/attributes/profile/data", rules.profile_faults(who))
        _refuse(faults)
        self._store(data["attributes"], who)
        return Response(202)

    def _take_events(self, data: Any) -> Response:
        groups = _within(data, "attributes", "events-bulk-create", "data")
        if not isinstance(groups, list) or not groups or _within(data, "type") != "event-bulk-create-job":
            raise _Refused(400, _error("invalid", "events-bulk-create is a required field.", "/data/attributes/events-bulk-create"))
        events = [
            (f"{index}/attributes/events/data/{place}", _within(group, "attributes", "profile", "data"), event)
            for index, group in enumerate(groups)
            for place, event in enumerate(_within(group, "attributes", "events", "data") or [])
        ]
        if len(events) > 1000:
            self.violations.append(f"{len(events)} events")
            raise _Refused(400, _error("invalid", "At most 1000 events.", "/data/attributes/events-bulk-create/data"))
        _refuse(list(self._events_faults(groups, events)))
        for _, who, event in events:
            self._store(event["attributes"], who)
        return Response(202)

    def _events_faults(self, groups: list[Any], events: list[Any]) -> Iterator[rules.Fault]:
        at = "/data/attributes/events-bulk-create/data"
        for index, group in enumerate(groups):
            who = _within(group, "attributes", "profile", "data")
            yield from rules.below(f"{at}/{index}/attributes/profile/data", rules.profile_faults(who))
        seen: set[Any] = set()
        for where, who, event in events:
            faults = list(rules.event_faults(event, self.clock.now()))
            yield from rules.below(f"{at}/{where}", faults)
            key = None if faults else _event_key(event["attributes"], who or {})
            if key is not None and (key in seen or (self.repeats == "refuse" and key in self.events)):
                yield f"{at}/{where}/attributes/unique_id", "unique_id is repeated."
            seen.add(key)

    def _store(self, attributes: dict[str, Any], who: dict[str, Any]) -> None:
        self.violations.extend(rules.event_losses(attributes))
        self.violations.extend(rules.profile_losses(who, is_bulk=False))
        address = str(who["attributes"].get("email") or "").lower()
        if self.drops_test_addresses and address.endswith(("@example.com", "@test.com")):
            self.violations.append("an event of a test address")
            return
        with suppress(Conflict):  # the event goes to the stronger profile, and nobody is merged
            self.people.upsert(who, clears=False)
        key, event = _event_key(attributes, who), {**attributes, "profile": who}
        if key not in self.events:
            self.events[key] = event if self.keep_log else {}
            self._last_events.append(event)

    # ── Profiles ────────────────────────────────────────────────────────────────────────────

    def _import_one(self, data: Any) -> Response:
        _refuse(rules.below("/data", rules.profile_faults(data)))
        self._check_size(data)
        self.violations.extend(rules.profile_losses(data, is_bulk=False))
        try:
            profile_id, is_new = self.people.upsert(data, clears=True)
        except Conflict as conflict:
            error = _error("duplicate_profile", str(conflict), "/data/attributes")
            raise _Refused(409, error | {"meta": {"duplicate_profile_id": conflict.profile_id}}) from None
        return _json(201 if is_new else 200, {"data": {"type": "profile", "id": profile_id, "attributes": {}}})

    def _start_job(self, data: Any) -> Response:
        profiles = _within(data, "attributes", "profiles", "data")
        if not isinstance(profiles, list) or not profiles or _within(data, "type") != "profile-bulk-import-job":
            raise _Refused(400, _error("invalid", "profiles is a required field.", "/data/attributes/profiles"))
        if len(profiles) > 10_000:
            self.violations.append(f"{len(profiles)} profiles")
            raise _Refused(400, _error("invalid", "At most 10000 profiles.", "/data/attributes/profiles"))
        at = "/data/attributes/profiles/data"
        identifiers = ("email", "phone_number", "external_id", "_kx")
        _refuse(rules.each(at, profiles, lambda found: rules.profile_faults(found, identifiers)))
        lists = [self._list(found["id"]) for found in _within(data, "relationships", "lists", "data") or []]
        for profile in profiles:
            self._check_size(profile)
            self.violations.extend(rules.profile_losses(profile, is_bulk=True))
        if len({rules.identity(profile) for profile in profiles}) < len(profiles):
            self.violations.append("somebody is twice in a job, which may drop one of them")
        return _json(202, {"data": self._jobs.shown(self._jobs.start(profiles, lists))})

    def _check_size(self, profile: Any) -> None:
        if len(orjson.dumps(profile)) > _PROFILE_BYTES:
            self.violations.append("a profile of more than 100 KB")
            raise _Refused(400, _error("invalid", "The profile is larger than 100 KB.", "/data"))

    def _advance(self) -> None:
        self._jobs.advance(self.job_seconds, self.late_fault, echoes=self.echoes)

    def _errors_page(self, job: Job, query: dict[str, list[str]]) -> Response:
        size, start = int(query.get("page[size]", ["20"])[0]), int(query.get("page[cursor]", ["0"])[0])
        if not 1 <= size <= 100:
            raise _Refused(400, _error("invalid", "Invalid page size.") | {"source": {"parameter": "page[size]"}})
        here = f"https://a.klaviyo.com/api/profile-bulk-import-jobs/{job.name}/import-errors"
        following = f"{here}?page%5Bsize%5D={size}&page%5Bcursor%5D={start + size}" if start + size < len(job.errors) else None
        return _json(200, {"data": job.errors[start : start + size], "links": {"self": here, "next": following, "prev": None}})

    def _find(self, query: dict[str, list[str]]) -> Response:
        found = re.fullmatch(r"any\((id|email|phone_number|external_id),(\[.*\])\)", query.get("filter", [""])[0], re.DOTALL)
        size = int(query.get("page[size]", ["20"])[0])
        if found is None or not 1 <= size <= 100:
            raise _Refused(400, _error("invalid", "Invalid filter.") | {"source": {"parameter": "filter"}})
        ids = self.people.find(found[1], orjson.loads(found[2]))
        if len(ids) > size:
            self.violations.append("a look-up of more people than a page holds")
        return _json(200, {"data": [{"type": "profile", "id": one, "attributes": {}} for one in ids[:size]], "links": {"next": None}})

    # ── Consent, lists, deletion ────────────────────────────────────────────────────────────

    def _take_consent(self, data: Any, state: str, most: int) -> Response:
        attributes = _within(data, "attributes") or {}
        profiles = _within(attributes, "profiles", "data")
        at = "/data/attributes/profiles/data"
        if not isinstance(profiles, list) or not 0 < len(profiles) <= most:
            self.violations.append(f"not 1 to {most} profiles to be {state}")
            raise _Refused(400, _error("invalid", f"Between 1 and {most} profiles.", at))
        where = _within(data, "relationships", "list", "data", "id")
        members = None if where is None else self._list(where)
        is_history = attributes.get("historical_import") is True
        _refuse(rules.each(at, profiles, lambda found: rules.consent_faults(found, state, is_history=is_history)))
        for profile in profiles:
            given = {name: value for name, value in profile["attributes"].items() if name in ("email", "phone_number")}
            profile_id, _ = self.people.upsert({"type": "profile", "attributes": given}, clears=False)
            for channel, kinds in profile["attributes"]["subscriptions"].items():
                for kind in kinds:
                    self.consent[given["email" if channel == "email" else "phone_number"], f"{channel}/{kind}"] = state
            if members is not None and state == "SUBSCRIBED":
                members.add(profile_id)
            elif members is not None and profile_id not in members:
                self.violations.append("somebody who is not in the list was unsubscribed from everything")
        return Response(202)

    def _change_members(self, name: str, data: Any, method: str) -> Response:
        members = self._list(name)
        ids = [str(found.get("id")) for found in data if isinstance(found, dict)] if isinstance(data, list) else []
        if not 0 < len(ids) <= 1000:
            self.violations.append("not 1 to 1,000 profiles of a list")
            raise _Refused(400, _error("invalid", "Between 1 and 1000 profiles.", "/data"))
        if unknown := [one for one in ids if one not in self.profiles]:
            raise _Refused(400, _error("invalid", f"Invalid profile IDs {', '.join(unknown)}", "/data/"))
        (members.update if method == "POST" else members.difference_update)(ids)
        return Response(204)

    def _list(self, name: str) -> set[str]:
        if self.only_these_lists and name not in self.lists:
            raise _Refused(404, _error("not_found", f"A list with id {name} does not exist."))
        return self.lists.setdefault(name, set())

    def _delete(self, data: Any) -> Response:
        profile = _within(data, "attributes", "profile", "data") or {}
        given = {name: value for name, value in (profile.get("attributes") or {}).items() if value}
        given |= {"id": profile["id"]} if profile.get("id") else {}
        if len(given) != 1 or not given.keys() <= {"id", "email", "phone_number"}:
            raise _Refused(400, _error("invalid", "Exactly one of id, email and phone_number.", "/data/attributes/profile"))
        [(name, value)] = given.items()
        self.deleted.append(str(value))
        for profile_id in self.people.find(name, [value]):
            self.people.delete(profile_id)
        return Response(202)


def _event_key(attributes: dict[str, Any], who: dict[str, Any]) -> tuple[str, str, str]:
    named = orjson.dumps([who.get("id"), who.get("attributes")], option=orjson.OPT_SORT_KEYS).decode()
    return named, str(rules.metric_of(attributes)), str(attributes.get("unique_id") or str(attributes.get("time"))[:19])


def _within(document: Any, *path: str) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _refuse(faults: list[rules.Fault]) -> None:
    if faults:
        raise _Refused(400, *(_error("invalid", text, where) for where, text in faults))


def _error(code: str, detail: str, pointer: str = "/data") -> dict[str, Any]:
    return {"id": "0", "code": code, "title": "Invalid input.", "detail": detail, "source": {"pointer": pointer}, "links": {}, "meta": {}}


def _json(status: int, document: dict[str, Any]) -> Response:
    return Response(status, orjson.dumps(document), _HEADERS)


TWIN = KlaviyoTwin
