"""A timer rang (Cloud Scheduler, `{"sync": name}`): start the sync's run, or go on planning an open one."""

import functions_framework
from flask import Request

from rowferry import edge
from rowferry.delivery.claim import Held


@functions_framework.http
def start_sync(request: Request) -> tuple[str, int]:
    name = edge.name_in(request.get_json(silent=True), "sync")
    left_seconds = edge.time_left_from_now()
    with edge.call() as app:
        if name not in app.settings.syncs:
            return 'expected {"sync": name} with a sync of the settings', 400
        try:
            return app.start_sync(name, left_seconds).status, 200
        except Held:
            return "held", 200  # the one that holds it does the work
