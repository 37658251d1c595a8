"""The status page over HTTPS, for callers that AWS lets in (IAM): `/` and `/status.json`."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from rowferry import edge
from rowferry.console.page import answer


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 (the platform's signature)
    with edge.call() as app:
        found = answer(str(event.get("rawPath", "/")), app.status, app.clock.now())
    return {"statusCode": found.status, "headers": dict(found.headers), "body": found.body.decode()}
