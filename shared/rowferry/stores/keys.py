"""Which names an object may have: what every store can hold, so that a folder can move to a cloud and back."""

from __future__ import annotations

from rowferry.errors import UsageError

# S3 and Cloud Storage both stop at 1,024 bytes of UTF-8 (S3 user guide "Naming objects", GCS "Objects: naming", 2026-11).
LONGEST_KEY_BYTES = 1024


def check_key(key: str) -> None:
    """Let a key pass that all stores can hold, or raise `UsageError` with the reason.

    Any Unicode is allowed, except line breaks and NUL; so are blanks, `+` and `%`. The parts between
    the slashes may not be empty, `.` or `..`, so that a key is always a path inside a folder.
    """
    fault = key_fault(key)
    if fault:
        raise UsageError(f"{_short(key)} can't be an object's name: {fault}")


def check_prefix(prefix: str) -> None:
    """The same for the start of a key, which may be empty and may end anywhere."""
    fault = _text_fault(prefix) or ("it may not begin with /" if prefix.startswith("/") else "")
    if not fault and any(part in {".", ".."} for part in prefix.split("/")[:-1]):
        fault = "a part of it is . or .."
    if fault:
        raise UsageError(f"{_short(prefix)} can't be the start of an object's name: {fault}")


def key_fault(key: str) -> str:
    """What is wrong with a key, for people; empty when it is a good one."""
    if not key:
        return "it is empty"
    if fault := _text_fault(key):
        return fault
    if any(part in {"", ".", ".."} for part in key.split("/")):
        return "a part of it between slashes is empty, . or .."
    return ""


def _text_fault(text: str) -> str:
    if "\0" in text or "\n" in text or "\r" in text:
        return "it has a line break or a NUL in it"
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return f"it has {length} bytes, {LONGEST_KEY_BYTES} is the most" if length > LONGEST_KEY_BYTES else ""


def _short(text: str) -> str:
    return repr(text) if len(text) <= 100 else f"{text[:100]!r}…"
