"""Secrets from AWS Secrets Manager, with the real client against moto."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from rowferry.errors import CredentialsError, TryLater, UsageError
from rowferry.secrets_aws import from_secrets_manager
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.aws import Aws
from support.proxy import FaultProxy


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws() as server:
        yield server


@pytest.fixture
def name(aws: Aws) -> str:
    """A secret that holds `s3cr3t` and the line's end that a shell adds."""
    name = f"braze/key-{uuid.uuid4().hex}"
    aws.secrets().create_secret(Name=name, SecretString="s3cr3t\n")
    return name


def test_secret_is_read_once(aws: Aws, name: str) -> None:
    """A secret is read from Secrets Manager, without its line's end, and then kept."""
    with FaultProxy(aws.url) as proxy:
        resolve = from_secrets_manager({}, aws.secrets(proxy.url))
        assert [resolve(f"secret:{name}") for _ in range(3)] == ["s3cr3t"] * 3
        assert len(proxy.calls) == 1


def test_binary_secret(aws: Aws) -> None:
    """A secret stored as bytes is text too."""
    name = f"binary-{uuid.uuid4().hex}"
    aws.secrets().create_secret(Name=name, SecretBinary=b"s3cr3t")
    assert from_secrets_manager({}, aws.secrets())(f"secret:{name}") == "s3cr3t"


def test_env_falls_through(aws: Aws) -> None:
    """`env:NAME` is read from the environment, never from AWS."""
    assert from_secrets_manager({"KEY": "value"}, aws.secrets())("env:KEY") == "value"


def test_missing_secret_is_named(aws: Aws) -> None:
    """A secret that is not there is a fault of the settings, told with its name."""
    with pytest.raises(UsageError, match="secret:no-such is not in Secrets Manager"):
        from_secrets_manager({}, aws.secrets())("secret:no-such")


def test_blank_secret_is_refused(aws: Aws) -> None:
    """A secret of blanks only is no secret."""
    name = f"blank-{uuid.uuid4().hex}"
    aws.secrets().create_secret(Name=name, SecretString=" \n")
    with pytest.raises(UsageError, match="has no value"):
        from_secrets_manager({}, aws.secrets())(f"secret:{name}")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "AccessDeniedException", CredentialsError),
        (400, "ExpiredTokenException", CredentialsError),
        (400, "ThrottlingException", TryLater),
        (500, "InternalServiceError", TryLater),
    ],
)
def test_refused_and_passing(aws: Aws, name: str, status: int, code: str, kind: type[Exception]) -> None:
    """A missing right stops, a passing error may be tried later, and neither shows a value."""
    body = b'{"__type":"%s","message":"no"}' % code.encode()
    with FaultProxy(aws.url) as proxy:
        proxy.faults.append(Fault(response=Response(status, body, {"Content-Type": "application/x-amz-json-1.1"})))
        resolve = from_secrets_manager({}, aws.secrets(proxy.url))
        with pytest.raises(kind, match=f"{name}.*{code}") as told:
            resolve(f"secret:{name}")
        assert "s3cr3t" not in str(told.value)
        assert resolve(f"secret:{name}") == "s3cr3t"


def test_unreachable_is_try_later(aws: Aws) -> None:
    """Where nobody listens, the secret can be had later."""
    resolve = from_secrets_manager({}, aws.secrets("http://127.0.0.1:1"))
    with pytest.raises(TryLater, match="secret:name can't be read"):
        resolve("secret:name")
