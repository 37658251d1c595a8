"""CleverTap's event export to S3, GCS or Azure.

docs.clevertap.com "Data Export to AWS S3" and "Google Cloud Platform (GCP)" (copies of 2025–2026).
Files lie flat at the bucket's root, named
`<export id>-<run>-<Event-Name>-<yyyymmdd>-<file index>-<database id>.<format>[.gz]`; all days and
shards of one event belong together. A recurring run carries what was captured in its window, so
an event of an earlier day can come in a later file: rows go by their own time, not the name's.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rowferry.feeds.preset import Column, Ignored, Named, Preset

# The name is read from both ends: an event's name may hold dashes and digits itself.
_NAME = re.compile(
    r"(?P<request>\d+)-(?P<run>\d+)-(?P<event>.+)-(?P<day>\d{8})-(?P<index>\d+)-(?P<database>\d+)"
    r"\.(?:csv|json|xml|parquet)(?:\.(?:gz|gzip))?",
    re.DOTALL,
)

# "Export Format" (vendor's draft page): top level, profile and device keys. `eventTime` and the
# `identity` map stand in newer Parquet files. Properties of the event come as they are.
_COLUMNS = (
    Column("ts", "TIMESTAMP", ("ts", "eventTime", "event_time")),
    Column("event_name", "STRING", ("eventName", "event_name"), part="event"),
    Column("profile_identity", "STRING", ("profile.identity", "identity.identity", "identity")),
    Column("profile_all_identities", "STRING", ("profile.all_identities", "identity.all_identities", "all_identities")),
    Column("profile_object_id", "STRING", ("profile.objectId", "identity.clevertapId", "objectId")),
    Column("profile_name", "STRING", ("profile.name",)),
    Column("profile_email", "STRING", ("profile.email",)),
    Column("profile_phone", "STRING", ("profile.phone",)),
    Column("profile_platform", "STRING", ("profile.platform",)),
)


def _read_name(key: str) -> Named | Ignored | None:
    found = _NAME.fullmatch(key.rpartition("/")[2])
    if found is None:
        return None
    try:
        day = datetime.strptime(found["day"], "%Y%m%d").date()  # noqa: DTZ007 (a day of the project, no moment)
    except ValueError:
        return None
    run = datetime.fromtimestamp(int(found["run"][:10]), UTC)
    return Named({**found.groupdict(), "day": day, "run": run})


PRESET = Preset(
    name="clevertap_events",
    title="CleverTap event export",
    read_name=_read_name,
    columns=_COLUMNS,
    nests=frozenset({"profile", "identity", "deviceInfo", "deviceInfo.dimensions", "eventProps", "sessionProps"}),
    partition_by="ts",
    cluster_by=("profile_identity",),
)
