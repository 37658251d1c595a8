"""Telling people, once for each change of state.

    notices/topics/<topic>.json     the topic's state, how often it changed, and the notices that are not told yet
    notices/groups/<destination>.json     what waits to be told together (see `group`)

    same state as before ─► nothing
    another one ─► written down with its notice, not told yet ─► outbox ─► written down as told

Killed between two of these, the next word on the topic, or `finish`, takes up what is not told yet; the
outbox knows the notice by the topic's count of changes, so it goes out once. Of two who tell the same at
the same time one is first at the compare-and-swap, and the other finds that it is no news any more.

A group is one object, and Cloud Storage takes about one write a second to an object (docs.cloud.google.com/storage/quotas,
2026-11): of a flood most find it busy. What is written down is told by `finish` then, all of it in one write, and
who tells has done its part.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from rowferry.clock import Clock
from rowferry.errors import TryLater
from rowferry.notices.group import Groups, Outbox, Told
from rowferry.notices.kinds import Change
from rowferry.notices.notice import OK, Notice
from rowferry.notices.record import Body, Records
from rowferry.stores.port import Store

log = logging.getLogger(__name__)
_LATE = timedelta(days=2)  # a crash is found within minutes; one that was not waits for the next word on its topic


class Notices:
    """The memory of what people have been told. Safe for threads, processes and machines."""

    def __init__(self, state: Store, outbox: Outbox, clock: Clock) -> None:
        self._topics = Records(state, "notices/topics/")
        self._groups = Groups(Records(state, "notices/groups/"), outbox, clock)
        self._clock = clock

    def tell(self, topic: str, state: str, notice: Notice, to: Sequence[str]) -> bool:
        """Say how things stand with a topic. The destinations in `to` are told if that is news.

        True when it was. A topic that nobody has heard of is `ok`. Raises `TryLater` when the store is
        out of reach; what is news stays news then.
        """
        while True:
            body, version = self._topics.read(topic)
            if state == (OK if body is None else body["state"]):
                self._tell([] if body is None or body["told"] else [body])
                return False
            news = self._news(topic, state, notice, to, body)
            if self._topics.put(topic, news, version):
                self._tell([news])
                return True

    def state(self, topic: str) -> str:
        """How things stand with a topic, as far as anybody was told."""
        return self.standing(topic)[0]

    def standing(self, topic: str) -> tuple[str, str | None]:
        """`state`, and the moment since when in ISO 8601; None where it has always been so."""
        body, _ = self._topics.read(topic)
        return (OK, None) if body is None else (str(body["state"]), str(body["since"]))

    def tell_change(self, change: Change | None, to: Sequence[str]) -> bool:
        """`tell` for one of the `kinds`; None is no news."""
        return change is not None and self.tell(change.topic, change.state, change.notice, to)

    def finish(self) -> int:
        """Tell what a crash kept from being told, and groups whose time has come; how many that were.

        For a timer, which looks at the topics of late: there is one for each file that ever was in quarantine. Raises
        `TryLater` when the store is out of reach.
        """
        held_up = [body for body in self._topics.all(self._clock.now() - _LATE) if not body["told"]]
        self._tell(held_up)
        return len(held_up) + self._groups.finish()

    def _news(self, topic: str, state: str, notice: Notice, to: Sequence[str], before: Body | None) -> Body:
        return {
            "topic": topic, "state": state, "since": self._clock.now().isoformat(), "changes": before["changes"] + 1 if before else 1,
            "told": False, "to": list(to), "row": notice.row(), "headline": notice.headline(), "earlier": list(_untold(before)),
        }  # fmt: skip

    def _tell(self, topics: Sequence[Body]) -> None:
        """Hand on what these topics have not told yet. What can't be handed on now stays so, for `finish`."""
        waiting: dict[str, list[Told]] = {}
        for body in topics:
            for news in _untold(body):
                for destination in news["to"]:
                    waiting.setdefault(destination, []).append(Told(f"{body['topic']}.{news['changes']}", news["row"], news["headline"]))
        busy = {to for to, notices in waiting.items() if not _is_done(partial(self._groups.put, to, notices))}
        for body in topics:
            if busy.isdisjoint(to for news in _untold(body) for to in news["to"]):
                _is_done(partial(self._mark_told, body))

    def _mark_told(self, body: Body) -> None:
        found, version = self._topics.read(body["topic"])
        if found is not None and found["changes"] == body["changes"] and not found["told"]:
            self._topics.put(body["topic"], {**found, "told": True, "earlier": []}, version)  # who is faster has told it, too


def _untold(body: Body | None) -> Iterator[Body]:
    """A topic's notices that are not told yet, in their order."""
    if body is not None and not body["told"]:
        yield from body.get("earlier", ())
        yield {name: body[name] for name in ("changes", "to", "row", "headline")}


def _is_done(step: Callable[[], None]) -> bool:
    """Take the step; False when the store can't now."""
    try:
        step()
    except TryLater as error:
        log.warning("some notices wait for the next sweep: %s", error)
        return False
    return True
