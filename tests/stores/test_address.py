"""From an address in the settings to the right store, importing nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rowferry.errors import CredentialsError, UsageError
from rowferry.stores.address import open_store


def test_a_folder_is_where_its_address_says(tmp_path: Path) -> None:
    """%20 is a blank."""
    folder = tmp_path / "my state"
    open_store(folder.as_uri()).create("a", b"1")
    assert (folder / "a").read_bytes() == b"1"


@pytest.mark.parametrize("address", ["", "state", "file:state", "file://", "file://host/path", "ftp://host/path", "gs://", "s3:///path"])
def test_other_addresses_are_refused(address: str) -> None:
    """What is no store is told with what is one."""
    with pytest.raises(UsageError, match="expected gs://"):
        open_store(address)


def test_buckets_keep_their_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket's address, with or without a slash at its end, names bucket and prefix."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for address in ("gs://acme-state", "gs://acme-state/a/b", "s3://acme-state", "s3://acme-state/a/b"):
        assert open_store(address).url == address
        assert open_store(address + "/").url == address


def test_missing_google_credentials_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials a bucket's store is refused with what to run."""
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(CredentialsError, match="gcloud auth application-default login"):
        open_store("gs://acme-state")


def test_missing_aws_credentials_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the first call is refused with what to run, and nothing is sent."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # another test's credentials may be kept there
    with pytest.raises(CredentialsError, match="aws configure"):
        open_store("s3://acme-state").read("a")


def test_a_folder_imports_no_cloud(tmp_path: Path) -> None:
    """Opening a folder loads neither Google's nor Amazon's client: a function starts with what it needs."""
    code = """
import sys
from rowferry.stores.address import open_store
open_store(sys.argv[1]).create("a", b"")
clouds = ("google.auth", "google.api_core", "google.cloud.storage", "boto3", "botocore", "requests", "urllib3", "httpx", "pydantic")
print([name for name in sys.modules if name in clouds])
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path.as_uri()], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
