"""A store that can't be reached and a disk that is full: a sentence, exit code 1, and everything after it is put right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowferry.twins.braze import BrazeTwin
from support.shop import ENVIRONMENT, KEY, Shop

NOWHERE = "http://127.0.0.1:9"
CLOUDS = {
    "gs://nobody/state": {"STORAGE_EMULATOR_HOST": NOWHERE},
    "s3://nobody/state": {
        "AWS_ENDPOINT_URL": NOWHERE,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    },
}
ROWS = 3000
# In a mount namespace of its own: a disk of the size given, the command, more space, the command again.
ON_A_SMALL_DISK = """
place="$1" size="$2" kept="$3"
shift 3
mount -t tmpfs -o size="$size" tmpfs "$place"
"$@" > first 2> first.err; echo $? > first.code
mount -o remount,size=200m "$place"
"$@" > second 2> second.err; echo $? > second.code
cp -r "$place" "$kept"
"""


@pytest.fixture
def twin() -> Iterator[BrazeTwin]:
    with BrazeTwin(api_key=KEY) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, twin: BrazeTwin) -> Shop:
    return Shop(tmp_path, twin)


def command(shop: Shop, *arguments: str) -> list[str]:
    """A command as a person types it."""
    return [sys.executable, "-m", "rowferry.cli", *arguments, "--config", str(shop.config)]


def test_a_store_out_of_reach(tmp_path: Path, twin: BrazeTwin) -> None:
    """Both clouds' stores, after their retries: said with the store's address, nothing is sent, the warehouse is free."""
    started = {}
    for number, (url, environment) in enumerate(CLOUDS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        shop = Shop(folder, twin)
        shop.fill(20)
        shop.settings["state"] = url
        shop.save()
        environment = {"PATH": os.environ["PATH"], **ENVIRONMENT, **environment}
        started[url] = (shop, subprocess.Popen(command(shop, "sync", "customers"), stderr=subprocess.PIPE, text=True, env=environment))
    for url, (shop, process) in started.items():
        said = process.communicate(timeout=600)[1]
        assert (process.returncode, "Traceback" in said) == (1, False), said
        assert f"can't be reached for {url}" in said
        assert shop.execute("SELECT COUNT(*) FROM crm.customers") == [(20,)]
    assert twin.requests == 0


def _on_a_small_disk(shop: Shop, place: Path, size: str, *arguments: str) -> list[dict[str, object]]:
    """Run the command twice, first with `place` on a disk that is too small; what both printed."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("a small disk needs a mount namespace, which this system does not let us make")
    place.mkdir(exist_ok=True)
    kept = shop.folder / "kept"
    script = [
        "unshare",
        "-rm",
        "sh",
        "-c",
        ON_A_SMALL_DISK,
        "sh",
        str(place),
        size,
        str(kept),
        *command(shop, *arguments, "--json"),
    ]
    subprocess.run(script, cwd=shop.folder, env={"PATH": os.environ["PATH"], **ENVIRONMENT}, check=True, timeout=300)
    codes = [int((shop.folder / f"{which}.code").read_text()) for which in ("first", "second")]
    errors = [(shop.folder / f"{which}.err").read_text() for which in ("first", "second")]
    assert codes == [1, 0], errors
    assert "Traceback" not in "".join(errors), errors[0]
    assert "full" in errors[0] or "space" in errors[0], errors[0]
    return [json.loads((shop.folder / which).read_text()) for which in ("first", "second")]


@pytest.mark.parametrize("size", ["48k", "150k"])
def test_a_full_disk_under_the_state(shop: Shop, twin: BrazeTwin, size: str) -> None:
    """Whether it is the run's first objects or its journal that find no space: said, and once there is some, every row arrives."""
    shop.fill(ROWS)
    shop.settings["state"] = "disk/state"
    shop.settings["destinations"]["braze"]["in_flight"] = 1  # each request has its journal entry: together, they might just fit
    shop.save()
    _, second = _on_a_small_disk(shop, shop.folder / "disk", size, "sync", "customers")
    assert (second["status"], second["pending"]) == ("closed", 0)
    assert len(twin.profiles) == ROWS
    assert len(shop.sent()) - ROWS <= 75


def test_a_full_disk_under_the_warehouse(shop: Shop) -> None:
    """A load that finds no space changes nothing; the same command loads the file once there is some."""
    shop.settings["warehouse"] = {"engine": "duckdb", "path": "disk/warehouse.duckdb"}
    shop.settings["feeds"] = {"crm": {"path": "crm/", "table": "crm.more", "columns": {"id": "STRING", "text": "STRING"}}}
    shop.save()
    file = shop.folder / "more.csv"
    file.write_text("id,text\n" + "".join(f"{n},{os.urandom(60).hex()}\n" for n in range(20_000)))
    _, second = _on_a_small_disk(shop, shop.folder / "disk", "1500k", "load", str(file), "--feed", "crm")
    assert second["files"][0]["rows"] == 20_000  # type: ignore[index]  # as `--json` has it
