"""From a store's address in the settings to the store. Only the adapter asked for is imported."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from rowferry.errors import UsageError
from rowferry.stores.port import Store


def open_store(url: str, base: Path | None = None) -> Store:
    """The store at `gs://bucket/prefix`, `s3://bucket/prefix`, `file:///path` or a plain path.

    A relative path (`state`, `./state`, `file:state`, `file://state`) starts at `base`, the folder of the
    settings file, or else at the working folder. Raises `UsageError` for any other address and
    `CredentialsError` where a cloud's credentials are missing.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme == "gs" and bucket:
        from rowferry.stores.gcs import open_gcs

        return open_gcs(bucket, prefix.strip("/"))
    if scheme == "s3" and bucket:
        from rowferry.stores.s3 import open_s3

        return open_s3(bucket, prefix.strip("/"))
    path = _path(url)
    if not path:
        raise UsageError(f"{url!r} is no store: expected gs://bucket/prefix, s3://bucket/prefix or file:///path")
    from rowferry.stores.folder import FolderStore

    return FolderStore((base or Path()) / Path(path).expanduser())


def _path(url: str) -> str:
    """The path in a `file:` address or of a plain path; empty when it is neither."""
    if url.startswith("file:"):
        return unquote(url.removeprefix("file:").removeprefix("//").removeprefix("localhost"))
    return "" if "://" in url else url
