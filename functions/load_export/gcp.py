"""An export file was written (bucket → Pub/Sub): load it into its table, exactly once, and start what comes after it."""

import functions_framework
from cloudevents.http import CloudEvent

from rowferry import edge, queue_gcp


@functions_framework.cloud_event
def load_export(event: CloudEvent) -> None:
    left_seconds = edge.time_left_from_now()
    with queue_gcp.comes_again(), edge.call() as app:
        for key in edge.keys_of_event(event.data, app.exports):
            edge.after_load(app.load_arrived(key))
        app.start_wanted(left_seconds)
