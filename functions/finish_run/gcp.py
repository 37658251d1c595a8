"""A chunk's receipts were written (bucket → Pub/Sub): close its run if they were the last."""

import functions_framework
from cloudevents.http import CloudEvent

from rowferry import edge


@functions_framework.cloud_event
def finish_run(event: CloudEvent) -> None:
    with edge.call() as app:
        for key in edge.keys_of_event(event.data, app.state):
            app.finish_run(key)
