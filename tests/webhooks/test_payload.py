"""Bodies, read strictly."""

from __future__ import annotations

import pytest

from rowferry.webhooks import payload
from rowferry.webhooks.port import Call


def _call(body: bytes, kind: str = "application/json", **headers: str) -> Call:
    return Call("POST", "/hooks/any", {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}, body)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"nul", b"5", b'"text"', b"null", b"true", b"{}x", b"{'a':1}",
        b'{"a":1,"a":2}', b'{"b":{"a":1,"a":1}}', b'[{"a":1,"a":2}]', b'{"a":1,"\\u0061":2}',
        b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":01}', b'[1' + b"0" * 5000 + b"]",
        b"[" * 300 + b"]" * 300, b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
        '{"a":"grüße"}'.encode("latin-1"), '{"a":1}'.encode("utf-16"), b'\xef\xbb\xbf{"a":1}', b'{"a":"\xed\xa0\x80"}',
        b'{"\\ud800":1,"\\udbff":2}', b'{"a":"\x00"}', b"\x1f\x8b\x08",
    ],
)  # fmt: skip
def test_what_is_not_one_sane_document_is_malformed(body: bytes) -> None:
    """What two readers might take differently, or can't be written down again, is refused at the door."""
    with pytest.raises(payload.Malformed):
        payload.read(_call(body))


def test_what_is_sane_is_read_exactly() -> None:
    """Deep but not absurd, long numbers and all of Unicode come through as they were."""
    assert payload.read(_call(b'{"a":123456789012345678901234567890,"b":1.10,"c":"\\ud83d\\ude00"}')) == {
        "a": 123456789012345678901234567890,
        "b": 1.1,
        "c": "😀",
    }
    assert payload.read(_call(b"[" * 60 + b"]" * 60))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (rb"cut \ud83d", "cut \ufffd"), (rb"\uDE00\ud83d\ude00", "\ufffd😀"), (rb"\ud83d\ud83d\ude00\n", "\ufffd😀\n"),
        (rb"\\ud83d", "\\ud83d"), (rb"\ud83d\\ude00", "\ufffd\\ude00"),
    ],
)  # fmt: skip
def test_half_an_emoji_is_no_reason_to_lose_an_event(text: bytes, read: str) -> None:
    """Where a sender cut a text there is a mark; what only looks like half a character stays as it is."""
    assert payload.read(_call(b'{"a":"%b"}' % text)) == {"a": read}


@pytest.mark.parametrize(
    ("kind", "is_supported"),
    [
        ("application/json", True), ("application/json; charset=utf-8", True), ('Application/JSON;charset="UTF-8"', True),
        ("text/plain", True), ("application/cloudevents+json", True), ("application/x-www-form-urlencoded", True), ("", True),
        ("application/json; charset=us-ascii", True), ("application/json; charset=utf-16", False),
        ("application/json; charset=iso-8859-1", False), ("multipart/form-data; boundary=x", False), ("application/xml", False),
        ("image/png", False), ("text/html", False), ("application/octet-stream", False),
    ],
)  # fmt: skip
def test_which_types_are_taken(kind: str, is_supported: bool) -> None:
    """JSON under its usual names and forms, in UTF-8; what else there is is told apart before anything is read."""
    assert payload.is_supported(_call(b"{}", kind)) is is_supported


def test_a_packed_body_is_not_taken() -> None:
    """The signature is over what is in the packet, and what it holds may be without end."""
    assert not payload.is_supported(_call(b"{}", content_encoding="gzip"))
    assert payload.is_supported(_call(b"{}", content_encoding="identity"))


def test_forms() -> None:
    """A slash command is its fields; a button's JSON stands in `payload`."""
    form = "application/x-www-form-urlencoded"
    assert payload.read(_call(b"command=%2Fdeploy&text=&user=%C3%BC", form)) == {"command": "/deploy", "text": "", "user": "ü"}
    assert payload.read(_call(b"payload=%7B%22type%22%3A%22block_actions%22%7D", form)) == {"type": "block_actions"}


@pytest.mark.parametrize("body", [b"", b"a", b"a=1&a=2", b"a=%FF", b"a=\xff", b"payload=5", b"&".join(b"a%d=1" % n for n in range(1001))])
def test_forms_that_are_none(body: bytes) -> None:
    """A form is read as strictly as JSON."""
    with pytest.raises(payload.Malformed):
        payload.read(_call(body, "application/x-www-form-urlencoded"))
