"""Google's clients, made for us."""

from __future__ import annotations

import importlib.util
from typing import Any
from urllib.parse import urlsplit

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery  # noqa: TID251


def make_client(project: str, location: str | None, endpoint: str | None) -> bigquery.Client:
    """A client with the surroundings' credentials; without any for an endpoint over plain http (an emulator)."""
    if endpoint is None:
        return bigquery.Client(project=project, location=location)
    credentials = AnonymousCredentials() if urlsplit(endpoint).scheme == "http" else None  # type: ignore[no-untyped-call]  # Google's
    return bigquery.Client(project=project, location=location, credentials=credentials, client_options=ClientOptions(api_endpoint=endpoint))


def make_read_client() -> Any:
    """A client of the Storage Read API, or None where its package (or Avro's) is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("google.cloud.bigquery_storage", "fastavro")):
        return None
    from google.cloud.bigquery_storage import BigQueryReadClient  # noqa: TID251 (as above)

    return BigQueryReadClient()  # type: ignore[no-untyped-call]  # Google's
