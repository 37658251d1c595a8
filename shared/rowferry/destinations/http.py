"""Any HTTP API, described in the settings file alone: for one-off and in-house APIs, and vendors without a file of their own.

Worked examples stand in `infra/pipelines/examples/` (AppsFlyer, Adjust, Amperity's streaming ingest).
A description knows less than a vendor's own file: what a status or a body means is said by `outcome`,
and where it says nothing, a 2xx counts as delivered and any other answer as what it usually means.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from rowferry.destinations._http_answers import read
from rowferry.destinations._http_settings import IDEMPOTENCY, ROWS, Basic, Bearer, HeaderKey, HttpSettings, QueryKey
from rowferry.destinations._http_template import Template, as_text, fill_text, placeholders
from rowferry.destinations.port import Action, Destination, Fields, Limits, Pace
from rowferry.destinations.values import dumps, required
from rowferry.errors import Problem, RowRejected
from rowferry.settings.base import Secret
from rowferry.wire import Request, Response

_HEAD_BYTES = 16_384  # room for a row's own address and headers, which travel before its body
_CONTENT_TYPES = {"one": "application/json", "array": "application/json", "wrapped": "application/json", "ndjson": "application/x-ndjson"}


# ── Rows ────────────────────────────────────────────────────────────────────────────────────


def _identifiers(names: Iterable[str], settings: HttpSettings) -> frozenset[str]:
    """Who or what a row is, and what else must be in every request for it to say what it means: with `send:
    changed` a name made of two fields would be cut to the one that changed."""
    template = _template(settings)
    mixed = template.mixed_of(names) if template is not None else frozenset()
    return (frozenset(names) & settings.key_names) | mixed


def _check(names: Mapping[str, str | None], settings: HttpSettings) -> Iterable[Problem]:
    for name in sorted(settings.key_names - set(settings.identifiers or ()) - names.keys()):
        yield Problem(name, "is not mapped, and the destination requires it", f"map {name} to a column or a constant")
    if settings.identifiers and not names.keys() & set(settings.identifiers):
        yield Problem("", "no identifier is mapped", f"map one of {', '.join(settings.identifiers)}")
    template = _template(settings)
    if template is not None and not template.takes_rest:
        for name in sorted(names.keys() - template.names - settings.row_names):
            yield Problem(name, "has no place in the destination's body", f"use {{{name}}} or {{rest}} there")


def _template(settings: HttpSettings) -> Template | None:
    """The compiled body; None when it is none, which was told with the settings."""
    try:
        return settings.template
    except ValueError:
        return None


def _check_state(names: Mapping[str, str | None], settings: HttpSettings) -> Iterable[Problem]:
    yield from _check(names, settings)
    template = _template(settings)
    if IDEMPOTENCY in settings.row_names or (template is not None and IDEMPOTENCY in template.names):
        yield Problem("", f"{{{IDEMPOTENCY}}} is for events: a profile's next change would count as a repeat", "leave it out")
    if not settings.key_names & names.keys():  # changed attributes would leave without saying whose they are
        yield Problem("", "nothing says whose profile a row is", "set identifiers on the destination, e.g. [customer_id]")


def _to_payload(fields: Fields, settings: HttpSettings) -> bytes:
    """The row's part of the body; before it, on a line of its own, the row's address and headers where it has any."""
    for name in settings.required or ():
        required(fields, name)
    if settings.identifiers and all(fields.get(name) in (None, "") for name in settings.identifiers):
        raise RowRejected("missing_identifier", f"the row has none of {', '.join(settings.identifiers)}, so nothing says whose it is")
    for name, pattern in settings.patterns.items():
        if fields.get(name) is not None and not re.fullmatch(pattern, as_text(fields[name], name)):
            raise RowRejected("not_as_described", f"{name} does not match the pattern that the destination gives for it")
    body = _encoded(settings.template.fill(fields), settings)
    most = min(settings.limits.row_bytes or settings.limits.bytes, settings.limits.bytes)
    if len(body) > most:
        raise RowRejected("row_too_large", f"the row takes {len(body):,} bytes, the destination's limit is {most:,}")
    return _head(fields, settings) + body if settings.row_names else body


def _encoded(document: Any, settings: HttpSettings) -> bytes:
    if settings.method == "DELETE" and settings.body is None:
        return b""
    if settings.encoding == "json":
        return dumps(document)
    if not isinstance(document, dict):
        raise RowRejected("not_a_form", "the body is not a mapping, which a form needs")
    return urlencode([(name, as_text(value, name)) for name, value in document.items()]).encode()


def _head(fields: Fields, settings: HttpSettings) -> bytes:
    headers = {name: fill_text(str(value), fields) for name, value in settings.headers.items() if _is_own(value)}
    for name, value in headers.items():
        if not re.fullmatch(r"[\x20-\x7e]+", value):
            raise RowRejected("not_a_header", f"the header {name} would be empty or hold characters that headers can't")
    for name in placeholders(settings.url):
        if as_text(required(fields, name), name) in (".", ".."):
            raise RowRejected("not_an_address", f"{name} is . or .., which would lead to another address")
    return dumps([fill_text(settings.url, fields, lambda text: quote(text, safe="")), headers]) + b"\n"


def _is_own(value: str | Secret) -> bool:
    """Whether a header's value differs from row to row."""
    return isinstance(value, str) and bool(placeholders(value))


# ── Requests ────────────────────────────────────────────────────────────────────────────────


def _limits(settings: HttpSettings) -> Limits:
    rows = 1 if settings.batch == "one" else settings.limits.rows
    head_bytes = _HEAD_BYTES if settings.row_names else 0
    before, after = _around(settings)
    return Limits(rows, settings.limits.bytes + head_bytes, envelope_bytes=len(before) + len(after))


def _around(settings: HttpSettings) -> tuple[bytes, bytes]:
    """What stands before and after the rows."""
    if settings.batch != "wrapped":
        return {"array": (b"[", b"]"), "ndjson": (b"", b"\n")}.get(settings.batch, (b"", b""))
    document = settings.wrap if isinstance(settings.wrap, dict) else {settings.wrap: ROWS}
    before, _, after = orjson.dumps(document).partition(orjson.dumps(ROWS))
    return before + b"[", b"]" + after


def _build(batch: Sequence[bytes], settings: HttpSettings) -> Request:
    url, own = settings.url, {}
    if settings.row_names:
        head, _, body = batch[0].partition(b"\n")
        url, own = orjson.loads(head)
    else:
        before, after = _around(settings)
        body = before + (b"\n" if settings.batch == "ndjson" else b",").join(batch) + after
    kind = "application/x-www-form-urlencoded" if settings.encoding == "form" else _CONTENT_TYPES[settings.batch]
    return Request(settings.method, _address(url, settings), body, {"Content-Type": kind, **_headers(settings), **own})


def _address(url: str, settings: HttpSettings) -> str:
    if settings.base_url is not None:
        url = settings.base_url.rstrip("/") + urlsplit(url).path
    if isinstance(settings.auth, QueryKey):
        url += "?" + urlencode({settings.auth.name: settings.auth.value.reveal()})
    return url


def _headers(settings: HttpSettings) -> dict[str, str]:
    """The headers that are the same for every row, the key among them."""
    found = {n: v.reveal() if isinstance(v, Secret) else v for n, v in settings.headers.items() if not _is_own(v)}
    match settings.auth:
        case Bearer(token=token):
            found["Authorization"] = f"Bearer {token.reveal()}"
        case Basic(username=username, password=password):
            found["Authorization"] = "Basic " + base64.b64encode(f"{username}:{password.reveal()}".encode()).decode()
        case HeaderKey(name=name, value=value):
            found[name] = value.reveal()
    return found


# ── The value ───────────────────────────────────────────────────────────────────────────────


def _probe(settings: HttpSettings) -> Request:
    """A GET of `probe`, or of the address itself up to what a row fills in: it changes nothing."""
    parts = urlsplit(settings.url)
    path = settings.probe or parts.path.partition("{")[0]
    return Request("GET", _address(f"{parts.scheme}://{parts.netloc}{path}", settings), headers=_headers(settings))


def _read_probe(response: Response) -> str | None:
    """A 404 or 405 still shows that the address answers, and says nothing of the key."""
    if response.status in (401, 403, 407) or response.status >= 500:
        return f"the API answered {response.status}: {response.text or 'nothing'}"
    return None


def _pace(settings: HttpSettings) -> Pace:
    return Pace(settings.per_second, settings.in_flight or 10)


def _event(name: str) -> Action[HttpSettings]:
    return Action(name, _limits, _identifiers, _check, _to_payload, _build, read, IDEMPOTENCY, repeats_safely=False)


def _state(name: str) -> Action[HttpSettings]:
    return Action(name, _limits, _identifiers, _check_state, _to_payload, _build, read)


DESTINATION = Destination(
    vendor="http",
    title="HTTP API",
    settings=HttpSettings,
    actions={
        "profile": _state("profile"),
        "group": _state("group"),
        "subscription": _state("subscription"),
        "event": _event("event"),
        "purchase": _event("purchase"),
    },
    pace=_pace,
    probe=_probe,
    read_probe=_read_probe,
    audience="attribute",
    notes={
        "event": f"An API that can tell repeats needs {{{IDEMPOTENCY}}} in body or headers; without it a lost answer means a second event.",
        "profile": "send: changed sends identifiers, required fields, what the body combines, and what changed; "
        "an API that replaces records needs send: all.",
    },
)
