"""An Amplitude project in the settings file, and how large a request may be there.

Sources, read 2026-03 to 2026-11: https://amplitude.com/docs, [HV2] apis/analytics/http-v2, [BATCH] apis/analytics/batch-event-upload.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rowferry.settings.base import DestinationSettings, Secret

MAX_EVENTS = 2000  # of one request, at both endpoints [BATCH]
V2_BYTES = 1_000_000  # 1 MB [HV2]
MOST_BATCH_BYTES = 20_000_000  # [BATCH]; for an event that fills a request alone
ENVELOPE_BYTES = 250


class AmplitudeSettings(DestinationSettings):
    """A project at Amplitude. What Amplitude's pages leave open can be set here."""

    vendor: Literal["amplitude"]
    region: Literal["US", "EU"] = Field("US", description="Where the project lives. Each region has its own hosts.")
    api_key: Secret = Field(description="The project's API key, with which events are sent.")
    secret_key: Secret | None = Field(None, description="The project's secret key: for audiences and pulls.")
    endpoint: Literal["auto", "http_v2", "batch"] = Field(
        "auto", description="http_v2 shows events at once, batch bears 30 times the events of a user; auto: http_v2 up to 100 events."
    )
    batch_rows: int = Field(1000, ge=1, le=MAX_EVENTS, description="Events a request.")
    identify_rows: int = Field(1000, ge=1, le=MAX_EVENTS, description="Users a request of the action profile; no limit is published.")
    min_id_length: int = Field(1, ge=1, le=100, description="The shortest user_id and device_id; Amplitude's own rule is 5.")
    list_characters: int = Field(1024, ge=2, le=10_000, description="A list in a property of a user or group, as JSON; the rest is cut.")
    short_count: Literal["reject", "deliver"] = Field(
        "reject", description="A 200 that counts fewer events than were sent: whether repeats count is not documented."
    )
    empty_answer: Literal["retry", "delivered"] = Field("retry", description="A 200 without a body, from the Identify APIs.")
    project_id: int | None = Field(None, description="The project's number, for cohorts that are yet to be made.")
    cohort_owner: str | None = Field(None, description="The login e-mail of who will own cohorts that are yet to be made.")

    @property
    def event_bytes(self) -> int:
        """How large a single event may be."""
        return (V2_BYTES if self.endpoint == "http_v2" else MOST_BATCH_BYTES) - ENVELOPE_BYTES

    @property
    def identify_bytes(self) -> int:
        """How large a single identification may be, form-encoded."""
        return V2_BYTES - ENVELOPE_BYTES
