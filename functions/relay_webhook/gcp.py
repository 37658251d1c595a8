"""A sender called `/hooks/<name>`: verify, store in the outbox, answer."""

import functions_framework
from flask import Request, Response

from rowferry import edge
from rowferry.webhooks.port import MOST_BODY_BYTES, Call


@functions_framework.http
def relay_webhook(request: Request) -> Response:
    body = request.stream.read(MOST_BODY_BYTES + 1)  # the bytes as they came: a signature is over these
    while len(body) > MOST_BODY_BYTES and request.stream.read(1 << 16):
        pass  # the rest is too much to be kept in memory, which the framework would do
    found = edge.app().relay.answer(Call(request.method, request.full_path, _headers(request), body, request.remote_addr or ""))
    return Response(found.body, found.status, dict(found.headers))


def _headers(request: Request) -> dict[str, str]:
    """The headers by name in lower case, from where WSGI has them: the framework's own way takes several times as long."""
    sent = {name[5:].replace("_", "-").lower(): value for name, value in request.environ.items() if name.startswith("HTTP_")}
    return sent | {"content-type": request.environ.get("CONTENT_TYPE", "")}
