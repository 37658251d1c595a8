"""Where a verified event goes: the routes of a webhook, compiled once, and the rows they make.

An event that a route can't make sense of still leads to something: a field that is not there is left
out (and the destination says what it lacks), a text that can't be filled in says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rowferry import units
from rowferry.webhooks.expressions import Expression
from rowferry.webhooks.port import Scheme

if TYPE_CHECKING:  # the models bring pydantic along, the templates Jinja: a cold start without notices needs neither
    from rowferry.notices.message import Message
    from rowferry.settings.webhook import RouteSend

# Seconds or milliseconds since 1970 as text, for forms, CleverTap's key-values and Slack's `ts` have no numbers: from 2001 to 2286.
_NUMBER = re.compile(r"\d{10}(\.\d{1,9})?|\d{13}")
MAX_NOTICES = 20  # of one delivery that holds many events; the last one says how many more there were


@dataclass(frozen=True, slots=True)
class Rows:
    """Fields by name for one action of one destination."""

    destination: str
    action: str
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Send:
    """The `send` of a route, compiled."""

    destination: str
    action: str
    fields: tuple[tuple[str, Expression], ...]
    each: Expression | None
    has_time: bool

    @classmethod
    def of(cls, send: RouteSend) -> Send:
        """Raises `ValueError` for what is not JMESPath."""
        fields = tuple((name, Expression(path)) for name, path in send.map.items())
        return cls(send.to, send.action, fields, Expression(send.each) if send.each else None, "time" in send.map)

    def rows(self, event: Any, received_at: datetime) -> list[dict[str, Any]]:
        """A row for the event, or one for each of its parts."""
        return [self._row(part, received_at) for part in self._parts(event)]

    def _parts(self, event: Any) -> Sequence[Any]:
        if self.each is None:
            return (event,)
        found = self.each.value(event)
        parts = found if isinstance(found, list) else [] if found is None else [found]
        if not isinstance(event, dict):
            return parts
        return [{**event, **part} if isinstance(part, dict) else part for part in parts]

    def _row(self, part: Any, received_at: datetime) -> dict[str, Any]:
        row = {name: found for name, path in self.fields if (found := path.value(part)) is not None}
        if self.has_time:
            row["time"] = _time(row.get("time"), received_at)
        return row


@dataclass(frozen=True, slots=True)
class Route:
    """One of a webhook's routes, compiled."""

    when: Expression | None
    send: Send | None
    notify: tuple[str, Message] | None
    topics: tuple[str, ...] = ()  # none: whatever happened

    def rows(self, scheme: Scheme, body: Any, hook: str, received_at: datetime) -> list[Rows]:
        """What a delivery's body leads to here; nothing where `when` holds for none of its events."""
        events: Sequence[Any] = (body,) if self.send is not None and self.send.each is not None else scheme.events(body)
        wanted = [event for event in events if self.when is None or self.when.holds(event)]
        if not wanted:
            return []
        found = []
        if self.send is not None:
            rows = tuple(row for event in wanted for row in self.send.rows(event, received_at))
            found.append(Rows(self.send.destination, self.send.action, rows))
        if self.notify is not None:
            found.append(Rows(self.notify[0], "notice", self._notices(wanted, hook)))
        return found

    def _notices(self, events: Sequence[Any], hook: str) -> tuple[dict[str, Any], ...]:
        if self.notify is None:
            return ()
        message = self.notify[1]
        shown = [message.row(_values(event), f"webhook {hook}") for event in events[:MAX_NOTICES]]
        if len(events) > MAX_NOTICES:
            shown.append({"text": f"… and {len(events) - MAX_NOTICES} more events of webhook {hook} in the same delivery"})
        return tuple(shown)


def gathered(found: Sequence[Rows]) -> list[Rows]:
    """Rows of several routes, put together by destination and action, in the routes' order."""
    if len(found) == 1 and found[0].rows:
        return list(found)
    together: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for rows in found:
        together.setdefault((rows.destination, rows.action), []).extend(rows.rows)
    return [Rows(destination, action, tuple(rows)) for (destination, action), rows in together.items() if rows]


def _values(event: Any) -> Mapping[str, Any]:
    return event if isinstance(event, dict) else {"body": event}


def _time(value: Any, received_at: datetime) -> Any:
    """An event's time as ISO 8601, from seconds, milliseconds or text; the time of receipt where there is none."""
    if value in (None, ""):
        return received_at.isoformat()
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return units.iso_time(value) or value
