"""The people of Klaviyo's stand-in: found by any identifier, strongest first, created where there is nobody."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

_STRENGTH = ("external_id", "email", "phone_number", "anonymous_id")  # after the profile id itself


class Conflict(Exception):
    """Identifiers of one object belong to two people; `profile_id` is the stronger one's."""

    def __init__(self, profile_id: str) -> None:
        self.profile_id = profile_id
        super().__init__("A profile already exists with one of these identifiers.")


class People:
    """Profiles by id. Merging, which the real one does to weaker profiles, is left out: it is a conflict here."""

    def __init__(self) -> None:
        self.profiles: dict[str, dict[str, Any]] = {}
        self._by: dict[tuple[str, str], str] = {}
        self._numbers = count()  # how many there are would give somebody's id away again, once another is deleted

    def upsert(self, item: Mapping[str, Any], *, clears: bool) -> tuple[str, bool]:
        """Create or update; the profile's id and whether it is new. Raises `Conflict`.

        Without `clears` a null changes nothing, as in a bulk job.
        """
        attributes = {name: value for name, value in item["attributes"].items() if clears or value is not None}
        known = self._known(item)
        if len(known) > 1 and len(set(known)) > 1:
            raise Conflict(known[0])
        profile_id = known[0] if known else f"01KLAVIYO{next(self._numbers):017d}"
        profile = self.profiles.setdefault(profile_id, {"id": profile_id, "properties": {}})
        profile["properties"] |= attributes.pop("properties", None) or {}
        patch = (item.get("meta") or {}).get("patch_properties") or {}
        for name in patch.get("unset") or []:
            profile["properties"].pop(name, None)
        for name, value in attributes.items():
            self._set(profile, name, value)
        return profile_id, not known

    def find(self, field: str, values: list[str]) -> list[str]:
        """The ids of those who have one of these identifiers."""
        if field == "id":
            return [value for value in values if value in self.profiles]
        return [self._by[key] for value in values if (key := _key(field, value)) in self._by]

    def delete(self, profile_id: str) -> None:
        """Forget somebody."""
        self.profiles.pop(profile_id, None)
        self._by = {key: found for key, found in self._by.items() if found != profile_id}

    def _known(self, item: Mapping[str, Any]) -> list[str]:
        found = [item["id"]] if item.get("id") in self.profiles else []
        keys = [_key(name, item["attributes"][name]) for name in _STRENGTH if item["attributes"].get(name)]
        return found + [self._by[key] for key in keys if key in self._by]

    def _set(self, profile: dict[str, Any], name: str, value: Any) -> None:
        before = profile.pop(name, None)
        if name in _STRENGTH and before is not None:
            self._by.pop(_key(name, before), None)
        if value is not None:
            profile[name] = value
            if name in _STRENGTH:
                self._by[_key(name, value)] = profile["id"]


def _key(name: str, value: Any) -> tuple[str, str]:
    return name, str(value).lower() if name == "email" else str(value)
