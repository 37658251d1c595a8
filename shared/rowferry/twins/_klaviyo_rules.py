"""What Klaviyo's stand-in checks in profiles and events. Sources: see `destinations/klaviyo.py`.

`profile_faults` and `event_faults` yield what the real one refuses with 400: a pointer below the
object, and a sentence. `event_losses` and `profile_losses` yield what it would take and then drop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

Fault = tuple[str, str]

_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")
_TEXTS = ("first_name", "last_name", "organization", "locale", "title", "image", "external_id", "anonymous_id")
_LOCATION = {"address1", "address2", "city", "country", "region", "zip", "latitude", "longitude", "timezone", "ip"}
_OWN = {*_TEXTS, "email", "phone_number", "location", "properties", "_kx", "subscriptions", "age_gated_date_of_birth"}
_IDENTIFIERS = ("email", "phone_number", "external_id", "anonymous_id", "_kx")


def profile_faults(profile: Any, identifiers: tuple[str, ...] = _IDENTIFIERS) -> Iterator[Fault]:
    """What is wrong with a profile object."""
    attributes = profile.get("attributes") if isinstance(profile, dict) else None
    if not isinstance(attributes, dict) or profile.get("type") != "profile":
        yield "", "A profile object has type and attributes."
        return
    if not profile.get("id") and not any(attributes.get(name) for name in identifiers):
        yield "attributes", "One or more profile identifiers must be provided."
    email, phone = attributes.get("email"), attributes.get("phone_number")
    if email is not None and (not isinstance(email, str) or len(email) >= 100 or not _EMAIL.fullmatch(email)):
        yield "attributes/email", f"Invalid email address {email}"
    if phone is not None and not re.fullmatch(r"\+[1-9][0-9]{6,14}", str(phone)):
        yield "attributes/phone_number", f"Invalid phone number format: {phone}"
    for name in _TEXTS:
        if not isinstance(attributes.get(name), str | None):
            yield f"attributes/{name}", "Not a valid string."
    for name in ("properties", "location"):
        if not isinstance(attributes.get(name), dict | None):
            yield f"attributes/{name}", "Not a valid object."


def profile_losses(profile: Mapping[str, Any], *, is_bulk: bool) -> Iterator[str]:
    """What of a profile would get lost without a word."""
    attributes = profile["attributes"]
    for name in attributes.keys() - _OWN:
        yield f"an unknown attribute {name}"
    if is_bulk and (None in attributes.values() or None in (attributes.get("properties") or {}).values()):
        yield "a null in a bulk job, which ignores it"
    if (attributes.get("location") or {}).keys() - _LOCATION:
        yield "an unknown key of a location"
    if len(str(attributes.get("external_id") or "")) > 255:
        yield "an external id of more than 255 characters"


def event_faults(event: Any, now: datetime) -> Iterator[Fault]:
    """What is wrong with an event object, but for its profile."""
    attributes = event.get("attributes") if isinstance(event, dict) else None
    if not isinstance(attributes, dict) or event.get("type") != "event":
        yield "", "An event object has type and attributes."
        return
    properties, name = attributes.get("properties"), metric_of(attributes)
    if not isinstance(properties, dict):
        yield "attributes/properties", "'properties' is a required field."
    elif len(properties) > 400:
        yield "attributes/properties", "Too many properties."
    if not isinstance(name, str) or not 0 < len(name) < 128:
        yield "attributes/metric/data/attributes/name", "Not a valid metric name."
    if (wrong := _time_fault(attributes.get("time"), now)) is not None:
        yield "attributes/time", wrong
    if isinstance(value := attributes.get("value"), bool) or not isinstance(value, int | float | None):
        yield "attributes/value", "Not a valid number."
    unique_id = attributes.get("unique_id")
    if unique_id is not None and not (isinstance(unique_id, str) and 0 < len(unique_id) <= 255):
        yield "attributes/unique_id", "Not a valid unique_id."


def metric_of(attributes: Mapping[str, Any]) -> Any:
    """The name of an event's metric; None where it is not in its place."""
    try:
        return attributes["metric"]["data"]["attributes"]["name"]
    except (KeyError, TypeError):
        return None


def _time_fault(time: Any, now: datetime) -> str | None:
    if time is None:
        return None
    try:
        moment = datetime.fromisoformat(time)
    except (TypeError, ValueError):
        return "Not a valid ISO 8601 time."
    moment = moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
    return None if moment.year > 1990 and moment < now + timedelta(days=366) else "The time is out of range."


def event_losses(attributes: Mapping[str, Any]) -> Iterator[str]:
    """What of an event would get lost without a word."""
    if not attributes.get("unique_id"):
        yield "an event without unique_id: only one of a second is kept"
    time = attributes.get("time")
    if time is None or not re.search(r"(Z|[+-]\d\d:\d\d)$", time):
        yield "an event's time without an offset"
    if not re.fullmatch(r"[A-Z]{3}", attributes.get("value_currency") or "EUR"):
        yield "a currency that is no code of ISO 4217"
    for value in attributes["properties"].values():
        if value is None or value == "" or (value == 0 and not isinstance(value, bool)):
            yield "an event's property that is 0, null or empty"
        yield from _value_losses(value, 1)


def _value_losses(value: Any, level: int) -> Iterator[str]:
    if isinstance(value, str) and len(value) > 25_000 and len(value.encode()) > 100_000:
        yield "a text of more than 100 KB"
    elif isinstance(value, list):
        if len(value) > 4_000:
            yield "an array of more than 4,000 items"
        for item in value:
            yield from _value_losses(item, level)
    elif isinstance(value, dict):
        if level >= 10:
            yield "more than 10 levels"
            return
        for item in value.values():
            yield from _value_losses(item, level + 1)


def consent_faults(profile: Any, state: str, *, is_history: bool) -> Iterator[Fault]:
    """What is wrong with a profile that is to be subscribed or unsubscribed."""
    faults = list(profile_faults(profile, ("email", "phone_number")))
    yield from faults
    attributes = profile["attributes"] if not faults else {}
    if not attributes.get("subscriptions"):
        yield "attributes/subscriptions", "'subscriptions' is a required field."
        return
    for channel, kinds in attributes["subscriptions"].items():
        needed = "email" if channel == "email" else "phone_number"
        if channel not in ("email", "sms", "whatsapp") or not attributes.get(needed):
            yield f"attributes/subscriptions/{channel}", f"{channel} needs {needed}."
        for kind, consent in kinds.items():
            if consent.get("consent") != state or ("consented_at" in consent) != is_history:
                yield f"attributes/subscriptions/{channel}/{kind}", "The consent does not fit the request."


def identity(profile: Mapping[str, Any]) -> Any:
    """The strongest identifier of a profile object."""
    attributes = profile["attributes"]
    return profile.get("id") or attributes.get("external_id") or attributes.get("email") or attributes.get("phone_number")


def each(at: str, objects: Iterable[Any], faults: Callable[[Any], Iterable[Fault]]) -> list[Fault]:
    """The faults of all objects of a list, with whole pointers."""
    return [fault for index, found in enumerate(objects) for fault in below(f"{at}/{index}", faults(found))]


def below(at: str, faults: Iterable[Fault]) -> list[Fault]:
    """The same faults, as of an object that stands there."""
    return [(f"{at}/{where}" if where else at, text) for where, text in faults]
