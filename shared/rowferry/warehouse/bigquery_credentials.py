"""A function on AWS reaches BigQuery without a key: it signs as its role, Google answers with a short-lived token.

Where to exchange the one for the other stands in the variable ROWFERRY_GOOGLE_CREDENTIALS, set by Terraform
(infra/federation). It is an address and no secret. google-auth itself only takes a file
(docs.cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds; google-auth 2.62, read 2026-11).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from google.auth import aws
from google.auth.exceptions import GoogleAuthError

from rowferry.errors import CredentialsError

VARIABLE = "ROWFERRY_GOOGLE_CREDENTIALS"
_SCOPES = ("https://www.googleapis.com/auth/bigquery",)


def federated_credentials(environment: Mapping[str, str] = os.environ) -> Any | None:
    """The credentials that the variable describes; None where it is not set, for the surroundings' own.

    Raises `CredentialsError` when the variable holds something else.
    """
    text = environment.get(VARIABLE, "")
    if not text:
        return None
    try:
        return aws.Credentials.from_info(json.loads(text), scopes=list(_SCOPES))  # type: ignore[no-untyped-call]  # Google's
    except (ValueError, TypeError, AttributeError, GoogleAuthError) as error:
        raise CredentialsError(f"{VARIABLE} does not describe a way to sign in to Google: it is what infra/aws writes") from error
