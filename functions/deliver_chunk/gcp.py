"""A chunk was written (bucket → Pub/Sub, one subscription for each destination): send it, write its receipts."""

import functions_framework
from cloudevents.http import CloudEvent

from rowferry import edge, queue_gcp


@functions_framework.cloud_event
def deliver_chunk(event: CloudEvent) -> None:
    app, left_seconds = edge.app(), edge.time_left_from_now()
    with queue_gcp.comes_again():
        for key in edge.keys_of_event(event.data, app.state):
            edge.after_delivery(key, app.deliver_announced(key, left_seconds))
