"""A timer rang: find what an event missed or a crash left behind, and start it again."""

import os
import time

import functions_framework
from flask import Request

from rowferry import edge

LIFE_SECONDS = float(os.environ.get("ROWFERRY_TIMEOUT_SECONDS", "840"))  # the function's own time-out, set by Terraform


@functions_framework.http
def sweep(request: Request) -> tuple[str, int]:  # noqa: ARG001 (the platform's signature)
    ends_at = time.monotonic() + LIFE_SECONDS
    with edge.call() as app:
        return str(app.sweep(lambda: edge.seconds_left(1000 * (ends_at - time.monotonic())))), 200
