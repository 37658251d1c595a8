"""A sender called `/hooks/<name>`: verify, store in the outbox, answer."""

import functions_framework
from flask import Request, Response
from gunicorn.http.errors import ParseException

from rowferry import edge
from rowferry.webhooks.port import MOST_BODY_BYTES, Call
from rowferry.webhooks.relay import answer


@functions_framework.http
def relay_webhook(request: Request) -> Response:
    try:
        body = _body(request)
    except (ParseException, OSError, EOFError):  # chunks that are none, and a caller who hung up
        found = answer(400, "malformed")
    else:
        found = edge.app().relay.answer(Call(request.method, request.full_path, _headers(request), body, request.remote_addr or ""))
    return Response(found.body, found.status, dict(found.headers))


def _body(request: Request) -> bytes:
    """The bytes as they came, which a signature is over. Of too many, the rest is not kept in memory, as the framework would do."""
    body = request.stream.read(MOST_BODY_BYTES + 1)
    if len(body) < min(request.content_length or 0, MOST_BODY_BYTES):  # a form that is cut short is a form as well
        raise EOFError
    while len(body) > MOST_BODY_BYTES and request.stream.read(1 << 16):
        pass
    return body


def _headers(request: Request) -> dict[str, str]:
    """The headers by name in lower case, from where WSGI has them: the framework's own way takes several times as long."""
    sent = {name[5:].replace("_", "-").lower(): value for name, value in request.environ.items() if name.startswith("HTTP_")}
    return sent | {"content-type": request.environ.get("CONTENT_TYPE", "")}
