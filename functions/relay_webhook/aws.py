"""A sender called `/hooks/<name>` at the HTTP API: verify, store in the outbox, answer."""

import base64
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from rowferry import edge
from rowferry.webhooks.port import Call


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 (the platform's signature)
    body = event.get("body") or ""
    asked = event["requestContext"]["http"]
    found = edge.app().relay.answer(
        Call(
            method=asked["method"],
            path=f"{event['rawPath']}?{event.get('rawQueryString', '')}",
            headers={name.lower(): value for name, value in event.get("headers", {}).items()},
            body=base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),  # a signature is over the bytes as they came
            remote=asked.get("sourceIp", ""),
        )
    )
    return {"statusCode": found.status, "headers": dict(found.headers), "body": found.body.decode()}
