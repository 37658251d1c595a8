"""A timer rang: find what an event missed or a crash left behind, and start it again."""

import functions_framework
from flask import Request

from rowferry import edge


@functions_framework.http
def sweep(request: Request) -> tuple[str, int]:  # noqa: ARG001 (the platform's signature)
    left_seconds = edge.time_left_from_now()
    with edge.call() as app:
        return str(app.sweep(left_seconds)), 200
