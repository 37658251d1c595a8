"""A webhook of the settings made ready: its scheme found, its secrets as bytes, its expressions compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rowferry.errors import Problem, SettingsError
from rowferry.webhooks import find
from rowferry.webhooks.expressions import Expression
from rowferry.webhooks.port import Call, Proof, Scheme
from rowferry.webhooks.routes import Route, Rows, Send, gathered
from rowferry.webhooks.signature import text_at

if TYPE_CHECKING:
    from datetime import datetime

    from rowferry.settings.base import Secret
    from rowferry.settings.webhook import Route as RouteSettings
    from rowferry.settings.webhook import Verify, Webhook


@dataclass(frozen=True, slots=True)
class Hook:
    """One `/hooks/<name>`. `per_second` is what one instance takes; None is no limit."""

    name: str
    scheme: Scheme
    proof: Proof
    routes: tuple[Route, ...]
    max_body_bytes: int
    per_second: float | None = None
    id_header: str | None = None
    id_path: Expression | None = None
    topic_header: str = ""

    def event_id(self, call: Call, body: Any) -> str | None:
        """The sender's name for what it sent: as the settings say, else as the scheme knows; None where there is none."""
        if self.id_header is not None:
            return call.headers.get(self.id_header) or None
        if self.id_path is not None:
            return text_at({"id": self.id_path.value(body)}, "id")
        return self.scheme.event_id(call, body)

    def targets(self) -> Iterator[tuple[str, str]]:
        """Every destination and action that a call may lead to."""
        for route in self.routes:
            if route.send is not None:
                yield route.send.destination, route.send.action
            if route.notify is not None:
                yield route.notify[0], "notice"

    def rows(self, body: Any, received_at: datetime, topic: str = "") -> list[Rows]:
        """What a delivery leads to: all rows of all routes that take its topic, by destination and action."""
        routes = [route for route in self.routes if not route.topics or topic in route.topics]
        return gathered([rows for route in routes for rows in route.rows(self.scheme, body, self.name, received_at)])

    def topic(self, call: Call) -> str:
        """What happened, where the sender says so in a header; else empty."""
        return call.headers.get(self.topic_header, "")


def hooks_of(webhooks: Mapping[str, Webhook]) -> dict[str, Hook]:
    """All webhooks made ready; their secrets have been resolved. Raises `SettingsError` with every empty secret."""
    found = {name: hook_of(name, webhook) for name, webhook in webhooks.items()}
    empty = [hook.name for hook in found.values() if not hook.proof.secrets or not all(secret.strip() for secret in hook.proof.secrets)]
    if empty:
        hint = "anybody could sign with it; put its value where it is kept"
        raise SettingsError([Problem(f"webhooks.{name}.verify", "the secret is empty", hint) for name in empty])
    return found


def hook_of(name: str, webhook: Webhook) -> Hook:
    """One webhook made ready. Raises `ValueError` for an expression or template that is none, which the
    check of the settings has found before."""
    verify, scheme = webhook.verify, find(webhook.verify.scheme)
    return Hook(
        name=name,
        scheme=scheme,
        proof=_proof(verify),
        routes=tuple(_route(route) for route in webhook.routes),
        max_body_bytes=webhook.max_body_bytes,
        per_second=webhook.per_second,
        id_header=verify.id_header.lower() if verify.id_header else None,
        id_path=Expression(verify.id_path) if verify.id_path else None,
        topic_header=verify.topic_header.lower() if verify.topic_header else scheme.topic_header,
    )


def _route(route: RouteSettings) -> Route:
    return Route(
        when=Expression(route.when) if route.when else None,
        send=Send.of(route.send) if route.send else None,
        notify=(route.notify.to, _message(route.notify)) if route.notify else None,
        topics=route.topic,
    )


def _message(notify: Any) -> Any:
    from rowferry.notices.message import Message  # brings Jinja along, which a webhook without notices can do without

    return Message(notify.text, notify.blocks)


def _proof(verify: Verify) -> Proof:
    return Proof(
        secrets=tuple(_bytes(secret) for secret in verify.password or verify.secret),
        username=_bytes(verify.username),
        header=(verify.header or "").lower(),
        parameter=verify.parameter or "",
        encoding=verify.encoding,
        algorithm=verify.algorithm,
        prefix=verify.prefix,
        message=verify.message,
        timestamp_header=(verify.timestamp_header or "").lower(),
        tolerance_seconds=verify.tolerance,
    )


def _bytes(value: str | Secret | None) -> bytes:
    """A line end that came along when the secret was stored is not part of it."""
    text = "" if value is None else value if isinstance(value, str) else value.reveal()
    return text.strip("\r\n").encode()
