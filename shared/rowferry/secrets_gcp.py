"""Secrets from Google's Secret Manager, kept for five minutes in the instance that read them."""

from __future__ import annotations

import os
from collections.abc import Mapping

import requests
from google.api_core.exceptions import BadRequest, Forbidden, GoogleAPICallError, NotFound, RetryError, Unauthorized
from google.api_core.retry import Retry, if_transient_error
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.cloud.secretmanager import SecretManagerServiceClient  # noqa: TID251 - this is the adapter

from rowferry.clock import Clock, SystemClock
from rowferry.errors import CredentialsError, RowferryError, TryLater, UsageError
from rowferry.secrets import Resolve, from_environment

# A rotated key is taken up within this time; a run that fails on the old one resumes with the new one.
KEPT_SECONDS = 300.0
_TIMEOUT_SECONDS = 10.0
_RETRY = Retry(predicate=if_transient_error, initial=0.2, maximum=3.2, timeout=20.0)
_ERRORS = (GoogleAPICallError, RetryError, GoogleAuthError, requests.RequestException)


def from_secret_manager(
    environment: Mapping[str, str] = os.environ, client: SecretManagerServiceClient | None = None, clock: Clock | None = None
) -> Resolve:
    """Resolves `secret:NAME` with the Secret Manager of the project in GOOGLE_CLOUD_PROJECT, and all else from `environment`.

    NAME is the newest version; `NAME/versions/3` pins one, `projects/P/secrets/NAME` is another project's.
    Raises `UsageError` for a secret that is not there, `CredentialsError` where we may not read it and
    `TryLater` where Secret Manager can't be reached; none holds the value.
    """
    elsewhere, project = from_environment(environment), environment.get("GOOGLE_CLOUD_PROJECT", "")
    clock = clock or SystemClock()
    client = client or _client()
    kept: dict[str, tuple[float, str]] = {}

    def resolve(reference: str) -> str:
        kind, _, name = reference.partition(":")
        if kind != "secret":
            return elsewhere(reference)
        read_at, value = kept.get(name, (0.0, ""))
        if not value or clock.monotonic() - read_at > KEPT_SECONDS:
            value = _read(client, name, project)
            kept[name] = clock.monotonic(), value
        return value

    return resolve


def version_path(name: str, project: str) -> str:
    """The resource name of a secret's version, the newest unless `name` says which. Raises `UsageError` without a project."""
    if not project and not name.startswith("projects/"):
        raise UsageError(f"secret:{name} is in no known project: set GOOGLE_CLOUD_PROJECT")
    path = name if name.startswith("projects/") else f"projects/{project}/secrets/{name}"
    return path if "/versions/" in path else f"{path}/versions/latest"


def _client() -> SecretManagerServiceClient:
    try:
        return SecretManagerServiceClient(transport="rest")  # spares a function the start of gRPC
    except DefaultCredentialsError as error:
        hint = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
        raise CredentialsError(f"there are no Google credentials for Secret Manager: {hint}") from error


def _read(client: SecretManagerServiceClient, name: str, project: str) -> str:
    path = version_path(name, project)
    try:
        response = client.access_secret_version(name=path, retry=_RETRY, timeout=_TIMEOUT_SECONDS)
    except _ERRORS as error:
        raise _explanation(error, name, path) from error
    value: str = response.payload.data.decode().rstrip("\r\n")  # what `echo` adds when a secret is made from a shell
    if not value.strip():
        raise UsageError(f"secret:{name} has no value in Secret Manager: add a version with one")
    return value


def _explanation(error: Exception, name: str, path: str) -> RowferryError:
    if isinstance(error, NotFound):
        where = path.partition("/versions/")[0]
        return UsageError(f"secret:{name} is not in Secret Manager, or has no value yet: add a version to {where}, or mend the settings")
    if isinstance(error, BadRequest):
        # `latest` is the newest version even when that is disabled (facts: Secret Manager, 2026-11).
        return UsageError(f"secret:{name} can't be used: {path} is disabled or destroyed; enable it, or name another version")
    if isinstance(error, Forbidden | Unauthorized):
        return CredentialsError(
            f"secret:{name} may not be read: grant roles/secretmanager.secretAccessor on {path.partition('/versions/')[0]}"
        )
    if isinstance(error, GoogleAuthError) and not error.retryable:
        return CredentialsError(f"Google refused to sign us in to read secret:{name}: check the service account")
    return TryLater(f"secret:{name} can't be read from Secret Manager just now ({type(error).__name__})")
