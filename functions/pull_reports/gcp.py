"""A timer rang (Cloud Scheduler, `{"pull": name}`): pull what is due of a report into export files, whose own events load them."""

import functions_framework
from flask import Request

from rowferry import edge
from rowferry.delivery.claim import Held


@functions_framework.http
def pull_reports(request: Request) -> tuple[str, int]:
    name = edge.name_in(request.get_json(silent=True), "pull")
    left_seconds = edge.time_left_from_now()
    with edge.call() as app:
        if name not in app.settings.pulls:
            return 'expected {"pull": name} with a pull of the settings', 400
        try:
            edge.after_pull(name, app.pull(name, left_seconds=left_seconds))
        except Held:
            return "held", 200  # the one that holds it does the work
        return "pulled", 200
