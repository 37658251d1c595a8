"""A sender called `/hooks/<name>`: verify, store in the outbox, answer."""

import functions_framework
from flask import Request, Response

from rowferry import edge
from rowferry.webhooks.port import Call


@functions_framework.http
def relay_webhook(request: Request) -> Response:
    found = edge.app().relay.answer(
        Call(
            method=request.method,
            path=request.full_path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.get_data(cache=False),  # the bytes as they came: a signature is over these
            remote=request.remote_addr or "",
        )
    )
    return Response(found.body, found.status, dict(found.headers))
