"""Secrets from AWS Secrets Manager, kept for five minutes in the instance that read them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3  # noqa: TID251 - this is the adapter
from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.config import Config  # noqa: TID251 - this is the adapter
from botocore.exceptions import (  # noqa: TID251 - this is the adapter
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from rowferry.errors import CredentialsError, RowferryError, TryLater, UsageError
from rowferry.secrets import Resolve, from_environment

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

# A rotated key is taken up within this time; a run that fails on the old one resumes with the new one.
KEPT_SECONDS = 300
# Codes of GetSecretValue (API reference, 2026-11) and of every signed call.
_MISSING = {"ResourceNotFoundException", "InvalidRequestException", "InvalidParameterException", "ValidationException"}
_REFUSED = {
    "AccessDeniedException",
    "DecryptionFailure",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "UnrecognizedClientException",
}


def from_secrets_manager(environment: Mapping[str, str] = os.environ, client: SecretsManagerClient | None = None) -> Resolve:
    """Resolves `secret:NAME` with Secrets Manager, and all else from `environment`.

    Raises `UsageError` for a secret that is not there, `CredentialsError` where we may not read it and
    `TryLater` where Secrets Manager can't be reached; none holds the value.
    """
    elsewhere = from_environment(environment)
    provider = SecretsProvider(boto3_client=client or _client())

    def resolve(reference: str) -> str:
        kind, _, name = reference.partition(":")
        if kind != "secret":
            return elsewhere(reference)
        try:
            value = provider.get(name, max_age=KEPT_SECONDS)
        except GetParameterError as error:
            raise _explanation(error.__context__, name) from error  # the client's error is the context of powertools' own
        text = value.decode() if isinstance(value, bytes) else str(value or "")
        if not text.strip():
            raise UsageError(f"secret:{name} has no value in Secrets Manager: put one")
        return text.rstrip("\r\n")  # what `echo` adds when a secret is made from a shell

    return resolve


def _client() -> SecretsManagerClient:
    config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})
    try:
        return boto3.client("secretsmanager", config=config)
    except NoRegionError as error:
        raise UsageError("no AWS region is set for Secrets Manager: set AWS_REGION") from error


def _explanation(error: BaseException | None, name: str) -> RowferryError:
    code = error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""
    if code in _MISSING:
        return UsageError(f"secret:{name} is not in Secrets Manager, or has no value yet ({code}): put its value in, or mend the settings")
    if code in _REFUSED:
        return CredentialsError(f"secret:{name} may not be read ({code}): grant secretsmanager:GetSecretValue on it")
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return CredentialsError(f"there are no AWS credentials to read secret:{name}: run `aws configure`, or give the function a role")
    return TryLater(f"secret:{name} can't be read from Secrets Manager just now ({code or type(error).__name__})")
