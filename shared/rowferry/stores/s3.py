"""A store that is an S3 bucket. Every condition is an `If-Match` or `If-None-Match`, checked by the service.

A version is the ETag, in every bucket: the only mark that a write, a read and a listing all show, and the
only one S3 takes as a condition. It is made from the content, so a write that puts back the very bytes of an
earlier version puts back its version too.

Each write carries a token of its own in the object's metadata. When a write is refused, the live object's
token is compared: if it is ours, an earlier try of the same write had been applied and only its answer was
lost, so the write has succeeded and not been beaten by itself.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import boto3  # noqa: TID251 - this is the adapter
from botocore.config import Config  # noqa: TID251 - this is the adapter
from botocore.exceptions import (  # noqa: TID251 - this is the adapter
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)
from urllib3.exceptions import HTTPError

from rowferry.clock import Clock, SystemClock
from rowferry.errors import CredentialsError, RowferryError, TryLater, UsageError
from rowferry.stores.keys import check_key, check_prefix
from rowferry.stores.port import Conflict, Exists, NotFound, Object
from rowferry.stores.retry import retried
from rowferry.stores.streams import joined, open_ranges, read_fully

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TOKEN = "rowferry-write"  # noqa: S105 - a name in the object's metadata, no secret
_TYPE = "application/octet-stream"
_CONNECTIONS = 128
# Streams longer than this go up in parts; 10,000 parts are the most (S3 user guide "Multipart upload limits", 2026-11): 160 GB.
_PART_BYTES = 16 << 20
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
_BAD_CREDENTIALS = {"ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "TokenRefreshRequired"}
_PASSING = {"RequestTimeout", "SlowDown", "ConditionalRequestConflict", "OperationAborted", "Throttling", "ThrottlingException"}
_Result = TypeVar("_Result")


def open_s3(bucket: str, prefix: str = "") -> S3Store:
    """A store with the credentials of where we run.

    The variable AWS_ENDPOINT_URL names a stand-in or another vendor's S3, which is asked with the bucket in the path.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1},  # we retry ourselves, to know what a lost answer means
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    try:
        return S3Store(boto3.client("s3", endpoint_url=endpoint, config=config), bucket, prefix)
    except NoRegionError as error:
        raise UsageError(f"no AWS region is set for s3://{bucket}: set AWS_REGION") from error


class S3Store:
    """The objects of a bucket whose names begin with `prefix/`. Fills `Store`; a version is an ETag."""

    def __init__(self, client: S3Client, bucket: str, prefix: str = "", clock: Clock | None = None) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._clock = clock or SystemClock()

    @property
    def url(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def read(self, key: str) -> tuple[bytes, str]:
        """The whole object and its ETag. Raises `NotFound`."""

        def download() -> tuple[bytes, str]:
            response = self._client.get_object(**self._where(key))
            return response["Body"].read(), _version(response)

        return self._call(key, download)

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """A stream over one version, in bounded memory. Raises `NotFound`, also later, when it is overwritten."""
        found = self.head(key)
        if found is None or version not in {None, found.version}:
            raise NotFound(key)

        def fetch(first: int, last: int) -> bytes:
            response = self._client.get_object(**self._where(key), Range=f"bytes={first}-{last}", IfMatch=_etag(found.version))
            return response["Body"].read()

        def fetch_again(first: int, last: int) -> bytes:
            try:
                return self._call(key, lambda: fetch(first, last))
            except Conflict:
                raise NotFound(key) from None

        return open_ranges(found.size_bytes, fetch_again)

    def head(self, key: str) -> Object | None:
        """What a listing would show of one object; None when it does not exist."""
        found = self._live(key)
        return None if found is None else Object(key, _version(found), found["ContentLength"], found["LastModified"])

    def list(self, prefix: str = "", after: str = "") -> Iterator[Object]:
        """Objects by key, in UTF-8 order, a thousand a request."""
        check_prefix(prefix)
        page_token: str | None = None
        while True:
            page, page_token = self._call("", partial(self._page, prefix, after, page_token))
            yield from (found for found in page if found.key)
            if not page_token:
                return

    def create(self, key: str, data: bytes | IO[bytes]) -> str:
        """Write a new object and return its ETag. Raises `Exists`."""
        try:
            return self._put(key, data, {"IfNoneMatch": "*"})
        except Conflict:
            raise Exists(key) from None

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Write over one version and return the new one. Raises `Conflict` (also when it is gone)."""
        try:
            return self._put(key, data, {"IfMatch": _etag(version)})
        except NotFound:
            raise Conflict(key) from None

    def write(self, key: str, data: bytes | IO[bytes]) -> str:
        """Write whatever was there before. Returns the ETag."""
        return self._put(key, data, {})

    def join(self, key: str, parts: Sequence[Object]) -> str:
        """Copy the parts, through us, into a new object and return its ETag. Raises `Exists`, `NotFound`.

        S3 itself joins only parts of 5 MB and more (S3 user guide "Multipart upload limits", 2026-11).
        """
        with joined(self.open(part.key, part.version) for part in parts) as stream:
            return self.create(key, stream)

    def delete(self, key: str, version: str | None = None) -> None:
        """Remove; nothing happens when it is gone. With a `version`: `Conflict` unless it is live.

        When an answer was lost and the object is gone at the next try, it was most likely us: no `Conflict`.
        """
        tries = 0

        def delete() -> None:
            nonlocal tries
            tries += 1
            condition: dict[str, Any] = {"IfMatch": _etag(version)} if version else {}
            self._client.delete_object(**self._where(key), **condition)

        try:
            self._call(key, delete)
        except NotFound:
            if version is not None and tries == 1:
                raise Conflict(key) from None

    def uri(self, key: str) -> str:
        """`s3://bucket/prefix/key`."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def path(self, key: str) -> Path | None:  # noqa: ARG002 - the port's signature
        """None: the object is not on this machine."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _where(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _live(self, key: str) -> Any | None:
        try:
            return self._call(key, lambda: self._client.head_object(**self._where(key)))
        except NotFound:
            return None

    def _page(self, prefix: str, after: str, page_token: str | None) -> tuple[Sequence[Object], str | None]:
        where: dict[str, Any] = {"ContinuationToken": page_token} if page_token else {"StartAfter": self._prefix + after} if after else {}
        page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix + prefix, **where)
        objects = [
            Object(item["Key"].removeprefix(self._prefix), _version(item), item["Size"], item["LastModified"])
            for item in page.get("Contents", ())
        ]
        return objects, page.get("NextContinuationToken")

    def _put(self, key: str, data: bytes | IO[bytes], condition: Mapping[str, Any]) -> str:
        """Write when the condition holds. Raises `Conflict`, and `NotFound` for an `IfMatch` on nothing."""
        check_key(key)
        token = uuid.uuid4().hex
        try:
            if isinstance(data, bytes):
                return self._put_bytes(key, data, token, condition)
            start = read_fully(data, _PART_BYTES)
            if len(start) < _PART_BYTES:
                return self._put_bytes(key, start, token, condition)
            return self._put_parts(key, start, data, token, condition)
        except (Conflict, NotFound):
            live = self._live(key)
            if live is not None and live["Metadata"].get(_TOKEN) == token:
                return _version(live)
            raise

    def _put_bytes(self, key: str, data: bytes, token: str, condition: Mapping[str, Any]) -> str:
        said = {**self._where(key), "ContentType": _TYPE, "Metadata": {_TOKEN: token}, **condition}
        return _version(self._call(key, lambda: self._client.put_object(Body=data, **said)))

    def _put_parts(self, key: str, start: bytes, rest: IO[bytes], token: str, condition: Mapping[str, Any]) -> str:
        """A multipart upload: the condition is checked when it is completed, and nobody sees it before."""
        said = {**self._where(key), "ContentType": _TYPE, "Metadata": {_TOKEN: token}}
        upload = self._call(key, lambda: self._client.create_multipart_upload(**said))
        where = {**self._where(key), "UploadId": upload["UploadId"]}
        try:
            parts: Any = {"Parts": self._upload_parts(key, where, start, rest)}
            return _version(self._call(key, lambda: self._client.complete_multipart_upload(**where, MultipartUpload=parts, **condition)))
        except BaseException:  # also when the stream fails or we are told to stop: parts left behind are billed
            with suppress(RowferryError):
                self._call(key, lambda: self._client.abort_multipart_upload(**where))
            raise

    def _upload_parts(self, key: str, where: Mapping[str, Any], start: bytes, rest: IO[bytes]) -> Sequence[Mapping[str, Any]]:
        parts: list[dict[str, Any]] = []
        part = start
        while part:
            number = len(parts) + 1
            sent = self._call(key, partial(self._client.upload_part, **where, PartNumber=number, Body=part))
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            part = read_fully(rest, _PART_BYTES)
        return parts

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
        except ClientError as error:
            raise self._explanation(error, key) from error
        except _NO_CREDENTIALS as error:
            raise CredentialsError(
                f"there are no AWS credentials for {self.url}: run `aws configure`, or give the function a role"
            ) from error
        except (BotoCoreError, HTTPError, ConnectionError) as error:
            raise TryLater(f"S3 can't be reached for {self.url} ({type(error).__name__})") from error

    def _explanation(self, error: ClientError, key: str) -> RowferryError:
        code = error.response["Error"].get("Code", "")
        metadata = error.response["ResponseMetadata"]
        status = metadata["HTTPStatusCode"]
        if status == 412:
            return Conflict(key)
        if code == "NoSuchBucket":
            return UsageError(f"there is no bucket {self._bucket}: create it, or mend the address in the settings")
        if status == 404:
            return NotFound(key)
        if code in _PASSING or status in {409, 429} or status >= 500:
            asked = metadata.get("HTTPHeaders", {}).get("retry-after", "")
            return TryLater(f"S3 answers {status} {code} for {self.url}", float(asked) if asked.isdigit() else None)
        if code in _BAD_CREDENTIALS or status in {401, 403}:
            hint = "grant s3:GetObject, PutObject, DeleteObject on its objects and s3:ListBucket on the bucket"
            return CredentialsError(f"S3 refuses us {self.url} ({status} {code}): {hint}")
        return UsageError(f"S3 does not accept {key!r} in {self.url} ({status} {code})")


def _version(response: Any) -> str:
    return str(response["ETag"]).strip('"')


def _etag(version: str) -> str:
    return f'"{version}"'
