"""A store that is a Cloud Storage bucket. Every condition is a generation match, checked by the service.

Each write carries a token of its own in the object's metadata. When a write is refused, the live object's
token is compared: if it is ours, an earlier try of the same write had been applied and only its answer was
lost, so the write has succeeded and not been beaten by itself.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import requests
import urllib3
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.cloud.storage import Blob, Client  # noqa: TID251 - this is the adapter
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse  # noqa: TID251 - this is the adapter
from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: TID251 - this is the adapter
from requests.adapters import HTTPAdapter

from rowferry.clock import Clock, SystemClock
from rowferry.errors import CredentialsError, RowferryError, TryLater, UsageError
from rowferry.stores.keys import check_key, check_prefix
from rowferry.stores.port import Conflict, Exists, NotFound, Object
from rowferry.stores.retry import retried
from rowferry.stores.streams import FullReader, open_ranges

_TOKEN = "rowferry-write"  # noqa: S105 - a name in the object's metadata, no secret
_TYPE = "application/octet-stream"
_TIMEOUT_SECONDS = (10, 60)
_CONNECTIONS = 128
_PAGE = 1000
_FIELDS = "items(name,generation,size,updated),nextPageToken"
# Memory of a resumable upload; a multiple of 256 KiB (JSON API "Resumable uploads", 2026-11).
_CHUNK_BYTES = 8 << 20
# Within a resumable upload a chunk may be sent again: the session knows which bytes it has.
_CHUNK_RETRY: Retry = DEFAULT_RETRY.with_delay(initial=0.2, maximum=3.2).with_timeout(30.0)
_UNREACHABLE = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TransportError, DataCorruption, RetryError)
_REFUSED = (GoogleAPICallError, InvalidResponse)
_Result = TypeVar("_Result")


def open_gcs(bucket: str, prefix: str = "") -> GcsStore:
    """A store with the credentials of where we run. Raises `CredentialsError` where there are none.

    The variable STORAGE_EMULATOR_HOST names a stand-in, which is asked without credentials.
    """
    # Else the client asks for the bucket's own metadata, for traces: a request per start, and a right that we need not have.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    endpoint = os.environ.get("STORAGE_EMULATOR_HOST")
    if endpoint:
        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google-auth leaves it unannotated
        client = Client(project=None, credentials=nobody, client_options={"api_endpoint": endpoint})
    else:
        try:
            client = Client(project=None)  # objects need no project
        except DefaultCredentialsError as error:
            hint = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
            raise CredentialsError(f"there are no Google credentials for gs://{bucket}: {hint}") from error
    client._http.mount("https://", HTTPAdapter(pool_maxsize=_CONNECTIONS))  # the client offers no setting for it
    client._http.mount("http://", HTTPAdapter(pool_maxsize=_CONNECTIONS))
    _settle(client._http, endpoint or "https://storage.googleapis.com")
    return GcsStore(client, bucket, prefix)


def _settle(session: requests.Session, url: str) -> None:
    """Look up proxies and certificates in the environment now, which requests does for each request: a third of a small write's work."""
    found = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify, session.trust_env = found["proxies"], found["verify"], False


class GcsStore:
    """The objects of a bucket whose names begin with `prefix/`. Fills `Store`; a version is a generation.

    Objects are served as they are stored: one with `Content-Encoding: gzip` is not unpacked.
    """

    def __init__(self, client: Client, bucket: str, prefix: str = "", clock: Clock | None = None) -> None:
        self._client = client
        self._bucket = client.bucket(bucket)
        self._prefix = f"{prefix}/" if prefix else ""
        self._clock = clock or SystemClock()

    @property
    def url(self) -> str:
        """`gs://bucket/prefix`."""
        return f"gs://{self._bucket.name}/{self._prefix}".rstrip("/")

    def read(self, key: str) -> tuple[bytes, str]:
        """The whole object and its generation. Raises `NotFound`."""

        def download() -> tuple[bytes, str]:
            blob = self._blob(key)
            data: bytes = blob.download_as_bytes(raw_download=True, retry=None, timeout=_TIMEOUT_SECONDS)
            return data, str(blob.generation)

        return self._call(key, download)

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """A stream over one generation, in bounded memory. Raises `NotFound`, also later, when it is overwritten."""
        found = self.head(key)
        if found is None or version not in {None, found.version}:
            raise NotFound(key)
        generation = int(found.version)

        def fetch(first: int, last: int) -> bytes:
            data: bytes = self._blob(key, generation).download_as_bytes(
                start=first, end=last, raw_download=True, checksum=None, retry=None, timeout=_TIMEOUT_SECONDS
            )
            return data

        return open_ranges(found.size_bytes, lambda first, last: self._call(key, lambda: fetch(first, last)))

    def head(self, key: str) -> Object | None:
        """What a listing would show of one object; None when it does not exist."""
        blob = self._live(key)
        return None if blob is None else self._object(blob)

    def list(self, prefix: str = "", after: str = "") -> Iterator[Object]:
        """Objects by key, in UTF-8 order, a thousand a request."""
        check_prefix(prefix)
        page_token: str | None = None
        while True:
            page, page_token = self._call("", partial(self._page, prefix, after, page_token))
            yield from (found for found in map(self._object, page) if found.key > after)
            if not page_token:
                return

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        """Write a new object and return its generation. Raises `Exists`."""
        try:
            return self._put(key, data, 0)
        except Conflict:
            raise Exists(key) from None

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Write over one generation and return the new one. Raises `Conflict` (also when it is gone)."""
        return self._put(key, data, int(version))

    def write(self, key: str, data: bytes | IO[bytes]) -> str:
        """Write whatever was there before. Returns the generation."""
        return self._put(key, data, None)

    def join(self, key: str, parts: Sequence[Object]) -> str:
        """Compose the parts, by the service, into a new object; returns its generation. Raises `Exists`, `NotFound`."""
        check_key(key)
        token = uuid.uuid4().hex
        sources = [self._blob(part.key, int(part.version)) for part in parts]

        def compose() -> str:
            blob = self._blob(key)
            blob.metadata, blob.content_type = {_TOKEN: token}, _TYPE
            blob.compose(sources, if_generation_match=0, retry=None, timeout=_TIMEOUT_SECONDS)
            return str(blob.generation)

        try:
            return self._unbeaten(key, token, lambda: self._call(key, compose))
        except Conflict:
            raise Exists(key) from None

    def delete(self, key: str, version: str | None = None) -> None:
        """Remove; nothing happens when it is gone. With a `version`: `Conflict` unless it is live.

        When an answer was lost and the object is gone at the next try, it was most likely us: no `Conflict`.
        """
        tries = 0

        def delete() -> None:
            nonlocal tries
            tries += 1
            self._blob(key).delete(if_generation_match=int(version) if version else None, retry=None, timeout=_TIMEOUT_SECONDS)

        try:
            self._call(key, delete)
        except NotFound:
            if version is not None and tries == 1:
                raise Conflict(key) from None

    def uri(self, key: str) -> str:
        """`gs://bucket/prefix/key`."""
        return f"gs://{self._bucket.name}/{self._prefix}{key}"

    def path(self, key: str) -> Path | None:  # noqa: ARG002 - the port's signature
        """None: the object is not on this machine."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _blob(self, key: str, generation: int | None = None) -> Blob:
        return self._bucket.blob(self._prefix + key, generation=generation)

    def _object(self, blob: Blob) -> Object:
        return Object(blob.name.removeprefix(self._prefix), str(blob.generation), int(blob.size), blob.updated)

    def _live(self, key: str) -> Blob | None:
        blob = self._blob(key)
        try:
            self._call(key, lambda: blob.reload(retry=None, timeout=_TIMEOUT_SECONDS))
        except NotFound:
            return None
        return blob

    def _page(self, prefix: str, after: str, page_token: str | None) -> tuple[Sequence[Blob], str | None]:
        blobs = self._client.list_blobs(
            self._bucket,
            prefix=self._prefix + prefix,
            start_offset=self._prefix + after if after else None,  # includes `after` itself
            page_token=page_token,
            page_size=_PAGE,
            fields=_FIELDS,
            retry=None,
            timeout=_TIMEOUT_SECONDS,
        )
        return list(next(blobs.pages, ())), blobs.next_page_token

    def _put(self, key: str, data: bytes | IO[bytes], generation: int | None) -> str:
        """Write on a condition: `generation` must be live (0: nothing may be; None: whatever is). Raises `Conflict`."""
        check_key(key)
        token = uuid.uuid4().hex

        def upload() -> str:
            if isinstance(data, bytes):
                return self._call(key, lambda: self._upload(key, data, token, generation))
            with self._explained(key):  # a stream can't be read again; its chunks are retried one by one
                return self._upload(key, data, token, generation)

        try:
            return self._unbeaten(key, token, upload)
        except NotFound:
            raise UsageError(f"there is no bucket {self._bucket.name}: create it, or mend the address in the settings") from None

    def _unbeaten(self, key: str, token: str, write: Callable[[], str]) -> str:
        """What `write` returns; when it was refused, but by its own earlier try, the generation that made. Raises `Conflict`."""
        try:
            return write()
        except Conflict:
            live = self._live(key)
            if live is not None and (live.metadata or {}).get(_TOKEN) == token:
                return str(live.generation)
            raise

    def _upload(self, key: str, data: bytes | IO[bytes], token: str, generation: int | None) -> str:
        blob = self._blob(key)
        blob.chunk_size = _CHUNK_BYTES
        blob.metadata = {_TOKEN: token}
        common: dict[str, Any] = {"content_type": _TYPE, "if_generation_match": generation, "timeout": _TIMEOUT_SECONDS}
        if isinstance(data, bytes):
            blob.upload_from_string(data, retry=None, **common)
        else:
            blob.upload_from_file(FullReader(data), retry=_CHUNK_RETRY, **common)
        return str(blob.generation)

    def _call(self, key: str, action: Callable[[], _Result]) -> _Result:
        def explained() -> _Result:
            with self._explained(key):
                return action()

        return retried(explained, self._clock)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turns the client's errors into ours."""
        try:
            yield
        except _REFUSED as error:
            raise self._explanation(error, key) from error
        except _UNREACHABLE as error:
            raise TryLater(f"Cloud Storage can't be reached for {self.url} ({type(error).__name__})") from error
        except GoogleAuthError as error:
            if error.retryable:
                raise TryLater(f"Google's sign-in failed for {self.url} and may work later") from error
            raise CredentialsError(f"Google refused to sign us in for {self.url}: check the service account") from error

    def _explanation(self, error: GoogleAPICallError | InvalidResponse, key: str) -> RowferryError:
        status = int(error.code or 0) if isinstance(error, GoogleAPICallError) else error.response.status_code
        if status == 412:
            return Conflict(key)
        if status == 404 and key and "bucket does not exist" not in str(error):
            return NotFound(key)
        if status == 404:
            return UsageError(f"there is no bucket {self._bucket.name}: create it, or mend the address in the settings")
        if status in {408, 429} or status >= 500 or "ateLimitExceeded" in str(error):
            headers = getattr(error.response, "headers", None) or {}
            asked = headers.get("Retry-After", "")
            return TryLater(f"Cloud Storage answers {status} for {self.url}", float(asked) if asked.isdigit() else None)
        if status in {401, 403}:
            return CredentialsError(f"Cloud Storage refuses us {self.url} ({status}): grant roles/storage.objectUser on the bucket")
        return UsageError(f"Cloud Storage does not accept {key!r} in {self.url} ({status})")
