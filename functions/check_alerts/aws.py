"""A timer rang (EventBridge Scheduler, `{"alert": name}`): look at the alert, and tell what is news."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from rowferry import edge


def handler(event: dict[str, Any], context: LambdaContext) -> str:  # noqa: ARG001 (the platform's signature)
    with edge.call() as app:
        return app.check_alert(edge.name_in(event, "alert")).state
