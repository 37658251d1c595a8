"""What is Cloud Storage's own: encodings, quota words, folder markers, sign-in."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.exceptions import RefreshError

from rowferry.clock import ManualClock
from rowferry.errors import CredentialsError, TryLater
from rowferry.stores.gcs import GcsStore, open_gcs
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.gcs import GcsServer
from support.proxy import FaultProxy


@pytest.fixture
def gcs(tmp_path: Path) -> Iterator[GcsServer]:
    with GcsServer(tmp_path) as server:
        yield server


def test_gcs_object_of_any_encoding_is_read_as_stored(gcs: GcsServer) -> None:
    """An export that was uploaded with Content-Encoding gzip comes out of the store as its stored bytes."""
    packed = gzip.compress(b"id\n1\n", mtime=0)
    blob = gcs.client().create_bucket("b").blob("f.csv")
    blob.content_encoding = "gzip"
    blob.upload_from_string(packed)
    store = GcsStore(gcs.client(), "b")
    assert store.read("f.csv")[0] == packed
    with store.open("f.csv") as stream:
        assert stream.read() == packed
    found = store.head("f.csv")
    assert found is not None
    assert found.size_bytes == len(packed)


def test_quota_told_as_forbidden_is_passing(gcs: GcsServer) -> None:
    """A 403 whose reason is a rate limit is waited out, unlike any other 403."""
    with FaultProxy(gcs.url) as proxy:
        clock = ManualClock()
        store = GcsStore(gcs.client(proxy.url), gcs.make_bucket("b"), clock=clock)
        body = b'{"error": {"code": 403, "message": "rateLimitExceeded", "errors": [{"reason": "rateLimitExceeded"}]}}'
        proxy.faults.append(Fault(response=Response(403, body, {"Content-Type": "application/json"})))
        store.create("a", b"")
        assert len(clock.slept) == 1


def test_folder_markers_are_listed_but_the_prefix_itself(gcs: GcsServer) -> None:
    """Empty objects that consoles make for folders are objects; the one of the store's own prefix is none."""
    bucket = gcs.client().create_bucket("b")
    for name in ("exports/", "exports/crm/", "exports/crm/a.csv"):
        bucket.blob(name).upload_from_string(b"")
    store = GcsStore(gcs.client(), "b", "exports")
    assert [found.key for found in store.list()] == ["crm/", "crm/a.csv"]
    assert store.read("crm/")[0] == b""


@pytest.mark.parametrize(("passing", "kind"), [(False, CredentialsError), (True, TryLater)])
def test_failed_sign_in(gcs: GcsServer, monkeypatch: pytest.MonkeyPatch, passing: bool, kind: type[Exception]) -> None:
    """A service account that Google refuses stops us; a sign-in that may work later does not."""
    client = gcs.client()

    def refuse(*_: object, **__: object) -> None:
        raise RefreshError("invalid_grant", retryable=passing)  # type: ignore[no-untyped-call]  # google-auth leaves it unannotated

    monkeypatch.setattr(client._http, "request", refuse)
    with pytest.raises(kind, match="gs://b"):
        GcsStore(client, "b", clock=ManualClock()).read("a")


PROXY = "http://proxy.example:3128"


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.usefixtures("nothing_said")
def test_proxy_and_certificates_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy and its own certificates count, without a look at the environment for each request."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://gcs.example")
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/company.pem")
    session = open_gcs("b")._client._http
    assert (session.proxies["http"], session.verify, session.trust_env) == (PROXY, "/etc/ssl/company.pem", False)


@pytest.mark.usefixtures("nothing_said")
def test_a_host_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY is heeded, and certificates are checked unless somebody says otherwise."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://gcs.example")
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "gcs.example")
    session = open_gcs("b")._client._http
    assert (dict(session.proxies), session.verify) == ({}, True)
