"""Amplitude's events: the Export API's ZIP and the recurring export to S3 or GCS.

amplitude.com/docs "Export API", "S3 export", "GCS export" (copies of 2026). Names are
`{project}/{project}_yyyy-MM-dd_H#N.json.gz`, the hour without a leading zero, by the clock of
`server_upload_time` in UTC; `…_H_complete` marks an hour as done; `-{org}_yyyy-MM-dd_H.json.gz`
holds merged Amplitude ids. A file for one hour has events of earlier days, so the table goes by
`event_time`. `uuid` tells repeats. Times have no zone and are UTC.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from rowferry.feeds.preset import Column, Ignored, Named, Preset

_HOUR = r"(?P<day>\d{4}-\d{2}-\d{2})_(?P<hour>\d{1,2})"
_EVENTS = re.compile(rf"(?P<project>\d+)_{_HOUR}#(?P<index>\d+)\.json(?:\.gz)?")
_MERGED_IDS = re.compile(rf"(?P<project>-?\d+)_{_HOUR}\.json(?:\.gz)?")
_MARKER = re.compile(rf"-?\d+_{_HOUR}_complete.*")

MERGED_IDS = "merged_ids"

_TEXTS = """
user_id device_id event_type platform os_name os_version device_family device_type device_carrier device_manufacturer
device_brand device_model country region city dma language library version_name start_version ip_address adid idfa
amplitude_event_type paying
"""
_TIMES = "event_time client_event_time client_upload_time server_received_time server_upload_time processed_time"
_NUMBERS = "amplitude_id session_id event_id app"
_OBJECTS = "event_properties user_properties group_properties groups data amplitude_attribution_ids"

_EVENT_COLUMNS = (
    Column("uuid", "STRING"),
    Column("insert_id", "STRING", ("$insert_id",)),
    *(Column(name, "TIMESTAMP") for name in _TIMES.split()),
    *(Column(name, "STRING") for name in _TEXTS.split()),
    *(Column(name, "INT64") for name in _NUMBERS.split()),
    *(Column(name, "JSON") for name in _OBJECTS.split()),
    Column("location_lat", "FLOAT64"),
    Column("location_lng", "FLOAT64"),
    Column("sample_rate", "FLOAT64"),
    Column("is_attribution_event", "BOOL"),
    Column("schema_version", "STRING", ("$schema",)),
)
_MERGED_ID_COLUMNS = (
    Column("scope", "STRING"),
    Column("merge_time", "TIMESTAMP"),
    Column("merge_server_time", "TIMESTAMP"),
    Column("amplitude_id", "INT64"),
    Column("merged_amplitude_id", "INT64"),
)


def _read_name(key: str) -> Named | Ignored | None:
    name = key.rpartition("/")[2]
    if _MARKER.fullmatch(name):
        return Ignored("Amplitude's marker of a finished hour")
    if name.lower().endswith(".zip"):
        return Named({})
    if found := _EVENTS.fullmatch(name):
        return _named(found, "")
    found = _MERGED_IDS.fullmatch(name)
    return _named(found, MERGED_IDS) if found else None


def _named(found: re.Match[str], variant: str) -> Named | None:
    try:
        hour = datetime.strptime(found["day"], "%Y-%m-%d") + timedelta(hours=int(found["hour"]))  # noqa: DTZ007 (UTC, as a DATETIME)
    except ValueError:
        return None
    return Named({**found.groupdict(), "day": hour.date(), "hour": hour}, variant)


PRESET = Preset(
    name="amplitude_export",
    title="Amplitude export",
    read_name=_read_name,
    columns=_EVENT_COLUMNS,
    variants={MERGED_IDS: _MERGED_ID_COLUMNS},
    key=("uuid",),
    newest_by="server_upload_time",
    partition_by="event_time",
    cluster_by=("user_id",),
)
