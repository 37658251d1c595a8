"""A chunk's receipts were written (bucket → Pub/Sub): close its run if they were the last."""

import functions_framework
from cloudevents.http import CloudEvent

from rowferry import edge, queue_gcp


@functions_framework.cloud_event
def finish_run(event: CloudEvent) -> None:
    with queue_gcp.comes_again(), edge.call() as app:
        for key in edge.keys_of_event(event.data, app.state):
            app.finish_run(key)
