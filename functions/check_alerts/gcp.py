"""A timer rang (Cloud Scheduler, `{"alert": name}`): look at the alert, and tell what is news."""

import functions_framework
from flask import Request

from rowferry import edge


@functions_framework.http
def check_alerts(request: Request) -> tuple[str, int]:
    name = edge.name_in(request.get_json(silent=True), "alert")
    with edge.call() as app:
        if name not in app.settings.alerts:
            return 'expected {"alert": name} with an alert of the settings', 400
        return app.check_alert(name).state, 200
