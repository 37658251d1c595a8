"""A Klaviyo account in the settings file. Source: [spec] klaviyo/openapi `stable.json`, revision 2026-07-15 (2026-07-23)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from rowferry.errors import Problem
from rowferry.settings.base import DestinationSettings, Seconds, Secret

ListId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+$")]


class KlaviyoSettings(DestinationSettings):
    """An account at Klaviyo. What its pages leave open can be set here."""

    vendor: Literal["klaviyo"]
    api_key: Secret = Field(
        description="A private key. Scopes: events:write; profiles and lists, read and write; subscriptions:write, data-privacy:write."
    )
    revision: str = Field(
        "2026-07-15",
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="Of the API; each lives for two years. `backfill` needs 2026-04-15 or later.",
    )
    events: Literal["bulk", "single"] = Field("bulk", description="1,000 a request, 150,000 a minute; or one a request, 3,500 a minute.")
    profiles: Literal["bulk", "single"] = Field(
        "bulk", description="By import jobs; or one a request, 750 a minute, for a few now and then."
    )
    backfill: bool = Field(False, description="Store events without starting flows. A field `backfill` in a map does it for one sync.")
    zeros: Literal["text", "leave_out", "reject"] = Field(
        "text", description="An event's property that is 0, which Klaviyo drops: sent as the text 0, not sent, or the row refused."
    )
    test_addresses: Literal["reject", "send"] | None = Field(
        None, description="Events of @example.com and @test.com, which Klaviyo drops: refused; but sent where base_url is set, a rehearsal."
    )
    repeated_events: Literal["delivered", "reject"] = Field(
        "delivered", description="An event that Klaviyo refuses for a unique_id which it has: counts as there, or as refused."
    )
    near_duplicates: Literal["fail", "allow"] = Field("fail", description="Custom properties that look like Klaviyo's own (firstName).")
    lists: dict[str, ListId] = Field({}, description="Names for lists, e.g. {vip: VRgFBd}. An audience is a name, or a list's id itself.")
    list_unsubscribe: Literal["reject", "send"] = Field(
        "reject", description="Unsubscribing with a list, which unsubscribes those who are not in it from everything."
    )
    poll_every: Seconds = Field(5.0, description="How long to wait between two looks at an import job.")

    def conflicts(self) -> Iterator[Problem]:
        """A revision that knows what is to be sent [spec]."""
        if self.backfill and self.revision < "2026-04-15":
            yield Problem("backfill", f"is not known to revision {self.revision}", "2026-04-15 or later")

    @property
    def refuses_test_addresses(self) -> bool:
        """Whether events that Klaviyo would drop for their address are refused before they leave."""
        return self.base_url is None if self.test_addresses is None else self.test_addresses == "reject"
