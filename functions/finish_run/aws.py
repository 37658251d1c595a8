"""Chunks' receipts were written (S3 → SQS): close each one's run if they were its last."""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from rowferry import edge

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def finish(record: SQSRecord) -> None:
    with edge.call() as app:
        edge.each(edge.keys_of_message(record.body, app.state), app.finish_run)


def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return process_partial_response(event=event, record_handler=finish, processor=processor, context=context)
