"""A timer rang (Cloud Scheduler, `{"sync": name}`): start the sync's run, or go on planning an open one."""

import os
import time

import functions_framework
from flask import Request

from rowferry import edge
from rowferry.delivery.claim import Held

LIFE_SECONDS = float(os.environ.get("ROWFERRY_TIMEOUT_SECONDS", "840"))  # the function's own time-out, set by Terraform


@functions_framework.http
def start_sync(request: Request) -> tuple[str, int]:
    name = edge.name_in(request.get_json(silent=True), "sync")
    ends_at = time.monotonic() + LIFE_SECONDS
    with edge.call() as app:
        if name not in app.settings.syncs:
            return 'expected {"sync": name} with a sync of the settings', 400
        try:
            return app.start_sync(name, lambda: edge.seconds_left(1000 * (ends_at - time.monotonic()))).status, 200
        except Held:
            return "held", 200  # the one that holds it does the work
