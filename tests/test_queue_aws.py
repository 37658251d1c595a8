"""When a message of an SQS queue comes again, with the real client against moto."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from rowferry import queue_aws
from rowferry.errors import RowferryError, SourceError, TryLater
from support.aws import Aws
from support.lambda_runtime import ACCOUNT
from support.moto_lambda import sqs_record


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws() as server:
        yield server


@pytest.fixture
def queue(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A queue with a message in it."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    queue_aws._client.cache_clear()
    url = aws.make_queue("deliver")
    aws.sqs().send_message(QueueUrl=url, MessageBody="{}")
    yield url
    queue_aws._client.cache_clear()


def receive(aws: Aws, queue: str) -> SQSRecord | None:
    """The message as Lambda gets it, or None while it is hidden."""
    asked: Any = {"QueueUrl": queue, "AttributeNames": ["All"], "WaitTimeSeconds": 0}
    messages = aws.sqs().receive_message(**asked).get("Messages", [])
    name = queue.rpartition("/")[2]
    return SQSRecord(sqs_record(messages[0], f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}")) if messages else None


def fail(record: SQSRecord, error: RowferryError) -> None:
    with pytest.raises(type(error)), queue_aws.comes_again(record):
        raise error


def test_a_call_whose_time_was_up_comes_again_at_once(aws: Aws, queue: str) -> None:
    """A wait of nothing ends the queue's own, long time-out."""
    record = receive(aws, queue)
    assert record is not None
    assert receive(aws, queue) is None
    fail(record, TryLater("the time is up", 0))
    again = receive(aws, queue)
    assert again is not None
    assert again.attributes.approximate_receive_count == "2"


def test_what_asks_for_a_pause_stays_hidden_that_long(aws: Aws, queue: str) -> None:
    """The queue's own time-out is nothing here, yet the message does not show."""
    aws.sqs().set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
    record = receive(aws, queue)
    assert record is not None
    fail(record, TryLater("slow down", 300))
    assert receive(aws, queue) is None


def test_what_is_settled_is_left_as_it_is(aws: Aws, queue: str) -> None:
    """Without an error the message stays hidden until Lambda removes it."""
    record = receive(aws, queue)
    assert record is not None
    with queue_aws.comes_again(record):
        pass
    assert receive(aws, queue) is None


@pytest.mark.parametrize(("tries", "seconds"), [(1, 10), (2, 20), (6, 320), (7, 600), (50, 600), (10_000, 600)])
def test_pauses_grow_as_on_google_cloud(tries: int, seconds: int) -> None:
    """Doubled with each try, from 10 seconds to 10 minutes, where nothing was asked for."""
    assert queue_aws.pause_seconds(tries, None) == seconds


@pytest.mark.parametrize(("asked", "seconds"), [(0, 0), (0.2, 1), (59.5, 60), (3000, 600)])
def test_what_was_asked_for_counts(asked: float, seconds: int) -> None:
    """In whole seconds, never too early, and never longer than a queue's longest pause."""
    assert queue_aws.pause_seconds(20, asked) == seconds


def test_a_queue_out_of_reach_hides_no_error(aws: Aws, queue: str) -> None:
    """The message then comes again after the queue's own time-out; the error that counts is the first."""
    record = receive(aws, queue)
    assert record is not None
    gone = SQSRecord({**record.raw_event, "eventSourceARN": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:no-such"})
    fail(gone, SourceError("the model is gone"))
