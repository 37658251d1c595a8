"""Addresses: https anywhere, http on this machine only, nothing secret in them; buckets and folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from rowferry.settings.url import LocalPath, StoreUrl, Url, UrlReference, check_url, is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://api.example.com:8443/v1/x",
        "http://127.0.0.1:8080",
        "http://127.9.9.9",
        "http://[::1]:8080/x",
        "http://localhost:1",
        "http://LOCALHOST",
        "HTTPS://api.example.com/{id}",
    ],
)
def test_addresses_that_are_taken(url: str) -> None:
    """https to anywhere, plain http to this machine."""
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://localhost@example.com",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://[::2]",
        "http://127.1",
        "http://2130706433",
        "ftp://127.0.0.1",
        "//127.0.0.1",
        "https://",
        "https:///x",
        "https://me:hunter2@example.com",
        "https://me@example.com",
        "https://example.com/?key=hunter2",
        "https://example.com/#hunter2",
        "https://exa mple.com",
        "https://[::1",
        "https://example.com:99999",
        "hunter2",
        "",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    """Anything else is refused in a sentence that does not repeat it: http to elsewhere, users, passwords, queries."""
    with pytest.raises(ValueError, match=r"[a-z]") as caught:
        check_url(url)
    assert "hunter2" not in str(caught.value)


def test_loopback() -> None:
    """Only what can't leave this machine is loopback, never a name that looks like it."""
    assert all(map(is_loopback, ["127.0.0.1", "127.255.0.3", "::1", "localhost"]))
    assert not any(map(is_loopback, ["128.0.0.1", "::2", "localhost.com", "127.0.0.1.nip.io", "", "0.0.0.0", "::"]))


def test_a_reference_waits_for_its_variable() -> None:
    """`env:NAME` is looked up while reading, and kept as a reference when it is not set; so is `secret:NAME`."""
    adapter = TypeAdapter[str](Url)
    context = {"environment": {"THERE": "https://api.example.com"}}
    assert adapter.validate_python("env:THERE", context=context) == "https://api.example.com"
    assert isinstance(adapter.validate_python("env:ELSEWHERE", context=context), UrlReference)
    assert isinstance(adapter.validate_python("secret:there", context=context), UrlReference)
    assert isinstance(adapter.validate_python("env:THERE"), UrlReference)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("gs://acme", "gs://acme"),
        ("s3://acme/prefix/", "s3://acme/prefix"),
        ("state", "file:///srv/rowferry/state"),
        ("./state", "file:///srv/rowferry/state"),
        ("file:state", "file:///srv/rowferry/state"),
        ("file://state", "file:///srv/rowferry/state"),
        ("/var/state", "file:///var/state"),
        ("file:///var/my%20state", "file:///var/my%20state"),
        ("my state", "file:///srv/rowferry/my%20state"),
        ("100%25", "file:///srv/rowferry/100%2525"),
    ],
)
def test_stores(text: str, url: str) -> None:
    """Every spelling of a bucket or folder becomes one address; relative ones start at the settings file's folder."""
    assert TypeAdapter[str](StoreUrl).validate_python(text, context={"folder": Path("/srv/rowferry")}) == url


@pytest.mark.parametrize(
    "text",
    ["", " ", "gs://", "gs:acme", "gs://ACME", "gs://a b", "http://acme", "azure://acme", "secret:x", "env:UNSET", "a\0b", 5, None],
)
def test_what_is_no_store(text: object) -> None:
    """Other schemes, bad bucket names and empty texts are refused."""
    with pytest.raises(ValidationError):
        TypeAdapter[str](StoreUrl).validate_python(text, context={"folder": Path("/srv"), "environment": {}})


def test_a_folder_below_home() -> None:
    """`~` is the user's folder."""
    assert TypeAdapter[Path](LocalPath).validate_python("~/w.duckdb", context={"folder": Path("/srv")}) == Path.home() / "w.duckdb"
