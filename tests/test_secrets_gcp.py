"""Secrets from Google's Secret Manager, with the real client against a small stand-in."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager import SecretManagerServiceClient  # noqa: TID251 - the real client is what is tested

from rowferry.clock import ManualClock
from rowferry.errors import CredentialsError, TryLater, UsageError
from rowferry.secrets import Resolve
from rowferry.secrets_gcp import KEPT_SECONDS, from_secret_manager, version_path
from rowferry.twins.server import Call, Fault, Twin
from rowferry.wire import Response


@dataclass
class SecretManager(Twin):
    """AccessSecretVersion as REST (Secret Manager v1, 2026-11)."""

    values: dict[str, bytes] = field(default_factory=dict)

    def client(self) -> SecretManagerServiceClient:
        """A real client that talks to the stand-in."""
        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth leaves it unannotated
        return SecretManagerServiceClient(transport="rest", credentials=nobody, client_options={"api_endpoint": self.url})

    def answer(self, call: Call) -> Response:
        """The version's payload, or 404."""
        path = call.path.partition("?")[0].removeprefix("/v1/").removesuffix(":access")
        if path not in self.values:
            return Response(404, json.dumps({"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}).encode())
        payload = {"data": base64.b64encode(self.values[path]).decode()}
        return Response(200, json.dumps({"name": path, "payload": payload}).encode(), {"content-type": "application/json"})


@pytest.fixture
def manager() -> Iterator[SecretManager]:
    latest = "projects/acme/secrets/braze-key/versions/latest"
    with SecretManager(values={latest: b"s3cr3t\n", "projects/acme/secrets/braze-key/versions/3": b"older"}) as twin:
        yield twin


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def resolve(manager: SecretManager, clock: ManualClock) -> Resolve:
    return from_secret_manager({"KEY": "value", "GOOGLE_CLOUD_PROJECT": "acme"}, manager.client(), clock)


def test_secret_is_read_once(manager: SecretManager, resolve: Resolve) -> None:
    """A secret's newest version is read, without its line's end, and then kept."""
    assert [resolve("secret:braze-key") for _ in range(3)] == ["s3cr3t"] * 3
    assert manager.requests == 1


def test_secret_is_read_again_after_some_minutes(manager: SecretManager, resolve: Resolve, clock: ManualClock) -> None:
    """A rotated secret is taken up once the kept one is old."""
    resolve("secret:braze-key")
    manager.values["projects/acme/secrets/braze-key/versions/latest"] = b"rotated"
    assert resolve("secret:braze-key") == "s3cr3t"
    clock.sleep(KEPT_SECONDS + 1)
    assert resolve("secret:braze-key") == "rotated"


def test_pinned_version(resolve: Resolve) -> None:
    """A version can be pinned in the reference."""
    assert resolve("secret:braze-key/versions/3") == "older"


def test_version_paths() -> None:
    """A name is of our project and the newest version unless it says otherwise."""
    assert version_path("n", "p") == "projects/p/secrets/n/versions/latest"
    assert version_path("n/versions/2", "p") == "projects/p/secrets/n/versions/2"
    assert version_path("projects/q/secrets/n", "p") == "projects/q/secrets/n/versions/latest"


def test_project_comes_from_the_environment(manager: SecretManager) -> None:
    """The function's own; when there is none, that is said."""
    with pytest.raises(UsageError, match="set GOOGLE_CLOUD_PROJECT"):
        from_secret_manager({}, manager.client())("secret:braze-key")


def test_env_falls_through(manager: SecretManager, resolve: Resolve) -> None:
    """`env:NAME` is read from the environment, never from Google."""
    assert resolve("env:KEY") == "value"
    assert manager.requests == 0


def test_missing_secret_is_named(resolve: Resolve) -> None:
    """A secret that is not there is a fault of the settings, told with its name."""
    with pytest.raises(UsageError, match=r"secret:no-such is not in Secret Manager.*: add a version to projects/acme/secrets/no-such"):
        resolve("secret:no-such")


def test_blank_secret_is_refused(manager: SecretManager, resolve: Resolve) -> None:
    """A secret of blanks only is no secret."""
    manager.values["projects/acme/secrets/blank/versions/latest"] = b" \n"
    with pytest.raises(UsageError, match="has no value"):
        resolve("secret:blank")


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, UsageError, "disabled or destroyed"),
        (401, CredentialsError, "secret:braze-key"),
        (403, CredentialsError, "secretAccessor"),
        (501, TryLater, "just now"),
    ],
)
def test_refusals(manager: SecretManager, resolve: Resolve, status: int, kind: type[Exception], words: str) -> None:
    """A disabled version, a missing right and a broken service are told apart, and none shows a value."""
    manager.faults.append(Fault(response=Response(status, b'{"error": {"message": "no"}}')))
    with pytest.raises(kind, match=words) as told:
        resolve("secret:braze-key")
    assert "s3cr3t" not in str(told.value)
    assert resolve("secret:braze-key") == "s3cr3t"


def test_passing_error_is_outlasted(manager: SecretManager, resolve: Resolve) -> None:
    """One 503 and one cut connection are tried again within the call."""
    manager.faults.extend([Fault(response=Response(503, b"{}")), Fault(reset="before")])
    assert resolve("secret:braze-key") == "s3cr3t"
