"""Settings that need more than is installed: said in a sentence with what brings it, never as a traceback."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

WITHOUT = "import sys; sys.modules[sys.argv.pop(1)] = None; from rowferry.cli import main; main()"
SETTINGS: dict[str, Any] = {
    "rowferry": 1,
    "warehouse": {"engine": "duckdb", "path": "warehouse.duckdb"},
    "state": "state",
    "destinations": {"braze": {"vendor": "braze", "instance": "EU-01", "api_key": "secret:braze-key"}},
    "syncs": {
        "customers": {"model": {"table": "crm.customers"}, "key": "id", "send": "changed", "to": "braze", "map": {"external_id": "id"}}
    },
}


@pytest.mark.parametrize(
    ("library", "extra", "change"),
    [
        ("google.cloud.bigquery", "gcp", {"warehouse": {"engine": "bigquery", "project": "acme", "location": "EU"}}),
        ("google.cloud.storage", "gcp", {"state": "gs://acme-state"}),
        ("boto3", "aws", {"state": "s3://acme-state"}),
        ("sqlalchemy", "sql", {"databases": {"shop": {"url": "secret:shop-url"}}}),
    ],
)
def test_a_missing_library_is_named_with_what_brings_it(tmp_path: Path, library: str, extra: str, change: dict[str, Any]) -> None:
    """Exit code 2, and a line to type."""
    settings = deepcopy(SETTINGS) | change
    if "databases" in settings:
        settings["syncs"]["customers"]["model"]["database"] = "shop"
    (tmp_path / "rowferry.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-c", WITHOUT, library, "sync", "customers", "--config", str(tmp_path)]
    environment = {"PATH": "/usr/bin:/bin", "ROWFERRY_SECRET_BRAZE_KEY": "k", "ROWFERRY_SECRET_SHOP_URL": "sqlite://"}
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert found.returncode == 2, found.stderr
    assert library in found.stderr
    assert f"make install, or install rowferry[{extra}]" in found.stderr
    assert "Traceback" not in found.stderr
