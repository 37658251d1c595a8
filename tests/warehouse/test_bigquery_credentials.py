"""Signing in to Google from AWS: what Terraform writes into the variable is what google-auth takes."""

from __future__ import annotations

import json

import pytest
from google.auth import aws

from rowferry.errors import CredentialsError
from rowferry.warehouse.bigquery_client import EMULATOR, make_read_client
from rowferry.warehouse.bigquery_credentials import VARIABLE, federated_credentials

# As infra/aws/main.tf writes it (tests/infra/test_aws.py holds the two together).
DESCRIPTION = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/12345/locations/global/workloadIdentityPools/rowferry-aws/providers/aws",
    "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    "token_url": "https://sts.googleapis.com/v1/token",
    "credential_source": {
        "environment_id": "aws1",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    },
}


def test_the_role_signs_for_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subject token is a signed request of the function's own role, made from Lambda's variables alone: no metadata server, no key."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hidden",
        "AWS_SESSION_TOKEN": "session",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    credentials = federated_credentials({VARIABLE: json.dumps(DESCRIPTION)})
    assert isinstance(credentials, aws.Credentials)
    token = credentials.retrieve_subject_token(request=None)  # type: ignore[no-untyped-call]  # Google's
    assert "sts.eu-west-1.amazonaws.com" in token
    assert "x-goog-cloud-target-resource" in token
    assert "hidden" not in token


def test_many_rows_are_read_as_the_role_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda has no credentials of Google's of its own: the client of the Storage Read API is given the role's."""
    monkeypatch.delenv(EMULATOR, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    monkeypatch.setenv(VARIABLE, json.dumps(DESCRIPTION))
    made = make_read_client()
    assert isinstance(made.transport._credentials, aws.Credentials)
    made.transport.close()


def test_without_the_variable_the_surroundings_sign_in() -> None:
    """On Google Cloud and on a laptop there is nothing to exchange."""
    assert federated_credentials({}) is None


@pytest.mark.parametrize("text", ["not json", "{}", '{"type": "external_account"}', "[]"])
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    """A variable that was set by hand, wrongly."""
    with pytest.raises(CredentialsError, match=VARIABLE):
        federated_credentials({VARIABLE: text})
