"""The status page over HTTPS, for people that the platform lets in (Cloud Run's invoker role): `/` and `/status.json`."""

import functions_framework
from flask import Request, Response

from rowferry import edge
from rowferry.console.page import answer


@functions_framework.http
def status_page(request: Request) -> Response:
    with edge.call() as app:
        found = answer(request.path, app.status, app.clock.now())
    return Response(found.body, found.status, dict(found.headers))
