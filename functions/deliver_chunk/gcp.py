"""A chunk was written (bucket → Pub/Sub, one subscription for each destination): send it, write its receipts."""

import os
import time

import functions_framework
from cloudevents.http import CloudEvent

from rowferry import edge

LIFE_SECONDS = float(os.environ.get("ROWFERRY_TIMEOUT_SECONDS", "540"))  # the function's own time-out, set by Terraform


@functions_framework.cloud_event
def deliver_chunk(event: CloudEvent) -> None:
    app, ends_at = edge.app(), time.monotonic() + LIFE_SECONDS
    for key in edge.keys_of_event(event.data, app.state):
        found = app.deliver_announced(key, lambda: edge.seconds_left(1000 * (ends_at - time.monotonic())))
        edge.after_delivery(key, found)
