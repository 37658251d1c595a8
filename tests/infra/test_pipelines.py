"""The settings that come with the project, and those of these tests, are settings that the functions take."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowferry.settings.file import read_settings
from support.pipelines import write_pipelines
from support.terraform import INFRA


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_the_test_settings_are_whole(tmp_path: Path, scheme: str) -> None:
    """What Terraform deploys in these tests would start."""
    assert read_settings(write_pipelines(tmp_path / "pipelines", scheme), environment={}).webhooks


def test_the_starting_example_is_whole() -> None:
    """A newcomer's first `make check` finds nothing wrong."""
    settings = read_settings(INFRA / "pipelines", environment={})
    assert settings.syncs["customers_to_braze"].to == "braze_main"
