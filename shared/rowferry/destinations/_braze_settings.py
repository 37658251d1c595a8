"""A Braze workspace in the settings file. Source, as it stood on 2026-09-02: [basics] https://www.braze.com/docs/api/basics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from rowferry.errors import Problem
from rowferry.settings.base import DestinationSettings, Secret

Instance = Literal[
    "US-01", "US-02", "US-03", "US-04", "US-05", "US-06", "US-07", "US-08", "US-10",
    "EU-01", "EU-02", "AU-01", "ID-01", "JP-01", "KR-01",
]  # fmt: skip


class BrazeSettings(DestinationSettings):
    """An account (workspace) at Braze."""

    vendor: Literal["braze"]
    instance: Instance | None = Field(None, description="Where the workspace lives; the dashboard's address shows it.")
    api_key: Secret = Field(
        description="A REST API key with the permission users.track (users.delete, subscription.status.set where used)."
    )
    batch_rows: int = Field(75, ge=1, le=75, description="Objects a request: 75 today, 50 in some contracts of 2025.")
    endpoint: Literal["track", "bulk"] = Field("track", description="bulk: 1,000 rows a request, a closed beta; falls back to track.")
    update_existing_only: bool = Field(
        False, description="Create no profiles. Braze drops rows of unknown users then, and does not say so."
    )
    near_duplicates: Literal["fail", "allow"] = Field("fail", description="Custom attributes that look like Braze's own (birthday, dob).")
    array_items: int = Field(500, ge=1, le=500, description="Items of an array attribute; older workspaces keep 25 or 100.")

    def conflicts(self) -> Iterator[Problem]:
        """An account needs an address, and there is no call that would find it [basics]."""
        if self.instance is None and self.base_url is None:
            yield Problem("instance", "is missing", "the dashboard's address shows it, e.g. EU-01; or give base_url")
