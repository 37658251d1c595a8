"""Rows into Amplitude's objects: events, identifications of users and of groups; and what is wrong with a map.

Sources: see `amplitude` and `_amplitude_values`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rowferry.destinations import _amplitude_values as values
from rowferry.destinations._amplitude_settings import AmplitudeSettings
from rowferry.destinations.misspelt import meant
from rowferry.destinations.port import Fields
from rowferry.destinations.values import dumps, required
from rowferry.errors import Problem, RowRejected

USER_IDS = ("user_id", "device_id")  # in this order: a user's events count for the user on any device [HV2]
GROUP_IDS = ("group_type", "group_value")  # [GIDN]
MAX_GROUP_PROPERTIES = 1024  # [GIDN]
_NOT_IN_FORMS = re.compile(rb"[^!-~]|[%&+=;]")
_SAID = frozenset({*USER_IDS, "name", "time"})  # the fields that every event has
_NOT_PROPERTIES = {"group_properties": "the action group", "event_type": "the field name"}  # read elsewhere, or not at all [HV2]


def user_identifiers(names: Iterable[str], _settings: AmplitudeSettings) -> frozenset[str]:
    """Who a row is about: a user, a device, or both."""
    return frozenset(names) & frozenset(USER_IDS)


def group_identifiers(names: Iterable[str], _settings: AmplitudeSettings) -> frozenset[str]:
    """Which group a row is about."""
    return frozenset(names) & frozenset(GROUP_IDS)


# ── Events ──────────────────────────────────────────────────────────────────────────────────


def event(fields: Fields, settings: AmplitudeSettings) -> bytes:
    """An event: what is not one of Amplitude's own fields is a property [HV2]. Raises `RowRejected`.

    Without a user the event is the device's, anonymous: Amplitude credits it to the last user known there.
    """
    document: dict[str, Any] = _who(fields, settings)
    if not document:
        raise RowRejected("missing_identifier", "user_id and device_id are empty, so nothing says whose event this is")
    document["event_type"] = values.event_name(required(fields, "name"), "name")
    document["time"] = values.milliseconds(required(fields, "time"), "time")
    properties: dict[str, Any] = {}
    for name, value in fields.items():
        if value is None or name in _SAID:
            continue
        if (convert := values.EVENT.get(name)) is not None:
            document[name] = convert(value, name)
        elif name == "event_properties":  # the form of Amplitude's own warehouse import
            _add_new(properties, values.properties(value, name))
        else:
            _require_property(name)
            _add_new(properties, {name: values.property_(value, name)})
    _require_revenue(document)
    if properties:
        document["event_properties"] = properties
    return _within(dumps(document), settings.event_bytes)


def _add_new(properties: dict[str, Any], more: Mapping[str, Any]) -> None:
    if twice := properties.keys() & more.keys():
        raise RowRejected("conflicting_fields", f"the property {min(twice)} comes twice: in event_properties and by itself")
    properties.update(more)


def _require_property(name: str) -> None:
    if name in _NOT_PROPERTIES:
        raise RowRejected("name_not_allowed", f"{name} is no property: Amplitude reads it in {_NOT_PROPERTIES[name]}")


def _require_revenue(document: Mapping[str, Any]) -> None:
    """Revenue is `revenue`, or price × quantity, which wins when all three are there [HV2]."""
    price, quantity, revenue = (document.get(name) for name in ("price", "quantity", "revenue"))
    if price is None and revenue is None:
        if alone := [name for name in ("productId", "revenueType", "currency") if name in document]:
            raise RowRejected("missing_field", f"{alone[0]} is read with price or revenue only, and both are empty")
    elif price is not None and quantity is not None and revenue is not None and not math.isclose(price * quantity, revenue, abs_tol=0.005):
        raise RowRejected("conflicting_fields", "revenue is not price × quantity, which Amplitude would take instead")


def _who(fields: Fields, settings: AmplitudeSettings) -> dict[str, Any]:
    return {name: values.who(fields[name], name, settings.min_id_length) for name in USER_IDS if fields.get(name) is not None}


def _within(payload: bytes, most_bytes: int) -> bytes:
    if len(payload) > most_bytes:
        raise RowRejected("row_too_large", f"the row is larger than the {most_bytes} bytes that fit into a request")
    return payload


# ── Users and groups ────────────────────────────────────────────────────────────────────────


def profile(fields: Fields, settings: AmplitudeSettings) -> bytes:
    """A user's identification, form-encoded; None unsets a property [IDN]. Raises `RowRejected`."""
    first = next((name for name in USER_IDS if name in fields), None)
    if first is None or fields[first] is None:  # never by the device instead: somebody else may be using it
        raise RowRejected("missing_identifier", f"{first or 'user_id'} is empty, so nothing says whose row this is")
    document = _who(fields, settings)
    changed = _Properties(values.USER_OPERATORS, settings)
    for name, value in fields.items():
        if name in USER_IDS:
            continue
        if (convert := values.USER.get(name)) is None:
            changed.add(name, value, whole="user_properties")
        elif value is None:
            raise RowRejected("unset_refused", f"{name} is one of Amplitude's own fields, which its API can't unset: nulls: ignore")
        else:
            document[name] = convert(value, name)
    if changed.found:
        document["user_properties"] = changed.found
    return _within(encoded(document), settings.identify_bytes)


def group(fields: Fields, settings: AmplitudeSettings) -> bytes:
    """A group's identification, form-encoded; None unsets a property [GIDN]. Raises `RowRejected`."""
    document: dict[str, Any] = {name: values.text(required(fields, name), name) for name in GROUP_IDS}
    changed = _Properties(values.GROUP_OPERATORS, settings)
    for name, value in fields.items():
        if name not in GROUP_IDS:
            changed.add(name, value, whole="group_properties")
    if changed.count > MAX_GROUP_PROPERTIES:
        raise RowRejected("too_many_properties", f"the group has more than the {MAX_GROUP_PROPERTIES} properties that Amplitude takes")
    document["group_properties"] = changed.found
    return _within(encoded(document), settings.identify_bytes)


def encoded(document: dict[str, Any]) -> bytes:
    """JSON as it stands in a form. Quotes and brackets stay as they are, as in the examples of [IDN]."""
    return form_text(dumps(document))


def form_text(text: bytes) -> bytes:
    """Text as it stands in a form: escaped is what has a meaning there, and what is not ASCII."""
    return _NOT_IN_FORMS.sub(lambda found: b"+" if found[0] == b" " else b"%%%02X" % ord(found[0]), text)


class _Properties:
    """Properties by operator: plain names beside operators would be lost, so all stand under one [IDN]."""

    def __init__(self, operators: frozenset[str], settings: AmplitudeSettings) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self._operators, self._settings = operators, settings
        self._names: set[str] = set()

    @property
    def count(self) -> int:
        """How many properties are changed."""
        return len(self._names)

    def add(self, name: str, value: Any, whole: str) -> None:
        """One field; `whole` is the name of a field that is an object of them all. Raises `RowRejected`."""
        parts = values.members(value, name).items() if name == whole else [(name, value)]
        for inner, part in parts:
            for operator, target, operand in values.operations(inner, part, name):
                self._add_one(operator, target, operand, name)

    def _add_one(self, operator: str, target: str, operand: Any, name: str) -> None:
        if operator not in self._operators or target.startswith("$"):
            raise RowRejected("operator_unknown", f"{name} starts with $ or holds an operator that Amplitude has not here")
        if target in self._names:  # which of two would win is not documented
            raise RowRejected("conflicting_fields", f"{name} changes a property that another field, or operator, changes as well")
        self._names.add(target)
        self.found.setdefault(operator, {})[target] = values.operand(operator, operand, name, self._settings.list_characters)


# ── What is wrong with a map ────────────────────────────────────────────────────────────────

Check = Callable[[Mapping[str, str | None], AmplitudeSettings], Iterator[Problem]]
_OFTEN_MISSPELT = ("user_id", "device_id", "insert_id", "session_id")


def check_event(names: Mapping[str, str | None], _settings: AmplitudeSettings) -> Iterator[Problem]:
    """Whether the map says whose event it is, which and when; see `Action.check`."""
    yield from _check_who(names)
    for name in ("name", "time"):
        if name not in names:
            yield Problem(name, "is missing, and an event needs it")
    for name in _NOT_PROPERTIES.keys() & names.keys():
        yield Problem(name, "is no property of an event", f"it is read in {_NOT_PROPERTIES[name]}")
    if not names.keys() & {"price", "revenue"}:
        for name in ("productId", "revenueType"):
            if name in names:
                yield Problem(name, "is read with price or revenue only")


def check_profile(names: Mapping[str, str | None], _settings: AmplitudeSettings) -> Iterator[Problem]:
    """Whether the map says whose properties these are, by operators that exist; see `Action.check`."""
    yield from _check_who(names)
    yield from _check_operators(names, values.USER_OPERATORS)


def check_group(names: Mapping[str, str | None], _settings: AmplitudeSettings) -> Iterator[Problem]:
    """Whether the map says which group it is; see `Action.check`."""
    for name in GROUP_IDS:
        if name not in names:
            yield Problem(name, "is missing, and a group needs it")
    yield from _check_operators(names, values.GROUP_OPERATORS)


def _check_who(names: Mapping[str, str | None]) -> Iterator[Problem]:
    if not names.keys() & set(USER_IDS):
        yield Problem("", "nothing says who a row is about", "map user_id or device_id")
    for name in names:
        own = None if name in _OFTEN_MISSPELT else meant(_bare(name), {_bare(own): own for own in _OFTEN_MISSPELT})
        if own is not None and own not in names:
            yield Problem(name, "would be one more property", f"did you mean {own}?", is_advice=_bare(own) != _bare(name))


def _bare(name: str) -> str:
    return name.casefold().replace("_", "").replace(" ", "")


def _check_operators(names: Iterable[str], operators: frozenset[str]) -> Iterator[Problem]:
    for name in names:
        if name.startswith("$") and name not in operators:
            yield Problem(name, "is no operator that Amplitude has here", f"one of {', '.join(sorted(operators))}")
