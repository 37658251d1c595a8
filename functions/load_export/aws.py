"""Export files were written (S3 → SQS): load each into its table, exactly once, and start what comes after it.

Only what failed comes back.
"""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from rowferry import edge

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def load(record: SQSRecord, lambda_context: LambdaContext) -> None:
    with edge.call() as app:
        edge.each(edge.keys_of_message(record.body, app.exports), lambda key: edge.after_load(app.load_arrived(key)))
        app.start_wanted(edge.time_left(lambda_context.get_remaining_time_in_millis))


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event=event, record_handler=load, processor=processor, context=context)
