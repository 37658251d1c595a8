"""Turns: of two words on one person, the later one waits until the vendor has taken the earlier one.

Vendors keep no order within a request, nor between two in flight, and some drop one of the two. Words of different
actions set different things, and do not wait for each other; but for a deletion, which is about all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from rowferry.destinations.port import HAPPENINGS, Action, Destination, Fields


class Turns:
    """Whose turn it is, of chunks that are asked about in the order in which they came in."""

    def __init__(self, destination: Destination[Any], settings: Any) -> None:
        self._deletion, self._settings = destination.remove_action, settings
        self._said: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def waits(self, action: Action[Any], rows: Iterable[Fields]) -> bool:
        """Whether a chunk has to wait for an earlier one, by its rows that are still to be sent."""
        if action.name == "notice":
            return False
        named = [(fields, action.identifiers(fields, self._settings)) for fields in rows]
        persons = {(name, str(fields[name])) for fields, names in named for name in names if fields.get(name) is not None}
        waits = any(self._is_after(action.name, self._said[person]) for person in persons if person in self._said)
        for person in persons:
            self._said[person].add(action.name)
        return waits

    def _is_after(self, action: str, said: set[str]) -> bool:
        if action == self._deletion or self._deletion in said:
            return True
        return action in said and action not in HAPPENINGS
