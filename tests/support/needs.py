"""What each deployment must be given, worked out from infra/needs.yaml and the test settings without Terraform's help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from support.pipelines import read_pipelines
from support.terraform import INFRA

NEEDS: dict[str, dict[str, Any]] = yaml.safe_load((INFRA / "needs.yaml").read_text())


def make_build(folder: Path) -> Path:
    """Stand-ins for the packages: Terraform only takes their hashes here."""
    folder.mkdir()
    (folder / "build.json").write_text(json.dumps({"python": "3.12"}))
    for package in {need["package"] for need in NEEDS.values()}:
        (folder / f"{package}.zip").write_bytes(package.encode())
    return folder


def wanted_deployments() -> dict[str, tuple[str, str]]:
    """Deployment → (function, destination), from the settings, without Terraform's help."""
    settings = read_pipelines("s3")
    found: dict[str, tuple[str, str]] = {}
    for name, need in NEEDS.items():
        destinations = settings["destinations"] if need["trigger"] == "destination" else [""]
        found |= {f"{name}_{destination}" if destination else name: (name, destination) for destination in destinations}
    return found


def references(part: Any, kind: str) -> set[str]:
    """Names of all `secret:` or `env:` references in a part of the settings."""
    if isinstance(part, dict):
        return {name for value in part.values() for name in references(value, kind)}
    if isinstance(part, list):
        return {name for value in part for name in references(value, kind)}
    return {part.removeprefix(f"{kind}:")} if isinstance(part, str) and part.startswith(f"{kind}:") else set()


def wanted_references(function: str, destination: str, kind: str) -> set[str]:
    """What a deployment must be able to resolve, from the settings."""
    settings = read_pipelines("s3")
    parts = {
        "destination": settings["destinations"].get(destination, {}),
        "databases": settings["databases"],
        "queues": [settings["databases"][sync["model"]["database"]] for sync in settings["syncs"].values() if sync["send"] == "queue"],
        "pulls": [settings["destinations"][pull["from"]] for pull in settings["pulls"].values()],
        "webhooks": settings["webhooks"],
    }
    return {name for section in NEEDS[function].get("secrets", ()) for name in references(parts[section], kind)}
