"""A CleverTap project in the settings file. Sources: developer.clevertap.com/docs/common-api-components and
/api-request-limit (2026-03-17)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from rowferry.errors import Problem
from rowferry.settings.base import DestinationSettings, Secret
from rowferry.settings.hours import Zone

# common-api-components. A wrong region answers 401, so there is no default.
HOSTS = {"eu1": "api", "global": "api", "in1": "in1.api", "sg1": "sg1.api", "us1": "us1.api", "aps3": "aps3.api", "mec1": "mec1.api"}
MAX_OPEN_REQUESTS = 15  # api-request-limit: per account, over everybody who uploads


class CleverTapSettings(DestinationSettings):
    """A CleverTap project. What CleverTap's pages leave open can be set here."""

    vendor: Literal["clevertap"]
    region: Literal["eu1", "global", "in1", "sg1", "us1", "aps3", "mec1"] | None = Field(
        None, description="Where the project lives: the start of the dashboard's address. Required unless base_url is given."
    )
    account_id: str = Field(min_length=1, description="The project id, e.g. ABC-123-4567.")
    passcode: Secret = Field(description="An account passcode (Settings, Project); not the SDK's token.")
    timezone: Zone = Field("UTC", description="The project's time zone, in which pulls read its days and times, e.g. Asia/Kolkata.")
    dry_run: bool = Field(False, description="Uploads are judged and not stored, yet count as delivered here: give it a sync of its own.")
    nested: Literal["text", "object", "reject"] = Field(
        "text", description="Objects, and lists in events: as JSON text, as they are (the account must accept nested values), or refused."
    )
    unset: Literal["delete", "reject"] = Field("delete", description="A NULL that replaces a value: sent as $delete, or the row refused.")
    system_events: Literal["reject", "send"] = Field("reject", description="Events that CleverTap raises itself and may or may not accept.")
    missing_time: Literal["reject", "arrival"] = Field("reject", description="An event without time: refused, or the time of arrival.")
    event_properties: int = Field(100, gt=0, le=256, description="Properties an event may have; 100 unless CleverTap raised it for you.")
    request_bytes: int = Field(1_000_000, ge=10_000, description="The largest request body; CleverTap publishes no limit.")

    def conflicts(self) -> Iterator[Problem]:
        """A place to send to, and no more open requests than CleverTap takes."""
        if self.region is None and self.base_url is None:
            yield Problem("region", "is missing", f"one of {', '.join(HOSTS)}; CleverTap answers a wrong one with 401")
        if self.instances * in_flight_of(self) > MAX_OPEN_REQUESTS:
            yield Problem("in_flight", f"times instances is over the {MAX_OPEN_REQUESTS} requests that CleverTap takes at once")


def in_flight_of(settings: CleverTapSettings) -> int:
    """10 of the account's 15 unless said otherwise: other programs upload to the same account."""
    return settings.in_flight or max(1, 10 // settings.instances)
