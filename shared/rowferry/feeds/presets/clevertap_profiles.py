"""CleverTap's profile export: legacy (all, then deltas) and the newer Export center.

docs.clevertap.com "Profile Exports" and "Profile and Events (Legacy)" (copies of 2025–2026). Names
begin with four numbers, `100000000-1761651721-1761651721-0.csv.gz`; the legacy flow writes the
format after a dash (`…-0-csv.gz`), and own templates keep time and instance at the end. A delta
carries the whole profile and no mark of what changed; deletions are not told.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rowferry.feeds.preset import Column, Ignored, Named, Preset

_NAME = re.compile(
    r"(?:(?P<account>.+?)-)?(?P<request>\d+)-(?P<run>\d{9,13})-(?P<database>\d+)[-.](?:csv|json|xml|parquet)(?:\.(?:gz|gzip))?"
)

# Identifiers and communication preferences stand in every file, whatever properties were chosen.
_COLUMNS = (
    Column("identity", "STRING"),
    Column("all_identities", "STRING"),
    Column("clevertap_id", "STRING", ("clevertapId",)),
    Column("clevertap_ids", "STRING", ("clevertapIds",)),
    Column("device", "JSON"),
    Column("subscription_groups", "JSON", ("subscriptionGroups", "commPrefs.subscriptionGroups")),
    Column("msg_webpush", "BOOL", ("MSG-webpush", "commPrefs.MSG-webpush")),
    Column("msg_push", "BOOL", ("MSG-push", "commPrefs.MSG-push")),
    Column("msg_email", "BOOL", ("MSG-email", "commPrefs.MSG-email")),
    Column("msg_sms", "BOOL", ("MSG-sms", "commPrefs.MSG-sms")),
    Column("msg_whatsapp", "BOOL", ("MSG-whatsapp", "commPrefs.MSG-whatsapp")),
    Column("exported_at", "TIMESTAMP", part="run"),
)


def _read_name(key: str) -> Named | Ignored | None:
    found = _NAME.fullmatch(key.rpartition("/")[2])
    if found is None:
        return None
    run = datetime.fromtimestamp(int(found["run"][:10]), UTC)
    return Named({**found.groupdict(""), "run": run, "day": run.date()})


PRESET = Preset(
    name="clevertap_profiles",
    title="CleverTap profile export",
    read_name=_read_name,
    columns=_COLUMNS,
    nests=frozenset({"commPrefs", "profileProps"}),
    key=("clevertap_id",),
    newest_by="exported_at",
    cluster_by=("identity",),
)
