"""What is S3's own: versioned buckets, conflicts told as 409, parts left behind, error codes."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from rowferry.clock import ManualClock
from rowferry.errors import CredentialsError, TryLater, UsageError
from rowferry.stores.s3 import S3Store
from rowferry.twins.server import Fault
from rowferry.wire import Response
from support.aws import Aws
from support.proxy import FaultProxy


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws() as server:
        yield server


@pytest.fixture
def proxy(aws: Aws) -> Iterator[FaultProxy]:
    with FaultProxy(aws.url) as proxy:
        yield proxy


def error(status: int, code: str) -> Fault:
    """S3's answer of an error with a code."""
    return Fault(response=Response(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()))


def test_version_is_the_same_wherever_it_shows(aws: Aws) -> None:
    """In a bucket with versioning too, write, read, head and listing agree, so that a file is known again."""
    bucket = aws.make_bucket()
    aws.s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store = S3Store(aws.s3(), bucket)
    first = store.create("a", b"1")
    second = store.replace("a", b"2", first)
    head = store.head("a")
    assert head is not None
    assert [found.version for found in store.list()] == [head.version] == [store.read("a")[1]] == [second]
    store.delete("a", second)
    assert store.head("a") is None
    assert list(store.list()) == []
    store.create("a", b"3")


def test_broken_stream_leaves_no_parts(aws: Aws) -> None:
    """When a large stream breaks, its parts are removed: S3 bills for them and never shows them."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 30 << 20:
                raise ZeroDivisionError
            return super().read(size)

    bucket = aws.make_bucket()
    with pytest.raises(ZeroDivisionError):
        S3Store(aws.s3(), bucket).create("large", Broken(b"x" * (40 << 20)))
    assert "Uploads" not in aws.s3().list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize(("status", "code"), [(409, "ConditionalRequestConflict"), (400, "RequestTimeout"), (503, "SlowDown")])
def test_passing_codes_are_outlasted(aws: Aws, proxy: FaultProxy, status: int, code: str) -> None:
    """A conditional write that met another one, a slow line and a busy service are tried again."""
    store = S3Store(aws.s3(proxy.url), aws.make_bucket(), clock=ManualClock())
    proxy.faults.append(error(status, code))
    store.create("a", b"1")
    assert store.read("a")[0] == b"1"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "ExpiredToken", CredentialsError),
        (403, "InvalidAccessKeyId", CredentialsError),
        (400, "EntityTooLarge", UsageError),
        (409, "OperationAborted", TryLater),
    ],
)
def test_lasting_codes(aws: Aws, proxy: FaultProxy, status: int, code: str, kind: type[Exception]) -> None:
    """Credentials out of date, requests that are wrong and conflicts that last are told apart, with S3's code."""
    store = S3Store(aws.s3(proxy.url), aws.make_bucket(), clock=ManualClock())
    proxy.faults.extend(error(status, code) for _ in range(6))
    with pytest.raises(kind, match=code):
        store.create("a", b"1")
