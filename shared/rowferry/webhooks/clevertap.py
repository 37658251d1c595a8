"""CleverTap's campaign webhooks. They come without a signature: use `basic` or `token`.

developer.clevertap.com "Create message: webhook", read 2026-11-21. `profiles` is an array in a broadcast and
an object otherwise, and the case of its keys differs between the test call, the samples and the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_KEYS = {name.lower(): name for name in ("identity", "email", "phone", "name", "objectId", "profileData", "event_properties", "push_token")}


def events(body: Any) -> Sequence[Any]:
    """One event for each profile of a campaign's call; any other body is one event as it is.

    A route sees the profile's own fields (`identity`, `email`, `objectId`, `profileData` …) beside the
    call's (`targetId`, `key_values`), and the profile as `profiles`.
    """
    if not isinstance(body, dict) or "profiles" not in body:
        return (body,)
    profiles = body["profiles"] if isinstance(body["profiles"], list) else [body["profiles"]]
    if not all(isinstance(profile, dict) for profile in profiles):
        return (body,)
    return [_event(body, profile) for profile in profiles]


def _event(body: dict[str, Any], profile: dict[str, Any]) -> dict[str, Any]:
    named = {_KEYS.get(name.lower(), name): value for name, value in profile.items()}
    return {**body, **named, "profiles": named}
