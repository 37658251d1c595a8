"""How a generic HTTP destination is described in the settings file: where, with which key, what a row
becomes, how many go at once, and how its answers are to be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from rowferry.destinations._http_template import Template, placeholders
from rowferry.errors import Problem, UsageError
from rowferry.settings.base import DestinationSettings, Frozen, Secret
from rowferry.settings.names import Names
from rowferry.settings.url import REFERENCE, Url

IDEMPOTENCY = "idempotency_key"  # the field that the engine fills from sync, key and cursor
ROWS = "{rows}"  # where the batch stands in `wrap`
_SECRET_HEADERS = re.compile(r"(?i)auth|key|token|secret|passw|cookie|credential")


def _jmespath(text: str) -> str:
    try:
        jmespath.compile(text)
    except JMESPathError as error:
        raise ValueError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from None
    return text


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):  # RFC 9110 §5.6.2
        raise ValueError("not a header's name")
    return name


def _regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error:
        raise ValueError("not a regular expression") from None
    return text


def _many(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


def _secret_or_text(value: Any) -> Any:
    return Secret(value) if isinstance(value, str) and REFERENCE.fullmatch(value) else value


_ONE_OR_MANY = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}
JmesPath = Annotated[str, AfterValidator(_jmespath)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str | Secret, BeforeValidator(_secret_or_text)]
Regex = Annotated[str, AfterValidator(_regex)]
Status = Annotated[int, Field(ge=100, le=599)]
Statuses = Annotated[tuple[Status, ...], BeforeValidator(_many), WithJsonSchema(_ONE_OR_MANY)]


class Bearer(Frozen):
    """`Authorization: Bearer …`."""

    scheme: Literal["bearer"]
    token: Secret = Field(description="The token.")


class Basic(Frozen):
    """`Authorization: Basic …`."""

    scheme: Literal["basic"]
    username: str = Field(description="The user's name.")
    password: Secret = Field(description="The password.")


class HeaderKey(Frozen):
    """A key in a header of its own."""

    scheme: Literal["header"]
    name: HeaderName = Field(description="The header, e.g. X-Api-Key.")
    value: Secret = Field(description="The key.")


class QueryKey(Frozen):
    """A key in the address. The last resort: addresses end up in other people's access logs."""

    scheme: Literal["query"]
    name: str = Field(min_length=1, description="The parameter's name.")
    value: Secret = Field(description="The key.")


Auth = Annotated[Bearer | Basic | HeaderKey | QueryKey, Field(discriminator="scheme")]


class RequestLimits(Frozen):
    """What one request may hold."""

    rows: int = Field(100, gt=0, le=100_000, description="Rows in a request; always 1 with batch: one.")
    bytes: int = Field(1_000_000, gt=0, description="Bytes of a whole body.")
    row_bytes: int | None = Field(None, gt=0, description="Bytes of a single row's part of it.")


class RowErrors(Frozen):
    """Where an answer lists the rows it did not take."""

    at: JmesPath = Field(description="JMESPath to the list of errors.")
    index: JmesPath = Field("index", description="JMESPath, in an error, to the row's place in the request.")
    first: Literal[0, 1] = Field(0, description="The number of the first row.")
    message: JmesPath = Field("message", description="JMESPath, in an error, to what was wrong.")
    again: JmesPath | None = Field(None, description="JMESPath, in an error: when true, the row is sent once more.")


class Rule(Frozen):
    """What an answer with one of these statuses means, where it is not what it usually means."""

    status: Statuses = Field(description="One status, or a list.")
    when: JmesPath | None = Field(None, description="JMESPath on the answer: the rule holds when it is true.")
    then: Literal["delivered", "reject", "again", "slow_down", "refuse"] = Field(
        description="again counts as an attempt, slow_down does not; refuse stops everything that goes there."
    )


class Outcome(Frozen):
    """How an answer is read: the rules in their order, then the errors by row, then what the status usually means."""

    rules: tuple[Rule, ...] = Field((), description="What certain statuses mean; the first that holds counts.")
    errors: RowErrors | None = Field(None, description="Where an answer lists the rows it did not take.")
    success: JmesPath | None = Field(None, description="JMESPath that must be true in an answer, else the rows it does not list go again.")


class HttpSettings(DestinationSettings):
    """An HTTP API, described whole. `base_url` replaces scheme and host of `url`."""

    vendor: Literal["http"]
    url: Url = Field(description="Where rows are sent. With batch: one its path may hold {field}.")
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field("POST", description="Of every request.")
    headers: dict[HeaderName, HeaderValue] = Field({}, description="Constant, secret:NAME, or (with batch: one) with {field}.")
    auth: Auth | None = Field(None, description="How a request shows from whom it is.")
    encoding: Literal["json", "form"] = Field("json", description="form: application/x-www-form-urlencoded, one row a request.")
    body: Any = Field(None, description="What a row becomes: a template. Left out: the fields as they are.")
    batch: Literal["one", "array", "wrapped", "ndjson"] = Field("one", description="How rows stand in a request.")
    wrap: str | dict[str, Any] = Field("records", description="batch: wrapped: the key of the rows, or the body with {rows} in it.")
    limits: RequestLimits = Field(RequestLimits(), description="How much one request may hold.")
    identifiers: Names | None = Field(None, description="Fields that say who or what the row is; they are in every request.")
    required: Names | None = Field(None, description="Fields without which a row is rejected here.")
    patterns: dict[str, Regex] = Field({}, description="Regular expressions that fields must match as a whole, where they are given.")
    outcome: Outcome = Field(Outcome(), description="How an answer is read.")
    probe: str | None = Field(None, pattern=r"^/[^\s?#]*$", description="A path that a GET may ask for, to see whether the key works.")

    @cached_property
    def template(self) -> Template:
        """The compiled body. Raises `ValueError` when it is no template, which `conflicts` has told."""
        return Template({} if self.body is None else self.body, elsewhere=self.row_names, hidden=[IDEMPOTENCY])

    @cached_property
    def row_names(self) -> frozenset[str]:
        """The fields that stand in the address and the headers of a row's request."""
        texts = [self.url, *(value for value in self.headers.values() if isinstance(value, str))]
        return frozenset().union(*map(placeholders, texts))

    @property
    def key_names(self) -> frozenset[str]:
        """The fields that must be in every request."""
        return (self.row_names | frozenset(self.identifiers or ()) | frozenset(self.required or ())) - {IDEMPOTENCY}

    def resolved(self, resolve: Callable[[str], str]) -> Self:
        """As any part of the settings; what was compiled is compiled anew, for the address may be another now."""
        copy = super().resolved(resolve)
        copy.__dict__.pop("template", None)
        copy.__dict__.pop("row_names", None)
        if problem := _host_problem(copy.url):
            raise UsageError(f"the address in {self.url}: {problem}")
        return copy

    def conflicts(self) -> Iterator[Problem]:
        """Templates that compile, and parts of a request that one row alone can have."""
        try:
            _ = self.template
        except ValueError as error:
            yield Problem("body", str(error))
        if problem := _host_problem(self.url):
            yield Problem("url", problem, "write the host out; only the path may hold {field}")
        if self.batch != "one" and self.row_names:
            yield Problem("batch", f"is {self.batch}, but {_listed(self.row_names)} stand in url or headers", "write batch: one")
        if self.batch != "one" and self.encoding == "form":
            yield Problem("batch", f"is {self.batch}, but a form holds one row", "write batch: one")
        if isinstance(self.wrap, dict) and _count(self.wrap, ROWS) != 1:
            yield Problem("wrap", f'needs "{ROWS}" exactly once, where the list of rows is to stand')
        for name, value in self.headers.items():
            if _SECRET_HEADERS.search(name) and isinstance(value, str) and not placeholders(value):
                yield Problem("headers", f"{name} sounds like a secret and stands in this file", "write secret:NAME or env:NAME")


def _host_problem(url: str) -> str | None:
    """No row says to whom its neighbours' key is sent."""
    return "a row can't choose the host" if placeholders(urlsplit(url).netloc) else None


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def _count(document: Any, text: str) -> int:
    if isinstance(document, dict | list):
        return sum(_count(part, text) for part in (document.values() if isinstance(document, dict) else document))
    return int(document == text)
