"""A timer rang (EventBridge Scheduler, `{"pull": name}`): pull what is due of a report into export files, whose own events load them."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from rowferry import edge
from rowferry.delivery.claim import Held


def handler(event: dict[str, Any], context: LambdaContext) -> str:
    name, left_seconds = edge.name_in(event, "pull"), edge.time_left(context.get_remaining_time_in_millis)
    with edge.call() as app:
        try:
            edge.after_pull(name, app.pull(name, left_seconds=left_seconds))
        except Held:
            return "held"  # the one that holds it does the work
        return "pulled"
