"""A timer rang (Cloud Scheduler, `{"pull": name}`): pull what is due of a report into export files, whose own events load them."""

import os
import time

import functions_framework
from flask import Request

from rowferry import edge
from rowferry.delivery.claim import Held

LIFE_SECONDS = float(os.environ.get("ROWFERRY_TIMEOUT_SECONDS", "840"))  # the function's own time-out, set by Terraform


@functions_framework.http
def pull_reports(request: Request) -> tuple[str, int]:
    name = edge.name_in(request.get_json(silent=True), "pull")
    ends_at = time.monotonic() + LIFE_SECONDS
    with edge.call() as app:
        if name not in app.settings.pulls:
            return 'expected {"pull": name} with a pull of the settings', 400
        try:
            edge.after_pull(name, app.pull(name, left_seconds=lambda: edge.seconds_left(1000 * (ends_at - time.monotonic()))))
        except Held:
            return "held", 200  # the one that holds it does the work
        return "pulled", 200
