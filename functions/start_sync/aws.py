"""A timer rang (EventBridge Scheduler, `{"sync": name}`): start the sync's run, or go on planning an open one."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from rowferry import edge
from rowferry.delivery.claim import Held


def handler(event: dict[str, Any], context: LambdaContext) -> str:
    with edge.call() as app:
        try:
            return app.start_sync(edge.name_in(event, "sync"), edge.time_left(context.get_remaining_time_in_millis)).status
        except Held:
            return "held"  # the one that holds it does the work
