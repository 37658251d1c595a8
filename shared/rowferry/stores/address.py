"""From a store's address in the settings to the store. Only the adapter asked for is imported."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from rowferry.errors import UsageError
from rowferry.stores.port import Store


def open_store(url: str, base: Path | None = None) -> Store:
    """The store at `gs://bucket/prefix`, `s3://bucket/prefix`, `file:///path` or a plain path.

    A relative path (`state`, `./state`, `file:state`, `file://state`) starts at `base`, the folder of the
    settings file, or else at the working folder. Raises `UsageError` for any other address and
    `CredentialsError` where a cloud's credentials are missing.
    """
    scheme, _, rest = url.partition("://")
    if not rest:
        return _open_folder(unquote(url.removeprefix("file:")) if url.startswith("file:") else url, base)
    if scheme == "file":
        return _open_folder(unquote(rest.removeprefix("localhost/") if rest.startswith("localhost//") else rest), base)
    parts = urlsplit(url)
    prefix = unquote(parts.path.strip("/"))
    if scheme == "gs" and parts.netloc:
        from rowferry.stores.gcs import open_gcs

        return open_gcs(parts.netloc, prefix)
    if scheme == "s3" and parts.netloc:
        from rowferry.stores.s3 import open_s3

        return open_s3(parts.netloc, prefix)
    raise UsageError(f"{url!r} is no store: expected gs://bucket/prefix, s3://bucket/prefix or file:///path")


def _open_folder(path: str, base: Path | None) -> Store:
    from rowferry.stores.folder import FolderStore

    if not path:
        raise UsageError("a store's address is empty: expected gs://bucket/prefix, s3://bucket/prefix or file:///path")
    return FolderStore((base or Path()) / Path(path).expanduser())
