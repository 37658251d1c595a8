"""Braze's stand-in: /users/track and its kin, with their limits, errors and silences.

Sources: https://www.braze.com/docs as of 2026-09-02 (api/errors, api/api_limits, api/endpoints/user_data/
post_user_track, user_guide/data/activation/custom_data/data_types); the shape of per-object errors from
the test fixtures of Segment's and RudderStack's Braze destinations, August 2026.

What Braze would drop or cut while it answers 201 is dropped here too, and told in `violations`. The
rules are written down a second time on purpose: they judge those of `destinations/braze.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Literal

import orjson

from rowferry.clock import Clock, SystemClock
from rowferry.twins._braze_reads import Reads
from rowferry.twins.server import Call, Twin
from rowferry.wire import Response

_ARRAYS = ("attributes", "events", "purchases")
_NO_DATA = "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields."
_NO_ONE = "'external_id', 'braze_id', 'user_alias', 'email' or 'phone' is required"
_FLAGS = {"_update_existing_only", "_merge_objects", "push_token_import"}
_PRIMARY = ("external_id", "braze_id", "user_alias")
_IS_PRIMARY = frozenset(_PRIMARY)
_ADDRESSES = ("email", "phone")  # they find a profile when there is no primary identifier
_TEXTS = {"first_name", "last_name", "home_city", "email", "phone", "language", "image_url", "dob", "gender", "country", "time_zone"}
_DELETED_BY = {"external_ids": "external_id", "braze_ids": "braze_id", "user_aliases": "user_alias"}
_STATES = {"opted_in", "subscribed", "unsubscribed"}
_FREE = {"country", "language", "email_subscribe", "push_subscribe", "subscription_groups"}  # no data points
_NOT_CUSTOM = {"bio", "appboy_id", "custom_attributes", "custom_events", "purchases"}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_FORMATS = {
    "dob": re.compile(r"\d{4}-\d\d-\d\d"),
    "gender": re.compile("[MFONP]"),
    "country": re.compile("[A-Z]{2}"),
    "time_zone": re.compile(r"[A-Z][\w+-]*(/[\w+-]+){0,2}"),
}


@dataclass
class BrazeTwin(Twin):
    """A workspace at Braze.

    `api_key`: the only key it takes; None takes any. `window_requests` in each `window_seconds` by
    `clock`, then 429 with the headers of `limit_headers`. `has_bulk`: whether the key may use the bulk endpoint.

    `profiles` holds attributes by external id; profiles without one are `braze_id:…`,
    `alias:<label>:<name>`, `email:…` or `phone:…`.
    """

    api_key: str | None = field(default=None, repr=False)
    batch_rows: int = 75
    array_items: int = 500
    has_bulk: bool = False
    window_requests: int | None = None
    window_seconds: float = 1.0
    limit_headers: Literal["retry-after", "epoch", "delta", "none"] = "retry-after"
    clock: Clock = field(default_factory=SystemClock)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    purchases: list[dict[str, Any]] = field(default_factory=list)
    subscriptions: dict[tuple[str, str], str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    data_points: int = 0
    objects: int = 0
    reads: Reads = field(default_factory=Reads)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._by_address: dict[tuple[str, str], str] = {}
        self._window = (-1, 0)
        self._routes: dict[str, Callable[[dict[str, Any]], Response]] = {
            "/users/track": lambda body: self._track(body, self.batch_rows),
            "/users/track/bulk": lambda body: self._track(body, 1000),
            "/v2/subscription/status/set": self._set_subscriptions,
            "/users/delete": self._delete,
        }

    def state(self) -> dict[str, Any]:
        """Counts, the first profiles, the last events."""
        counts = {"profiles": len(self.profiles), "events": len(self.events), "purchases": len(self.purchases)}
        billed = {"objects": self.objects, "data_points": self.data_points}
        shown = {"first_profiles": dict(list(self.profiles.items())[:20]), "last_events": self.events[-20:]}
        return super().state() | counts | billed | shown

    def answer(self, call: Call) -> Response:
        """Checks in the order in which a gateway makes them, then the endpoint's own."""
        route = self._routes.get(call.path)
        bearer = call.headers.get("authorization", "").removeprefix("Bearer ")
        is_known = bool(bearer) and self.api_key in (None, bearer)
        if route is None and is_known:
            return self.reads.answer(call, self.profiles) or _said(404, "Invalid URL")
        if route is None or call.method != "POST":
            return _said(404, "Invalid URL")
        if not is_known:
            return _said(401, "Invalid API key")
        if call.path.endswith("/bulk") and not self.has_bulk:
            return _said(403, "The API key has no permission for this endpoint")
        if not call.headers.get("content-type", "").startswith("application/json"):
            return _said(415, "Unsupported content type")
        return self._read(call, route)

    def _read(self, call: Call, route: Callable[[dict[str, Any]], Response]) -> Response:
        if self.window_requests is not None and not self._is_within_rate(self.window_requests):
            return self._slow_down()
        is_bulk = call.path.endswith("/bulk")
        if len(call.body) > (2_000_000 if is_bulk else 4_000_000):
            self.violations.append(f"a body of {len(call.body)} bytes")
            return _said(400 if is_bulk else 413, "Request body too large")
        try:
            body = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            self.violations.append("a body that is no JSON object")
            return _said(400, "Error parsing JSON")
        return route(body)

    # ── Rate ────────────────────────────────────────────────────────────────────────────────

    def _is_within_rate(self, window_requests: int) -> bool:
        window = int(self.clock.now().timestamp() // self.window_seconds)
        used = self._window[1] if window == self._window[0] else 0
        self._window = (window, used + 1)
        return used < window_requests

    def _slow_down(self) -> Response:
        now = self.clock.now()
        reset = (int(now.timestamp() // self.window_seconds) + 1) * self.window_seconds
        left = str(int(reset - now.timestamp()) + 1)
        headers = {
            "retry-after": {"x-ratelimit-retry-after": left},
            "epoch": {
                "x-ratelimit-limit": str(self.window_requests),
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": str(int(reset) + 1),
            },
            "delta": {"x-ratelimit-limit": str(self.window_requests), "x-ratelimit-remaining": "0", "x-ratelimit-reset": left},
            "none": {},
        }[self.limit_headers]
        return _said(429, "Rate limit exceeded", headers | {"date": format_datetime(now, usegmt=True)})

    # ── /users/track ────────────────────────────────────────────────────────────────────────

    def _track(self, body: dict[str, Any], most: int) -> Response:
        arrays = {name: body[name] for name in _ARRAYS if isinstance(body.get(name), list)}
        if sum(map(len, arrays.values())) > most:
            self.violations.append(f"more than {most} objects in a request")
            return _said(400, "Max Input Length Exceeded")
        errors: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        apply = {"attributes": self._set_attributes, "events": self._add_event, "purchases": self._add_purchase}
        for name, objects in arrays.items():
            counts[f"{name}_processed"] = 0
            for index, item in enumerate(objects):
                problem = apply[name](item) if isinstance(item, dict) else "not an object"
                if problem is None:
                    counts[f"{name}_processed"] += 1
                else:
                    errors.append({"type": problem, "input_array": name, "index": index})
        self.objects += (taken := sum(counts.values()))
        document: dict[str, Any] = {"message": "success" if taken else _NO_DATA} | (counts if taken else {})
        return Response(201 if taken else 400, orjson.dumps(document | ({"errors": errors} if errors else {})), _JSON)

    def _set_attributes(self, item: dict[str, Any]) -> str | None:
        """Apply one object; a sentence when Braze would refuse it in `errors`."""
        problem = _problem_of_identity(item) or _problem_of_attributes(item)
        if problem is not None:
            return problem
        who = _who(item)
        profile = self._profile_of(item, who)
        if profile is None:
            return None
        array_items, points = self.array_items, 0
        for name, value in item.items():
            if name == who or name in _FLAGS:
                continue
            hidden = _hidden(name, value, array_items)
            if hidden is not None:
                self.violations.append(f"{name}: {hidden}")
                continue
            if name not in _FREE:
                points += len(value) or 1 if type(value) is dict else 1
            if value is None:
                profile.pop(name, None)
            else:
                merges = type(value) is dict and item.get("_merge_objects") is True and type(profile.get(name)) is dict
                profile[name] = {**profile[name], **value} if merges else value
                if name in _ADDRESSES:
                    self._by_address[name, value] = _key(item, who)
        self.data_points += points
        return None

    def _add_event(self, item: dict[str, Any]) -> str | None:
        return self._add(item, self.events, {"name": str, "time": str}, {"time", "event_name"})

    def _add_purchase(self, item: dict[str, Any]) -> str | None:
        quantity = item.get("quantity", 1)
        if type(quantity) is not int or not 1 <= quantity <= 100:
            return "'quantity' is not valid"
        needed = {"product_id": str, "currency": str, "price": (int, float), "time": str}
        return self._add(item, self.purchases, needed, {"time", "product_id", "quantity", "event_name", "price", "currency"})

    def _add(self, item: dict[str, Any], into: list[dict[str, Any]], needed: dict[str, Any], reserved: set[str]) -> str | None:
        if (problem := _problem_of_identity(item)) is not None:
            return problem
        for name, kinds in needed.items():
            if not isinstance(item.get(name), kinds) or isinstance(item[name], bool):
                return f"'{name}' is not valid"
        if not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", item["time"]):
            return "'time' is not valid"
        self.violations += [f"property {name}: {why}" for name, why in _hidden_properties(item.get("properties", {}), reserved)]
        if self._profile_of(item, _who(item)) is not None:
            into.append(item)
            self.data_points += 1
        return None

    def _profile_of(self, item: dict[str, Any], who: str) -> dict[str, Any] | None:
        """The profile that the object is for, created unless that is forbidden: then Braze says nothing."""
        key = self._by_address.get((who, item[who]), "") if who in _ADDRESSES else ""
        key = key or _key(item, who)
        profile = self.profiles.get(key)
        if profile is not None:
            return profile
        if item.get("_update_existing_only", who == "user_alias"):
            self.violations.append("a row of an unknown user, dropped for _update_existing_only")
            return None
        if who in _ADDRESSES:
            self._by_address[who, item[who]] = key
            return self.profiles.setdefault(key, {who: item[who]})
        return self.profiles.setdefault(key, {})

    # ── The other endpoints ─────────────────────────────────────────────────────────────────

    def _set_subscriptions(self, body: dict[str, Any]) -> Response:
        groups = body.get("subscription_groups")
        if not isinstance(groups, list) or not groups:
            return _said(400, "subscription_groups is required")
        users = [[(kind, user) for kind in ("external_ids", "emails", "phones") for user in group.get(kind, [])] for group in groups]
        kinds = {kind for found in users for kind, _ in found}
        if sum(map(len, users)) > 50 or {"emails", "phones"} <= kinds:
            self.violations.append("more than 50 users in a call" if sum(map(len, users)) > 50 else "emails and phones in one call")
            return _said(400, "Too many users")
        for group, found in zip(groups, users, strict=True):
            if not found or not group.get("subscription_group_id") or group.get("subscription_state") not in ("subscribed", "unsubscribed"):
                return _said(400, "subscription_group_id, subscription_state and users are required")
            for kind, user in found:
                if kind == "phones" and not re.fullmatch(r"\+[1-9]\d{6,14}", user):
                    return _said(400, "phone must be in E.164 format")
        for group, found in zip(groups, users, strict=True):
            self.subscriptions |= {(group["subscription_group_id"], user): group["subscription_state"] for _, user in found}
        return _said(201, "success")

    def _delete(self, body: dict[str, Any]) -> Response:
        lists = {name: body[name] for name in _DELETED_BY if body.get(name)}
        if len(lists) != 1:
            self.violations.append("not exactly one list of users to delete")
            return _said(400, "Exactly one of external_ids, braze_ids, user_aliases is required")
        [(name, users)] = lists.items()
        if len(users) > 50:
            self.violations.append("more than 50 users to delete")
            return _said(400, "Max Input Length Exceeded")
        keys = [_key({_DELETED_BY[name]: user}, _DELETED_BY[name]) for user in users]
        found = [key for key in keys if self.profiles.pop(key, None) is not None]
        self.deleted += keys
        return Response(201, orjson.dumps({"deleted": len(found), "message": "success"}), _JSON)


TWIN = BrazeTwin
_JSON = {"content-type": "application/json"}


def _said(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(status, orjson.dumps({"message": message}), _JSON | (headers or {}))


def _key(item: dict[str, Any], who: str) -> str:
    if who == "external_id":
        return str(item[who])
    if who == "user_alias":
        return f"alias:{item[who]['alias_label']}:{item[who]['alias_name']}"
    return f"{who}:{item[who]}"


# ── What Braze says in `errors` ─────────────────────────────────────────────────────────────


def _who(item: dict[str, Any]) -> str:
    """The field that identifies, "" when there is none."""
    for name in (*_PRIMARY, *_ADDRESSES):
        if name in item:
            return name
    return ""


def _problem_of_identity(item: dict[str, Any]) -> str | None:
    who = _who(item)
    value = item.get(who)
    if who in _PRIMARY and len(_IS_PRIMARY & item.keys()) > 1:
        return _NO_ONE
    if who == "user_alias":
        parts = value if isinstance(value, dict) and value.keys() == {"alias_name", "alias_label"} else {"": ""}
        return None if all(isinstance(part, str) and part for part in parts.values()) else _NO_ONE
    if not isinstance(value, str) or not value:
        return _NO_ONE
    return f"'{who}' must be fewer than 988 bytes" if len(value) > 246 and len(value.encode()) > 987 else None


def _problem_of_attributes(item: dict[str, Any]) -> str | None:
    email = item.get("email")
    if isinstance(email, str) and not _EMAIL.fullmatch(email):
        return "The value provided for the 'email' field is not a valid email."
    for name in ("email_subscribe", "push_subscribe"):
        if name in item and item[name] is not None and item[name] not in _STATES:
            return f"BAD_{name.removesuffix('_subscribe').upper()}_SUBSCRIPTION_STATE"
    return "INVALID_ATTRIBUTE_EMAIL_SUBSCRIPTION_INFO" if "email_subscription_info" in item else None


# ── What a 201 hides ────────────────────────────────────────────────────────────────────────


def _hidden(name: str, value: Any, array_items: int) -> str | None:
    """Why Braze would drop, cut or misread this attribute, without a word."""
    if type(value) in _plain_types(name) and (type(value) is not str or len(value) <= 255):
        return None
    return next(_reasons(name, value, array_items), None)


@lru_cache(maxsize=4096)
def _plain_types(name: str) -> frozenset[type]:
    """The types that need no closer look under this name, short text among them."""
    if name in _NOT_CUSTOM or name in _FORMATS or not name or name != name.strip() or len(name) > 255:
        return frozenset()
    return frozenset({str} if name in _TEXTS else {str, int, float, bool, type(None)})


def _reasons(name: str, value: Any, array_items: int) -> Iterator[str]:
    if name in _NOT_CUSTOM or not name or name != name.strip() or len(name) > 255:
        yield "a name that Braze reserves or cuts"
    if name in _TEXTS and value is not None:
        if not isinstance(value, str) or (name in _FORMATS and not _FORMATS[name].fullmatch(value)):
            yield "not what Braze expects in this standard attribute"
        elif len(value) > (1024 if name == "image_url" else 255):
            yield "text over its limit"
    elif isinstance(value, str) and len(value) > 255:
        yield "text over 255 characters"
    elif isinstance(value, list):
        yield from _hidden_array(value, array_items)
    elif isinstance(value, dict):
        if len(orjson.dumps(value)) > 50_000:
            yield "an object over 50 KB"
        yield from _hidden_members(value)


def _hidden_array(value: list[Any], array_items: int) -> Iterator[str]:
    if len(value) > array_items:
        yield f"an array over {array_items} items"
    if len(orjson.dumps(value)) > 100_000:
        yield "an array over 100 KB"
    for item in value:
        yield from _hidden_members(item)


def _hidden_members(value: Any) -> Iterator[str]:
    if value is None:
        yield "a null inside"
    elif isinstance(value, str) and len(value) > 255:
        yield "text over 255 characters inside"
    elif isinstance(value, list):
        for item in value:
            yield from _hidden_members(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not key or len(key) > 255 or re.search(r"\s", key):
                yield "a key that Braze does not take"
            yield from _hidden_members(item)


def _hidden_properties(properties: dict[str, Any], reserved: set[str]) -> Iterator[tuple[str, str]]:
    if len(orjson.dumps(properties)) > (50_000 if "price" in reserved else 100_000):
        yield "", "properties over their size"
    for name, value in properties.items():
        if name in reserved or not name or name.startswith("$") or len(name) > 255:
            yield name, "a name that Braze does not take"
        if value is None or (isinstance(value, str) and len(value) > 255):
            yield name, "null, or text over 255 characters"
        if isinstance(value, dict | list):
            yield from ((name, why) for why in _hidden_members(value))
