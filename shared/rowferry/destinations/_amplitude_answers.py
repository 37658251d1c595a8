"""What Amplitude's answers mean: to events, to identifications of users and groups.

Amplitude refuses a request as a whole, and says in lists which events were at fault. So they are left
out and the rest goes again at once, which may name others: HTTP V2 lists the first event of each error
only [HV2, since mid-2024]. That goes on for some rounds; if it does not end there, the batch is halved.

Sources, read 2026-03 to 2026-11: amplitude.com/docs/apis/analytics/http-v2 [HV2], …/batch-event-upload [BATCH],
…/http-api-batching-retries [RETRY], …/identify [IDN]; Amplitude-Python 1.3.0 [PYSDK].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import orjson

from rowferry.destinations import answers
from rowferry.destinations._amplitude_settings import AmplitudeSettings
from rowferry.destinations.port import (
    DELIVERED,
    Again,
    Answer,
    Follow,
    Refused,
    Rejected,
    Settled,
    SlowDown,
    Split,
    TryAgain,
)
from rowferry.destinations.quotes import blanked
from rowferry.wire import Request, Response

Build = Callable[[Sequence[bytes], AmplitudeSettings], Request]
Undelivered = dict[int, Rejected | Again]

MAX_ROUNDS = 5  # of leaving out what was named, before the batch is halved
_BLOCKED = "blocked?"  # the note of the request that asks whether a 403 is about us or about the row

# Lists in an answer's body. Of the events_with_… the last is in no page; every official SDK reads it [PYSDK].
_FAULTS = {
    "events_with_invalid_fields": ("invalid_field", "has a value that it does not take"),
    "events_with_missing_fields": ("missing_field", "is missing"),
    "events_with_invalid_id_lengths": ("identifier_too_short", "is shorter than min_id_length"),
}
_SILENCED = Rejected("silenced", "Amplitude has silenced this row's device and takes nothing from it")
_OVER_QUOTA = Rejected("daily_quota", "Amplitude took 500,000 events of this user or device in 24 hours: replay after an hour or more")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch got over several answers: which rows are out, and how many rounds it took."""

    out: Undelivered = field(default_factory=dict)
    rounds: int = 0

    @classmethod
    def of(cls, note: str) -> Progress:
        """What `note` wrote."""
        if not note:
            return cls()
        rounds, out = orjson.loads(note)
        return cls({index: Again(reason, wait) if code is None else Rejected(code, reason) for index, code, reason, wait in out}, rounds)

    @property
    def note(self) -> str:
        """For the next answer."""
        out = [[index, getattr(row, "code", None), row.reason, getattr(row, "wait_seconds", None)] for index, row in self.out.items()]
        return orjson.dumps([self.rounds, out]).decode()

    def left(self, batch: Sequence[bytes]) -> list[int]:
        """Where in the batch the rows stand that the last request had."""
        return [index for index in range(len(batch)) if index not in self.out]

    def without(self, batch: Sequence[bytes], named: Undelivered) -> Progress:
        """One round further: these rows of the last request, by their places in it, are out."""
        left = self.left(batch)
        return Progress(self.out | {left[index]: row for index, row in named.items()}, self.rounds + 1)

    def settled(self, batch: Sequence[bytes]) -> Settled:
        """All that are not out are delivered."""
        return Settled([self.out.get(index, DELIVERED) for index in range(len(batch))])


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the answers to one action's requests.

    `build` makes the request for what is left; `pause_seconds(batch, settings)` is how long a throttled user or
    device must be left alone; `probe` makes a request without rows; `is_form`: payloads stand in a form.
    """

    build: Build
    pause_seconds: Callable[[Sequence[bytes], AmplitudeSettings], float]
    probe: Callable[[AmplitudeSettings], Request]
    is_form: bool = False

    def read(self, response: Response, batch: Sequence[bytes], settings: AmplitudeSettings, note: str) -> Answer:
        """See `Action.read`."""
        if note == _BLOCKED:
            return _read_blocked(response)
        done = Progress.of(note)
        part = [batch[index] for index in done.left(batch)]
        if response.status == 200:
            return self._read_taken(response, len(part), settings) or done.settled(batch)
        if response.status == 403:
            return self._read_forbidden(batch, settings)
        document = answers.json_object(response)
        if document is not None and response.status in (400, 429):
            return self._read_refused(response, document, batch, done, settings)
        return answers.by_status(response, "Amplitude", self._wait_seconds(response, part, settings)) or _unread(response)

    def _wait_seconds(self, response: Response, part: Sequence[bytes], settings: AmplitudeSettings) -> float | None:
        """What `Retry-After` asks for, which is not documented; else what the pages say of a throttled user or device."""
        asked = answers.retry_after(response)
        return self.pause_seconds(part, settings) if asked is None and response.status in (400, 429) else asked

    def _read_forbidden(self, batch: Sequence[bytes], settings: AmplitudeSettings) -> Answer:
        """A firewall's answer, to text that looks like an attack, or to where we call from [HV2]: which, a call without rows tells."""
        if len(batch) > 1:
            return Split("blocked_by_firewall", "Amplitude's firewall refused the request")
        return Follow(self.probe(settings), _BLOCKED)

    def _read_refused(
        self, response: Response, document: Mapping[str, Any], batch: Sequence[bytes], done: Progress, settings: AmplitudeSettings
    ) -> Answer:
        part = [batch[index] for index in done.left(batch)]
        rows = [orjson.loads(unquote_plus(payload.decode()) if self.is_form else payload) for payload in part]
        said = f"Amplitude answered {response.status}: {blanked(str(document.get('error', 'no reason given')), rows)}"
        wait_seconds = self._wait_seconds(response, part, settings)
        named = _named(document, rows, wait_seconds)
        if not named:
            return _read_unnamed(response.status, document, said, wait_seconds)
        if len(named) == len(rows) and all(isinstance(row, Again) for row in named.values()):
            return _read_throttled(document, len(rows), said, wait_seconds)
        return self._go_on(done.without(batch, named), batch, said, settings)

    def _read_taken(self, response: Response, sent: int, settings: AmplitudeSettings) -> Answer | None:
        """What is wrong with a 200; None when nothing is."""
        document = answers.json_object(response)
        if self.is_form:
            return None if _is_success(response, document, settings) else _unread(response)
        if document is None or document.get("code") != 200:
            return _unread(response)
        ingested = document.get("events_ingested", sent)
        if settings.short_count == "reject" and isinstance(ingested, int) and ingested < sent:
            # Halving finds the events that are never counted.
            return Split("not_ingested", f"Amplitude answered 200 and took {ingested} of {sent} events, without a word on the others")
        return None

    def _go_on(self, done: Progress, batch: Sequence[bytes], said: str, settings: AmplitudeSettings) -> Answer:
        """The rest of the batch once more, without the rows that were named."""
        rest = [batch[index] for index in done.left(batch)]
        if not rest:
            return done.settled(batch)
        if done.rounds == MAX_ROUNDS:
            return Split("refused_by_vendor", f"{said}, and again after {MAX_ROUNDS} rounds without the rows that it named")
        return Follow(self.build(rest, settings), done.note)


# ── Refusals ────────────────────────────────────────────────────────────────────────────────


def _read_unnamed(status: int, document: Mapping[str, Any], said: str, wait_seconds: float | None) -> Answer:
    """What a 400 or 429 means that names no row."""
    if status == 429:
        return SlowDown(said, wait_seconds)
    error = str(document.get("error", "")).lower()
    if "api key" in error or "request path" in error or document.get("missing_field"):  # of the request itself [HV2]
        return Refused(f"{said}; check api_key, region and base_url")
    return Split("refused_by_vendor", said)


def _read_throttled(document: Mapping[str, Any], rows: int, said: str, wait_seconds: float | None) -> Answer:
    """Everybody in the request sends too much: wait, which is no failed attempt.

    Halve it first when it is more by itself than may come in a second: it might be refused after every pause.
    """
    threshold = document.get("eps_threshold")
    if isinstance(threshold, int) and rows > max(1, threshold):
        return Split("throttled", said)
    return SlowDown(said, wait_seconds)


def _named(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], wait_seconds: float | None) -> Undelivered:
    """The rows that an answer names, by their places or by their user or device. None, when a place is none of ours.

    The gravest counts: a refused row, then a silenced or one over its quota, then a throttled one.
    """
    throttled = Again("Amplitude throttles this row's user or device", wait_seconds)
    named: Undelivered = {}
    for index, fault in _by_index(document):
        named.setdefault(index, fault)
    if by_id := _by_id(document, throttled):
        for index, row in enumerate(rows):
            found = [by_id[who] for who in row.items() if who[0] in ("user_id", "device_id") and who in by_id]
            if found:
                named.setdefault(index, min(found, key=lambda one: isinstance(one, Again)))
    for index in _items(document.get("throttled_events")):
        named.setdefault(index, throttled)
    return named if all(type(index) is int and 0 <= index < len(rows) for index in named) else {}


def _by_index(document: Mapping[str, Any]) -> Iterator[tuple[Any, Rejected]]:
    for name, listed in document.items():
        if name.startswith("events_with_") and isinstance(listed, dict):
            code, what = _FAULTS.get(name, ("refused_by_vendor", name.removeprefix("events_with_").replace("_", " ")))
            for field_name, indexes in listed.items():
                for index in _items(indexes):
                    yield index, Rejected(code, f"Amplitude refused this row: {field_name[:100]} {what}")
    for index in _items(document.get("silenced_events")):
        yield index, _SILENCED


def _by_id(document: Mapping[str, Any], throttled: Again) -> dict[tuple[str, Any], Rejected | Again]:
    """Users and devices that are named, with what that means. The gravest counts: it comes last."""
    found: dict[tuple[str, Any], Rejected | Again] = {}
    for kind, name in (("user_id", "users"), ("device_id", "devices")):
        found |= dict.fromkeys(((kind, who) for who in _items(document.get(f"throttled_{name}"))), throttled)
        found |= dict.fromkeys(((kind, who) for who in _items(document.get(f"exceeded_daily_quota_{name}"))), _OVER_QUOTA)
    found |= dict.fromkeys((("device_id", who) for who in _items(document.get("silenced_devices"))), _SILENCED)
    return found


def _items(listed: Any) -> list[Any]:
    """The entries of a list or the keys of an object, whose values are rates; nothing of anything else."""
    return [item for item in listed if isinstance(item, str | int)] if isinstance(listed, list | dict) else []


def _is_success(response: Response, document: Mapping[str, Any] | None, settings: AmplitudeSettings) -> bool:
    """The body of a 200 of /identify is not documented [IDN]; a page of HTML or half an object is none."""
    if not response.body:
        return settings.empty_answer == "delivered"
    if document is not None:
        return "error" not in document and document.get("code", 200) == 200
    return response.text.strip('"').lower() in ("success", "ok")


def _unread(response: Response) -> TryAgain:
    return TryAgain(f"Amplitude answered {response.status}, and not as its documentation says")


def _read_blocked(response: Response) -> Answer:
    """After a 403 to a single row: when a request without rows gets through, the row is what the firewall refuses."""
    if response.status == 403:
        return Refused("Amplitude's firewall refuses every request: check where they come from, and base_url")
    if response.status in (200, 400):
        return Settled([Rejected("blocked_by_firewall", "Amplitude's firewall refused this row: its text looks like an attack to it")])
    return answers.by_status(response, "Amplitude") or _unread(response)
