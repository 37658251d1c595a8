"""What Braze's fields may hold. Whatever a 201 would hide is a rejected row here.

Sources are pages of https://www.braze.com/docs as they stood on 2026-09-02: [std]
user_guide/data/activation/attributes/standard_attributes, [custom] …/custom_attributes, [types]
user_guide/data/activation/custom_data/data_types, [attr] api/objects_filters/user_attributes_object,
[event] and [purchase] api/objects_filters/{event,purchase}_object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from rowferry.destinations.misspelt import meant
from rowferry.destinations.port import Value
from rowferry.destinations.values import dumps, iso, number, plain
from rowferry.errors import Problem, RowRejected

MAX_TEXT = 255  # characters of a string or a key, cut or dropped beyond [types, event]; for a name at top level taken as well
MAX_OBJECT_BYTES = 50_000  # a nested attribute; 50 KB is the older, smaller of two documented figures [types]
MAX_ARRAY_BYTES = 100_000  # an array; beyond it the update is dropped [types]
MAX_PROPERTIES_BYTES = {"event": 100_000, "purchase": 50_000}  # [event], [purchase]
MAX_YEAR = 3000  # a later time is kept as a string, and time filters miss it [types]

# Names that Braze takes for something else than a custom attribute: removed, refused or export-only fields [attr, std].
RESERVED_ATTRIBUTES = {"bio", "email_subscription_info", "appboy_id", "custom_attributes", "custom_events", "purchases"}
RESERVED_PROPERTIES = {
    "event": {"time", "event_name"},
    "purchase": {"time", "product_id", "quantity", "event_name", "price", "currency"},
}
# Repeating these adds once more, so they can't be part of an update that is safe to repeat [types].
_NOT_REPEATABLE = {"inc", "$add"}
_NO_ATTRIBUTE_TYPES = {"BYTES", "GEOGRAPHY", "RANGE", "INTERVAL"}
_COUNTRIES = frozenset(  # ISO 3166-1 alpha-2, its 249 codes of 2026
    re.findall(
        r"\w+",
        "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD "
        "CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF "
        "GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN "
        "KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA "
        "NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI "
        "SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI "
        "VN VU WF WS YE YT ZA ZM ZW",
    )
)
_NUMBERS = (float, Decimal)
_ZONE = re.compile(r"UTC|GMT|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+){1,2}")


# ── Custom attributes and properties ────────────────────────────────────────────────────────


def text(value: Value, name: str, limit: int = MAX_TEXT) -> str:
    """The text itself. Raises `RowRejected` when it is no text, or longer than Braze keeps."""
    if not isinstance(value, str):
        raise RowRejected("wrong_type", f"{name} must be text for Braze: cast it to STRING in the model")
    if len(value) > limit:
        raise RowRejected("text_too_long", f"{name} has {len(value)} characters, Braze keeps {limit}")
    return value


def attribute(value: Value, name: str, array_items: int) -> Any:
    """A custom attribute's value as JSON. Raises `RowRejected` for what Braze would cut, drop or misread."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else text(value, name)
    if isinstance(value, _NUMBERS):
        return number(value, name)
    if isinstance(value, list):
        return _array(value, name, array_items)
    if isinstance(value, dict):
        return _object(value, name, array_items)
    return _time(value, name) if isinstance(value, date) else plain(value, name)


def property_(value: Value, name: str) -> Any:
    """An event's or purchase's property as JSON. Raises `RowRejected` as `attribute` does."""
    if isinstance(value, str):
        return text(value, name)
    if isinstance(value, list):
        return [_member(item, name, _no_time) for item in value]  # arrays hold no dates [event]
    if isinstance(value, dict):
        return _member(value, name, _time)
    return _time(value, name) if isinstance(value, date) else plain(value, name)


def sized(document: Any, name: str, limit_bytes: int) -> Any:
    """The document itself. Raises `RowRejected` when its JSON is over the limit."""
    size_bytes = len(dumps(document))
    if size_bytes > limit_bytes:
        raise RowRejected("value_too_large", f"{name} has {size_bytes} bytes as JSON, Braze drops more than {limit_bytes}")
    return document


def _array(value: list[Any], name: str, array_items: int) -> list[Any]:
    if len(value) > array_items:
        raise RowRejected("array_too_long", f"{name} has {len(value)} items, Braze drops the oldest beyond {array_items}")
    objects = sum(isinstance(item, dict) for item in value)
    if objects not in (0, len(value)) or any(isinstance(item, list) for item in value):
        raise RowRejected("wrong_type", f"{name} must hold either plain values or objects, not a mixture and no arrays")
    return list(sized([_member(item, name, _nested_time if objects else _time) for item in value], name, MAX_ARRAY_BYTES))


def _object(value: dict[str, Any], name: str, array_items: int) -> Any:
    if not _NOT_REPEATABLE.isdisjoint(value):
        raise RowRejected("not_repeatable", f"{name} uses inc or $add, which would count twice when sent again: send the whole value")
    if any(isinstance(item, list) and len(item) > array_items for item in value.values()):
        raise RowRejected("array_too_long", f"{name} holds an array with more than {array_items} items")
    return sized(_member(value, name, _nested_time), name, MAX_OBJECT_BYTES)


def _member(value: Any, name: str, time: Callable[[date, str], Any], depth: int = 0) -> Any:
    """What stands inside an array or object: one bad member and Braze drops all of it [types]."""
    if value is None:
        raise RowRejected("null_inside", f"{name} holds a null inside, and Braze would drop all of it")
    if isinstance(value, str):
        return text(value, name)
    if isinstance(value, date):
        return time(value, name)
    if not isinstance(value, list | dict):
        return plain(value, name)
    if depth > 30:
        raise RowRejected("nested_too_deep", f"{name} is nested deeper than 30 levels")
    if isinstance(value, list):
        return [_member(item, name, time, depth + 1) for item in value]
    return {_key(key, name): _member(item, name, time, depth + 1) for key, item in value.items()}


def _key(key: Any, name: str) -> str:
    if not isinstance(key, str) or not key or len(key) > MAX_TEXT or any(c.isspace() for c in key):
        raise RowRejected("bad_key", f"{name} holds a key that Braze does not take: 1 to {MAX_TEXT} characters, no blanks")
    return key


def _time(value: date, name: str) -> str:
    if value.year > MAX_YEAR:
        raise RowRejected("time_out_of_range", f"{name} is after the year {MAX_YEAR}, which Braze keeps as text that no time filter finds")
    return iso(value) if isinstance(value, datetime) else value.isoformat()


def _nested_time(value: date, name: str) -> dict[str, str]:
    return {"$time": _time(value, name)}  # [types]


def _no_time(_value: date, name: str) -> Any:
    raise RowRejected("wrong_type", f"{name} has a date inside an array, which Braze does not take in properties: format it as text")


# ── Standard attributes [std] ───────────────────────────────────────────────────────────────


ToJson = Callable[[Value, str], Any]


@dataclass(frozen=True, slots=True)
class Standard:
    """One of Braze's own fields: the BigQuery types that fit, and the way to its JSON."""

    types: frozenset[str]
    to_json: ToJson


def _texts(limit: int = MAX_TEXT) -> Standard:
    return Standard(frozenset({"STRING"}), text if limit == MAX_TEXT else lambda value, name: text(value, name, limit))


def _words(*allowed: str) -> Standard:
    def to_json(value: Value, name: str) -> str:
        if value in allowed and isinstance(value, str):
            return value
        raise RowRejected("not_allowed", f"{name} must be one of {', '.join(allowed)}")

    return Standard(frozenset({"STRING"}), to_json)


def _country(value: Value, name: str) -> str:
    code = text(value, name).upper()
    if code in _COUNTRIES:
        return code
    raise RowRejected("not_allowed", f"{name} must be a two-letter code of ISO 3166-1 (GB, DE): Braze stores null for what it can't map")


def _zone(value: Value, name: str) -> str:
    if _ZONE.fullmatch(text(value, name)):
        return str(value)
    raise RowRejected("not_allowed", f"{name} must be an IANA name such as Europe/Berlin: Braze ignores others")


def _day(value: Value, name: str) -> str:
    try:
        if isinstance(value, str):
            value = datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007  # a birthday has no time zone
        if isinstance(value, date) and not isinstance(value, datetime):
            return value.isoformat()
    except ValueError:
        pass
    raise RowRejected("wrong_type", f"{name} must be a DATE, or text as YYYY-MM-DD")


def _moment(value: Value, name: str) -> str:
    return _time(value, name) if isinstance(value, date) else text(value, name)


def flag(value: Value, name: str) -> bool:
    """A boolean. Raises `RowRejected` for anything else."""
    if isinstance(value, bool):
        return value
    raise RowRejected("wrong_type", f"{name} must be BOOL")


def _shaped(kind: type) -> ToJson:
    def to_json(value: Value, name: str) -> Any:
        if isinstance(value, kind):
            return plain(value, name)
        raise RowRejected("wrong_type", f"{name} must be {'an object' if kind is dict else 'an array of objects'}")

    return to_json


_SUBSCRIPTION = _words("opted_in", "subscribed", "unsubscribed")
_FLAG = Standard(frozenset({"BOOL"}), flag)
_MOMENT = Standard(frozenset({"STRING", "TIMESTAMP", "DATETIME", "DATE"}), _moment)
_OBJECT = Standard(frozenset({"STRUCT"}), _shaped(dict))
_OBJECTS = Standard(frozenset({"ARRAY"}), _shaped(list))
STANDARD: Mapping[str, Standard] = {
    "first_name": _texts(),
    "last_name": _texts(),
    "home_city": _texts(),
    "email": _texts(),
    "phone": _texts(),
    "language": _texts(),
    "image_url": _texts(1024),
    "country": Standard(frozenset({"STRING"}), _country),
    "time_zone": Standard(frozenset({"STRING"}), _zone),
    "dob": Standard(frozenset({"STRING", "DATE"}), _day),
    "gender": _words("M", "F", "O", "N", "P"),
    "email_subscribe": _SUBSCRIPTION,
    "push_subscribe": _SUBSCRIPTION,
    "email_open_tracking_disabled": _FLAG,
    "email_click_tracking_disabled": _FLAG,
    "marked_email_as_spam_at": _MOMENT,
    "date_of_first_session": _MOMENT,
    "date_of_last_session": _MOMENT,
    "current_location": _OBJECT,
    "facebook": _OBJECT,
    "twitter": _OBJECT,
    "subscription_groups": _OBJECTS,
    "push_tokens": _OBJECTS,
    "_update_existing_only": _FLAG,
    "_merge_objects": _FLAG,
    "push_token_import": _FLAG,
}
_IDENTIFIERS = ("external_id", "braze_id", "user_alias", "alias_name", "alias_label")
_SYNONYMS = {
    "birthday": "dob", "birthdate": "dob", "dateofbirth": "dob", "city": "home_city", "surname": "last_name", "givenname": "first_name",
    "mobile": "phone", "phonenumber": "phone", "sex": "gender", "emailaddress": "email", "countrycode": "country", "lang": "language",
    "locale": "language",
}  # fmt: skip


# ── Names ───────────────────────────────────────────────────────────────────────────────────


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


_BY_FOLDED = {**{_folded(name): name for name in (*STANDARD, *_IDENTIFIERS)}, **_SYNONYMS}


def attribute_problem(name: str, near_duplicates: bool) -> Problem | None:
    """What is wrong with this attribute's name; `near_duplicates` says whether those of standard names are."""
    if name in STANDARD:
        return None
    if name in RESERVED_ATTRIBUTES or name in _IDENTIFIERS:
        return Problem(name, "is reserved by Braze and can't be a custom attribute", "give it another name")
    if not name or name != name.strip() or len(name) > MAX_TEXT:
        return Problem(name, f"Braze takes names of 1 to {MAX_TEXT} characters and strips blanks around them")
    if near_duplicates and (standard := meant(_folded(name), _BY_FOLDED)) is not None:
        # Case and spelling matter: First_Name is a custom attribute, and first_name stays as it was [std].
        hint = f"did you mean {standard}? near_duplicates: allow keeps the name"
        return Problem(name, f"would become a custom attribute beside Braze's own {standard}", hint, is_advice=True)
    return None


def property_problem(name: str, kind: str) -> Problem | None:
    """What is wrong with this property's name in an `event` or `purchase`."""
    if name in RESERVED_PROPERTIES[kind]:
        return Problem(name, f"is reserved by Braze in the properties of a {kind}", "give it another name")
    if not name or name.startswith("$") or len(name) > MAX_TEXT:
        return Problem(name, f"Braze takes property names of 1 to {MAX_TEXT} characters that don't start with $")
    return None


def type_problem(name: str, column_type: str | None) -> Problem | None:
    """What is wrong with a column of this BigQuery type in this attribute."""
    found = re.split(r"[<(]", column_type or "")[0].strip().upper()
    if not found or found == "JSON":
        return None
    if name in STANDARD and found not in STANDARD[name].types:
        allowed = " or ".join(sorted(STANDARD[name].types))
        return Problem(name, f"is {found}, and Braze takes {allowed} here", "cast it in the model")
    if name not in STANDARD and found in _NO_ATTRIBUTE_TYPES:
        return Problem(name, f"is {found}, which Braze has no type for", "cast it to STRING in the model")
    return None
