"""The test settings for deployments (tests/infra/pipelines) as a folder that Terraform and the functions can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

PIPELINES = Path(__file__).resolve().parents[1] / "infra" / "pipelines"


def read_pipelines(scheme: str, **changes: Any) -> dict[str, Any]:
    """The settings as one value; `scheme` is gs or s3, `changes` replaces sections."""
    settings: dict[str, Any] = {}
    for path in sorted(PIPELINES.glob("*.yaml")):
        settings.update(yaml.safe_load(path.read_text().replace("SCHEME", scheme)))
    return {**settings, **changes}


def write_pipelines(folder: Path, scheme: str, **changes: Any) -> Path:
    """Write the settings into `folder`: as they are, or in one file with `changes` (None leaves a section empty)."""
    folder.mkdir()
    if changes:
        (folder / "rowferry.yaml").write_text(yaml.safe_dump(read_pipelines(scheme, **changes)))
    else:
        for path in PIPELINES.glob("*.yaml"):
            (folder / path.name).write_text(path.read_text().replace("SCHEME", scheme))
    return folder
