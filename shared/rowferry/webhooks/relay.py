"""The way of a call from the wire into the outbox. No vendor is called, and nothing waits but the store.

    path ─404─ secret ─503─ method ─405─ size ─413─ type ─415─ signature and time ─401─ rate ─429─ body ─400─
        ─► rows of all routes ─► outbox, create-only under the sender's event id ─503─ ─► 200

A 200 is given when all of an event stands in the outbox, never before. Rows for several destinations
are several objects, each of them created at most once under a name made from the event's id: killed
between two, the sender (who has no 200) asks again, and what is missing is added. A repeat finds all
of them there and is answered 200 without a second effect, for as long as the outbox keeps them.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from rowferry.clock import Clock
from rowferry.errors import CredentialsError, RowferryError, SignatureError, TryLater
from rowferry.stores.port import Store
from rowferry.webhooks import payload, repeats
from rowferry.webhooks.hook import Hook
from rowferry.webhooks.port import Answer, Call
from rowferry.webhooks.rate import Rate
from rowferry.webhooks.signature import fingerprint

_PATH = re.compile(r"/hooks/([A-Za-z0-9_-]{1,64})/?")
_JSON = {"content-type": "application/json"}
_MOST_ID_CHARACTERS = 200  # it stands beside every row
_RETRY_SECONDS = 30  # senders come back by their own schedule; this is for those who ask
_log = logging.getLogger(__name__)


class Outbox(Protocol):
    """Where rows go: `rowferry.delivery.outbox.Outbox`."""

    def relay(
        self, *, id: str, source: str, destination: str, action: str, rows: Sequence[Mapping[str, Any]], idempotency: str | None = None
    ) -> bool:
        """Put rows on their way, once for each id and destination. False when they were there. Raises `TryLater`."""


def answer(status: int, word: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a word for a person who tries it by hand, and nothing that helps a forger."""
    return Answer(status, b'{"status":"%s"}' % word.encode(), {**_JSON, **(headers or {})})


_NOT_FOUND = answer(404, "not found")
_NOT_ALLOWED = answer(405, "only POST", {"allow": "POST"})
_TOO_LARGE = answer(413, "too large")
_UNSUPPORTED = answer(415, "unsupported type")
_MALFORMED = answer(400, "malformed")
_BUSY = answer(503, "try again", {"retry-after": str(_RETRY_SECONDS)})
_ACCEPTED = answer(200, "accepted")
_REPEATED = answer(200, "repeated")
_IGNORED = answer(200, "ignored")
_SILENT = Answer(200)


class Relay:
    """All webhooks of an instance. Safe for threads.

    `store` keeps what tells repeats of calls without an id. `idempotency(destination, action)` names
    the field that makes a row's repeat a no-op at the vendor, or gives None; it is asked once for each.
    `closed` are webhooks that can't be verified, and why: their senders are asked to come back.
    """

    def __init__(
        self,
        hooks: Mapping[str, Hook],
        outbox: Outbox,
        store: Store,
        clock: Clock,
        idempotency: Callable[[str, str], str | None] = lambda _destination, _action: None,
        closed: Mapping[str, RowferryError] = MappingProxyType({}),
    ) -> None:
        self.closed = closed
        self._hooks, self._outbox, self._store, self._clock = hooks, outbox, store, clock
        targets = {target for hook in hooks.values() for target in hook.targets()}
        self._idempotency = {target: idempotency(*target) for target in targets}
        self._rates = {name: Rate(hook.per_second, clock) for name, hook in hooks.items() if hook.per_second is not None}

    def answer(self, call: Call) -> Answer:
        """Take a call in, or refuse it."""
        found = _PATH.fullmatch(call.path.partition("?")[0])
        name = found[1] if found else ""
        if (error := self.closed.get(name)) is not None:
            _log.error("webhook %s is closed: %s", name, error)
            return _BUSY
        hook = self._hooks.get(name)
        if hook is None:
            return _NOT_FOUND
        refusal = self._refusal(hook, call)
        if refusal is not None:
            refused, reason = refusal
            _log.warning("webhook %s refused a call with %d: %s", hook.name, refused.status, reason)
            return refused
        try:
            return self._take(hook, call)
        except payload.Malformed as error:
            _log.warning("webhook %s can't read a verified call: %s", hook.name, error)
            return _MALFORMED
        except (TryLater, CredentialsError) as error:
            _log.error("webhook %s could not store a call: %s", hook.name, error)
            return _BUSY

    def _refusal(self, hook: Hook, call: Call) -> tuple[Answer, str] | None:
        """The answer to a call that is not taken in, and why, for our log: whoever sets a webhook up finds it there."""
        if call.method != "POST":
            return _NOT_ALLOWED, "it is no POST"
        if len(call.body) > hook.max_body_bytes:
            return _TOO_LARGE, f"its body has more than max_body_bytes ({hook.max_body_bytes})"
        if not payload.is_supported(call):
            return _UNSUPPORTED, "its body is not said to be JSON or a form, in UTF-8 and not packed"
        try:
            hook.scheme.verify(call, hook.proof, self._clock.now())
        except SignatureError as error:
            challenge = {"www-authenticate": hook.scheme.challenge} if hook.scheme.challenge else None
            return answer(401, "unauthorized", challenge), str(error)
        rate = self._rates.get(hook.name)
        if rate is not None and (seconds := rate.wait_seconds()) > 0:
            return answer(429, "too many", {"retry-after": str(math.ceil(seconds))}), "more came than per_second"
        return None

    def _take(self, hook: Hook, call: Call) -> Answer:
        body = payload.read(call)
        if (reply := hook.scheme.reply(body)) is not None:
            return Answer(200, reply, {"content-type": "text/plain"})
        now = self._clock.now()
        wanted = hook.rows(body, now, hook.topic(call))
        if not wanted:
            return _SILENT if hook.scheme.is_silent else _IGNORED
        event_id = _short(hook.event_id(call, body) or repeats.id_of(self._store, hook.name, call.body, now))
        is_new = False
        for rows in wanted:
            is_new |= self._outbox.relay(
                id=f"{hook.name}.{event_id}.{rows.action}",
                source=f"webhook.{hook.name}",
                destination=rows.destination,
                action=rows.action,
                rows=rows.rows,
                idempotency=self._idempotency[rows.destination, rows.action],
            )
        _log.debug("webhook %s %s %a", hook.name, "took in" if is_new else "had taken in", event_id)
        if hook.scheme.is_silent:
            return _SILENT
        return _ACCEPTED if is_new else _REPEATED


def _short(event_id: str) -> str:
    """The id as it is, or its start and a digest: a sender's may be as long as its body."""
    if len(event_id) <= _MOST_ID_CHARACTERS:
        return event_id
    return f"{event_id[:100]}-{fingerprint(event_id.encode())}"
