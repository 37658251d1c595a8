"""Many notices at once become one: a channel that cries is a channel that is muted.

    notices/groups/<destination>.json   {from, direct: [ids], waiting: [[id, headline]…], leaving: {number, rows} | null, number,
                                         left: [ids]}

The first few notices of ten minutes go out as they are. Further ones wait, and when the ten minutes are
over they go out together, a line each; none is dropped.

    waiting ──swap──► leaving ──► outbox, under the group's number ──swap──► nothing left

Killed between two of these, the next call takes up what is leaving; the outbox takes a number once. Of who
was killed before it could write down that its notice waits, it may have left when somebody looks: `left`
knows the last ones.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from rowferry.clock import Clock
from rowferry.errors import TryLater
from rowferry.notices.record import Body, Records
from rowferry.notices.text import MAX_CHARACTERS

WINDOW = timedelta(minutes=10)
MOST = 5  # notices of a window that go out by themselves
SOURCE = "notice"
_REMEMBERED = 500  # of those that left with others; one that was held up is taken up within minutes
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """A notice on its way: its name, the fields of its row, and its line where many are told together."""

    id: str
    row: Mapping[str, Any]
    headline: str


class Outbox(Protocol):
    """Where notices leave: `rowferry.delivery.outbox.Outbox`."""

    def relay(self, *, id: str, source: str, destination: str, action: str, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Put rows on their way, once for each id and destination. Raises `TryLater`."""


class Groups:
    """What each destination has been told lately, and what waits. Safe for threads, processes and machines."""

    def __init__(self, records: Records, outbox: Outbox, clock: Clock) -> None:
        self._records, self._outbox, self._clock = records, outbox, clock

    def put(self, destination: str, notices: Sequence[Told]) -> None:
        """See that the notices go out, by themselves or with others; all of them in one write. The same `id` again
        changes nothing. Raises `TryLater`, also when too many write to the group at the same time."""
        while True:
            body, version = self._settled(destination)
            known = {*body["direct"], *body.get("left", []), *(waiting for waiting, _ in body["waiting"])}
            new = [notice for notice in notices if notice.id not in known]
            first = max(0, MOST - len(body["direct"]))
            direct = [*body["direct"], *(notice.id for notice in new[:first])]
            waiting = [*body["waiting"], *([notice.id, notice.headline] for notice in new[first:])]
            if not new or self._records.put(destination, {**body, "direct": direct, "waiting": waiting}, version):
                break
        for notice in notices:
            if notice.id in direct:
                self._relay(destination, notice.id, [notice.row])

    def finish(self) -> int:
        """Send what has waited long enough, and what a crash held up; how many groups that were. One whose destination
        can't be written for now is left to the next call."""
        found = [body for body in self._records.all() if body["leaving"] or (body["waiting"] and self._is_over(body))]
        for body in found:
            try:
                self._settled(body["destination"])
            except TryLater as error:
                log.warning("the notices that wait for %s are told later: %s", body["destination"], error)
        return len(found)

    def _settled(self, destination: str) -> tuple[Body, str | None]:
        """The group as it is now: nothing is leaving any more, and its window is not over."""
        while True:
            body, version = self._records.read(destination)
            if body is None:
                return self._fresh(destination, 0, []), None
            if body["leaving"]:
                self._relay(destination, f"group.{body['leaving']['number']}", body["leaving"]["rows"])
                self._records.put(destination, {**body, "leaving": None}, version)
            elif not self._is_over(body):
                return body, version
            elif body["waiting"]:
                leaving = {"number": body["number"] + 1, "rows": together([headline for _, headline in body["waiting"]])}
                left = [*body.get("left", []), *(waited for waited, _ in body["waiting"])][-_REMEMBERED:]
                self._records.put(destination, {**self._fresh(destination, body["number"] + 1, left), "leaving": leaving}, version)
            else:
                return self._fresh(destination, body["number"], body.get("left", [])), version

    def _fresh(self, destination: str, number: int, left: Sequence[str]) -> Body:
        now = self._clock.now().isoformat()
        return {"destination": destination, "from": now, "direct": [], "waiting": [], "leaving": None, "number": number, "left": left}

    def _is_over(self, body: Body) -> bool:
        return self._clock.now() - datetime.fromisoformat(body["from"]) >= WINDOW

    def _relay(self, destination: str, id: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._outbox.relay(id=id, source=SOURCE, destination=destination, action="notice", rows=rows)


def together(headlines: Sequence[str]) -> list[dict[str, Any]]:
    """As few messages as hold all of these lines."""
    title = f"*{len(headlines)} more notices of the last {WINDOW.seconds // 60} minutes*"
    messages, size = [[title]], len(title)
    for line in headlines:
        if size + len(line) + 1 > MAX_CHARACTERS:
            messages.append([])
            size = 0
        messages[-1].append(line)
        size += len(line) + 1
    return [{"text": "\n".join(lines)} for lines in messages]
