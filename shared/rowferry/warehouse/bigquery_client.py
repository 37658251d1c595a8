"""Google's clients, made for us."""

from __future__ import annotations

import importlib.util
import os
from typing import Any
from urllib.parse import urlsplit

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery  # noqa: TID251 - this is the adapter

from rowferry.warehouse.bigquery_credentials import federated_credentials

# Google's own variable for the address of an emulator; with the scheme: http://localhost:9050.
EMULATOR = "BIGQUERY_EMULATOR_HOST"


def make_client(project: str, location: str | None) -> bigquery.Client:
    """A client signed in as the function's role on AWS, as the surroundings elsewhere, as nobody at a plain http emulator."""
    endpoint = os.environ.get(EMULATOR)
    if endpoint is None:
        return bigquery.Client(project=project, location=location, credentials=federated_credentials())
    credentials = AnonymousCredentials() if urlsplit(endpoint).scheme == "http" else None  # type: ignore[no-untyped-call]  # Google's
    return bigquery.Client(project=project, location=location, credentials=credentials, client_options=ClientOptions(api_endpoint=endpoint))


def make_read_client() -> Any:
    """A client of the Storage Read API, signed in as `make_client`'s; None beside an emulator, and where its package
    (or Avro's) is not installed."""
    if EMULATOR in os.environ or any(importlib.util.find_spec(name) is None for name in ("google.cloud.bigquery_storage", "fastavro")):
        return None
    from google.cloud.bigquery_storage import BigQueryReadClient  # noqa: TID251 (as above)

    return BigQueryReadClient(credentials=federated_credentials())  # type: ignore[no-untyped-call]  # Google's
