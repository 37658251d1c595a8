"""Rows into Klaviyo's objects, and what is wrong with a map. Sources: see `klaviyo`.

A payload is what stands in a request, except where one row can mean several kinds of request
(`subscription`, `audience`, `delete`): there it says which, with the object in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rowferry.destinations import _klaviyo_values as values
from rowferry.destinations._klaviyo_settings import KlaviyoSettings
from rowferry.destinations.misspelt import meant
from rowferry.destinations.port import Fields, Value
from rowferry.destinations.values import dumps, required
from rowferry.errors import Problem, RowRejected

PROFILE_BYTES = 100_000  # "100 KB" of a profile, in a job and alone [spec]
BODY_BYTES = 5_000_000  # "5 MB" decompressed, of every request [rates]
ENVELOPE_BYTES = 256  # what stands around the objects of a batch, list and revision included

# Strongest first [identity]. `profile_id` is Klaviyo's own `id`, under a name that no other column bears.
WHO = ("profile_id", "external_id", "email", "phone_number")
EVENT_WHO = (*WHO, "anonymous_id")  # the import of profiles does not know anonymous ids [spec]
TEXTS = ("first_name", "last_name", "organization", "locale", "title", "image")  # [spec]
LOCATION = ("address1", "address2", "city", "country", "region", "zip", "latitude", "longitude", "timezone", "ip")  # [spec]
_EVENT_FIELDS = {*EVENT_WHO, "name", "time", "unique_id", "value", "value_currency", "backfill"}
_NUMBERS = ("INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", None)


# ── Who a row is for ────────────────────────────────────────────────────────────────────────


def strongest(names: Iterable[str]) -> str | None:
    """The mapped field that says whose row it is; the other identifiers are attributes beside it."""
    given = set(names)
    return next((name for name in WHO if name in given), None)


def profile_identifiers(names: Iterable[str], _settings: KlaviyoSettings) -> frozenset[str]:
    """The strongest one: the others must count as attributes, or a changed address would never be sent."""
    found = strongest(names)
    return frozenset() if found is None else frozenset((found,))


def event_identifiers(names: Iterable[str], _settings: KlaviyoSettings) -> frozenset[str]:
    """All of them: an event needs any, as in Klaviyo's own import of a warehouse's events."""
    return frozenset(names) & frozenset(EVENT_WHO)


def _who(name: str, value: Value) -> dict[str, Any]:
    found = values.IDENTIFIERS[name](value, name)
    return {"type": "profile", "id": found, "attributes": {}} if name == "profile_id" else {"type": "profile", "attributes": {name: found}}


# ── Events ──────────────────────────────────────────────────────────────────────────────────


def event(fields: Fields, settings: KlaviyoSettings) -> bytes:
    """An event with its profile; every other field is a property. Raises `RowRejected`."""
    attributes: dict[str, Any] = {
        "metric": {"data": {"type": "metric", "attributes": {"name": values.metric(fields)}}},
        "time": values.event_time(fields),
        "unique_id": values.unique_id(fields),
        "properties": _properties(fields, settings),
    }
    if fields.get("value") is not None:
        attributes["value"] = values.amount(fields["value"], "value")
    if not values.is_blank(fields.get("value_currency")):
        attributes["value_currency"] = values.currency(fields["value_currency"], "value_currency")
    backfill = fields.get("backfill")
    if settings.backfill if backfill is None else values.flag(backfill, "backfill"):
        attributes["backfill"] = True  # stored, and no flow starts [spec, since 2026-04-15]
    who = {"data": _event_profile(fields, settings)}
    if settings.events == "single":
        found: dict[str, Any] = {"type": "event", "attributes": {**attributes, "profile": who}}
    else:
        inner = {"data": [{"type": "event", "attributes": attributes}]}
        found = {"type": "event-bulk-create", "attributes": {"profile": who, "events": inner}}
    return _sized(dumps(found), BODY_BYTES - ENVELOPE_BYTES, "the event is larger than Klaviyo's 5 MB")


def _event_profile(fields: Fields, settings: KlaviyoSettings) -> dict[str, Any]:
    given = {name: values.IDENTIFIERS[name](fields[name], name) for name in EVENT_WHO if not values.is_blank(fields.get(name))}
    if not given:
        raise RowRejected("missing_identifier", f"nothing says whose event this is: Klaviyo needs one of {', '.join(EVENT_WHO)}")
    if settings.refuses_test_addresses and values.is_test_address(given.get("email", "")):
        raise RowRejected("test_address", "email is a test address: Klaviyo takes such events and drops them (test_addresses: send)")
    profile_id = given.pop("profile_id", None)
    return {"type": "profile", **({"id": profile_id} if profile_id else {}), "attributes": given}


def _properties(fields: Fields, settings: KlaviyoSettings) -> dict[str, Any]:
    """NULL and empty text are as good as absent at Klaviyo, so they do not leave [events]."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _EVENT_FIELDS or value is None or value == "":
            continue
        value = values.json_value(value, name)
        if value == 0 and not isinstance(value, bool):  # dropped as if never set [events]
            if settings.zeros == "reject":
                raise RowRejected("zero_property", f"{name} is 0, which Klaviyo drops from an event; `zeros` says what to do")
            if settings.zeros == "leave_out":
                continue
            value = "0"
        found[name] = value
    if len(found) > values.PROPERTIES:
        raise RowRejected("too_many_properties", f"more than the {values.PROPERTIES} properties that an event may have at Klaviyo")
    return found


# ── Profiles ────────────────────────────────────────────────────────────────────────────────


def profile(fields: Fields, _settings: KlaviyoSettings) -> bytes:
    """A profile. None unsets: custom properties by `meta`, Klaviyo's own as null. Raises `RowRejected`."""
    by = strongest(fields)
    if by is None:
        raise RowRejected("missing_identifier", f"nothing says whose profile this is: Klaviyo needs one of {', '.join(WHO)}")
    found = _who(by, fields[by])
    attributes, properties, unset = found["attributes"], {}, []
    for name, value in fields.items():
        if name == by:
            continue
        if name in _OWN:
            if name in WHO and isinstance(value, str) and not value.strip():
                continue  # an empty address is none, and would cost the whole batch
            attributes[name] = None if value is None else _OWN[name](value, name)
        elif value is None:
            unset.append(name)
        else:
            properties[name] = values.json_value(value, name)
    if properties:
        attributes["properties"] = properties
    if unset:
        found["meta"] = {"patch_properties": {"unset": unset}}
    return _sized(dumps(found), PROFILE_BYTES, "the profile is larger than Klaviyo's 100 KB")


def _location(value: Value, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RowRejected("wrong_type", f"{name} must be an object; {name}___city, {name}___zip … make one of columns")
    if value.keys() - set(LOCATION):
        raise RowRejected("not_allowed", f"{name} has a key that Klaviyo does not know; it knows {', '.join(LOCATION)}")
    return {key: _coordinate(part, key) if "itude" in key else values.text(part, key) for key, part in value.items() if part is not None}


def _coordinate(value: Value, name: str) -> str | float:
    return value if isinstance(value, str) else values.amount(value, name)


_OWN: Mapping[str, Callable[[Value, str], Any]] = {
    "external_id": values.short_id, "email": values.email, "phone_number": values.phone,
    **dict.fromkeys(TEXTS, values.text), "location": _location,
}  # fmt: skip


def clears(item: Mapping[str, Any]) -> bool:
    """Whether it unsets one of Klaviyo's own attributes, which a bulk job ignores [bulk import, 2026-04-15]."""
    return None in item["attributes"].values()


def _sized(payload: bytes, limit: int, reason: str) -> bytes:
    if len(payload) > limit:
        raise RowRejected("too_large", reason)
    return payload


# ── Consent, lists, deletion ────────────────────────────────────────────────────────────────

# channel: where it stands in `subscriptions`, and the address that it needs [spec]
CHANNELS = {
    "email": ("email", "marketing", "email"),
    "sms": ("sms", "marketing", "phone_number"),
    "sms_transactional": ("sms", "transactional", "phone_number"),
    "whatsapp": ("whatsapp", "marketing", "phone_number"),
    "whatsapp_transactional": ("whatsapp", "transactional", "phone_number"),
}
STATUSES = {"subscribe": True, "subscribed": True, "unsubscribe": False, "unsubscribed": False}
_ADDRESSES = ("email", "phone_number")
_SUBSCRIPTION_FIELDS = {*_ADDRESSES, "status", "channel", "list", "consented_at", "custom_source", "age_gated_date_of_birth"}


def subscription_identifiers(names: Iterable[str], _settings: KlaviyoSettings) -> frozenset[str]:
    """All but the status: a consent means nothing without its channel and list, so they travel with every change."""
    return (frozenset(names) & _SUBSCRIPTION_FIELDS) - {"status"}


def subscription(fields: Fields, settings: KlaviyoSettings) -> bytes:
    """One profile's consent: who, which channels, and what of it holds for a whole request. Raises `RowRejected`."""
    wanted, channels = _status(fields.get("status")), _channels(fields)
    consented_at = fields.get("consented_at") if wanted else None
    consent: dict[str, Any] = {"consent": "SUBSCRIBED" if wanted else "UNSUBSCRIBED"}
    if consented_at is not None:
        consent["consented_at"] = values.past_time(consented_at, "consented_at")
    subscriptions: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for channel in channels:
        place, kind, address = CHANNELS[channel]
        subscriptions.setdefault(place, {})[kind] = consent
        attributes[address] = values.IDENTIFIERS[address](fields.get(address), address)
    if wanted and (born := fields.get("age_gated_date_of_birth")) is not None:
        attributes["age_gated_date_of_birth"] = values.past_time(born, "age_gated_date_of_birth")[:10]
    where = _list_id(fields.get("list"), settings)
    if where is not None and not wanted and settings.list_unsubscribe == "reject":
        # Whoever is not in the list is unsubscribed from everything [spec].
        reason = "unsubscribing from a list unsubscribes those who are not in it from everything; leave list out (list_unsubscribe: send)"
        raise RowRejected("list_unsubscribe", reason)
    source = None if not wanted or values.is_blank(fields.get("custom_source")) else values.text(fields["custom_source"], "custom_source")
    document = {
        "subscribe": wanted,
        "list": where,
        "historical": consented_at is not None,
        "source": source,
        "profile": {"type": "profile", "attributes": attributes | {"subscriptions": subscriptions}},
    }
    return _sized(dumps(document), PROFILE_BYTES, "the consent is larger than Klaviyo's 100 KB")


def _status(value: Value) -> bool:
    wanted = STATUSES.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(wanted, bool):
        raise RowRejected("not_allowed", f"status must be true, false or one of {', '.join(STATUSES)}")
    return wanted


def _channels(fields: Fields) -> list[str]:
    """The channels of the row; without any, that of the one address which is mapped."""
    given = fields.get("channel")
    if given is None:
        mapped = [name for name in _ADDRESSES if name in fields]
        if len(mapped) != 1:
            raise RowRejected("missing_field", f"channel is empty: email and phone_number say nothing of it; {', '.join(CHANNELS)}")
        return ["email"] if mapped == ["email"] else ["sms"]
    found = [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str) and one in CHANNELS]
    if not found or (isinstance(given, list) and len(found) < len(given)):
        raise RowRejected("not_allowed", f"channel must be one or several of {', '.join(CHANNELS)}")
    return found


def _list_id(value: Value, settings: KlaviyoSettings) -> str | None:
    if values.is_blank(value):
        return None
    found = values.short_id(value, "list")
    found = settings.lists.get(found, found)
    if not (found.isascii() and found.isalnum()):  # it stands in a path
        raise RowRejected("not_allowed", "the list is neither an id of letters and digits nor a name under `lists` of the destination")
    return found


def audience_identifiers(names: Iterable[str], settings: KlaviyoSettings) -> frozenset[str]:
    """Who it is and the list: whether somebody is a member means nothing without it, so it travels with every change."""
    given = frozenset(names)
    return profile_identifiers(given, settings) | (given & {"audience"})


def audience(fields: Fields, settings: KlaviyoSettings) -> bytes:
    """One profile's place in one list. Raises `RowRejected`."""
    by = strongest(fields)
    if by is None:
        raise RowRejected("missing_identifier", f"nothing says who is meant: Klaviyo needs one of {', '.join(WHO)}")
    where = _list_id(required(fields, "audience"), settings)
    member = values.flag(required(fields, "member"), "member")
    return dumps({"list": where, "member": member, "by": by, "profile": _who(by, fields[by])})


def deletion(fields: Fields, _settings: KlaviyoSettings) -> bytes:
    """Whose profile goes. Raises `RowRejected`."""
    by = strongest(fields)
    if by is None:
        raise RowRejected("missing_identifier", f"nothing says whose profile goes: Klaviyo needs one of {', '.join(WHO)}")
    return dumps({"by": by, "profile": _who(by, fields[by])})


# ── What is wrong with a map ────────────────────────────────────────────────────────────────


def check_event(names: Mapping[str, str | None], _settings: KlaviyoSettings) -> Iterator[Problem]:
    """An identifier, name and time are mapped, and a value is a number."""
    if not set(names) & set(EVENT_WHO):
        yield Problem("", "no identifier mapped", f"map one of {', '.join(EVENT_WHO)}")
    if "name" not in names:
        yield Problem("name", "the event's name is not mapped", "name: {value: In-Store Purchase}, or a column")
    if "time" not in names:
        yield Problem("time", "the event's time is not mapped", "map a TIMESTAMP; Klaviyo would take the time of arrival")
    if names.get("value") not in _NUMBERS:
        yield Problem("value", f"Klaviyo takes a number here, the column is {names['value']}")


def check_profile(names: Mapping[str, str | None], settings: KlaviyoSettings) -> Iterator[Problem]:
    """An identifier is mapped, and no field is nearly one of Klaviyo's own."""
    yield from _check_who(names)
    for name in names:
        near = name if name in _NEAR.values() else meant(_letters(name), _NEAR)
        if near is not None and near not in names and settings.near_duplicates == "fail":
            hint = f"did you mean {near}? near_duplicates: allow on the destination lets it be"
            yield Problem(name, f"would become a custom property beside Klaviyo's own {near}", hint, is_advice=True)


def check_subscription(names: Mapping[str, str | None], _settings: KlaviyoSettings) -> Iterator[Problem]:
    """An address and a status are mapped, a channel where it is not plain, and nothing else."""
    mapped = [name for name in _ADDRESSES if name in names]
    if not mapped:
        yield Problem("", "no address mapped", "map email or phone_number")
    if len(mapped) == 2 and "channel" not in names:
        yield Problem(
            "channel", "is not mapped, and there are two addresses", f"channel: {{value: email}}, or another of {', '.join(CHANNELS)}"
        )
    if "status" not in names:
        yield Problem("status", "whether to subscribe is not mapped", f"status: a BOOL column, or one of {', '.join(STATUSES)}")
    for name in names.keys() - _SUBSCRIPTION_FIELDS:
        yield Problem(name, "is no part of a subscription", f"fields: {', '.join(sorted(_SUBSCRIPTION_FIELDS))}")


def check_audience(names: Mapping[str, str | None], _settings: KlaviyoSettings) -> Iterator[Problem]:
    """Exactly one identifier is mapped, and nothing else than list and membership."""
    mapped = [name for name in WHO if name in names]
    if len(mapped) != 1:
        yield Problem("", f"{' and '.join(mapped) or 'no identifier'} mapped", f"map exactly one of {', '.join(WHO)}")
    for name in names.keys() - {*WHO, "audience", "member"}:
        yield Problem(name, "is no part of a list's membership", "send attributes with the action profile, in a sync of its own")


def check_deletion(names: Mapping[str, str | None], _settings: KlaviyoSettings) -> Iterator[Problem]:
    """An identifier is mapped."""
    yield from _check_who(names)


def _check_who(names: Mapping[str, str | None]) -> Iterator[Problem]:
    if strongest(names) is None:
        yield Problem("", "no identifier mapped", f"map one of {', '.join(WHO)}")


def _letters(name: str) -> str:
    return "".join(letter for letter in name if letter not in " _-").casefold()


_NEAR = {_letters(name): name for name in ("profile_id", *_OWN)} | {"phone": "phone_number"}
