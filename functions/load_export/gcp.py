"""An export file was written (bucket → Pub/Sub): load it into its table, exactly once, and start what comes after it."""

import os
import time

import functions_framework
from cloudevents.http import CloudEvent

from rowferry import edge

LIFE_SECONDS = float(os.environ.get("ROWFERRY_TIMEOUT_SECONDS", "540"))  # the function's own time-out, set by Terraform


@functions_framework.cloud_event
def load_export(event: CloudEvent) -> None:
    ends_at = time.monotonic() + LIFE_SECONDS
    with edge.call() as app:
        for key in edge.keys_of_event(event.data, app.exports):
            edge.after_load(app.load_arrived(key))
        app.start_wanted(lambda: edge.seconds_left(1000 * (ends_at - time.monotonic())))
