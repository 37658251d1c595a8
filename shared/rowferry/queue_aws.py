"""When a message that SQS has handed to a function comes again.

Left alone, it would be hidden for the queue's visibility time-out, which has to be long. A function that says
how long (ChangeMessageVisibility) and reports the message as failed gets it again after that time, as
AWS's own docs have it for pauses of one's own (sqs-visibility-timeout, services-sqs-errorhandling; 2026-11).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import boto3  # noqa: TID251 - this is the adapter
from botocore.config import Config  # noqa: TID251 - this is the adapter
from botocore.exceptions import BotoCoreError, ClientError  # noqa: TID251 - this is the adapter

from rowferry.errors import RowferryError, TryLater
from rowferry.events import NotAnEvent

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from mypy_boto3_sqs import SQSClient

FIRST_SECONDS, LONGEST_SECONDS = 10, 600  # the same as of Google Cloud's subscriptions (infra/modules/gcp_queue)
log = logging.getLogger("rowferry")


@contextmanager
def comes_again(record: SQSRecord) -> Iterator[None]:
    """If the block fails, have the record's message come again when the error says that it is worth it
    (`TryLater.wait_seconds`), else after a pause that grows with the tries. The error goes on its way."""
    try:
        yield
    except (RowferryError, NotAnEvent) as error:
        asked_seconds = error.wait_seconds if isinstance(error, TryLater) else None
        _hide(record, pause_seconds(int(record.attributes.approximate_receive_count), asked_seconds))
        raise


def pause_seconds(tries: int, asked_seconds: float | None) -> int:
    """How long a message is to be hidden after so many tries: as asked for, else doubled with each, in whole seconds."""
    if asked_seconds is not None:
        return min(LONGEST_SECONDS, math.ceil(asked_seconds))
    return min(LONGEST_SECONDS, FIRST_SECONDS << min(tries - 1, 10))


def _hide(record: SQSRecord, seconds: int) -> None:
    _, _, _, region, account, name = record.event_source_arn.split(":")
    sqs = _client(region)
    try:
        url = f"{sqs.meta.endpoint_url}/{account}/{name}"
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=record.receipt_handle, VisibilityTimeout=seconds)
    except (BotoCoreError, ClientError) as error:
        log.warning("%s: the message comes again after the queue's own time-out: %s", name, error)


@cache
def _client(region: str) -> SQSClient:
    config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client("sqs", region_name=region, config=config)
