"""From a store's address in the settings to the store. Only the adapter asked for is imported."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from rowferry.errors import UsageError
from rowferry.stores.port import Store


def open_store(url: str) -> Store:
    """The store at `gs://bucket/prefix`, `s3://bucket/prefix` or `file:///path`, as the settings have it (`StoreUrl`).

    Raises `UsageError` for any other address and `CredentialsError` where a cloud's credentials are missing.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme == "gs" and bucket:
        from rowferry.stores.gcs import open_gcs

        return open_gcs(bucket, prefix.strip("/"))
    if scheme == "s3" and bucket:
        from rowferry.stores.s3 import open_s3

        return open_s3(bucket, prefix.strip("/"))
    if scheme != "file" or bucket or not prefix:
        raise UsageError(f"{url!r} is no store: expected gs://bucket/prefix, s3://bucket/prefix or file:///path")
    from rowferry.stores.folder import FolderStore

    return FolderStore(Path("/", unquote(prefix)))
