"""A webhook: how a call is verified, and where it goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from rowferry.errors import Problem
from rowferry.settings.base import Frozen, Seconds, Secret
from rowferry.settings.names import Names

Scheme = Literal["stripe", "standard", "shopify", "github", "klaviyo", "segment", "slack", "recurly", "hmac", "basic", "bearer", "token"]

SCHEMES_WITH_TOPIC = ("github", "shopify")


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str | Secret) else value


_SECRET = {"type": "string", "pattern": r"^(secret|env):([A-Za-z0-9][A-Za-z0-9_./-]*)$", "examples": ["secret:stripe-whsec"]}
Secrets = Annotated[
    tuple[Secret, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [_SECRET, {"type": "array", "items": _SECRET, "minItems": 1}]}),
]


def _header(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", name):
        raise ValueError("expected the name of a header such as X-Signature")
    return name


HeaderName = Annotated[str, AfterValidator(_header)]

# The keys each scheme must have, and those it may have besides.
_SCHEME_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "stripe": ({"secret"}, {"tolerance"}),
    "standard": ({"secret"}, {"tolerance"}),
    "shopify": ({"secret"}, set()),
    "github": ({"secret"}, set()),
    "klaviyo": ({"secret"}, {"tolerance"}),
    "segment": ({"secret"}, set()),
    "slack": ({"secret"}, {"tolerance"}),
    "recurly": ({"secret"}, {"tolerance"}),
    "hmac": ({"secret", "header"}, {"encoding", "algorithm", "prefix", "message", "timestamp_header", "tolerance"}),
    "basic": ({"username", "password"}, set()),
    "bearer": ({"secret"}, set()),
    "token": ({"secret"}, {"header", "parameter"}),
}


class Verify(Frozen):
    """How a call shows from whom it is. With several secrets any may match, for rotation."""

    scheme: Scheme = Field(description="The sender's own way, or the general ones: hmac, basic, bearer, token.")
    secret: Secrets = Field((), description="One, or a list while a secret is being replaced.")
    username: Secret | str | None = Field(None, union_mode="left_to_right", description="basic: the user's name, or a reference.")
    password: Secrets = Field((), description="basic: one, or a list while it is being replaced.")
    header: HeaderName | None = Field(None, description="hmac, token: the header that bears the signature or token.")
    parameter: str | None = Field(None, min_length=1, description="token: the query parameter; it shows in access logs.")
    encoding: Literal["hex", "base64"] = Field("hex", description="hmac: how the signature is written.")
    algorithm: Literal["sha256", "sha1", "sha512"] = Field("sha256", description="hmac: of the signature.")
    prefix: str = Field("", max_length=32, description="hmac: what stands before the signature, such as `sha256=`.")
    message: str = Field("{body}", description="hmac: what is signed; {body} and {timestamp} are filled in.")
    timestamp_header: HeaderName | None = Field(None, description="hmac: the header with the time of sending.")
    tolerance: Seconds = Field(300.0, description="How far the sender's time may be from ours, both ways.")
    id_header: HeaderName | None = Field(None, description="The header that says which event it is, for repeats.")
    topic_header: HeaderName | None = Field(None, description="The header that says what happened, for `topic` of routes.")
    id_path: str | None = Field(None, min_length=1, description="The same as a JMESPath into the body.")

    def conflicts(self) -> Iterator[Problem]:
        """Each scheme has its own keys."""
        needs, takes = _SCHEME_KEYS[self.scheme]
        for key in sorted(needs):
            if not getattr(self, key):
                yield Problem(key, "is missing", f"scheme: {self.scheme} needs {' and '.join(sorted(needs))}")
        for key in sorted(self.model_fields_set - needs - takes - {"scheme", "id_header", "id_path", "topic_header"}):
            yield Problem(key, f"has no meaning with scheme: {self.scheme}", f"it takes {', '.join(sorted(needs | takes))}")
        if self.scheme == "token" and bool(self.header) == bool(self.parameter):
            found = "stands beside parameter" if self.header else "is missing"
            yield Problem("header", found, "a token comes in one header, or in one parameter")
        yield from self._message()

    def _message(self) -> Iterator[Problem]:
        if "{body}" not in self.message or set("{}") & set(self.message.replace("{body}", "").replace("{timestamp}", "")):
            yield Problem("message", "is not a message to sign", "made of {body} and {timestamp}, such as {timestamp}.{body}")
        elif "{timestamp}" in self.message and not self.timestamp_header:
            yield Problem("timestamp_header", "is missing", "the message to sign has {timestamp} in it")
        elif self.timestamp_header and "{timestamp}" not in self.message:
            yield Problem("message", "leaves the time out", "anybody could change a time that is not signed; leave timestamp_header out")


def _route_map(value: Any) -> Any:
    if isinstance(value, dict):
        for name, path in value.items():
            if not isinstance(path, str):
                raise ValueError(f"the value of {str(name)[:40]} is not JMESPath; a constant is written '`5`' or \"'text'\"")
    return value


class RouteSend(Frozen):
    """Rows made from a call, for one destination. The values of `map` are JMESPath into the body."""

    to: str = Field(min_length=1, description="The name of an entry of `destinations`.")
    action: str = Field(min_length=1, description="profile, event … as the vendor has it.")
    map: Annotated[dict[str, str], BeforeValidator(_route_map)] = Field(
        min_length=1, description="The vendor's fields, each JMESPath into the body; a constant is 'text' or `5`."
    )
    each: str | None = Field(None, min_length=1, description="JMESPath to a list, or one object: a row for each; `map` reads within it.")


class RouteNotify(Frozen):
    """A notice made from a call: a Jinja text, or Slack's blocks with Jinja in their texts."""

    to: str = Field(min_length=1, description="The name of an entry of `destinations`.")
    text: str | None = Field(None, min_length=1, description="Jinja over the body, e.g. {{ data.object.customer }} cancelled.")
    blocks: list[dict[str, Any]] | None = Field(None, min_length=1, max_length=50, description="Slack's blocks, with Jinja in their texts.")

    def conflicts(self) -> Iterator[Problem]:
        """There is something to say."""
        if self.text is None and self.blocks is None:
            yield Problem("text", "is missing", "write the notice's text, or blocks")


class Route(Frozen):
    """What happens with calls for which `when` (JMESPath) holds; with all, when it is left out."""

    when: str | None = Field(None, min_length=1, description="JMESPath on the body: the route is followed where it is true.")
    send: RouteSend | None = Field(None, description="Rows for a destination.")
    notify: RouteNotify | None = Field(None, description="A notice for people.")

    topic: Names = Field(
        (), description="What happened, as the sender says in a header (Shopify, GitHub, `topic_header`): only then is the route followed."
    )

    def conflicts(self) -> Iterator[Problem]:
        """It leads somewhere."""
        if self.send is None and self.notify is None:
            yield Problem("", "leads nowhere", "add send: {to, action, map} or notify: {to, text}")


class Webhook(Frozen):
    """`POST /hooks/<name>`. Every route whose `when` holds is followed."""

    verify: Verify = Field(description="How a call shows from whom it is.")
    routes: tuple[Route, ...] = Field(min_length=1, description="What happens with calls.")
    max_body_bytes: int = Field(1_000_000, gt=0, le=6_000_000, description="Larger calls are answered 413. Lambda itself ends at 6 MB.")
    per_second: float | None = Field(None, gt=0, description="Calls a second that are taken from this sender; more are answered 429.")

    def conflicts(self) -> Iterator[Problem]:
        """A topic stands somewhere."""
        if self.verify.scheme not in SCHEMES_WITH_TOPIC and not self.verify.topic_header:
            for index, route in enumerate(self.routes):
                if route.topic:
                    yield Problem(f"routes.{index}.topic", "stands in no header that is known", "name it: verify.topic_header")
