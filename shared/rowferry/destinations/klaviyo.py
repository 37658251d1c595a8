"""Klaviyo: events, profiles by bulk import jobs, consent, lists for audiences, deletion.

Three things to know before reading on. A 202 says "validated and queued": of events nothing more is
ever said, of profiles the job's end tells. A batch is checked as a whole, and one wrong item has all
of it refused, with a pointer to the item. And lists take profile ids only, so people are added by an
import job with the list, and looked up before they are removed.

Sources, by the key in brackets: [spec] klaviyo/openapi `stable.json`, revision 2026-07-15 (2026-07-23);
[events] and [rates] developers.klaviyo.com, events_api_overview and rate_limits_and_error_handling
(2025); [bulk import] …/use_klaviyos_bulk_profile_import_api (2026-04-15); [identity] and [phone]
help.klaviyo.com 12902308138011 and 360046055671 (2026-04-21); [PY15], [PY84], [N95] issues of
klaviyo-api-python and -node; the code of Segment's (970a17e) [SEG] and RudderStack's server (f2655fb)
[RS], both of August 2026. Rows become objects in `_klaviyo_records`, batches requests in `_klaviyo_parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from rowferry.destinations import _klaviyo_answers as answers
from rowferry.destinations import _klaviyo_parts as parts
from rowferry.destinations import _klaviyo_records as records
from rowferry.destinations._klaviyo_requests import get
from rowferry.destinations._klaviyo_settings import KlaviyoSettings
from rowferry.destinations.port import Action, Destination, Fields, Limits, Pace
from rowferry.errors import Problem
from rowferry.wire import Request, Response

ToPayload = Callable[[Fields, KlaviyoSettings], bytes]
Check = Callable[[Mapping[str, str | None], KlaviyoSettings], Iterable[Problem]]
Identifiers = Callable[[Iterable[str], KlaviyoSettings], frozenset[str]]

_EVENTS = 1_000  # of a bulk request [spec]
_PROFILES = 10_000  # of a job [spec]
_CONSENTS = 1_000  # of a subscribe request; unsubscribes are cut to 100 within the batch [spec]
_MEMBERS = 1_000  # ids of a list's request [spec]; our choice for jobs and look-ups, so that a chain stays short
# Requests a second of one account, over everybody who sends to it, counted for each endpoint [spec, rates]: the steady
# minute binds before the burst.
_BULK_PER_SECOND = 150 / 60
_EVENTS_PER_SECOND = 3_500 / 60
_PROFILES_PER_SECOND = _CONSENTS_PER_SECOND = 750 / 60
_DELETIONS_PER_SECOND = 60 / 60
_IN_FLIGHT = 10


def _limits(settings: KlaviyoSettings, rows: int, single: str) -> Limits:
    rows = 1 if _goes_singly(settings, single) else rows
    return Limits(rows, records.BODY_BYTES, envelope_bytes=records.ENVELOPE_BYTES)


def _goes_singly(settings: KlaviyoSettings, single: str) -> bool:
    return bool(single) and getattr(settings, single) == "single"


def _own_pace(settings: KlaviyoSettings, per_second: float, single: str, single_per_second: float) -> Pace:
    """The rate of the action's endpoint. What shares a dearer endpoint's rate is slowed down by Klaviyo's 429."""
    return Pace(single_per_second if _goes_singly(settings, single) else per_second, settings.in_flight or _IN_FLIGHT)


def _pace(settings: KlaviyoSettings) -> Pace:
    """Each action has a rate of its own; this is the one of most, the bulk endpoints'."""
    return Pace(settings.per_second or _BULK_PER_SECOND, settings.in_flight or _IN_FLIGHT)


def _probe(settings: KlaviyoSettings) -> Request:
    """Whose account it is [spec]: changes nothing."""
    return get(settings, "/api/accounts")


def _read_probe(response: Response) -> str | None:
    """A key without the scope accounts:read is told so by 403 and errors, and is a good key all the same."""
    if response.status == 200 and answers.document(response) is not None:
        return None
    if response.status == 403 and answers.errors(response):
        return None
    return f"Klaviyo answered {response.status}: {response.text or 'nothing'}; check api_key and revision"


# ── The value ───────────────────────────────────────────────────────────────────────────────


def _action(
    name: str,
    rows: int,
    to_payload: ToPayload,
    check: Check,
    parts_of: parts.PartsOf,
    *,
    identifiers: Identifiers = records.profile_identifiers,
    per_second: float = _BULK_PER_SECOND,
    single: str = "",
    single_per_second: float = _BULK_PER_SECOND,
    idempotency: str | None = None,
) -> Action[KlaviyoSettings]:
    """One action. `single` is the setting that may say "one a request", which has a rate of its own."""
    return Action(
        name=name,
        limits=partial(_limits, rows=rows, single=single),
        identifiers=identifiers,
        check=check,
        to_payload=to_payload,
        build=partial(parts.build, parts_of=parts_of),
        read=partial(parts.read, parts_of=parts_of),
        requests=partial(parts.requests, parts_of=parts_of),
        idempotency=idempotency,
        pace=partial(_own_pace, per_second=per_second, single=single, single_per_second=single_per_second),
    )


_EVENT = _action(
    "event",
    _EVENTS,
    records.event,
    records.check_event,
    parts.events,
    identifiers=records.event_identifiers,
    single="events",
    single_per_second=_EVENTS_PER_SECOND,
    idempotency="unique_id",
)
_PROFILE = _action(
    "profile",
    _PROFILES,
    records.profile,
    records.check_profile,
    parts.profiles,
    single="profiles",
    single_per_second=_PROFILES_PER_SECOND,
)
_SUBSCRIPTION = _action(
    "subscription",
    _CONSENTS,
    records.subscription,
    records.check_subscription,
    parts.consents,
    identifiers=records.subscription_identifiers,
    per_second=_CONSENTS_PER_SECOND,
)
_AUDIENCE = _action(
    "audience",
    _MEMBERS,
    records.audience,
    records.check_audience,
    parts.members,
    identifiers=records.audience_identifiers,
)
_DELETE = _action("delete", 1, records.deletion, records.check_deletion, parts.deletions, per_second=_DELETIONS_PER_SECOND)

DESTINATION = Destination(
    vendor="klaviyo",
    title="Klaviyo",
    settings=KlaviyoSettings,
    actions={action.name: action for action in (_EVENT, _PROFILE, _SUBSCRIPTION, _AUDIENCE, _DELETE)},
    pace=_pace,
    probe=_probe,
    read_probe=_read_probe,
    audience="action",
    remove_action="delete",
    notes={
        "event": "A 202 means queued. An event that has changed and is sent with the same unique_id leaves the stored one as it is.",
        "profile": "A NULL that unsets one of Klaviyo's own attributes goes in a request of its own, 750 a minute. Consent stays.",
        "subscription": "Subscribing lifts suppressions; with consented_at it is taken as history, without double opt-in.",
        "audience": "Adding creates profiles that Klaviyo does not know, and changes no consent. Removing needs profiles:read.",
        "delete": "A deletion request by the privacy API, 60 a minute: everybody with this identifier goes, and it can't be undone.",
    },
)
