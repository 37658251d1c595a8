"""The whole of the settings, as one frozen value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, Self

from pydantic import Field, PrivateAttr, SerializeAsAny

from rowferry.errors import Problem
from rowferry.settings.alert import Alert
from rowferry.settings.base import DestinationSettings, Frozen
from rowferry.settings.database import Database
from rowferry.settings.feed import Feed
from rowferry.settings.names import EntryName
from rowferry.settings.place import Place
from rowferry.settings.pull import Pull
from rowferry.settings.sync import Sync
from rowferry.settings.url import StoreUrl
from rowferry.settings.warehouse import Warehouse
from rowferry.settings.webhook import Webhook

# The sections, each a mapping of names to entries, and what an entry is.
SECTIONS: dict[str, type[Frozen]] = {
    "destinations": DestinationSettings,
    "feeds": Feed,
    "syncs": Sync,
    "pulls": Pull,
    "databases": Database,
    "webhooks": Webhook,
    "alerts": Alert,
}


class Head(Frozen):
    """What the settings say once, outside of the sections."""

    rowferry: Literal[1] = Field(1, description="The version of this file's form.")
    warehouse: Warehouse = Field(description="Where the tables are.")
    state: StoreUrl = Field(description="Bucket or folder for outbox, claims, checkpoints, receipts and quarantine.")
    exports: StoreUrl | None = Field(None, description="Bucket or folder where vendors drop their files; needed by feeds and pulls.")

    def conflicts(self) -> Iterator[Problem]:
        """BigQuery exports into Cloud Storage alone."""
        wanted = self.warehouse.export_rows if "export_rows" in self.warehouse.model_fields_set else None
        if wanted is not None and not self.state.startswith("gs://"):
            yield Problem(
                "warehouse.export_rows", "has no effect, because state is not in Cloud Storage", "take it out, or move state to gs://…"
            )


class Settings(Head):
    """What the settings file says. A destination's value is of its vendor's own model."""

    destinations: dict[EntryName, SerializeAsAny[DestinationSettings]] = Field({}, description="Where rows and notices go.")
    feeds: dict[EntryName, Feed] = Field({}, description="Files that become tables.")
    syncs: dict[EntryName, Sync] = Field({}, description="Rows that go to vendors.")
    pulls: dict[EntryName, Pull] = Field({}, description="Vendors' reports that become tables.")
    databases: dict[EntryName, Database] = Field({}, description="SQL databases that syncs read from.")
    webhooks: dict[EntryName, Webhook] = Field({}, description="Calls that senders make to us.")
    alerts: dict[EntryName, Alert] = Field({}, description="Numbers that people are told about.")

    _places: Mapping[str, Place] = PrivateAttr(default_factory=dict)

    @property
    def places(self) -> Mapping[str, Place]:
        """Where each path (`syncs.customers.map.email`) stands; empty when the settings came from no file."""
        return self._places

    def with_places(self, places: Mapping[str, Place]) -> Self:
        """The same settings, knowing where they stand."""
        copy = self.model_copy()
        copy._places = places
        return copy
