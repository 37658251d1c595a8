"""A chunk was written (S3 → SQS, one queue for each destination): send it, write its receipts."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from rowferry import edge

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def deliver(record: SQSRecord, lambda_context: LambdaContext) -> None:
    from rowferry import queue_aws  # boto3 comes with it, which the first event waits for anyway

    app = edge.app()

    def deliver_one(key: str) -> None:
        found = app.deliver_announced(key, edge.time_left(lambda_context.get_remaining_time_in_millis))
        edge.after_delivery(key, found)

    with queue_aws.comes_again(record):
        edge.each(edge.keys_of_message(record.body, app.state), deliver_one)


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event=event, record_handler=deliver, processor=processor, context=context)
