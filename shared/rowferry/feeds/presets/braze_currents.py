"""Braze Currents: events as Avro in S3, GCS or Azure.

braze.com/docs "Event delivery semantics" and "Currents changelog" (2026-09); samples in
github.com/Appboy/currents-examples. A bucket of some age holds two layouts,
`…/event_type=<type>/date=YYYY-MM-DD-HH/version=<n>/<environment>/….avro` and the older one with a
bare number for the version, so the parts are found by their `key=` anywhere in the path.
Delivery is at least once, `id` tells repeats. `date` is the hour Braze queued the events; the
events' own `time` can lie far back (SDK queues) or, in test events, ahead.
"""

from __future__ import annotations

import re
from datetime import datetime

from rowferry.feeds.preset import Column, Ignored, Named, Preset

_EVENT = re.compile(r"(?:^|/)event_type=([^/]+)/")
_HOUR = re.compile(r"/date=(\d{4}-\d{2}-\d{2}-\d{2})/(?:version=)?(\d+)/")

_COLUMNS = (
    Column("id", "STRING"),
    Column("user_id", "STRING"),
    Column("external_user_id", "STRING"),
    Column("time", "INT64"),
    Column("event_time", "TIMESTAMP", ("time",)),
)

# Every field of the 94 public schemas (Currents v10 to v12) that is not a string. `time` is an
# int in most and a long in some; arrays may hold nulls, which a REPEATED column can't.
_NUMBERS = """
time_ms random_bucket_number prev_random_bucket_number prompt_tokens completion_tokens total_tokens cache_tokens
reasoning_tokens ios_push_token_apns_gateway push_token_created_at push_token_updated_at conversion_behavior_index
attempt_count http_status_code content_length retry_count webhook_duration send_time
"""
_BOOLEANS = """
cache_hit llm_owned_by_customer is_error ad_tracking_enabled push_token_provisionally_opted_in push_token_foreground_push_disabled
in_control_group is_canvas_entry is_drop is_amp is_suspected_bot_click is_sms_fallback is_terminal archived is_unique
has_url_parameters link_aliasing_enabled
"""
_DECIMALS = "latitude longitude altitude ll_accuracy alt_accuracy price duration"
_ARRAYS = "suspected_bot_click_reason media_urls"
_TYPES = {
    name: kind
    for names, kind in ((_NUMBERS, "INT64"), (_BOOLEANS, "BOOL"), (_DECIMALS, "FLOAT64"), (_ARRAYS, "JSON"))
    for name in names.split()
}


def _read_name(key: str) -> Named | Ignored | None:
    if not key.endswith(".avro"):
        return Ignored("not an .avro file: dashboard exports may share the bucket")
    event = _EVENT.search(key)
    found = _HOUR.search(key)
    if event is None or found is None:
        return None
    try:
        hour = datetime.strptime(found[1], "%Y-%m-%d-%H")  # noqa: DTZ007 (a name's hour, in UTC)
    except ValueError:
        return None
    return Named({"event": event[1], "day": hour.date(), "hour": hour, "version": found[2]})


PRESET = Preset(
    name="braze_currents",
    title="Braze Currents",
    read_name=_read_name,
    columns=_COLUMNS,
    types=_TYPES,
    key=("id",),
    newest_by="event_time",
    partition_by="event_time",
    cluster_by=("user_id",),
)
