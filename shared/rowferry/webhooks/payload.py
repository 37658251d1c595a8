"""A webhook's body as values, read strictly: what two parsers would read differently is refused.

A signature proves who wrote the bytes, not that they are sane. A name given twice, NaN or a thousand
brackets would mean one thing here and another at the next reader. Half an emoji, which is what is left
where a sender cut a text (JavaScript writes it `\\ud83d`), is the character U+FFFD: refused, it would
come again until its sender gives the event up.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache, reduce
from typing import Any
from urllib.parse import parse_qsl

import orjson

from rowferry.errors import RowferryError
from rowferry.webhooks.port import Call

_MAX_FIELDS = 1000
_LEVELS_LEFT = 24
_FORM = "application/x-www-form-urlencoded"
# What a backslash begins: two halves that make a character, one half alone, anything else.
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


class Malformed(RowferryError):
    """The body is not what its content type says. The text names no value."""


def is_supported(call: Call) -> bool:
    """Whether the body is said to be JSON, text that may be JSON (CleverTap sends so) or a form, in UTF-8, as it is."""
    return _is_known(call.headers.get("content-type", "")) and call.headers.get("content-encoding", "identity").lower() == "identity"


@lru_cache(maxsize=256)  # a sender has one
def _is_known(content_type: str) -> bool:
    kind, parameters = _parts(content_type)
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters)
    is_json = kind.startswith("application/") and kind.endswith("+json")
    is_kind = is_json or kind in ("", "application/json", "text/plain", _FORM)
    return is_kind and (charset is None or charset[1] in ("utf-8", "utf8", "us-ascii"))


def read(call: Call) -> Any:
    """The body: an object or an array. Raises `Malformed`."""
    if _parts(call.headers.get("content-type", ""))[0] == _FORM:
        return _read_form(call.body)
    return read_json(call.body)


def read_json(body: bytes) -> Any:
    """An object or array from JSON. Raises `Malformed` for anything else, and for what parsers read in different ways."""
    try:
        return _read_strictly(body)
    except Malformed:
        if (whole := _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)) == body:
            raise
        return _read_strictly(whole)


def _read_strictly(body: bytes) -> Any:
    try:
        # orjson refuses what is not JSON (NaN, infinity, bad UTF-8, halves of surrogate pairs), and to
        # write more than 254 levels, some of which are for what routes wrap it in, and rows on their way out.
        orjson.dumps(reduce(lambda inner, _: [inner], range(_LEVELS_LEFT), orjson.loads(body)))
        # Python's own parser shows every name, and keeps every digit of a long integer.
        found = _STRICT.decode(body.decode())
    except (ValueError, TypeError) as error:
        raise Malformed("the body is not JSON, names something twice, or nests too deep") from error
    if not isinstance(found, dict | list):
        raise Malformed("the body is neither an object nor an array")
    return found


def _read_form(body: bytes) -> Any:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_FIELDS)
        fields = _unique(pairs)
    except ValueError as error:
        raise Malformed("the body is not a form, or names something twice") from error
    if not fields:
        raise Malformed("the form is empty")
    return read_json(fields["payload"].encode()) if "payload" in fields else fields


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


_STRICT = json.JSONDecoder(object_pairs_hook=_unique)


def _parts(content_type: str) -> tuple[str, str]:
    kind, _, parameters = content_type.lower().partition(";")
    return kind.strip(), parameters
