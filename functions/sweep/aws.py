"""A timer rang: find what an event missed or a crash left behind, and start it again."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from rowferry import edge


def handler(event: dict[str, Any], context: LambdaContext) -> str:  # noqa: ARG001 (the platform's signature)
    with edge.call() as app:
        return str(app.sweep(edge.time_left(context.get_remaining_time_in_millis)))
