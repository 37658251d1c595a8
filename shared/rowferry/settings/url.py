"""Addresses in the settings: of a vendor's API (`Url`) and of a bucket or folder (`StoreUrl`).

Both may be `env:NAME`. The environment and the settings file's folder come in by pydantic's
validation context, `{"environment": …, "folder": …}`: nothing here looks at the process.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

REFERENCE = re.compile(r"(secret|env):([A-Za-z0-9][A-Za-z0-9_./-]*)")
_BUCKET = re.compile(r"(gs|s3)://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^\s?#\\]*)?")


def is_loopback(host: str) -> bool:
    """Whether this host name or address can only be this machine: 127.0.0.0/8, ::1, localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(text: str) -> str:
    """The address as it is. Raises `ValueError` unless it is https, or http on loopback.

    The message never holds the address: some addresses are secrets.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("this is not an address; expected one such as https://api.example.com") from None
    if parts.scheme not in {"https", "http"} or not host or re.search(r"\s", text):
        raise ValueError("this is not an address; expected one such as https://api.example.com, or env:NAME")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("plain http is accepted on loopback only (127.0.0.1, ::1, localhost); write https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address must not hold a user or password; use the vendor's own keys for them")
    if parts.query or parts.fragment:
        raise ValueError("expected scheme, host and path only, without ? or #")
    return text


class UrlReference(str):
    """An address that is still `env:NAME` or `secret:NAME`; `Frozen.resolved` puts the address in its place."""

    __slots__ = ()


def _url(value: str, info: ValidationInfo) -> str:
    match = REFERENCE.fullmatch(value)
    if match is None:
        return check_url(value)
    found = _environment(info).get(match[2]) if match[1] == "env" else None
    return check_url(found) if found else UrlReference(value)


def _store_url(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected gs://bucket, s3://bucket, a folder, or env:NAME")
    if match := REFERENCE.fullmatch(value):
        if match[1] == "secret":
            raise ValueError("a bucket or folder is not a secret; write it here, or env:NAME")
        found = _environment(info).get(match[2])
        if not found:
            raise ValueError(f"the environment variable {match[2]} is not set")
        value = found
    if value.startswith(("gs:", "s3:")):
        if not _BUCKET.fullmatch(value):
            raise ValueError("expected gs://bucket or s3://bucket, with a prefix after a slash or none")
        return value.rstrip("/")
    return _folder_url(value, info)


def _folder_url(value: str, info: ValidationInfo) -> str:
    text = unquote(value[5:].removeprefix("//").removeprefix("localhost/")) if value.startswith("file:") else value
    if not text or "\0" in text or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text):
        raise ValueError("expected gs://bucket, s3://bucket, file:///folder, or a folder relative to this file")
    path = _below("/" + text if value.startswith("file://localhost/") else text, info)
    return path.as_uri() if path.is_absolute() else f"file:{quote(str(path))}"


def _local_path(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("expected the path of a file, relative to this file or whole")
    return _below(value, info)


def _below(text: str, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    path = Path(text) if not text.startswith("~") else Path(text).expanduser()
    return path if folder is None else (Path(folder) / path).absolute()


def _environment(info: ValidationInfo) -> dict[str, str]:
    found: dict[str, str] = (info.context or {}).get("environment") or {}
    return found


# An API's address. An `env:NAME` whose variable is not set stays as it is until it is needed.
Url = Annotated[str, AfterValidator(_url), Field(examples=["https://api.example.com", "env:API_URL"])]

# `gs://bucket/prefix`, `s3://bucket/prefix` or `file:///folder`, without a slash at the end.
StoreUrl = Annotated[str, BeforeValidator(_store_url), Field(examples=["gs://acme-state", "s3://acme-state", "file:///srv/rowferry"])]

# A file on this machine; relative ones are below the settings file's folder.
LocalPath = Annotated[Path, BeforeValidator(_local_path, json_schema_input_type=str)]
